// The machine that a kernel starts on: no interrupt comes that the kernel has not asked for, and a
// device's DMA goes where the device says. common/boot/slipway_boot.h has what is promised of each
// controller.
//
// Between the exit and the jump: interrupts are off, and the firmware's page tables, which map
// registers one to one, are in force.
#pragma once

#include "loader/controllers.h"
#include "loader/handover_space.h"

#include <efi.h>

#include <stdint.h>

// Makes silent what was found, as space->machine says. What is not where it could be (no address,
// misaligned, in RAM, not mapped by the firmware, no answer) is not touched, which the log says.
// *ret_apic_mode: the boot CPU's local APIC, SLIPWAY_APIC_.... An IOMMU that cannot be turned off
// is a failure, which is recorded; the kernel must then not be entered.
[[nodiscard]] EFI_STATUS quiet_machine(const struct controllers *controllers,
                                       const struct space *space, uint32_t *ret_apic_mode);
