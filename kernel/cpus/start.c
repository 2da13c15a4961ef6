#include "kernel/cpus/start.h"

#include "common/base/arith.h"
#include "common/boot/slipway_boot.h"
#include "common/x86/cpu.h"
#include "common/x86/lapic.h"
#include "kernel/base/boot.h"
#include "kernel/base/clock.h"
#include "kernel/base/stages.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/descriptors.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/cpus/machine_check.h"
#include "kernel/cpus/stacks.h"
#include "kernel/cpus/user.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/shootdown.h"

enum {
    ANSWER_LIMIT_US = 2000000, // a virtual CPU waits for a turn on a busy machine
};

#define CR0_PROMISED  (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define CR0_REFUSED   (CR0_EM | CR0_TS | CR0_CD | CR0_NW)
#define CR4_PROMISED  (CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#define EFER_PROMISED (EFER_LME | EFER_LMA | EFER_NXE)

static struct cpus_facts facts = {.found = 1};

struct registers {
    uint64_t cr0, cr3, cr4, efer, pat;
};

// The CPU that is being started, and what it answers.
static struct start {
    unsigned cpu;
    struct registers registers; // of the boot CPU
    enum answer {
        ANSWER_NONE,
        ANSWER_RUNS,
        ANSWER_DIFFERS, // its registers or its local APIC are not what they should be
        ANSWER_LATE,    // said in its place, when it has not answered in time
    } answer;
} start;

struct cpus_facts cpus_facts(void) {
    return facts;
}

static struct slipway_cpu *record_at(uint32_t index) {
    const struct slipway_array *cpus = &boot_info()->cpus;
    return (struct slipway_cpu *)(uintptr_t)(cpus->address + (uint64_t)index * cpus->stride);
}

unsigned cpus_count(void) {
    return (unsigned)min_u64(max_u64(boot_info()->cpus.count, 1), CPUS_MAX);
}

static void leave_out(const char *reason) {
    facts.left_out++;
    if (facts.reason == NULL)
        facts.reason = reason;
}

static struct registers read_registers(void) {
    return (struct registers){
        .cr0 = cpu_read_cr0(),
        .cr3 = cpu_read_cr3(),
        .cr4 = cpu_read_cr4(),
        .efer = cpu_rdmsr(MSR_EFER),
        .pat = cpu_rdmsr(MSR_PAT),
    };
}

// What common/boot/slipway_boot.h promises of a CPU; and that all CPUs are alike.
static bool registers_are_right(const struct registers *boot) {
    struct registers own = read_registers();
    return (own.cr0 & (CR0_PROMISED | CR0_REFUSED)) == CR0_PROMISED &&
           (own.cr4 & CR4_PROMISED) == CR4_PROMISED &&
           (own.efer & EFER_PROMISED) == EFER_PROMISED && own.pat == SLIPWAY_PAT &&
           own.cr0 == boot->cr0 && own.cr3 == boot->cr3 && own.cr4 == boot->cr4 &&
           own.efer == boot->efer;
}

// Answers once, unless it is too late. True if that was in time.
static bool say(enum answer answer) {
    enum answer none = ANSWER_NONE;
    return __atomic_compare_exchange_n(&start.answer, &none, answer, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

// Where a CPU that the loader has parked goes on, on the stack that the loader gave it.
[[gnu::noreturn]] static void enter(const struct slipway_cpu *record) {
    const struct start *order = (const struct start *)(uintptr_t)record->argument;
    descriptors_load(order->cpu);
    machine_check_start();
    bool is_right = registers_are_right(&order->registers) && apic_start_other() &&
                    apic_id() == record->apic_id;
    user_start();
    if (say(is_right ? ANSWER_RUNS : ANSWER_DIFFERS) && is_right)
        cpus_serve();
    cpu_stop();
}

// Where one goes on that nobody needs.
[[gnu::noreturn]] static void halt([[maybe_unused]] const struct slipway_cpu *record) {
    cpu_stop();
}

static void release(struct slipway_cpu *record, void (*entry)(const struct slipway_cpu *record)) {
    record->argument = (uint64_t)(uintptr_t)&start;
    __atomic_store_n(&record->entry, (uint64_t)(uintptr_t)entry, __ATOMIC_RELEASE);
}

static enum answer wait_for_answer(void) {
    uint64_t end = clock_after(ANSWER_LIMIT_US);
    enum answer answer;
    while ((answer = __atomic_load_n(&start.answer, __ATOMIC_ACQUIRE)) == ANSWER_NONE) {
        if (clock_reached(end))
            return say(ANSWER_LATE) ? ANSWER_LATE : start.answer; // or in the last moment
        cpu_pause();
    }
    return answer;
}

static void start_one(struct slipway_cpu *record) {
    unsigned cpu = cpus_started();
    if (cpu == CPUS_MAX) {
        leave_out("there are more CPUs than this kernel can count");
        release(record, halt);
        return;
    }
    if (!stacks_make(cpu)) {
        leave_out("there is no memory for the interrupt stacks of a CPU");
        release(record, halt);
        return;
    }
    const struct slipway_boot_info *info = boot_info();
    stacks_set(cpu, record->stack_top - (info->stack_top - info->stack_bottom), record->stack_top);
    cpus_set_apic_id(cpu, record->apic_id);
    start.cpu = cpu;
    start.answer = ANSWER_NONE;
    release(record, enter);
    enum answer answer = wait_for_answer();
    if (answer == ANSWER_RUNS)
        cpus_add();
    else
        leave_out(answer == ANSWER_DIFFERS ? "a CPU is not like the one that boots"
                                           : "a CPU that was released did not answer");
}

static void start_all(void) {
    start.registers = read_registers();
    for (uint32_t i = 0; i < boot_info()->cpus.count; i++) {
        struct slipway_cpu *record = record_at(i);
        if (record->state == SLIPWAY_CPU_PARKED)
            start_one(record);
        else if (record->state == SLIPWAY_CPU_ABSENT)
            leave_out("a CPU did not come up");
    }
}

static void interrupt_for_shootdown(unsigned cpu) {
    apic_send(cpus_apic_id(cpu), INTERRUPTS_SHOOTDOWN_VECTOR);
}

void cpus_start(const struct sink *late) {
    stages_begin("release");
    shootdown_start(interrupt_for_shootdown, late);
    uint64_t before = memory_free_frames();
    facts.found = (uint32_t)max_u64(boot_info()->cpus.count, 1);
    cpus_set_apic_id(0, lapic_id_by_cpuid());
    machine_check_start();
    interrupts_start();
    if (!apic_start())
        facts.reason = "the local APIC of the CPU that boots is off";
    start_all();
    user_start(); // after the others have compared their registers with those of this CPU
    facts.frames = before - memory_free_frames();
    stages_end(0);
}
