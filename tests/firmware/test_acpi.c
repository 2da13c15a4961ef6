// The way through ACPI's tables to the power management timer, over tables that lie.
#include "loader/acpi.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

#define PORT 0x408

enum {
    RSDP_OLD_BYTES = 20,
    RSDP_BYTES = 36,
    HEADER_BYTES = 36,
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

// An XSDT with one entry, the FADT.
static struct tables make(void) {
    struct tables tables = {calloc(1, RSDP_BYTES), calloc(1, HEADER_BYTES + 8),
                            calloc(1, FADT_BYTES)};
    put(tables.rsdp, 15, 2, 1);
    put(tables.rsdp, 24, (uintptr_t)tables.root, 8);
    put(tables.root, 4, HEADER_BYTES + 8, 4);
    put(tables.root, HEADER_BYTES, (uintptr_t)tables.fadt, 8);
    memcpy(tables.fadt, "FACP", 4);
    put(tables.fadt, 4, FADT_BYTES, 4);
    put(tables.fadt, 76, PORT, 4);
    put(tables.fadt, 91, 4, 1);
    return tables;
}

static struct acpi_pm_timer find_and_free(struct tables *tables) {
    struct acpi_pm_timer timer = acpi_find_pm_timer(tables->rsdp);
    free(tables->rsdp);
    free(tables->root);
    free(tables->fadt);
    return timer;
}

static void expect_none(struct tables *tables) {
    assert_int_equal(find_and_free(tables).port, 0);
}

TEST("acpi: the timer's port and its 24 or 32 bits are found") {
    struct tables tables = make();
    struct acpi_pm_timer timer = find_and_free(&tables);
    assert_int_equal(timer.port, PORT);
    assert_int_equal(timer.mask, 0xffffff);
    tables = make();
    put(tables.fadt, 112, 1 << 8, 4);
    assert_int_equal(find_and_free(&tables).mask, 0xffffffff);
}

TEST("acpi: without an RSDP, a root or an entry there is no timer") {
    assert_int_equal(acpi_find_pm_timer(NULL).port, 0);
    struct tables tables = make();
    put(tables.rsdp, 24, 0, 8); // and no RSDT either
    expect_none(&tables);
    tables = make();
    put(tables.root, HEADER_BYTES, 0, 8);
    expect_none(&tables);
}

TEST("acpi: an RSDP of ACPI 1.0 is not read beyond its 20 bytes") {
    struct tables tables = make();
    free(tables.rsdp);
    tables.rsdp = calloc(1, RSDP_OLD_BYTES);
    expect_none(&tables);
}

TEST("acpi: a root that ends within an entry, is shorter than its header, or is huge") {
    static const uint32_t lengths[] = {HEADER_BYTES + 7, HEADER_BYTES, 3, 0, 65537, UINT32_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct tables tables = make();
        put(tables.root, 4, lengths[i], 4);
        expect_none(&tables);
    }
}

TEST("acpi: a FADT that is too short is not read beyond its length") {
    struct tables tables = make();
    free(tables.fadt);
    tables.fadt = calloc(1, HEADER_BYTES);
    put(tables.root, HEADER_BYTES, (uintptr_t)tables.fadt, 8);
    memcpy(tables.fadt, "FACP", 4);
    put(tables.fadt, 4, HEADER_BYTES, 4);
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
