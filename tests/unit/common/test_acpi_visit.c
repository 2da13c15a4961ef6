// All of ACPI's tables, from the RSDP on.
#include "common/acpi/acpi_tables.h"

#include "tests/unit/support/acpi_fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum {
    MADT_BYTES = 60,
    FADT_BYTES = 148, // up to the wide address of the DSDT
    FACS = 0x500,
    DSDT = 0x600,
    X_FACS = 0x700,
    X_DSDT = 0x800,
    SEEN_MAX = 32,
};

static struct acpi_fake tables;

struct seen {
    uint32_t at; // in acpi_fake.bytes
    uint32_t bytes;
};
static struct seen seen[SEEN_MAX];
static unsigned seen_count;

static void see(void *context, uint64_t phys, uint32_t bytes) {
    assert_ptr_equal(context, &tables);
    assert_in_range(phys, ACPI_BASE, ACPI_BASE + ACPI_BYTES - bytes);
    assert_true(seen_count < SEEN_MAX);
    seen[seen_count++] = (struct seen){(uint32_t)(phys - ACPI_BASE), bytes};
}

static enum acpi_status visit_at(uint64_t rsdp) {
    struct acpi_memory memory = acpi_fake_memory(&tables);
    const struct acpi_visitor visitor = {see, &tables};
    seen_count = 0;
    enum acpi_status status = acpi_visit_tables(&memory, rsdp, &visitor);
    acpi_fake_forget(&tables);
    return status;
}

static void expect(const struct seen *want, unsigned count) {
    assert_int_equal(visit_at(ACPI_BASE + ACPI_RSDP), ACPI_OK);
    assert_int_equal(seen_count, count);
    assert_memory_equal(seen, want, count * sizeof(*want));
}
#define EXPECT(...)                                                                                \
    do {                                                                                           \
        const struct seen want[] = {__VA_ARGS__};                                                  \
        expect(want, sizeof(want) / sizeof(want[0]));                                              \
    } while (0)

static void put(uint32_t at, uint64_t value, uint32_t bytes) {
    memcpy(tables.bytes + at, &value, bytes);
}

static void put_table(uint32_t at, const char *signature, uint32_t bytes) {
    memcpy(tables.bytes + at, signature, 4);
    acpi_fake_set_length(&tables, at, bytes);
}

// XSDT and RSDT list FADT and MADT; the FADT has all four addresses.
static void fill(void) {
    acpi_fake_fill(&tables);
    acpi_fake_add_x2apic(&tables, 1, 1);
    put_table(FACS, "FACS", 64);
    put_table(DSDT, "DSDT", 100);
    put_table(X_FACS, "FACS", 64);
    put_table(X_DSDT, "DSDT", 200);
    put(ACPI_FADT + 36, ACPI_BASE + FACS, 4);
    put(ACPI_FADT + 40, ACPI_BASE + DSDT, 4);
    put(ACPI_FADT + 132, ACPI_BASE + X_FACS, 8);
    put(ACPI_FADT + 140, ACPI_BASE + X_DSDT, 8);
    acpi_fake_set_length(&tables, ACPI_FADT, FADT_BYTES);
}

static void drop_rsdt(void) {
    put(ACPI_RSDP + 16, 0, 4);
    acpi_fake_sum_rsdp(&tables);
}

#define RSDP_SEEN                                                                                  \
    { ACPI_RSDP, ACPI_RSDP_BYTES }
#define XSDT_SEEN                                                                                  \
    { ACPI_XSDT, ACPI_HEADER_BYTES + 16 }
#define RSDT_SEEN                                                                                  \
    { ACPI_RSDT, ACPI_HEADER_BYTES + 8 }
#define BELOW_SEEN                                                                                 \
    {FACS, 64}, {DSDT, 100}, {X_FACS, 64}, {                                                       \
        X_DSDT, 200                                                                                \
    }
#define FADT_SEEN {ACPI_FADT, FADT_BYTES}, BELOW_SEEN
#define MADT_SEEN                                                                                  \
    { ACPI_MADT, MADT_BYTES }

TEST("acpi visit: all tables that either list has are visited, and those below the FADT") {
    fill();
    EXPECT(RSDP_SEEN, XSDT_SEEN, FADT_SEEN, MADT_SEEN, RSDT_SEEN, FADT_SEEN, MADT_SEEN);
}

TEST("acpi visit: one list is enough, the RSDT of ACPI 1.0 too") {
    fill();
    drop_rsdt();
    EXPECT(RSDP_SEEN, XSDT_SEEN, FADT_SEEN, MADT_SEEN);
    fill();
    put(ACPI_RSDP + 24, 0, 8);
    acpi_fake_sum_rsdp(&tables);
    EXPECT(RSDP_SEEN, RSDT_SEEN, FADT_SEEN, MADT_SEEN);
    tables.bytes[ACPI_RSDP + 15] = 1;
    acpi_fake_sum_rsdp(&tables);
    EXPECT({ACPI_RSDP, ACPI_RSDP_BYTES_1}, RSDT_SEEN, FADT_SEEN, MADT_SEEN);
}

TEST("acpi visit: a broken list hides no other") {
    fill();
    tables.bytes[ACPI_XSDT + 40]++;
    EXPECT(RSDP_SEEN, RSDT_SEEN, FADT_SEEN, MADT_SEEN);
    fill();
    put(ACPI_RSDP + 16, UINT32_MAX, 4);
    acpi_fake_sum_rsdp(&tables);
    EXPECT(RSDP_SEEN, XSDT_SEEN, FADT_SEEN, MADT_SEEN);
}

