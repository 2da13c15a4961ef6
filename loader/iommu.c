// See iommu.h.
#include "loader/iommu.h"

#include "common/x86/cpu.h"
#include "loader/log.h"

#include <stdbool.h>

// VT-d. A command has the bits of the status, those apart that do something once.
enum {
    VTD_CAPABILITY = 0x08,
    VTD_COMMAND = 0x18,
    VTD_STATUS = 0x1C,
    VTD_PROTECTED_MEMORY = 0x64,
    VTD_QUEUE_HEAD = 0x80,
    VTD_QUEUE_TAIL = 0x88,
    CAPABILITY_PROTECTED_LOW = 1 << 5,
    CAPABILITY_PROTECTED_HIGH = 1 << 6,
    PROTECTED_STATUS = 1 << 0,
};
#define VTD_TRANSLATION   (UINT32_C(1) << 31)
#define VTD_QUEUE         (UINT32_C(1) << 26)
#define VTD_REMAPPING     (UINT32_C(1) << 25)
#define VTD_ONCE          (UINT32_C(1) << 30 | UINT32_C(1) << 29 | UINT32_C(1) << 27 | UINT32_C(1) << 24)
#define PROTECTED_ENABLED (UINT32_C(1) << 31)

// AMD-Vi. The low half of the control register has all of these.
enum {
    AMD_CONTROL = 0x18,
    AMD_ENABLED = 1 << 0,
    // Event log and its interrupt, interrupt for completed commands, command buffer, log of page
    // requests and its interrupt, log of guest interrupts and its interrupt.
    AMD_PARTS = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 28 | 1 << 29,
};

// Reads of a register: half a second and more where each leaves the CPU. A unit takes microseconds.
enum { ROUNDS_MAX = 1000000 };

static bool goes_off(uint64_t phys, uint32_t reg, uint32_t bit) {
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        if (!(cpu_mmio_read32(phys + reg) & bit))
            return true;
    }
    return false;
}

static EFI_STATUS fail(const char *unit, uint64_t phys, const char *what) {
    return log_fail(EFI_DEVICE_ERROR,
                    "%s at 0x%lx: %s does not go off: turn the IOMMU off in the firmware's setup",
                    unit, phys, what);
}

// ---- VT-d

// One bit a command, which is over when the status shows it. True if it was off, or goes off.
static bool turn_off(uint64_t phys, uint32_t *status, uint32_t bit) {
    if (!(*status & bit))
        return true;
    *status &= ~bit;
    cpu_mmio_write32(phys + VTD_COMMAND, *status & ~VTD_ONCE);
    return goes_off(phys, VTD_STATUS, bit);
}

// The unit has done all commands of the queue when it has caught up with the last.
static void drain_queue(uint64_t phys) {
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        if (cpu_mmio_read32(phys + VTD_QUEUE_HEAD) == cpu_mmio_read32(phys + VTD_QUEUE_TAIL))
            return;
    }
}

static EFI_STATUS open_protected_memory(uint64_t phys) {
    uint32_t capability = cpu_mmio_read32(phys + VTD_CAPABILITY);
    if (!(capability & (CAPABILITY_PROTECTED_LOW | CAPABILITY_PROTECTED_HIGH)))
        return EFI_SUCCESS; // the register is not there
    uint32_t protected = cpu_mmio_read32(phys + VTD_PROTECTED_MEMORY);
    if (!(protected & (PROTECTED_ENABLED | PROTECTED_STATUS)))
        return EFI_SUCCESS;
    cpu_mmio_write32(phys + VTD_PROTECTED_MEMORY, protected & ~PROTECTED_ENABLED);
    return goes_off(phys, VTD_PROTECTED_MEMORY, PROTECTED_STATUS)
               ? EFI_SUCCESS
               : fail("VT-d unit", phys, "the protection of memory");
}

// The queue is the last to go: the others may still have something in it. It hinders nobody who
// leaves the unit alone, and hardware may want to see a certain command last, which is not the
// loader's to add.
EFI_STATUS iommu_stop_vtd(uint64_t phys) {
    uint32_t on = cpu_mmio_read32(phys + VTD_STATUS);
    if (!turn_off(phys, &on, VTD_TRANSLATION))
        return fail("VT-d unit", phys, "the translation of DMA");
    if (!turn_off(phys, &on, VTD_REMAPPING))
        return fail("VT-d unit", phys, "the remapping of interrupts");
    if (on & VTD_QUEUE)
        drain_queue(phys);
    if (!turn_off(phys, &on, VTD_QUEUE))
        log_line(CONFIG_LOG_INFO, "VT-d unit at 0x%lx: queued invalidation stays on", phys);
    return open_protected_memory(phys);
}

// ---- AMD-Vi

EFI_STATUS iommu_stop_amd(uint64_t phys) {
    uint32_t control = cpu_mmio_read32(phys + AMD_CONTROL);
    if (control & AMD_PARTS)
        cpu_mmio_write32(phys + AMD_CONTROL, control & ~(uint32_t)AMD_PARTS);
    if (!(control & AMD_ENABLED))
        return EFI_SUCCESS;
    cpu_mmio_write32(phys + AMD_CONTROL, control & ~(uint32_t)(AMD_PARTS | AMD_ENABLED));
    return goes_off(phys, AMD_CONTROL, AMD_ENABLED) ? EFI_SUCCESS : fail("AMD IOMMU", phys, "it");
}
