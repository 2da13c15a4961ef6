// The CPUs that the firmware lists in the MADT, the table of interrupt controllers, which is found
// and believed as common/acpi/acpi_tables.h says. Pure: host tests and a fuzzer run the same file.
// Whatever the table holds, the search ends.
//
// ACPI 6.4: MADT 5.2.12.
#pragma once

#include "common/acpi/acpi_tables.h"

#include <stdint.h>

struct madt_cpu {
    uint32_t processor_id; // by which ACPI's other tables and objects name it
    uint32_t apic_id;
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
