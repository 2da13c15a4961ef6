// The one thing the loader reads from ACPI's tables: where the power management timer is, by which
// it measures the TSC.
#pragma once

#include <stdint.h>

struct acpi_pm_timer {
    uint16_t port; // I/O port; 0: there is none
    uint32_t mask; // the bits that count: 24 or 32
};

// Finds the timer through the RSDP at `rsdp` (null: none). Trusts no length that a table states
// beyond what the field in question needs.
struct acpi_pm_timer acpi_find_pm_timer(const void *rsdp);
