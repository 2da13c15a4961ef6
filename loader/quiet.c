// See quiet.h.
#include "loader/quiet.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "loader/apic.h"
#include "loader/firmware.h"
#include "loader/iommu.h"
#include "loader/log.h"

enum {
    CPUID_FEATURES = 1,

    // IA-PC HPET 1.0a, 2.3. The registers have 1024 bytes: not enough for all the timers that can
    // be counted.
    HPET_BYTES = 0x400,
    HPET_CONFIGURATION = 0x10,
    HPET_TIMERS = 0x100, // the low half of the first one's configuration
    HPET_TIMER_STEP = 0x20,
    HPET_TIMERS_MAX = (HPET_BYTES - HPET_TIMERS) / HPET_TIMER_STEP,
    HPET_LEGACY_ROUTES = 1 << 1,
    HPET_TIMER_INTERRUPTS = 1 << 2,

    // 82C54 data sheet: a control word for channel 0, mode 0, both bytes of a count that does not
    // come. The output is low from then on.
    PIT_CONTROL = 0x43,
    PIT_CHANNEL_0_SILENT = 0x30,
};

// Where the registers are: at an address of which these bits are 0, so that one page has all that
// are used. One of them never reads as all ones, which is what an address reads as where nothing
// answers.
static const struct {
    const char *name;
    uint32_t zero_bits;
    uint32_t never_ones;
} kinds[] = {
    [CONTROLLER_IO_APIC] = {"I/O APIC", 0xff, 0x00},
    [CONTROLLER_HPET] = {"HPET", 0x3ff, 0x00},
    [CONTROLLER_VTD] = {"VT-d unit", 0xfff, 0x00},
    [CONTROLLER_AMD_VI] = {"AMD IOMMU", 0x3fff, 0x18},
    [CONTROLLER_LOCAL_APIC] = {"local APIC", .never_ones = 0x30}, // its MSR has a page's address
};

// ---- Whether something can be there

static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    return firmware_pointer(table.value);
}

static const struct vmem_ops ops = {.table_pointer = table_pointer};

// Of the tables that CR3 has: the firmware's.
static bool is_mapped(const struct cpu_features *features, uint64_t phys) {
    struct vmem firmware;
    struct vmem_translation translation;
    return vmem_adopt(&firmware, &ops, NULL, features->paging, features->paging_levels,
                      cpu_read_cr3()) == VMEM_OK &&
           vmem_translate(&firmware, vaddr(phys), &translation) == VMEM_OK &&
           translation.phys.value == phys && (translation.rights & VMEM_WRITE);
}

// Why a controller is not touched; null if it is.
static const char *fault_of(const struct controller *controller, const struct space *space) {
    uint64_t phys = controller->phys;
    if (phys == 0)
        return "there is nothing";
    if (phys & kinds[controller->kind].zero_bits)
        return "that is misaligned";
    if (memory_map_has_ram(&space->map, align_down(phys, FRAME_BYTES), FRAME_BYTES))
        return "RAM is there";
    if (!is_mapped(&space->features, phys))
        return "the firmware does not map it";
    uint64_t probe = phys + kinds[controller->kind].never_ones;
    return cpu_mmio_read32(probe) == UINT32_MAX ? "it does not answer" : NULL;
}

static bool can_be_reached(const struct controller *controller, const struct space *space) {
    const char *fault = fault_of(controller, space);
    if (fault != NULL)
        log_line(CONFIG_LOG_INFO, "%s at 0x%lx left as it is: %s", kinds[controller->kind].name,
                 controller->phys, fault);
    return fault == NULL;
}

// ---- One controller

