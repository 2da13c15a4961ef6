#include "kernel/memory/shootdown.h"

#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/base/panic.h"
#include "kernel/base/this_cpu.h"
#include "kernel/memory/kernel_space.h"

#include <stdbool.h>
#include <stddef.h>

enum { LATE_US = 1000000 };

// Of each CPU, in cache lines of its own. Other CPUs write `senders` and `waiting` alone.
static struct [[gnu::aligned(64)]] {
    uint64_t senders;               // the mailbox; bit n: CPU n has a record for this CPU
    const struct vmem_flush *flush; // the record that this CPU has for others
    struct tlb_space *changed;      // whose it is
    uint64_t waiting;               // bit n: CPU n has not forgotten it yet
    uint64_t seen;                  // `missable` when this CPU last forgot all
    struct tlb_space *space;        // whose root is loaded; null: the kernel's
    struct shootdown_counts counts;
}
cpus[CPUS_MAX];

static uint64_t online = 1;
static uint64_t awake = 1;
static uint64_t missable; // counts the records that a CPU may have missed because it slept

static void (*interrupt_cpu)(unsigned cpu);
static const struct sink *late_sink;

static uint64_t bit_of(unsigned cpu) {
    return UINT64_C(1) << cpu;
}

static unsigned take_lowest(uint64_t *set) {
    unsigned cpu = (unsigned)__builtin_ctzll(*set);
    *set &= *set - 1;
    return cpu;
}

// Who has to forget: after the change of the tables has become visible.
//
// A CPU that sleeps is left out, but not when tables are detached: even a halted CPU may walk what
// its paging-structure caches lead to, and would read, or mark, memory of somebody else.
//
//      this CPU                            one that wakes up
//      changes the tables                  sets its bit in `awake`
//      counts `missable`                   reads `missable`, forgets all if it has not seen that
//      looks whether the bit is set        uses its translations
//
// Each writes before it reads what the other writes, so at least one sees the other: either the bit
// is seen here, and the CPU is asked, or the count is seen there, and the change before it. What a
// CPU has seen is the count of when it last forgot all, not of when it fell asleep: that may have
// been between this count and this look, which then passes over it.
static uint64_t find_targets(struct tlb_space *space, const struct vmem_flush *flush) {
    if (space != NULL)
        __atomic_fetch_add(&space->changes, 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); // the tables are stored before the users are loaded
    uint64_t users = __atomic_load_n(space == NULL ? &online : &space->cpus, __ATOMIC_SEQ_CST);
    if (flush->table_count != 0 || (users & ~__atomic_load_n(&awake, __ATOMIC_SEQ_CST)) == 0)
        return users;
    __atomic_fetch_add(&missable, 1, __ATOMIC_SEQ_CST);
    return users & __atomic_load_n(&awake, __ATOMIC_SEQ_CST);
}

// Into each mailbox. Whose mailbox was not empty has an interrupt on its way already, or polls.
static void post(unsigned self, uint64_t targets, struct tlb_space *space,
                 const struct vmem_flush *flush) {
    cpus[self].flush = flush;
    cpus[self].changed = space;
    __atomic_store_n(&cpus[self].waiting, targets, __ATOMIC_RELEASE);
    while (targets != 0) {
        unsigned cpu = take_lowest(&targets);
        cpus[self].counts.requests++;
        if (__atomic_fetch_or(&cpus[cpu].senders, bit_of(self), __ATOMIC_ACQ_REL) != 0)
            continue;
        cpus[self].counts.interrupts++;
        interrupt_cpu(cpu);
    }
}

static void report_late(unsigned self, uint64_t waiting) {
    if (late_sink == NULL)
        return;
    fmt_print(late_sink, "tlb: CPU %u has waited a second, and goes on waiting, for CPU", self);
    while (waiting != 0)
        fmt_print(late_sink, " %u", take_lowest(&waiting));
    fmt_print(late_sink, ": interrupts are off there\n");
}

static void wait(unsigned self) {
    uint64_t late = clock_after(LATE_US);
    bool is_told = false;
    uint64_t waiting;
    while ((waiting = __atomic_load_n(&cpus[self].waiting, __ATOMIC_ACQUIRE)) != 0) {
        shootdown_serve();
        if (!is_told && clock_reached(late)) {
            report_late(self, waiting);
            is_told = true;
        }
        cpu_pause();
    }
}

void shootdown_execute(void *space, const struct vmem_flush *flush) {
    if (cpu_interrupts_are_on())
        panic("a TLB shoot-down with interrupts on");
    unsigned self = this_cpu();
    uint64_t targets = find_targets(space, flush);
    uint64_t others = targets & ~bit_of(self);
    cpus[self].counts.records++;
    if (others != 0)
        post(self, others, space, flush);
    if (targets & bit_of(self))
        tlb_forget(space, flush);
    if (others != 0)
        wait(self);
}

// What this CPU has read or written through an old translation is done before it says so: it says
// so by a locked instruction, which waits for all stores before it (SDM 3A 8.2.3.9).
void shootdown_serve(void) {
    unsigned self = this_cpu();
    if (__atomic_load_n(&cpus[self].senders, __ATOMIC_RELAXED) == 0)
        return;
    uint64_t senders = __atomic_exchange_n(&cpus[self].senders, 0, __ATOMIC_ACQ_REL);
    while (senders != 0) {
        unsigned sender = take_lowest(&senders);
        tlb_forget(cpus[sender].changed, cpus[sender].flush);
        __atomic_fetch_and(&cpus[sender].waiting, ~bit_of(self), __ATOMIC_ACQ_REL);
    }
}

// The bit is set before the first walk of the new tables and cleared after the last of the old
// ones: whoever changes them and does not see it has changed them, and counted that, before.
void shootdown_switch(struct tlb_space *space) {
    bool were_on = cpu_interrupts_save();
    unsigned self = this_cpu();
    struct tlb_space *before = cpus[self].space;
    if (space != NULL)
        __atomic_fetch_or(&space->cpus, bit_of(self), __ATOMIC_SEQ_CST);
    tlb_load(space, space_kernel()->root);
    cpus[self].space = space;
    if (before != NULL && before != space)
        __atomic_fetch_and(&before->cpus, ~bit_of(self), __ATOMIC_SEQ_CST);
    cpu_interrupts_restore(were_on);
}

void shootdown_sleep(void) {
    __atomic_fetch_and(&awake, ~bit_of(this_cpu()), __ATOMIC_SEQ_CST);
}

void shootdown_wake(void) {
    unsigned self = this_cpu();
    __atomic_fetch_or(&awake, bit_of(self), __ATOMIC_SEQ_CST);
    uint64_t now = __atomic_load_n(&missable, __ATOMIC_SEQ_CST);
    if (now == cpus[self].seen)
        return;
    tlb_forget_all();
    cpus[self].seen = now;
    cpus[self].counts.missed++;
}

void shootdown_start(void (*interrupt)(unsigned cpu), const struct sink *late) {
    interrupt_cpu = interrupt;
    late_sink = late;
}

void shootdown_join(void) {
    unsigned self = this_cpu();
    cpus[self].seen = UINT64_MAX; // of what was changed before nobody knows
    __atomic_fetch_or(&online, bit_of(self), __ATOMIC_SEQ_CST);
    shootdown_wake();
}

struct shootdown_counts shootdown_counts(void) {
    struct shootdown_counts sum = {0};
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
        sum.records += cpus[cpu].counts.records;
        sum.requests += cpus[cpu].counts.requests;
        sum.interrupts += cpus[cpu].counts.interrupts;
        sum.missed += cpus[cpu].counts.missed;
    }
    return sum;
}
