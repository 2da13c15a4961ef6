// Where the ACPI power management timer is, by which the loader measures the TSC. It reads nothing
// else from ACPI's tables.
#pragma once

#include <stdint.h>

struct acpi_pm_timer {
    uint16_t port; // I/O port; 0: there is no timer
    uint32_t mask; // the bits that count: 24 or 32
};

// Finds the timer through the RSDP at a physical address (0: there is no RSDP), while the
// firmware's identity mapping is in force. A table is believed only if its length and its checksum
// are right.
struct acpi_pm_timer acpi_find_pm_timer(uint64_t rsdp_phys);