// The main counter goes on, or stands, as the firmware has it.
static void quiet_hpet(uint64_t phys) {
    uint32_t timers = (cpu_mmio_read32(phys) >> 8 & 0x1F) + 1;
    for (uint32_t i = 0; i < timers && i < HPET_TIMERS_MAX; i++) {
        uint64_t timer = phys + HPET_TIMERS + i * HPET_TIMER_STEP;
        uint32_t value = cpu_mmio_read32(timer);
        if (value & HPET_TIMER_INTERRUPTS)
            cpu_mmio_write32(timer, value & ~(uint32_t)HPET_TIMER_INTERRUPTS);
    }
    uint32_t value = cpu_mmio_read32(phys + HPET_CONFIGURATION);
    if (value & HPET_LEGACY_ROUTES)
        cpu_mmio_write32(phys + HPET_CONFIGURATION, value & ~(uint32_t)HPET_LEGACY_ROUTES);
}

static bool is_iommu(enum controller_kind kind) {
    return kind == CONTROLLER_VTD || kind == CONTROLLER_AMD_VI;
}

static EFI_STATUS quiet_controller(const struct controller *controller, enum machine_state state) {
    switch (controller->kind) {
    case CONTROLLER_IO_APIC:
        apic_quiet_io(controller->phys, state);
        return EFI_SUCCESS;
    case CONTROLLER_HPET:
        quiet_hpet(controller->phys);
        return EFI_SUCCESS;
    case CONTROLLER_VTD:
        return iommu_stop_vtd(controller->phys);
    case CONTROLLER_AMD_VI:
        return iommu_stop_amd(controller->phys);
    case CONTROLLER_LOCAL_APIC: // not in ACPI's tables
    default:
        return EFI_SUCCESS;
    }
}

// A CPU whose local APIC is off says that it has none (SDM 3A 11.4.3); under some hypervisors it
// says that it has, and then it can be turned on. Without it the 8259's interrupts come straight to
// the CPU, which a kernel of the Limine boot protocol may count on until the text says otherwise.
static uint32_t quiet_local_apic(const struct space *space) {
    const struct machine_wishes *machine = &space->machine;
    bool is_as_found =
        machine->state == MACHINE_LIMINE && machine->apic_mode == MACHINE_APIC_AS_FOUND;
    if (!(cpu_cpuid(CPUID_FEATURES, 0).edx & CPUID_1_EDX_APIC))
        return SLIPWAY_APIC_NONE;
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    if (!(base & APIC_BASE_ENABLED) && !is_as_found) {
        cpu_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLED);
        base = cpu_rdmsr(MSR_APIC_BASE);
    }
    if (!(base & APIC_BASE_ENABLED))
        return SLIPWAY_APIC_NONE;
    apic_adopt_mode(apic_wished_base(machine->apic_mode));
    base = cpu_rdmsr(MSR_APIC_BASE);
    if (base & APIC_BASE_X2APIC) {
        apic_quiet_local(0, machine->state, space->cpus.boot_lints);
        return SLIPWAY_APIC_X2APIC;
    }
    uint64_t page_mask = (UINT64_C(1) << space->features.paging.paddr_bits) - FRAME_BYTES;
    const struct controller local = {base & page_mask, CONTROLLER_LOCAL_APIC};
    if (!can_be_reached(&local, space))
        return SLIPWAY_APIC_NONE;
    apic_quiet_local(local.phys, machine->state, space->cpus.boot_lints);
    return SLIPWAY_APIC_XAPIC;
}

// Where interrupts begin, on the way to the CPU: the HPET before the PIT, which it may have
// replaced, and the local APIC last, which ends those that came before.
EFI_STATUS quiet_machine(const struct controllers *controllers, const struct space *space,
                         uint32_t *ret_apic_mode) {
    for (uint32_t i = 0; i < controllers->count; i++) {
        const struct controller *controller = &controllers->list[i];
        if (space->machine.keeps_iommus && is_iommu(controller->kind))
            continue;
        EFI_STATUS status = can_be_reached(controller, space)
                                ? quiet_controller(controller, space->machine.state)
                                : EFI_SUCCESS;
        if (EFI_ERROR(status))
            return status;
    }
    // The Limine boot protocol does not speak of the PIT. There is no way for its interrupts.
    if (space->machine.state == MACHINE_SLIPWAY)
        cpu_out8(PIT_CONTROL, PIT_CHANNEL_0_SILENT);
    *ret_apic_mode = quiet_local_apic(space);
    return EFI_SUCCESS;
}
