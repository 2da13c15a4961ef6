// The firmware's boot times: found behind the FPDT's pointer, and zeros wherever the tables are not
// in order.
#include "common/acpi/fpdt.h"

#include "tests/unit/support/acpi_fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum {
    FPDT = ACPI_MADT, // takes the place of the MADT
    FPDT_RECORDS = 36,
    FBPT = 0xa00,
    FBPT_RECORDS = 8,
    OTHER_BYTES = 20, // of a record that nobody looks for
    POINTER_BYTES = 16,
    BASIC_BYTES = 48,
    POINTER = FPDT + FPDT_RECORDS + OTHER_BYTES,
    BASIC = FBPT + FBPT_RECORDS + OTHER_BYTES,
    FPDT_BYTES = FPDT_RECORDS + OTHER_BYTES + POINTER_BYTES,
    FBPT_BYTES = FBPT_RECORDS + OTHER_BYTES + BASIC_BYTES,
};

static struct acpi_fake tables;

static void put(uint32_t at, uint64_t value, unsigned bytes) {
    memcpy(tables.bytes + at, &value, bytes);
}

static void put_record(uint32_t at, uint16_t type, uint8_t bytes) {
    put(at, type, 2);
    put(at + 2, bytes, 1);
    put(at + 3, 1, 1); // revision
}

// Both tables, each with a record of another type before the one that counts.
static void fill(void) {
    acpi_fake_fill(&tables);
    memcpy(tables.bytes + FPDT, "FPDT", 4);
    put_record(FPDT + FPDT_RECORDS, 1, OTHER_BYTES);
    put_record(POINTER, 0, POINTER_BYTES);
    put(POINTER + 8, ACPI_BASE + FBPT, 8);
    acpi_fake_set_length(&tables, FPDT, FPDT_BYTES);
    memcpy(tables.bytes + FBPT, "FBPT", 4);
    put(FBPT + 4, FBPT_BYTES, 4);
    put_record(FBPT + FBPT_RECORDS, 0x1002, OTHER_BYTES);
    put_record(BASIC, 2, BASIC_BYTES);
    for (unsigned i = 0; i < 5; i++)
        put(BASIC + 8 + 8 * i, 0x1122334400000000 + i, 8);
}

static void find(struct fpdt_times want) {
    struct acpi_memory memory = acpi_fake_memory(&tables);
    struct fpdt_times times = fpdt_find_times(&memory, ACPI_BASE + ACPI_RSDP);
    acpi_fake_forget(&tables);
    assert_memory_equal(&times, &want, sizeof(times));
}

static void expect_times(void) {
    const uint64_t first = 0x1122334400000000;
    find((struct fpdt_times){first, first + 1, first + 2, first + 3, first + 4});
}

static void expect_none(void) {
    find((struct fpdt_times){0});
}

TEST("fpdt: the five times are those of the basic boot record") {
    fill();
    expect_times();
    put(FBPT + 4, ACPI_BYTES - FBPT, 4); // the records of zeros behind it are not reached
    expect_times();
    acpi_fake_set_length(&tables, FPDT, FPDT_BYTES + 3); // nor is a rest that is no record
    expect_times();
}

TEST("fpdt: without tables, with a broken FPDT or one without the pointer there are no times") {
    struct acpi_memory memory = acpi_fake_memory(&tables);
    struct fpdt_times none = {0};
    struct fpdt_times times = fpdt_find_times(&memory, 0);
    assert_memory_equal(&times, &none, sizeof(none));
    fill();
    tables.bytes[POINTER + 15]++; // the sum
    expect_none();
    fill();
    memcpy(tables.bytes + FPDT, "FPDX", 4);
    acpi_fake_sum(&tables, FPDT);
    expect_none();
    for (uint32_t length = FPDT_RECORDS; length < FPDT_BYTES; length++) {
        fill();
        acpi_fake_set_length(&tables, FPDT, length);
        expect_none();
    }
}

TEST("fpdt: a record of impossible length ends the search, one before the pointer too") {
    static const uint8_t lengths[] = {0, 1, 2, 3, 255};
    for (unsigned i = 0; i < sizeof(lengths); i++) {
        fill();
        tables.bytes[FPDT + FPDT_RECORDS + 2] = lengths[i];
        acpi_fake_sum(&tables, FPDT);
        expect_none();
        fill();
        tables.bytes[FBPT + FBPT_RECORDS + 2] = lengths[i];
        expect_none();
    }
    fill();
    tables.bytes[POINTER + 2] = POINTER_BYTES - 1;
    acpi_fake_set_length(&tables, FPDT, FPDT_BYTES);
    expect_none();
    fill();
    tables.bytes[BASIC + 2] = BASIC_BYTES - 1;
    expect_none();
    put(FBPT + 4, FBPT_BYTES + 20, 4);
    tables.bytes[BASIC + 2] = BASIC_BYTES + 20; // a later revision may be longer
    expect_times();
}

TEST("fpdt: a record's type has two bytes") {
    fill();
    put(POINTER, 0x100, 2);
    acpi_fake_sum(&tables, FPDT);
    expect_none();
    fill();
    put(BASIC, 0x102, 2);
    expect_none();
}

TEST("fpdt: a pointer to nothing, or to what is no FBPT, leads to no times") {
    static const uint64_t places[] = {0, UINT64_MAX, ACPI_BASE + FBPT + 1, ACPI_BASE + FPDT,
                                      ACPI_BASE + ACPI_BYTES - 7};
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        fill();
        put(POINTER + 8, places[i], 8);
        acpi_fake_sum(&tables, FPDT);
        expect_none();
    }
    for (unsigned at = 0; at < 4; at++) {
        fill();
        tables.bytes[FBPT + at]++;
        expect_none();
    }
}

static const void *anything(void *context, uint64_t phys, uint64_t bytes) {
    struct acpi_fake *all = context;
    if (phys == 0)
        fail_msg("%lu bytes at 0 are read", bytes);
    return all->bytes + (phys - ACPI_BASE);
}

TEST("fpdt: a pointer of 0 is not followed, even where memory could be read there") {
    fill();
    put(POINTER + 8, 0, 8);
    acpi_fake_sum(&tables, FPDT);
    const struct acpi_memory memory = {anything, &tables};
    struct fpdt_times none = {0};
    struct fpdt_times times = fpdt_find_times(&memory, ACPI_BASE + ACPI_RSDP);
    assert_memory_equal(&times, &none, sizeof(none));
}

TEST("fpdt: an FBPT of impossible length, or longer than what can be read, leads to no times") {
    static const uint32_t lengths[] = {0, 7, ACPI_BYTES - FBPT + 1, (1 << 16) + 1, UINT32_MAX};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        fill();
        put(FBPT + 4, lengths[i], 4);
        expect_none();
    }
    for (uint32_t length = FBPT_RECORDS; length < FBPT_BYTES; length++) {
        fill();
        put(FBPT + 4, length, 4);
        expect_none();
    }
}
