// The firmware's tables, found by what the loader says and read through the window.
#pragma once

#include <stdint.h>

// ACPI 6.5, 5.2.6: what all tables but RSDP and FACS begin with.
struct acpi_header {
    char signature[4];
    uint32_t bytes;
    uint8_t revision;
    uint8_t checksum;
    char oem[6];
    char oem_table[8];
    uint32_t oem_revision;
    uint32_t creator;
    uint32_t creator_revision;
};
_Static_assert(sizeof(struct acpi_header) == 36, "as ACPI lays it out");

// Bytes of a table that stand where no type of C may: aligned to 1.
uint32_t read_32(const void *at);
uint64_t read_64(const void *at);

// The physical address behind what a response says, be it physical or of the HHDM.
uint64_t physical_address(uint64_t told);

// A table of RSDT or XSDT, mapped whole, or null: `index` counts those with this signature.
const struct acpi_header *acpi_find(const char *signature, unsigned index);
// Calls visit(physical, bytes, name) for RSDP and every table that leads from it.
void acpi_visit(void (*visit)(uint64_t physical, uint64_t bytes, const char *name));

// The MADT's next entry of a type behind `last` (null: the first), or null. An entry: type, length.
const uint8_t *madt_next(const uint8_t *last, uint8_t type);
