// See acpi_tables.h.
#include "common/acpi/acpi_tables.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    RSDP_REVISION = 15,
    RSDP_RSDT = 16,
    RSDP_LENGTH = 20,
    RSDP_XSDT = 24,
    RSDP_BYTES_1 = 20, // of ACPI 1.0, which the first checksum covers
    RSDP_BYTES_2 = 36, // from revision 2 on; a second checksum covers all that its length says

    TABLE_LENGTH = 4,
    TABLE_HEADER_BYTES = 36,
};

static bool adds_up(const uint8_t *bytes, uint32_t count) {
    uint8_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

// Reads a whole table of at least `least` bytes and checks it.
static enum acpi_status read_table(const struct acpi_memory *memory, uint64_t phys,
                                   const char signature[4], uint32_t least,
                                   struct acpi_table *ret_table) {
    const uint8_t *header = memory->pointer(memory->context, phys, TABLE_HEADER_BYTES);
    if (header == NULL)
        return ACPI_ERR_UNREACHABLE;
    if (memcmp(header, signature, 4) != 0)
        return ACPI_ERR_SIGNATURE;
    uint32_t length = acpi_read32(header + TABLE_LENGTH);
    if (length < least || length > ACPI_TABLE_BYTES_MAX)
        return ACPI_ERR_LENGTH;
    const uint8_t *bytes = memory->pointer(memory->context, phys, length);
    if (bytes == NULL)
        return ACPI_ERR_UNREACHABLE;
    if (!adds_up(bytes, length))
        return ACPI_ERR_CHECKSUM;
    *ret_table = (struct acpi_table){bytes, length};
    return ACPI_OK;
}

// The table that lists all others, with addresses of `entry_bytes` bytes.
struct root {
    uint64_t phys;
    uint32_t entry_bytes;
};

static enum acpi_status read_rsdp(const struct acpi_memory *memory, uint64_t phys,
                                  struct root *ret_root) {
    if (phys == 0)
        return ACPI_ERR_NO_RSDP;
    const uint8_t *rsdp = memory->pointer(memory->context, phys, RSDP_BYTES_1);
    if (rsdp == NULL)
        return ACPI_ERR_UNREACHABLE;
    if (memcmp(rsdp, "RSD PTR ", 8) != 0)
        return ACPI_ERR_SIGNATURE;
    if (!adds_up(rsdp, RSDP_BYTES_1))
        return ACPI_ERR_CHECKSUM;
    *ret_root = (struct root){acpi_read32(rsdp + RSDP_RSDT), sizeof(uint32_t)};
    if (rsdp[RSDP_REVISION] < 2)
        return ACPI_OK;
    rsdp = memory->pointer(memory->context, phys, RSDP_BYTES_2);
    if (rsdp == NULL)
        return ACPI_ERR_UNREACHABLE;
    uint32_t length = acpi_read32(rsdp + RSDP_LENGTH);
    if (length < RSDP_BYTES_2 || length > ACPI_TABLE_BYTES_MAX)
        return ACPI_ERR_LENGTH;
    rsdp = memory->pointer(memory->context, phys, length);
    if (rsdp == NULL)
        return ACPI_ERR_UNREACHABLE;
    if (!adds_up(rsdp, length))
        return ACPI_ERR_CHECKSUM;
    if (acpi_read64(rsdp + RSDP_XSDT) != 0)
        *ret_root = (struct root){acpi_read64(rsdp + RSDP_XSDT), sizeof(uint64_t)};
    return ACPI_OK;
}

enum acpi_status acpi_find_table(const struct acpi_memory *memory, uint64_t rsdp,
                                 const char signature[4], uint32_t least,
                                 struct acpi_table *ret_table) {
    struct root root;
    enum acpi_status status = read_rsdp(memory, rsdp, &root);
    if (status != ACPI_OK)
        return status;
    bool is_xsdt = root.entry_bytes == sizeof(uint64_t);
    struct acpi_table list;
    status = read_table(memory, root.phys, is_xsdt ? "XSDT" : "RSDT", TABLE_HEADER_BYTES, &list);
    if (status != ACPI_OK)
        return status;
    enum acpi_status none = ACPI_ERR_ABSENT;
    for (uint32_t at = TABLE_HEADER_BYTES; list.length - at >= root.entry_bytes;
         at += root.entry_bytes) {
        uint64_t phys = is_xsdt ? acpi_read64(list.bytes + at) : acpi_read32(list.bytes + at);
        status = read_table(memory, phys, signature, least, ret_table);
        if (status == ACPI_ERR_UNREACHABLE)
            none = status; // it may have been the one
        else if (status != ACPI_ERR_SIGNATURE)
            return status;
    }
    return none;
}

const uint8_t *acpi_next_entry(struct acpi_entries *entries, uint32_t *ret_length) {
    const uint8_t *entry = entries->next;
    uint32_t least = (uint32_t)entries->length_at + entries->length_bytes;
    if (entries->left < least)
        return NULL;
    uint32_t length = entries->length_bytes == 1 ? entry[entries->length_at]
                                                 : acpi_read16(entry + entries->length_at);
    if (length < least || length > entries->left)
        return NULL;
    entries->next += length;
    entries->left -= length;
    *ret_length = length;
    return entry;
}
