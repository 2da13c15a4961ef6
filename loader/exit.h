// ExitBootServices, and what may and may not happen around it.
//
// The firmware only lets go of a machine whose memory map the caller knows: ExitBootServices takes
// the key of the last map. Handlers that run inside the call may allocate, which makes the key
// stale. The call then fails with EFI_INVALID_PARAMETER, and from then on only GetMemoryMap and
// ExitBootServices may be called (UEFI 2.9, 7.4.6). So nothing is allocated, freed or printed
// through the firmware between GetMemoryMap and ExitBootServices.
#pragma once

#include "loader/handover_space.h"

#include <efi.h>

#include <stdint.h>

// Reads the last memory map, makes the address space fit it, audits that, and leaves the boot
// services. On success *ret_attempts counts the calls of ExitBootServices, and *ret_tsc is the TSC
// after the last. A failure before the first of these calls is recorded and returned. After it
// there is no firmware to return to: the cause goes to COM1 and to the displays, and the machine
// stops.
[[nodiscard]] EFI_STATUS exit_boot_services(struct space *space, uint32_t *ret_attempts,
                                            uint64_t *ret_tsc);

// Stops the machine after the first attempt, when there is no firmware to return to: the failure
// that is recorded goes to COM1 and to the displays.
[[gnu::noreturn]] void exit_stop(const struct space *space);
