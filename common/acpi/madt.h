// The CPUs that the firmware lists in the MADT, the table of interrupt controllers, which is found
// and believed as common/acpi/acpi_tables.h says. Pure: host tests and a fuzzer run the same file.
// Whatever the table holds, the search ends.
//
// ACPI 6.4: MADT 5.2.12; NMIs 5.2.12.7 and 5.2.12.13, with the flags of table 5.26.
#pragma once

#include "common/acpi/acpi_tables.h"

#include <stdint.h>

// How a local interrupt pin, LINT0 or LINT1, delivers NMIs. 0: the table does not say that it does.
enum { MADT_NMI = 1, MADT_NMI_LOW = 2, MADT_NMI_LEVEL = 4 }; // active low; level triggered
enum { MADT_LINTS = 2 };

struct madt_cpu {
    uint32_t processor_id; // by which ACPI's other tables and objects name it
    uint32_t apic_id;
    uint8_t lints[MADT_LINTS]; // MADT_NMI...
};

// One that is listed twice counts once, as far as it is kept.
struct madt_cpus {
    struct madt_cpu *cpus; // those found, in the MADT's order
    uint32_t capacity;     // of `cpus`
    uint32_t kept;         // in `cpus`; the CPU that asks is always among them, unless that is 0
    uint32_t found;        // enabled CPUs that the MADT lists: more than `kept` if they did not fit
};

// Finds the enabled CPUs, through the RSDP at the physical address `rsdp` (0: there is none).
// `own_id`: the local APIC of the CPU that asks. On failure `kept` and `found` are untouched.
[[nodiscard]] enum acpi_status madt_find_cpus(const struct acpi_memory *memory, uint64_t rsdp,
                                              uint32_t own_id, struct madt_cpus *cpus);
