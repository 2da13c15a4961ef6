#include "kernel/cpus/machine_check.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "kernel/base/clock.h"
#include "kernel/cpus/cpus.h"

enum {
    LEAF_FEATURES = 1,
    FAMILY_6 = 6,
    MODEL_NEHALEM = 0x1A,
    ERRORS_KEPT = 4,         // of a CPU: the newest
    OTHERS_LIMIT_US = 10000, // for the other CPUs to note theirs
    REPORT_LIMIT_US = 100000,
};

#define ALL_ERRORS (~UINT64_C(0))

struct error {
    uint64_t status, address;
    uint8_t bank;
    bool is_old; // from before the kernel
};

// Written by the CPU itself alone.
static struct checks {
    struct error errors[ERRORS_KEPT]; // number n at n % ERRORS_KEPT
    uint64_t count;                   // of all errors noted
    uint64_t printed;                 // of these, by CPU 0
    uint64_t first_now;               // number of the first error of the machine check that runs
} checks[CPUS_MAX];

static uint64_t noted; // bit n: CPU n is in a machine check, and has noted its errors

static bool has_registers(void) {
    uint32_t needed = CPUID_1_EDX_MCE | CPUID_1_EDX_MCA;
    return (cpu_cpuid(LEAF_FEATURES, 0).edx & needed) == needed;
}

static uint32_t bank_count(void) {
    return (uint32_t)min_u64(cpu_rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS, MC_BANKS_MAX);
}

static bool is_lost(uint64_t status) {
    return (status & (MC_STATUS_UNCORRECTED | MC_STATUS_CONTEXT_CORRUPT)) != 0;
}

static void note(uint32_t bank, uint64_t status, bool is_old) {
    struct checks *own = &checks[this_cpu()];
    uint64_t address = status & MC_STATUS_ADDRESS ? cpu_rdmsr(MSR_MC_ADDRESS(bank)) : 0;
    own->errors[own->count % ERRORS_KEPT] = (struct error){
        .status = status, .address = address, .bank = (uint8_t)bank, .is_old = is_old};
    __atomic_store_n(&own->count, own->count + 1, __ATOMIC_RELEASE);
}

// Notes the errors of all banks of this CPU. True if something is lost.
static bool note_banks(bool is_old) {
    bool has_lost = false;
    for (uint32_t bank = 0; bank < bank_count(); bank++) {
        uint64_t status = cpu_rdmsr(MSR_MC_STATUS(bank));
        if (!(status & MC_STATUS_VALID))
            continue;
        note(bank, status, is_old);
        has_lost |= is_lost(status);
    }
    return has_lost;
}

// So that a bank can take the next one.
static void forget_banks(void) {
    for (uint32_t bank = 0; bank < bank_count(); bank++) {
        if (cpu_rdmsr(MSR_MC_STATUS(bank)) & MC_STATUS_VALID)
            cpu_wrmsr(MSR_MC_STATUS(bank), 0);
    }
}

// SDM 3B 16.3.2.1: before Nehalem bank 0's control register is the firmware's.
static uint32_t first_controlled_bank(void) {
    uint32_t signature = cpu_cpuid(LEAF_FEATURES, 0).eax;
    uint32_t family = signature >> 8 & 0xF;
    uint32_t model = (signature >> 4 & 0xF) | (signature >> 12 & 0xF0);
    return family == FAMILY_6 && model < MODEL_NEHALEM ? 1 : 0;
}

void machine_check_start(void) {
    if (!has_registers())
        return;
    (void)note_banks(true);
    forget_banks();
    if (cpu_rdmsr(MSR_MCG_CAP) & MCG_CAP_CONTROL)
        cpu_wrmsr(MSR_MCG_CONTROL, ALL_ERRORS);
    for (uint32_t bank = first_controlled_bank(); bank < bank_count(); bank++)
        cpu_wrmsr(MSR_MC_CONTROL(bank), ALL_ERRORS);
}

static void wait_for_others(void) {
    uint64_t all = UINT64_MAX >> (CPUS_MAX - cpus_started());
    uint64_t end = clock_after(OTHERS_LIMIT_US);
    while (__atomic_load_n(&noted, __ATOMIC_ACQUIRE) != all && !clock_reached(end))
        cpu_pause();
}

// A machine check may come to all CPUs though one alone has an error. Another that cannot go on and
// knows no reason lets that one report, which stops it meanwhile.
bool machine_check_handle(void) {
    uint64_t status = has_registers() ? cpu_rdmsr(MSR_MCG_STATUS) : 0;
    if (!(status & MCG_STATUS_IN_PROGRESS))
        return false; // no machine check: INT has raised its vector, or the CPU tells nothing of it
    struct checks *own = &checks[this_cpu()];
    own->first_now = own->count;
    bool has_lost = note_banks(false);
    __atomic_fetch_or(&noted, UINT64_C(1) << this_cpu(), __ATOMIC_ACQ_REL);
    if (has_lost || !(status & MCG_STATUS_RESTARTABLE)) {
        wait_for_others();
        if (own->count == own->first_now)
            clock_wait(REPORT_LIMIT_US);
        return false;
    }
    forget_banks();
    __atomic_fetch_and(&noted, ~(UINT64_C(1) << this_cpu()), __ATOMIC_ACQ_REL);
    cpu_wrmsr(MSR_MCG_STATUS, 0); // last: until then another machine check would reset the machine
    return true;
}

static void tell(const struct sink *sink, const struct error *error) {
    fmt_print(sink, "bank %u: status 0x%lx, %s", error->bank, error->status,
              error->status & MC_STATUS_UNCORRECTED ? "uncorrected" : "corrected");
    if (error->status & MC_STATUS_ADDRESS)
        fmt_print(sink, ", at 0x%lx", error->address);
    fmt_print(sink, "%s\n", error->is_old ? ", kept" : "");
}

static void poll_here(void *argument) {
    (void)argument;
    if (!has_registers())
        return;
    (void)note_banks(false);
    forget_banks();
}

static void print_new(const struct sink *sink, unsigned cpu) {
    struct checks *its = &checks[cpu];
    uint64_t count = __atomic_load_n(&its->count, __ATOMIC_ACQUIRE);
    uint64_t first = max_u64(its->printed, count - min_u64(count, ERRORS_KEPT));
    if (first != its->printed)
        fmt_print(sink, "machine check on CPU %u: %lu more\n", cpu, first - its->printed);
    for (uint64_t i = first; i < count; i++) {
        fmt_print(sink, "machine check on CPU %u: ", cpu);
        tell(sink, &its->errors[i % ERRORS_KEPT]);
    }
    its->printed = count;
}

void machine_check_poll(const struct sink *sink) {
    cpus_run(poll_here, NULL);
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
        print_new(sink, cpu);
}

uint64_t machine_check_count(unsigned cpu) {
    return __atomic_load_n(&checks[cpu].count, __ATOMIC_ACQUIRE);
}

void machine_check_print_others(const struct sink *sink) {
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        if (cpu == this_cpu() || !(__atomic_load_n(&noted, __ATOMIC_ACQUIRE) >> cpu & 1))
            continue;
        const struct checks *its = &checks[cpu];
        uint64_t kept_from = its->count - min_u64(its->count, ERRORS_KEPT);
        for (uint64_t i = max_u64(its->first_now, kept_from); i < its->count; i++) {
            fmt_print(sink, "  CPU %u ", cpu);
            tell(sink, &its->errors[i % ERRORS_KEPT]);
        }
    }
}
