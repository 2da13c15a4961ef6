// The way through ACPI's tables: from the RSDP through XSDT or RSDT to the first table with a
// signature, or to all of them. Pure: loader, kernel, host tests and a fuzzer run the same file. A
// table is believed only if its length and its checksum are right. The search ends whatever the
// tables contain. The caller judges what a table says behind its header.
//
// ACPI 6.4: RSDP 5.2.5.3, table header 5.2.6, RSDT and XSDT 5.2.7 and 5.2.8, FADT 5.2.9, FACS
// 5.2.10.
#pragma once

#include "common/base/mem.h"

#include <stdint.h>

// What is wrong on the way to a table, or in it.
enum acpi_status {
    ACPI_OK,
    ACPI_ERR_NO_RSDP,     // there is no RSDP
    ACPI_ERR_UNREACHABLE, // a table lies where it cannot be read
    ACPI_ERR_SIGNATURE,   // a table is not what it is pointed to as
    ACPI_ERR_LENGTH,      // a table is shorter than its kind, or longer than ACPI_TABLE_BYTES_MAX
    ACPI_ERR_CHECKSUM,    // the bytes of a table do not add up to 0
    ACPI_ERR_ABSENT,      // no table has the signature
    ACPI_ERR_ENTRY,       // an entry is shorter than its kind, or ends outside the table
    ACPI_ERR_BOOT_CPU,    // the CPU that asks is not listed
    ACPI_ERR_TOO_MANY,    // there is no room for all that it lists
};

// A few words on `status`, for people, of the table that was looked for; static text.
const char *acpi_status_text(enum acpi_status status);

// Far more than any machine's lists, or the tables that are searched for, need.
#define ACPI_TABLE_BYTES_MAX (UINT32_C(1) << 20)

// How the tables are reached.
struct acpi_memory {
    // The pointer to `bytes` bytes, at most ACPI_TABLE_BYTES_MAX, at a physical address; null if
    // not all of them can be read.
    const void *(*pointer)(void *context, uint64_t phys, uint64_t bytes);
    void *context;
};

// A whole table, header included, at the address that acpi_memory.pointer returned.
struct acpi_table {
    const uint8_t *bytes;
    uint32_t length;
};

// Finds a table through the RSDP at the physical address `rsdp` (0: there is no RSDP). The first
// table with the signature counts; it is refused if it has fewer than `least` bytes (`least` is at
// least the size of a table's header). Other tables may be unreadable or malformed. On failure
// *ret_table is untouched.
[[nodiscard]] enum acpi_status acpi_find_table(const struct acpi_memory *memory, uint64_t rsdp,
                                               const char signature[4], uint32_t least,
                                               struct acpi_table *ret_table);

// The entries that follow the fixed part of a table, each with its length in front: in one byte
// (MADT, ACPI 6.4 5.2.12) or in two, lowest first.
struct acpi_entries {
    const uint8_t *next;
    uint32_t left; // bytes from `next` to the table's end
    uint8_t length_at;
    uint8_t length_bytes;
};

// The next entry, of *ret_length bytes, its length included. Null if there is none: behind the last
// (`left` is 0), and before one that ends outside the table or within its own length, for good.
const uint8_t *acpi_next_entry(struct acpi_entries *entries, uint32_t *ret_length);

// Called with the place of each table.
struct acpi_visitor {
    void (*table)(void *context, uint64_t phys, uint32_t bytes);
    void *context;
};

// Visits the RSDP, the XSDT, the RSDT, all tables that these two list, and the DSDT and FACS to
// which the FADT leads. A table is visited as often as something points to it, if its length can be
// true and all of it can be read; that it adds up is asked of those that list others. On failure
// the RSDP itself is no such thing, and nothing is visited.
[[nodiscard]] enum acpi_status acpi_visit_tables(const struct acpi_memory *memory, uint64_t rsdp,
                                                 const struct acpi_visitor *visitor);

// Fields lie at any address.
static inline uint16_t acpi_read16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t acpi_read64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t acpi_read32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}
