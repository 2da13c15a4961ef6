// The entry point of SMBIOS, of version 2 or 3: where the table of structures lies that it leads
// to. Pure: host tests and a fuzzer run the same file. An entry point is believed only if its
// length and its checksum are right.
//
// DSP0134 3.6: 5.2.1 (32-bit entry point, "_SM_"), 5.2.2 (64-bit, "_SM3_").
#pragma once

#include <stdint.h>

// So many bytes of an entry point tell how long it is.
#define SMBIOS_FIRST_BYTES 7

struct smbios_table {
    uint64_t phys;
    uint64_t bytes; // at most, for version 3
};

// The length of the entry point that starts with these SMBIOS_FIRST_BYTES; 0 if none does, or if it
// is too short for what it must hold.
uint32_t smbios_entry_bytes(const uint8_t *entry);

enum smbios_status {
    SMBIOS_OK,
    SMBIOS_ERR_ENTRY,    // no entry point
    SMBIOS_ERR_CHECKSUM, // its bytes do not add up to 0
};

// Reads an entry point of smbios_entry_bytes() bytes. On failure *ret_table is untouched.
[[nodiscard]] enum smbios_status smbios_read_entry(const uint8_t *entry,
                                                   struct smbios_table *ret_table);
