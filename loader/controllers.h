// What of the machine can interrupt a kernel, or hinder its DMA, from the first instruction on, as
// far as ACPI lists it: I/O APICs, the HPET, IOMMUs. Pure: host tests and a fuzzer run the same
// file. Only the tables are read here; quiet.c deals with the hardware.
//
// ACPI 6.4: MADT 5.2.12.3 (I/O APIC). IA-PC HPET 1.0a: 3.2.4. VT-d 3.3: DMAR 8.1, 8.3 (DRHD). AMD
// IOMMU 3.07: IVRS 5.2, IVHD 5.2.2.
#pragma once

#include "common/acpi/acpi_tables.h"

#include <stdint.h>

enum controller_kind {
    CONTROLLER_IO_APIC,
    CONTROLLER_HPET,
    CONTROLLER_VTD,
    CONTROLLER_AMD_VI,
    CONTROLLER_KINDS, // how many of them ACPI lists
    CONTROLLER_LOCAL_APIC = CONTROLLER_KINDS,
};

struct controller {
    uint64_t phys; // of its registers, as the table says
    enum controller_kind kind;
};

// A machine of 16 sockets has some 140: up to five I/O APICs and four IOMMUs a socket.
enum { CONTROLLERS_MAX = 256 };

struct controllers {
    uint32_t count;
    struct controller list[CONTROLLERS_MAX];
};

// The signature of the table that lists controllers of this kind, NUL-terminated.
const char *controllers_signature(enum controller_kind kind);

// Appends those of one kind, through the RSDP at the physical address `rsdp` (0: there is none).
// One that is listed twice counts once. What was found before an entry that is wrong is kept.
[[nodiscard]] enum acpi_status controllers_add(struct controllers *controllers,
                                               enum controller_kind kind,
                                               const struct acpi_memory *memory, uint64_t rsdp);
