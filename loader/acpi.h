// What the loader reads from ACPI's tables: where the power management timer is, by which it
// measures the TSC, and which controllers it has to quiet. All of it through the RSDP at a physical
// address (0: there is no RSDP), while the firmware's identity mapping is in force. A table is
// believed only if its length and its checksum are right.
#pragma once

#include "common/acpi/acpi_tables.h"
#include "loader/controllers.h"

#include <efi.h>

#include <stdint.h>

// ACPI's tables as the firmware maps them, one to one, with all that they point to.
struct acpi_memory acpi_identity_memory(void);

struct acpi_pm_timer {
    uint16_t port; // I/O port; 0: there is no timer
    uint32_t mask; // the bits that count: 24 or 32
};

struct acpi_pm_timer acpi_find_pm_timer(uint64_t rsdp_phys);

// Finds the controllers of all kinds. A table that is not believed lists none, which the log says.
// A machine with too many of them is refused: the failure is recorded.
[[nodiscard]] EFI_STATUS acpi_find_controllers(uint64_t rsdp_phys,
                                               struct controllers *ret_controllers);
