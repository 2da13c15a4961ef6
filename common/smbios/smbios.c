// See smbios.h.
#include "common/smbios/smbios.h"

#include "common/base/mem.h"

#include <stdbool.h>

// Offsets in an entry point.
enum {
    ENTRY_2_LENGTH = 5,
    ENTRY_2_SECOND = 16, // the second half, with an anchor of its own
    ENTRY_2_TABLE_BYTES = 22,
    ENTRY_2_TABLE = 24,
    ENTRY_2_BYTES_MIN = 30, // of 31: version 2.1 of the specification said one too few

    ENTRY_3_LENGTH = 6,
    ENTRY_3_TABLE_BYTES = 12,
    ENTRY_3_TABLE = 16,
    ENTRY_3_BYTES_MIN = 24,
};

static bool is_version_3(const uint8_t *entry) {
    return memcmp(entry, "_SM3_", 5) == 0;
}

uint32_t smbios_entry_bytes(const uint8_t *entry) {
    bool is_3 = is_version_3(entry);
    if (!is_3 && memcmp(entry, "_SM_", 4) != 0)
        return 0;
    uint32_t length = entry[is_3 ? ENTRY_3_LENGTH : ENTRY_2_LENGTH];
    return length < (is_3 ? ENTRY_3_BYTES_MIN : ENTRY_2_BYTES_MIN) ? 0 : length;
}

static bool adds_up(const uint8_t *bytes, uint32_t count) {
    uint8_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

// A number of `bytes` bytes, at any address.
static uint64_t read_number(const uint8_t *at, unsigned bytes) {
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

// The second half has a checksum of its own, too, but the first one is over these bytes as well.
enum smbios_status smbios_read_entry(const uint8_t *entry, struct smbios_table *ret_table) {
    uint32_t length = smbios_entry_bytes(entry);
    if (length == 0)
        return SMBIOS_ERR_ENTRY;
    if (!adds_up(entry, length))
        return SMBIOS_ERR_CHECKSUM;
    if (is_version_3(entry)) {
        *ret_table = (struct smbios_table){read_number(entry + ENTRY_3_TABLE, 8),
                                           read_number(entry + ENTRY_3_TABLE_BYTES, 4)};
        return SMBIOS_OK;
    }
    const uint8_t *second = entry + ENTRY_2_SECOND;
    if (memcmp(second, "_DMI_", 5) != 0)
        return SMBIOS_ERR_ENTRY;
    *ret_table = (struct smbios_table){read_number(entry + ENTRY_2_TABLE, 4),
                                       read_number(entry + ENTRY_2_TABLE_BYTES, 2)};
    return SMBIOS_OK;
}
