// ACPI tables as firmware makes them, in a piece of physical memory whose addresses are no
// pointers. What is read of it is copied to a place of exactly its size, so that a sanitizer sees a
// byte too many.
#pragma once

#include "common/acpi/acpi_tables.h"

#include <stdbool.h>
#include <stddef.h>

#define ACPI_BASE UINT64_C(0x7fe0000)

// Where the tables lie in acpi_fake.bytes. There is room behind each.
enum {
    ACPI_RSDP = 0x000,
    ACPI_RSDT = 0x100,
    ACPI_XSDT = 0x200,
    ACPI_FADT = 0x300,
    ACPI_MADT = 0x400,
    ACPI_BYTES = 0x1000,

    ACPI_RSDP_BYTES_1 = 20, // of ACPI 1.0
    ACPI_RSDP_BYTES = 36,
    ACPI_RSDP_SUM = 8,    // of the first ones
    ACPI_RSDP_SUM_2 = 32, // of all

    ACPI_TABLE_LENGTH = 4,
    ACPI_TABLE_SUM = 9,
    ACPI_HEADER_BYTES = 36,
    ACPI_MADT_ENTRIES = 44,
};

struct acpi_fake {
    uint8_t bytes[ACPI_BYTES];
    void *copies[16384]; // handed out
    unsigned copy_count;
};

// RSDP of revision 2, RSDT and XSDT with a FADT and the MADT, and no entry in that. Sums are right.
void acpi_fake_fill(struct acpi_fake *tables);

// Appends entries to the MADT: a local APIC (type 0), a local x2APIC (type 9), or any bytes.
void acpi_fake_add_apic(struct acpi_fake *tables, uint8_t id, uint32_t flags);
void acpi_fake_add_x2apic(struct acpi_fake *tables, uint32_t id, uint32_t flags);
void acpi_fake_add(struct acpi_fake *tables, const uint8_t *entry, uint32_t bytes);

// Sets the length of the table at `at`, and makes its bytes add up to 0.
void acpi_fake_set_length(struct acpi_fake *tables, uint32_t at, uint32_t length);
void acpi_fake_sum(struct acpi_fake *tables, uint32_t at);

// Makes the sums of the RSDP right.
void acpi_fake_sum_rsdp(struct acpi_fake *tables);

// Sets the byte at `sum_at` of any bytes so that all of them add up to 0.
void acpi_fake_sum_bytes(void *bytes, uint32_t count, uint32_t sum_at);

// The memory to hand to acpi_find_table; acpi_fake_forget frees the copies that it made.
struct acpi_memory acpi_fake_memory(struct acpi_fake *tables);
void acpi_fake_forget(struct acpi_fake *tables);
