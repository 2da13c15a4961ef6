// The way through ACPI's tables to the power management timer, over tables that lie. What is to be
// refused for another reason has the right checksums.
#include "loader/acpi.h"
#include "tests/unit/support/acpi_fake.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

#define PORT 0x408

enum {
    ROOT_BYTES = ACPI_HEADER_BYTES + 8,
    FADT_BYTES = 116,
};

static void put(void *table, uint64_t offset, uint64_t value, size_t bytes) {
    memcpy((char *)table + offset, &value, bytes);
}

// Tables of exactly their bytes, so that a byte too many is seen.
struct tables {
    char *rsdp;
    char *root;
    char *fadt;
};

static char *make_table(const char *signature, uint32_t bytes) {
    char *table = calloc(1, bytes);
    memcpy(table, signature, strlen(signature));
    put(table, ACPI_TABLE_LENGTH, bytes, 4);
    return table;
}

static char *make_rsdp(uint32_t bytes) {
    char *rsdp = calloc(1, bytes);
    memcpy(rsdp, "RSD PTR ", 8);
    return rsdp;
}

// Right checksums, over no more bytes than there are.
static void sum(struct tables *tables) {
    acpi_fake_sum_bytes(tables->rsdp, ACPI_RSDP_BYTES_1, ACPI_RSDP_SUM);
    if (tables->rsdp[15] >= 2)
        acpi_fake_sum_bytes(tables->rsdp, ACPI_RSDP_BYTES, ACPI_RSDP_SUM_2);
    uint32_t root_bytes, fadt_bytes;
    memcpy(&root_bytes, tables->root + ACPI_TABLE_LENGTH, 4);
    memcpy(&fadt_bytes, tables->fadt + ACPI_TABLE_LENGTH, 4);
    if (root_bytes <= ROOT_BYTES)
        acpi_fake_sum_bytes(tables->root, root_bytes, ACPI_TABLE_SUM);
    acpi_fake_sum_bytes(tables->fadt, fadt_bytes, ACPI_TABLE_SUM);
}

// An XSDT with one entry, the FADT.
static struct tables make(void) {
    struct tables tables = {make_rsdp(ACPI_RSDP_BYTES), make_table("XSDT", ROOT_BYTES),
                            make_table("FACP", FADT_BYTES)};
    put(tables.rsdp, 15, 2, 1);
    put(tables.rsdp, 20, ACPI_RSDP_BYTES, 4);
    put(tables.rsdp, 24, (uintptr_t)tables.root, 8);
    put(tables.root, ACPI_HEADER_BYTES, (uintptr_t)tables.fadt, 8);
    put(tables.fadt, 76, PORT, 4);
    put(tables.fadt, 91, 4, 1);
    sum(&tables);
    return tables;
}

static struct acpi_pm_timer find_and_free(struct tables *tables) {
    struct acpi_pm_timer timer = acpi_find_pm_timer((uintptr_t)tables->rsdp);
    free(tables->rsdp);
    free(tables->root);
    free(tables->fadt);
    return timer;
}

static void expect_none(struct tables *tables) {
    sum(tables);
    assert_int_equal(find_and_free(tables).port, 0);
}

TEST("acpi: the timer's port and its 24 or 32 bits are found") {
    struct tables tables = make();
    struct acpi_pm_timer timer = find_and_free(&tables);
    assert_int_equal(timer.port, PORT);
    assert_int_equal(timer.mask, 0xffffff);
    tables = make();
    put(tables.fadt, 112, 1 << 8, 4);
    sum(&tables);
    assert_int_equal(find_and_free(&tables).mask, 0xffffffff);
    tables = make();
    put(tables.fadt, 76, 0xffff, 4);
    sum(&tables);
    assert_int_equal(find_and_free(&tables).port, 0xffff);
}

TEST("acpi: without an RSDP, a root or an entry there is no timer") {
    assert_int_equal(acpi_find_pm_timer(0).port, 0);
    struct tables tables = make();
    put(tables.rsdp, 24, 0, 8); // and no RSDT either
    expect_none(&tables);
    tables = make();
    put(tables.root, ACPI_HEADER_BYTES, 0, 8);
    expect_none(&tables);
}

TEST("acpi: an RSDP of ACPI 1.0 is not read beyond its 20 bytes") {
    struct tables tables = make();
    free(tables.rsdp);
    tables.rsdp = make_rsdp(ACPI_RSDP_BYTES_1);
    expect_none(&tables);
}

TEST("acpi: a root that ends within an entry, is shorter than its header, or is huge") {
    static const uint32_t lengths[] = {
        ROOT_BYTES - 1, ACPI_HEADER_BYTES,       ACPI_HEADER_BYTES - 1, 3, 0,
        UINT32_MAX,     ACPI_TABLE_BYTES_MAX + 1};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct tables tables = make();
        put(tables.root, ACPI_TABLE_LENGTH, lengths[i], 4);
        expect_none(&tables);
    }
}

TEST("acpi: a FADT that is too short is not read beyond its length") {
    static const uint32_t lengths[] = {ACPI_HEADER_BYTES, FADT_BYTES - 1};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct tables tables = make();
        free(tables.fadt);
        tables.fadt = make_table("FACP", lengths[i]);
        put(tables.root, ACPI_HEADER_BYTES, (uintptr_t)tables.fadt, 8);
        expect_none(&tables);
    }
}

TEST("acpi: a table with a wrong checksum is not believed") {
    struct tables tables = make();
    tables.rsdp[9]++;
    assert_int_equal(find_and_free(&tables).port, 0);
    tables = make();
    tables.root[10]++;
    assert_int_equal(find_and_free(&tables).port, 0);
    tables = make();
    tables.fadt[10]++;
    assert_int_equal(find_and_free(&tables).port, 0);
}

TEST("acpi: a table with another signature is not taken for the one it should be") {
    struct tables tables = make();
    tables.rsdp[0] = 'r';
    expect_none(&tables);
    tables = make();
    tables.root[0] = 'R';
    expect_none(&tables);
    tables = make();
    tables.fadt[0] = 'f';
    expect_none(&tables);
}

TEST("acpi: a timer that is elsewhere, of another width or switched off is none") {
    struct tables tables = make();
    put(tables.fadt, 76, 0x10000 + PORT, 4);
    expect_none(&tables);
    tables = make();
    put(tables.fadt, 91, 0, 1);
    expect_none(&tables);
    tables = make();
    put(tables.fadt, 112, 1 << 20, 4); // hardware-reduced
    expect_none(&tables);
}
