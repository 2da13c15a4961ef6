// How the loader reaches ACPI's tables, and where the ACPI power management timer is, by which it
// measures the TSC.
#pragma once

#include "common/acpi/acpi_tables.h"

#include <stdint.h>

// ACPI's tables as the firmware maps them, one to one, with all that they point to.
struct acpi_memory acpi_identity_memory(void);

struct acpi_pm_timer {
    uint16_t port; // I/O port; 0: there is no timer
    uint32_t mask; // the bits that count: 24 or 32
};

// Finds the timer through the RSDP at a physical address (0: there is no RSDP), while the
// firmware's identity mapping is in force. A table is believed only if its length and its checksum
// are right.
struct acpi_pm_timer acpi_find_pm_timer(uint64_t rsdp_phys);
