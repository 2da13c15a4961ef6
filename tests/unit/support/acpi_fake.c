#include "tests/unit/support/acpi_fake.h"

#include <stdlib.h>
#include <string.h>

static void put32(uint8_t *at, uint32_t value) {
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value) {
    memcpy(at, &value, sizeof(value));
}

static uint32_t length_of(const struct acpi_fake *tables, uint32_t at) {
    uint32_t length;
    memcpy(&length, tables->bytes + at + ACPI_TABLE_LENGTH, sizeof(length));
    return length;
}

void acpi_fake_sum_bytes(void *bytes, uint32_t count, uint32_t sum_at) {
    uint8_t *piece = bytes;
    uint8_t total = 0;
    piece[sum_at] = 0;
    for (uint32_t i = 0; i < count; i++)
        total = (uint8_t)(total + piece[i]);
    piece[sum_at] = (uint8_t)-total;
}

void acpi_fake_sum_rsdp(struct acpi_fake *tables) {
    acpi_fake_sum_bytes(tables->bytes + ACPI_RSDP, ACPI_RSDP_BYTES_1, ACPI_RSDP_SUM);
    acpi_fake_sum_bytes(tables->bytes + ACPI_RSDP, ACPI_RSDP_BYTES, ACPI_RSDP_SUM_2);
}

void acpi_fake_sum(struct acpi_fake *tables, uint32_t at) {
    uint32_t length = length_of(tables, at);
    uint32_t room = ACPI_BYTES - at;
    acpi_fake_sum_bytes(tables->bytes + at, length < room ? length : room, ACPI_TABLE_SUM);
}

void acpi_fake_set_length(struct acpi_fake *tables, uint32_t at, uint32_t length) {
    put32(tables->bytes + at + ACPI_TABLE_LENGTH, length);
    acpi_fake_sum(tables, at);
}

static void put_table(struct acpi_fake *tables, uint32_t at, const char *signature,
                      uint32_t length) {
    memcpy(tables->bytes + at, signature, 4);
    acpi_fake_set_length(tables, at, length);
}

void acpi_fake_fill(struct acpi_fake *tables) {
    memset(tables, 0, sizeof(*tables));
    uint8_t *rsdp = tables->bytes + ACPI_RSDP;
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    put32(rsdp + 16, (uint32_t)ACPI_BASE + ACPI_RSDT);
    put32(rsdp + 20, ACPI_RSDP_BYTES);
    put64(rsdp + 24, ACPI_BASE + ACPI_XSDT);
    acpi_fake_sum_rsdp(tables);
    put32(tables->bytes + ACPI_RSDT + ACPI_HEADER_BYTES, (uint32_t)ACPI_BASE + ACPI_FADT);
    put32(tables->bytes + ACPI_RSDT + ACPI_HEADER_BYTES + 4, (uint32_t)ACPI_BASE + ACPI_MADT);
    put64(tables->bytes + ACPI_XSDT + ACPI_HEADER_BYTES, ACPI_BASE + ACPI_FADT);
    put64(tables->bytes + ACPI_XSDT + ACPI_HEADER_BYTES + 8, ACPI_BASE + ACPI_MADT);
    put_table(tables, ACPI_RSDT, "RSDT", ACPI_HEADER_BYTES + 2 * 4);
    put_table(tables, ACPI_XSDT, "XSDT", ACPI_HEADER_BYTES + 2 * 8);
    put_table(tables, ACPI_FADT, "FACP", 116);
    put_table(tables, ACPI_MADT, "APIC", ACPI_MADT_ENTRIES);
}

void acpi_fake_add(struct acpi_fake *tables, const uint8_t *entry, uint32_t bytes) {
    uint32_t length = length_of(tables, ACPI_MADT);
    memcpy(tables->bytes + ACPI_MADT + length, entry, bytes);
    acpi_fake_set_length(tables, ACPI_MADT, length + bytes);
}

void acpi_fake_add_apic(struct acpi_fake *tables, uint8_t id, uint32_t flags) {
    uint8_t entry[8] = {0, sizeof(entry), 0, id};
    put32(entry + 4, flags);
    acpi_fake_add(tables, entry, sizeof(entry));
}

void acpi_fake_add_x2apic(struct acpi_fake *tables, uint32_t id, uint32_t flags) {
    uint8_t entry[16] = {9, sizeof(entry)};
    put32(entry + 4, id);
    put32(entry + 8, flags);
    acpi_fake_add(tables, entry, sizeof(entry));
}

static const void *pointer(void *context, uint64_t phys, uint64_t bytes) {
    struct acpi_fake *tables = context;
    if (phys < ACPI_BASE || phys - ACPI_BASE > ACPI_BYTES ||
        bytes > ACPI_BYTES - (phys - ACPI_BASE))
        return NULL;
    if (tables->copy_count == sizeof(tables->copies) / sizeof(tables->copies[0]))
        abort(); // a search of this little memory has no end
    void *copy = malloc(bytes);
    memcpy(copy, tables->bytes + (phys - ACPI_BASE), bytes);
    tables->copies[tables->copy_count++] = copy;
    return copy;
}

struct acpi_memory acpi_fake_memory(struct acpi_fake *tables) {
    return (struct acpi_memory){pointer, tables};
}

void acpi_fake_forget(struct acpi_fake *tables) {
    while (tables->copy_count != 0)
        free(tables->copies[--tables->copy_count]);
}
