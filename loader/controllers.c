// See controllers.h.
#include "loader/controllers.h"

#include "common/base/assert.h"

#include <stdbool.h>
#include <stddef.h>

enum { TYPES_MAX = 3, HPET_ADDRESS = 44 }; // behind the kind of its address space

// The table of each kind: where its entries begin, how their lengths stand in them, and of which
// type (one byte or two), length and content those of the kind are.
static const struct table {
    const char *signature;
    uint8_t bytes_min; // of the table, and where entries begin
    uint8_t length_at;
    uint8_t length_bytes;
    uint16_t type_mask;
    uint8_t types[TYPES_MAX];
    uint8_t entry_bytes_min;
    uint8_t address_at;
    bool has_wide_address; // of eight bytes, not four
} tables[CONTROLLER_KINDS] = {
    [CONTROLLER_IO_APIC] = {"APIC", 44, 1, 1, 0xff, {1, 1, 1}, 12, 4, false},
    [CONTROLLER_HPET] = {.signature = "HPET", .bytes_min = 56},
    [CONTROLLER_VTD] = {"DMAR", 48, 2, 2, 0xffff, {0, 0, 0}, 16, 8, true},
    // One IOMMU may be listed in all three forms, for software of three ages.
    [CONTROLLER_AMD_VI] = {"IVRS", 48, 2, 2, 0xff, {0x10, 0x11, 0x40}, 24, 8, true},
};

const char *controllers_signature(enum controller_kind kind) {
    ASSERT(kind < CONTROLLER_KINDS);
    return tables[kind].signature;
}

static bool is_known(const struct controllers *controllers, const struct controller *controller) {
    for (uint32_t i = 0; i < controllers->count; i++) {
        const struct controller *known = &controllers->list[i];
        if (known->phys == controller->phys && known->kind == controller->kind)
            return true;
    }
    return false;
}

static enum acpi_status add(struct controllers *controllers, struct controller controller) {
    if (is_known(controllers, &controller))
        return ACPI_OK;
    if (controllers->count == CONTROLLERS_MAX)
        return ACPI_ERR_TOO_MANY;
    controllers->list[controllers->count++] = controller;
    return ACPI_OK;
}

static bool is_of_kind(const struct table *table, const uint8_t *entry) {
    uint16_t type = acpi_read16(entry) & table->type_mask;
    for (unsigned i = 0; i < TYPES_MAX; i++) {
        if (type == table->types[i])
            return true;
    }
    return false;
}

static enum acpi_status add_entries(struct controllers *controllers, enum controller_kind kind,
                                    const struct acpi_table *found) {
    const struct table *table = &tables[kind];
    struct acpi_entries entries = {
        .next = found->bytes + table->bytes_min,
        .left = found->length - table->bytes_min,
        .length_at = table->length_at,
        .length_bytes = table->length_bytes,
    };
    uint32_t length;
    for (const uint8_t *entry; (entry = acpi_next_entry(&entries, &length)) != NULL;) {
        if (!is_of_kind(table, entry))
            continue;
        if (length < table->entry_bytes_min)
            return ACPI_ERR_ENTRY;
        const uint8_t *at = entry + table->address_at;
        uint64_t phys = table->has_wide_address ? acpi_read64(at) : acpi_read32(at);
        enum acpi_status status = add(controllers, (struct controller){phys, kind});
        if (status != ACPI_OK)
            return status;
    }
    return entries.left == 0 ? ACPI_OK : ACPI_ERR_ENTRY;
}

enum acpi_status controllers_add(struct controllers *controllers, enum controller_kind kind,
                                 const struct acpi_memory *memory, uint64_t rsdp) {
    ASSERT(kind < CONTROLLER_KINDS);
    struct acpi_table found;
    enum acpi_status status =
        acpi_find_table(memory, rsdp, tables[kind].signature, tables[kind].bytes_min, &found);
    if (status != ACPI_OK)
        return status;
    if (kind == CONTROLLER_HPET)
        return add(controllers, (struct controller){acpi_read64(found.bytes + HPET_ADDRESS), kind});
    return add_entries(controllers, kind, &found);
}
