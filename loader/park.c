// See park.h. Everything here runs in the kernel's half, at another address than the loader's code
// was relocated to: nothing of the firmware is called, and no absolute address is used.
#include "loader/park.h"

#include "common/x86/cpu.h"
#include "common/x86/lapic.h"
#include "common/x86/regs.h"
#include "loader/apic.h"

// INIT leaves the mode as it was (SDM 3A 11.12.5.1): the firmware's, which may be another here than
// on the boot CPU. The registers are as after a reset. The page of an xAPIC is mapped in the
// crossing's tables alone, whose upper half is the kernel's.
static void set_local_apic(const struct park_area *area) {
    const struct park_table *table = area->table;
    struct lapic lapic;
    apic_adopt_mode(table->apic_base);
    if (table->state != MACHINE_LIMINE_STRICT || !lapic_find(&lapic))
        return;
    if (lapic.is_x2apic) {
        apic_quiet_local(0, table->state, area->lints);
    } else if (lapic.page == table->apic_page) { // else it is mapped nowhere
        cpu_write_cr3(area->cpu.crossing_root);
        apic_quiet_local(lapic.page, table->state, area->lints);
        cpu_write_cr3(area->cpu.root);
    }
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
    set_local_apic(area);
    mtrr_adopt(&table->mtrrs);
    uint64_t entry = 0;
    while (entry == 0) {
        if (!say_parked(record))
            cpu_stop();
        const uint64_t *released_at = __atomic_load_n(&area->released_at, __ATOMIC_ACQUIRE);
        entry = __atomic_load_n(released_at, __ATOMIC_ACQUIRE);
        if (entry == 0)
            cpu_pause();
    }
    area->cpu.entry = entry;
    area->cpu.boot_info = area->argument;
    // The kernel may have changed these tables, and may tell nobody to flush.
    if (table->state != MACHINE_SLIPWAY)
        cpu_write_cr3(area->cpu.root);
    enter_jump(&area->cpu);
}
