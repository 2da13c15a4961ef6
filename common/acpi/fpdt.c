// See fpdt.h.
#include "common/acpi/fpdt.h"

#include <stdbool.h>

enum {
    FPDT_RECORDS = 36, // behind the header
    FBPT_RECORDS = 8,  // behind signature and length
    FBPT_LENGTH = 4,
    FBPT_BYTES_MAX = 1 << 16, // its other records are of no concern

    RECORD_TYPE = 0, // 2 bytes
    RECORD_LENGTH = 2,
    RECORD_BYTES_MIN = 4,

    FPDT_POINTER = 0, // a record's type, in the FPDT: where the FBPT is
    POINTER_PHYS = 8,
    POINTER_BYTES = 16,
    FBPT_BASIC = 2, // in the FBPT
    BASIC_TIMES = 8,
    BASIC_BYTES = 48,
};

static uint64_t read64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

// The first record of a type, of at least `least` bytes, behind `first` in a table; null if there
// is none.
static const uint8_t *find_record(const struct acpi_table *table, uint32_t first, uint16_t type,
                                  uint8_t least) {
    for (uint32_t at = first; table->length - at >= RECORD_BYTES_MIN;) {
        const uint8_t *record = table->bytes + at;
        uint8_t length = record[RECORD_LENGTH];
        uint16_t found;
        memcpy(&found, record + RECORD_TYPE, sizeof(found));
        if (length < RECORD_BYTES_MIN || length > table->length - at)
            return NULL;
        if (found == type)
            return length < least ? NULL : record;
        at += length;
    }
    return NULL;
}

static bool read_fbpt(const struct acpi_memory *memory, uint64_t phys,
                      struct acpi_table *ret_fbpt) {
    if (phys == 0)
        return false;
    const uint8_t *head = memory->pointer(memory->context, phys, FBPT_RECORDS);
    if (head == NULL || memcmp(head, "FBPT", 4) != 0)
        return false;
    uint32_t length = acpi_read32(head + FBPT_LENGTH);
    if (length < FBPT_RECORDS || length > FBPT_BYTES_MAX)
        return false;
    const uint8_t *bytes = memory->pointer(memory->context, phys, length);
    *ret_fbpt = (struct acpi_table){bytes, length};
    return bytes != NULL;
}

struct fpdt_times fpdt_find_times(const struct acpi_memory *memory, uint64_t rsdp) {
    struct fpdt_times none = {0};
    struct acpi_table fpdt;
    struct acpi_table fbpt;
    if (acpi_find_table(memory, rsdp, "FPDT", FPDT_RECORDS, &fpdt) != ACPI_OK)
        return none;
    const uint8_t *pointer = find_record(&fpdt, FPDT_RECORDS, FPDT_POINTER, POINTER_BYTES);
    if (pointer == NULL || !read_fbpt(memory, read64(pointer + POINTER_PHYS), &fbpt))
        return none;
    const uint8_t *basic = find_record(&fbpt, FBPT_RECORDS, FBPT_BASIC, BASIC_BYTES);
    if (basic == NULL)
        return none;
    const uint8_t *times = basic + BASIC_TIMES;
    return (struct fpdt_times){read64(times), read64(times + 8), read64(times + 16),
                               read64(times + 24), read64(times + 32)};
}