TEST("acpi visit: a FADT leads as far as it reaches, and nowhere by an address of 0") {
    fill();
    drop_rsdt();
    acpi_fake_set_length(&tables, ACPI_FADT, FADT_BYTES - 1);
    EXPECT(RSDP_SEEN, XSDT_SEEN, {ACPI_FADT, FADT_BYTES - 1}, {FACS, 64}, {DSDT, 100}, MADT_SEEN);
    acpi_fake_set_length(&tables, ACPI_FADT, 44);
    EXPECT(RSDP_SEEN, XSDT_SEEN, {ACPI_FADT, 44}, {FACS, 64}, {DSDT, 100}, MADT_SEEN);
    acpi_fake_set_length(&tables, ACPI_FADT, 43);
    EXPECT(RSDP_SEEN, XSDT_SEEN, {ACPI_FADT, 43}, MADT_SEEN);
    fill();
    drop_rsdt();
    put(ACPI_FADT + 36, 0, 8);
    put(ACPI_FADT + 132, 0, 8);
    EXPECT(RSDP_SEEN, XSDT_SEEN, {ACPI_FADT, FADT_BYTES}, {X_DSDT, 200}, MADT_SEEN);
}

TEST("acpi visit: sums of the tables that list no others do not matter, lengths do") {
    fill();
    drop_rsdt();
    tables.bytes[DSDT + 50]++;
    tables.bytes[ACPI_MADT + 50]++;
    EXPECT(RSDP_SEEN, XSDT_SEEN, FADT_SEEN, MADT_SEEN);
    static const uint32_t lengths[] = {0, 35, ACPI_BYTES, ACPI_TABLE_BYTES_MAX + 1, UINT32_MAX};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put(ACPI_MADT + 4, lengths[i], 4);
        EXPECT(RSDP_SEEN, XSDT_SEEN, FADT_SEEN);
    }
    put(ACPI_MADT + 4, 36, 4);
    EXPECT(RSDP_SEEN, XSDT_SEEN, FADT_SEEN, {ACPI_MADT, 36});
    put(FACS + 4, 63, 4);
    EXPECT(RSDP_SEEN, XSDT_SEEN, {ACPI_FADT, FADT_BYTES}, {DSDT, 100}, {X_FACS, 64}, {X_DSDT, 200},
           {ACPI_MADT, 36});
}

// As if the tables lay at address 0 as well.
static const void *anywhere(void *context, uint64_t phys, uint64_t bytes) {
    struct acpi_memory memory = acpi_fake_memory(context);
    return memory.pointer(context, phys < ACPI_BYTES ? ACPI_BASE + phys : phys, bytes);
}

TEST("acpi visit: an address that is 0, or out of reach, is passed over") {
    fill();
    drop_rsdt();
    put(ACPI_XSDT + ACPI_HEADER_BYTES, UINT64_MAX, 8);
    acpi_fake_sum(&tables, ACPI_XSDT);
    EXPECT(RSDP_SEEN, XSDT_SEEN, MADT_SEEN);
    put(ACPI_XSDT + ACPI_HEADER_BYTES, 0, 8);
    acpi_fake_sum(&tables, ACPI_XSDT);
    uint32_t rsdp = ACPI_BYTES - ACPI_RSDP_BYTES;
    memcpy(tables.bytes + rsdp, tables.bytes + ACPI_RSDP, ACPI_RSDP_BYTES);
    put_table(0, "NULL", 40);
    const struct acpi_memory memory = {anywhere, &tables};
    const struct acpi_visitor visitor = {see, &tables};
    seen_count = 0;
    assert_int_equal(acpi_visit_tables(&memory, ACPI_BASE + rsdp, &visitor), ACPI_OK);
    acpi_fake_forget(&tables);
    const struct seen want[] = {{rsdp, ACPI_RSDP_BYTES}, XSDT_SEEN, MADT_SEEN};
    assert_int_equal(seen_count, 3);
    assert_memory_equal(seen, want, sizeof(want));
}

TEST("acpi visit: without a sound RSDP nothing is visited") {
    fill();
    assert_int_equal(visit_at(0), ACPI_ERR_NO_RSDP);
    assert_int_equal(seen_count, 0);
    assert_int_equal(visit_at(UINT64_MAX), ACPI_ERR_UNREACHABLE);
    assert_int_equal(visit_at(ACPI_BASE + 1), ACPI_ERR_SIGNATURE);
    tables.bytes[ACPI_RSDP + 33]++;
    assert_int_equal(visit_at(ACPI_BASE + ACPI_RSDP), ACPI_ERR_CHECKSUM);
    assert_int_equal(seen_count, 0);
}

TEST("acpi visit: tables that lead to each other, and to themselves, end") {
    fill();
    drop_rsdt();
    put(ACPI_XSDT + ACPI_HEADER_BYTES, ACPI_BASE + ACPI_XSDT, 8);
    acpi_fake_sum(&tables, ACPI_XSDT);
    EXPECT(RSDP_SEEN, XSDT_SEEN, XSDT_SEEN, MADT_SEEN);
    fill();
    drop_rsdt();
    put(ACPI_FADT + 36, ACPI_BASE + ACPI_FADT, 4);
    put(ACPI_FADT + 40, ACPI_BASE + ACPI_FADT, 4);
    put(ACPI_FADT + 132, 0, 8);
    put(ACPI_FADT + 140, ACPI_BASE + ACPI_XSDT, 8);
    EXPECT(RSDP_SEEN, XSDT_SEEN, {ACPI_FADT, FADT_BYTES}, {ACPI_FADT, FADT_BYTES},
           {ACPI_FADT, FADT_BYTES}, XSDT_SEEN, MADT_SEEN);
}
