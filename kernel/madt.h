// The CPUs that the firmware lists: from the RSDP through XSDT or RSDT to the MADT, the table of
// interrupt controllers. Pure: host tests and a fuzzer run the same file. No table is believed
// before its length and its checksum are; whatever they hold, the search ends.
//
// ACPI 6.4: RSDP 5.2.5.3, table header 5.2.6, RSDT and XSDT 5.2.7 and 5.2.8, MADT 5.2.12.
#pragma once

#include <stdint.h>

enum madt_status {
    MADT_OK,
    MADT_ERR_NO_RSDP,     // there is no RSDP
    MADT_ERR_UNREACHABLE, // a table lies where it cannot be read
    MADT_ERR_SIGNATURE,   // a table is not what it is pointed to as
    MADT_ERR_LENGTH,      // a table is shorter than its kind, or longer than MADT_TABLE_BYTES_MAX
    MADT_ERR_CHECKSUM,    // the bytes of a table do not add up to 0
    MADT_ERR_ABSENT,      // no MADT among the tables
    MADT_ERR_ENTRY,       // an entry of the MADT is shorter than its kind, or ends outside
    MADT_ERR_BOOT_CPU,    // the CPU that asks is not listed
};

// A few words on `status`, for people; static text.
const char *madt_status_text(enum madt_status status);

// Far more than the entries of any machine need.
#define MADT_TABLE_BYTES_MAX (UINT32_C(1) << 20)

// How the tables are reached.
struct madt_memory {
    // The pointer to `bytes` bytes, at most MADT_TABLE_BYTES_MAX, at a physical address; null if
    // not all of them can be read.
    const void *(*pointer)(void *context, uint64_t phys, uint64_t bytes);
    void *context;
};

// CPUs by the ID of their local APIC. One that is listed twice counts once, as far as it is kept.
struct madt_cpus {
    uint32_t *ids;     // [0] is the CPU that asks, set by the caller; then those found, in order
    uint32_t capacity; // of `ids`, at least 1
    uint32_t kept;     // in `ids`
    uint32_t found;    // enabled CPUs that the MADT lists: more than `kept` if they did not fit
};

// Finds the enabled CPUs, through the RSDP at the physical address `rsdp` (0: there is none). On
// failure `kept` and `found` are untouched.
[[nodiscard]] enum madt_status madt_find_cpus(const struct madt_memory *memory, uint64_t rsdp,
                                              struct madt_cpus *cpus);
