// See timeline.h.
#include "loader/timeline.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    PM_TIMER_HZ = 3579545, // ACPI 6.4, 4.8.2.1
    // Half a millisecond: one tick is 0.06 percent of it. The loader's own work nearly always takes
    // longer.
    PM_TICKS_ENOUGH = 1790,
    // An interval with more TSC counts may be one in which the 24-bit timer wrapped unseen: it does
    // so in 4.7 s, and 2^31 counts take that long only below 460 MHz.
    TSC_INTERVAL_LOG2 = 31,
    WAIT_POLLS_MAX = 100000,
};

static struct slipway_stage stages[TIMELINE_STAGES_MAX];
static uint32_t stage_count;
static uint64_t entry_tsc;

// The measurement: sums over the intervals between two looks at the timer.
static uint16_t pm_port;
static uint32_t pm_mask;
static uint32_t last_ticks;
static uint64_t last_tsc;
static uint64_t sum_ticks;
static uint64_t sum_tsc;

static uint32_t tsc_method;

static uint64_t highest_tsc; // that timeline_now has returned

uint64_t timeline_now(void) {
    highest_tsc = max_u64(highest_tsc, cpu_rdtsc());
    return highest_tsc;
}

void timeline_init(void) {
    highest_tsc = 0;
    entry_tsc = timeline_now();
    stage_count = 0;
    pm_port = 0;
    sum_ticks = 0;
    sum_tsc = 0;
}

uint64_t timeline_entry(void) {
    return entry_tsc;
}

static void look_at_pm_timer(void) {
    if (pm_port == 0)
        return;
    uint32_t ticks = cpu_in32(pm_port); // the bits of pm_mask count
    uint64_t tsc = cpu_rdtsc();
    if (tsc - last_tsc < UINT64_C(1) << TSC_INTERVAL_LOG2) {
        sum_ticks += (ticks - last_ticks) & pm_mask;
        sum_tsc += tsc - last_tsc;
    }
    last_ticks = ticks;
    last_tsc = tsc;
}

void timeline_begin(const char *name) {
    if (stage_count == TIMELINE_STAGES_MAX)
        return;
    struct slipway_stage *stage = &stages[stage_count];
    memset(stage, 0, sizeof(*stage));
    for (size_t i = 0; i < sizeof(stage->name) - 1 && name[i] != '\0'; i++)
        stage->name[i] = name[i];
    stage->tsc_start = timeline_now();
}

void timeline_end(uint64_t bytes) {
    if (stage_count == TIMELINE_STAGES_MAX)
        return;
    stages[stage_count].bytes = bytes;
    stages[stage_count++].tsc_end = timeline_now();
    look_at_pm_timer();
}

const struct slipway_stage *timeline_stages(uint32_t *ret_count) {
    *ret_count = stage_count;
    return stages;
}

// CPUID 0x15: the crystal's frequency and its ratio to the TSC (SDM 2A, CPUID).
static uint64_t tsc_hz_by_crystal(void) {
    if (cpu_cpuid(0, 0).eax < 0x15)
        return 0;
    struct cpuid ratio = cpu_cpuid(0x15, 0);
    return ratio.eax != 0 ? (uint64_t)ratio.ecx * ratio.ebx / ratio.eax : 0;
}

// CPUID 0x40000010: the TSC in kHz, as VMware defined it and KVM and others follow.
static uint64_t tsc_hz_by_hypervisor(void) {
    if (!(cpu_cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) ||
        cpu_cpuid(0x40000000, 0).eax < 0x40000010)
        return 0;
    return (uint64_t)cpu_cpuid(0x40000010, 0).eax * 1000;
}

void timeline_use_pm_timer(uint16_t port, uint32_t mask) {
    if (port == 0 || tsc_hz_by_crystal() != 0 || tsc_hz_by_hypervisor() != 0)
        return;
    pm_port = port;
    pm_mask = mask;
    last_ticks = cpu_in32(port);
    last_tsc = cpu_rdtsc();
}

static uint64_t tsc_hz_by_pm_timer(void) {
    for (unsigned polls = 0; pm_port != 0 && polls < WAIT_POLLS_MAX && sum_ticks < PM_TICKS_ENOUGH;
         polls++)
        look_at_pm_timer();
    if (sum_ticks < PM_TICKS_ENOUGH)
        return 0;
    // At most TIMELINE_STAGES_MAX intervals of 2^31 counts, and short polls: the product stays
    // below 2^60.
    return sum_tsc * PM_TIMER_HZ / sum_ticks;
}

uint64_t timeline_tsc_hz(void) {
    uint64_t hz = tsc_hz_by_crystal();
    tsc_method = SLIPWAY_TSC_CPUID;
    if (hz == 0) {
        hz = tsc_hz_by_hypervisor();
        tsc_method = SLIPWAY_TSC_HYPERVISOR;
    }
    if (hz == 0) {
        hz = tsc_hz_by_pm_timer();
        tsc_method = SLIPWAY_TSC_PM_TIMER;
    }
    if (hz == 0)
        tsc_method = SLIPWAY_TSC_UNKNOWN;
    return hz;
}

uint32_t timeline_tsc_method(void) {
    return tsc_method;
}
