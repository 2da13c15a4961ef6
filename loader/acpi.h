// The one thing the loader reads from ACPI's tables: where the power management timer is, by which
// it measures the TSC.
#pragma once

#include <stdint.h>

struct acpi_pm_timer {
    uint16_t port; // I/O port; 0: there is none
    uint32_t mask; // the bits that count: 24 or 32
};

// Finds the timer through the RSDP at a physical address (0: there is none), while the firmware's
// identity mapping is in force. No table is believed before its length and its checksum are.
struct acpi_pm_timer acpi_find_pm_timer(uint64_t rsdp_phys);
