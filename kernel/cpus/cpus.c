#include "kernel/cpus/cpus.h"

#include "common/x86/regs.h"
#include "kernel/base/clock.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpu_block.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/memory/shootdown.h"

#include <stddef.h>

enum { STOP_LIMIT_US = 100000 };

static struct cpu_block cpus[CPUS_MAX];
static const struct cpus_program *programs[CPUS_MAX];

static unsigned started = 1;

static struct {
    cpus_task task;
    void *argument;
    uint64_t number;   // of the task: a new one is new work
    uint32_t awake;    // CPUs that are ready for it
    uint32_t finished; // and that have done it
} work;
static bool busy;

static struct {
    bool are_tried;
    uint64_t taken[CPUS_MAX];
} tried_nmis;

#define NOBODY UINT32_MAX
static uint32_t reporter = NOBODY;
static uint64_t stopped; // bit n: CPU n has stopped for the reporter

void cpus_make_current(unsigned cpu, uint64_t rsp0) {
    cpus[cpu].number = cpu;
    cpus[cpu].rsp0 = rsp0;
    cpu_wrmsr(MSR_GS_BASE, (uint64_t)(uintptr_t)&cpus[cpu]);
    cpu_wrmsr(MSR_KERNEL_GS, 0); // the base of programs
}

void cpus_set_apic_id(unsigned cpu, uint32_t id) {
    cpus[cpu].apic_id = id;
}

uint32_t cpus_apic_id(unsigned cpu) {
    return cpus[cpu].apic_id;
}

void cpus_add(void) {
    started++;
}

unsigned cpus_started(void) {
    return started;
}

// Who has not arrived may be waiting for this CPU to forget something.
static void wait_for_all(const uint32_t *count) {
    while (__atomic_load_n(count, __ATOMIC_ACQUIRE) != started) {
        shootdown_serve();
        cpu_pause();
    }
}

static void do_work(void) {
    __atomic_fetch_add(&work.awake, 1, __ATOMIC_RELEASE);
    wait_for_all(&work.awake);
    work.task(work.argument);
    __atomic_fetch_add(&work.finished, 1, __ATOMIC_RELEASE);
}

void cpus_run(cpus_task task, void *argument) {
    if (this_cpu() != 0 || busy || cpu_interrupts_are_on())
        panic("work for all CPUs is given by CPU %u, in a task or in an interrupt", this_cpu());
    work.task = task;
    work.argument = argument;
    work.awake = 0;
    work.finished = 0;
    busy = true;
    // What was written before is seen by whoever sees the number.
    __atomic_store_n(&work.number, work.number + 1, __ATOMIC_RELEASE);
    for (unsigned cpu = 1; cpu < started; cpu++)
        apic_send(cpus[cpu].apic_id, INTERRUPTS_WAKE_VECTOR);
    do_work();
    wait_for_all(&work.finished);
    busy = false;
}

// Interrupts are off between the look for work and the sleep, so a wake-up between them ends the
// sleep.
void cpus_sleep(void) {
    shootdown_sleep();
    cpu_interrupts_on_wait();
    cpu_interrupts_off();
    shootdown_wake();
}

static void (*idle_function)(bool may_sleep);

void cpus_set_idle(void (*idle)(bool may_sleep)) {
    __atomic_store_n(&idle_function, idle, __ATOMIC_RELEASE);
}

void cpus_idle(bool may_sleep) {
    void (*idle)(bool may_sleep) = __atomic_load_n(&idle_function, __ATOMIC_ACQUIRE);
    if (idle != NULL)
        idle(may_sleep);
    else if (may_sleep)
        cpus_sleep();
}

void cpus_set_program(const struct cpus_program *program) {
    programs[this_cpu()] = program;
}

const struct cpus_program *cpus_program(unsigned cpu) {
    return programs[cpu];
}

void cpus_serve(void) {
    shootdown_join();
    for (uint64_t number = 0;; number++) {
        while (__atomic_load_n(&work.number, __ATOMIC_ACQUIRE) == number)
            cpus_idle(true);
        do_work();
    }
}

[[gnu::noreturn]] static void stop_here(void) {
    __atomic_fetch_or(&stopped, UINT64_C(1) << this_cpu(), __ATOMIC_RELEASE);
    cpu_stop();
}

bool cpus_are_stopped(void) {
    return __atomic_load_n(&reporter, __ATOMIC_ACQUIRE) != NOBODY;
}

bool cpus_handle_nmi(void) {
    uint32_t who = __atomic_load_n(&reporter, __ATOMIC_ACQUIRE);
    if (who != NOBODY && who != this_cpu())
        stop_here();
    if (!__atomic_load_n(&tried_nmis.are_tried, __ATOMIC_RELAXED))
        return false;
    tried_nmis.taken[this_cpu()]++;
    return true;
}

void cpus_try_nmis(bool are_tried) {
    __atomic_store_n(&tried_nmis.are_tried, are_tried, __ATOMIC_SEQ_CST);
}

void cpus_send_nmi(unsigned cpu) {
    apic_send_nmi(cpus[cpu].apic_id);
}

uint64_t cpus_nmis(unsigned cpu) {
    return __atomic_load_n(&tried_nmis.taken[cpu], __ATOMIC_RELAXED);
}

// One by one: a CPU that was left out may still run the firmware's code, whose memory this kernel
// has long used for something else, and must get no NMI.
void cpus_stop_others(void) {
    uint32_t self = this_cpu();
    uint32_t who = NOBODY;
    if (!__atomic_compare_exchange_n(&reporter, &who, self, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        if (who == self)
            return;
        stop_here();
    }
    uint64_t others = 0;
    for (unsigned cpu = 0; cpu < started; cpu++) {
        if (cpu == self)
            continue;
        others |= UINT64_C(1) << cpu;
        apic_send_nmi(cpus[cpu].apic_id);
    }
    if (others == 0)
        return;
    uint64_t end = clock_after(STOP_LIMIT_US);
    while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) != others && !clock_reached(end))
        cpu_pause();
}
