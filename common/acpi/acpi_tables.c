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

    FADT_FIRMWARE_CTRL = 36,
    FADT_DSDT = 40,
    FADT_X_FIRMWARE_CTRL = 132,
    FADT_X_DSDT = 140,
    FACS_BYTES_MIN = 64,
};

const char *acpi_status_text(enum acpi_status status) {
    switch (status) {
    case ACPI_OK:
        return "ok";
    case ACPI_ERR_NO_RSDP:
        return "there is no RSDP";
    case ACPI_ERR_UNREACHABLE:
        return "a table on the way cannot be read";
    case ACPI_ERR_SIGNATURE:
        return "a table on the way has the wrong signature";
    case ACPI_ERR_LENGTH:
        return "its length, or that of a table on the way, is impossible";
    case ACPI_ERR_CHECKSUM:
        return "its checksum, or that of a table on the way, is wrong";
    case ACPI_ERR_ABSENT:
        return "there is none";
    case ACPI_ERR_ENTRY:
        return "an entry has an impossible length";
    case ACPI_ERR_BOOT_CPU:
        return "it does not list the CPU that boots";
    case ACPI_ERR_TOO_MANY:
        return "it lists too many";
    }
    return "unknown";
}

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

// What the RSDP says. The XSDT is 0 where there is none.
struct rsdp {
    uint32_t bytes;
    uint64_t rsdt;
    uint64_t xsdt;
};

static enum acpi_status read_rsdp(const struct acpi_memory *memory, uint64_t phys,
                                  struct rsdp *ret_rsdp) {
    if (phys == 0)
        return ACPI_ERR_NO_RSDP;
    const uint8_t *rsdp = memory->pointer(memory->context, phys, RSDP_BYTES_1);
    if (rsdp == NULL)
        return ACPI_ERR_UNREACHABLE;
    if (memcmp(rsdp, "RSD PTR ", 8) != 0)
        return ACPI_ERR_SIGNATURE;
    if (!adds_up(rsdp, RSDP_BYTES_1))
        return ACPI_ERR_CHECKSUM;
    *ret_rsdp = (struct rsdp){.bytes = RSDP_BYTES_1, .rsdt = acpi_read32(rsdp + RSDP_RSDT)};
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
    ret_rsdp->bytes = length;
    ret_rsdp->xsdt = acpi_read64(rsdp + RSDP_XSDT);
    return ACPI_OK;
}

// A table that lists others, by addresses of `entry_bytes` bytes each.
struct list {
    struct acpi_table table;
    uint32_t entry_bytes;
};

static enum acpi_status read_list(const struct acpi_memory *memory, uint64_t phys, bool is_xsdt,
                                  struct list *ret_list) {
    ret_list->entry_bytes = is_xsdt ? sizeof(uint64_t) : sizeof(uint32_t);
    return read_table(memory, phys, is_xsdt ? "XSDT" : "RSDT", TABLE_HEADER_BYTES,
                      &ret_list->table);
}

// The address at *at, which moves to the next; false at the end.
static bool next_entry(const struct list *list, uint32_t *at, uint64_t *ret_phys) {
    if (list->table.length - *at < list->entry_bytes)
        return false;
    const uint8_t *entry = list->table.bytes + *at;
    *ret_phys = list->entry_bytes == sizeof(uint64_t) ? acpi_read64(entry) : acpi_read32(entry);
    *at += list->entry_bytes;
    return true;
}

enum acpi_status acpi_find_table(const struct acpi_memory *memory, uint64_t rsdp,
                                 const char signature[4], uint32_t least,
                                 struct acpi_table *ret_table) {
    struct rsdp found;
    struct list list;
    enum acpi_status status = read_rsdp(memory, rsdp, &found);
    if (status != ACPI_OK)
        return status;
    bool has_xsdt = found.xsdt != 0;
    status = read_list(memory, has_xsdt ? found.xsdt : found.rsdt, has_xsdt, &list);
    if (status != ACPI_OK)
        return status;
    enum acpi_status none = ACPI_ERR_ABSENT;
    uint32_t at = TABLE_HEADER_BYTES;
    uint64_t phys;
    while (next_entry(&list, &at, &phys)) {
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

// ---- All of them

struct visit {
    const struct acpi_memory *memory;
    const struct acpi_visitor *visitor;
};

// The bytes of a table, whatever they add up to; null if it cannot be one.
static const uint8_t *visit_table(const struct visit *visit, uint64_t phys, uint32_t least,
                                  uint32_t *ret_length) {
    const uint8_t *header =
        phys == 0 ? NULL : visit->memory->pointer(visit->memory->context, phys, least);
    if (header == NULL)
        return NULL;
    uint32_t length = acpi_read32(header + TABLE_LENGTH);
    if (length < least || length > ACPI_TABLE_BYTES_MAX)
        return NULL;
    const uint8_t *bytes = visit->memory->pointer(visit->memory->context, phys, length);
    if (bytes == NULL)
        return NULL;
    visit->visitor->table(visit->visitor->context, phys, length);
    *ret_length = length;
    return bytes;
}

// The two tables that only the FADT leads to, each by an old and by a wide address. The FACS has a
// header of its own, of which the length stands in the same place.
static void visit_fadt(const struct visit *visit, const uint8_t *fadt, uint32_t length) {
    uint32_t ignored;
    if (length >= FADT_DSDT + sizeof(uint32_t)) {
        visit_table(visit, acpi_read32(fadt + FADT_FIRMWARE_CTRL), FACS_BYTES_MIN, &ignored);
        visit_table(visit, acpi_read32(fadt + FADT_DSDT), TABLE_HEADER_BYTES, &ignored);
    }
    if (length >= FADT_X_DSDT + sizeof(uint64_t)) {
        visit_table(visit, acpi_read64(fadt + FADT_X_FIRMWARE_CTRL), FACS_BYTES_MIN, &ignored);
        visit_table(visit, acpi_read64(fadt + FADT_X_DSDT), TABLE_HEADER_BYTES, &ignored);
    }
}

static void visit_list(const struct visit *visit, uint64_t phys, bool is_xsdt) {
    struct list list;
    if (phys == 0 || read_list(visit->memory, phys, is_xsdt, &list) != ACPI_OK)
        return;
    visit->visitor->table(visit->visitor->context, phys, list.table.length);
    uint32_t at = TABLE_HEADER_BYTES;
    while (next_entry(&list, &at, &phys)) {
        uint32_t length;
        const uint8_t *table = visit_table(visit, phys, TABLE_HEADER_BYTES, &length);
        if (table != NULL && memcmp(table, "FACP", 4) == 0)
            visit_fadt(visit, table, length);
    }
}

enum acpi_status acpi_visit_tables(const struct acpi_memory *memory, uint64_t rsdp,
                                   const struct acpi_visitor *visitor) {
    const struct visit visit = {memory, visitor};
    struct rsdp found;
    enum acpi_status status = read_rsdp(memory, rsdp, &found);
    if (status != ACPI_OK)
        return status;
    visitor->table(visitor->context, rsdp, found.bytes);
    visit_list(&visit, found.xsdt, true);
    visit_list(&visit, found.rsdt, false);
    return ACPI_OK;
}
