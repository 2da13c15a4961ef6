// See park.h. Everything here runs in the kernel's half, at another address than the loader's code
// was relocated to: nothing of the firmware is called, and no absolute address is used.
#include "loader/park.h"

#include "common/x86/cpu.h"
#include "common/x86/regs.h"

// INIT leaves the mode as it was (SDM 3A 11.12.5.1): the firmware's, which may be another here than
// on the boot CPU. From x2APIC to xAPIC the way leads through off.
static void adopt_apic_mode(uint64_t wanted) {
    const uint64_t mode = APIC_BASE_ENABLED | APIC_BASE_X2APIC;
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    if ((base & mode) == (wanted & mode))
        return;
    if (!(wanted & APIC_BASE_X2APIC))
        cpu_wrmsr(MSR_APIC_BASE, base & ~mode);
    cpu_wrmsr(MSR_APIC_BASE, (base & ~mode) | APIC_BASE_ENABLED);
    if (wanted & APIC_BASE_X2APIC)
        cpu_wrmsr(MSR_APIC_BASE, base | mode);
}

// Says that this CPU is parked, as often as the boot CPU has forgotten it (cpus.c). False if it is
// too late: the boot CPU has given up this one.
static bool say_parked(struct slipway_cpu *record) {
    uint32_t state = __atomic_load_n(&record->state, __ATOMIC_RELAXED);
    if (state == 0)
        __atomic_compare_exchange_n(&record->state, &state, SLIPWAY_CPU_PARKED, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    return state != SLIPWAY_CPU_ABSENT;
}

void park_wait(struct park_area *area) {
    struct park_table *table = area->table;
    struct slipway_cpu *record = area->record;
    if (table->has_cet)
        cpu_wrmsr(MSR_S_CET, 0);
    adopt_apic_mode(table->apic_base);
    mtrr_adopt(&table->mtrrs);
    uint64_t entry = 0;
    while (entry == 0) {
        if (!say_parked(record))
            cpu_stop();
        entry = __atomic_load_n(&record->entry, __ATOMIC_ACQUIRE);
        if (entry == 0)
            cpu_pause();
    }
    area->cpu.entry = entry;
    area->cpu.boot_info = (uintptr_t)record;
    enter_jump(&area->cpu);
}
