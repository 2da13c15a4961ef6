#include "common/acpi/acpi_tables.h"

#include "tests/unit/support/acpi_fake.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { MADT_BYTES = 60, FADT_BYTES = 116 };

static struct acpi_fake tables;

// The table with the signature "APIC", and where it is to be found if it is.
static enum acpi_status find_at(uint64_t rsdp, uint32_t at) {
    static const uint8_t untouched;
    struct acpi_table found = {&untouched, 77};
    struct acpi_memory memory = acpi_fake_memory(&tables);
    enum acpi_status status = acpi_find_table(&memory, rsdp, "APIC", ACPI_MADT_ENTRIES, &found);
    if (status == ACPI_OK) {
        assert_int_equal(found.length, MADT_BYTES);
        assert_memory_equal(found.bytes, tables.bytes + at, MADT_BYTES);
    } else {
        assert_ptr_equal(found.bytes, &untouched);
        assert_int_equal(found.length, 77);
    }
    acpi_fake_forget(&tables);
    return status;
}

static enum acpi_status find(void) {
    return find_at(ACPI_BASE + ACPI_RSDP, ACPI_MADT);
}

// A MADT of MADT_BYTES.
static void fill(void) {
    acpi_fake_fill(&tables);
    acpi_fake_add_x2apic(&tables, 1, 1);
}

static void put32(uint32_t at, uint32_t value) {
    memcpy(tables.bytes + at, &value, sizeof(value));
}

static void put_xsdt_entry(uint32_t index, uint64_t phys) {
    memcpy(tables.bytes + ACPI_XSDT + ACPI_HEADER_BYTES + 8 * index, &phys, sizeof(phys));
    acpi_fake_sum(&tables, ACPI_XSDT);
}

static void drop_xsdt(void) {
    memset(tables.bytes + ACPI_RSDP + 24, 0, 8);
    acpi_fake_sum_rsdp(&tables);
}

TEST("acpi tables: a table is found by its signature, whole, if it is as long as it must be") {
    fill();
    assert_int_equal(find(), ACPI_OK);
    struct acpi_memory memory = acpi_fake_memory(&tables);
    struct acpi_table fadt;
    uint64_t rsdp = ACPI_BASE + ACPI_RSDP;
    assert_int_equal(acpi_find_table(&memory, rsdp, "FACP", FADT_BYTES, &fadt), ACPI_OK);
    assert_int_equal(fadt.length, FADT_BYTES);
    assert_memory_equal(fadt.bytes, tables.bytes + ACPI_FADT, FADT_BYTES);
    assert_int_equal(acpi_find_table(&memory, rsdp, "FACP", FADT_BYTES + 1, &fadt),
                     ACPI_ERR_LENGTH);
    assert_int_equal(acpi_find_table(&memory, rsdp, "HPET", ACPI_HEADER_BYTES, &fadt),
                     ACPI_ERR_ABSENT);
    acpi_fake_forget(&tables);
}

TEST("acpi tables: without an XSDT the RSDT is used") {
    fill();
    drop_xsdt();
    memset(tables.bytes + ACPI_XSDT, 0, 4);
    assert_int_equal(find(), ACPI_OK);
    for (uint8_t revision = 0; revision < 2; revision++) {
        fill();
        tables.bytes[ACPI_RSDP + 15] = revision; // nothing behind the first 20 bytes is there
        memset(tables.bytes + ACPI_RSDP + 20, 0xff, 16);
        acpi_fake_sum_bytes(tables.bytes + ACPI_RSDP, ACPI_RSDP_BYTES_1, ACPI_RSDP_SUM);
        assert_int_equal(find(), ACPI_OK);
    }
}

TEST("acpi tables: an RSDP of ACPI 1.0 is not read beyond its 20 bytes") {
    fill();
    uint32_t end = ACPI_BYTES - 20;
    memcpy(tables.bytes + end, tables.bytes + ACPI_RSDP, 20);
    tables.bytes[end + 15] = 0;
    tables.bytes[end + 8] = (uint8_t)(tables.bytes[end + 8] + 2);
    assert_int_equal(find_at(ACPI_BASE + end, ACPI_MADT), ACPI_OK);
}

TEST("acpi tables: an RSDP that is absent, elsewhere or broken is refused") {
    fill();
    assert_int_equal(find_at(0, 0), ACPI_ERR_NO_RSDP);
    assert_int_equal(find_at(UINT64_MAX, 0), ACPI_ERR_UNREACHABLE);
    assert_int_equal(find_at(ACPI_BASE + ACPI_BYTES - 19, 0), ACPI_ERR_UNREACHABLE);
    memcpy(tables.bytes + ACPI_BYTES - 30, tables.bytes + ACPI_RSDP, 30); // its second part is not
    assert_int_equal(find_at(ACPI_BASE + ACPI_BYTES - 30, 0), ACPI_ERR_UNREACHABLE);
    assert_int_equal(find_at(ACPI_BASE + 1, 0), ACPI_ERR_SIGNATURE);
    for (unsigned at = 0; at < 36; at++) {
        fill();
        tables.bytes[ACPI_RSDP + at] ^= 0x40;
        enum acpi_status status = find();
        assert_true(at < 8 ? status == ACPI_ERR_SIGNATURE
                           : status == ACPI_ERR_CHECKSUM || status == ACPI_ERR_LENGTH ||
                                 status == ACPI_ERR_UNREACHABLE);
    }
}

TEST("acpi tables: either checksum of the RSDP counts") {
    fill();
    tables.bytes[ACPI_RSDP + 9]++;  // in both sums
    tables.bytes[ACPI_RSDP + 33]--; // the second is right again
    assert_int_equal(find(), ACPI_ERR_CHECKSUM);
    fill();
    tables.bytes[ACPI_RSDP + 33]++; // in the second alone
    assert_int_equal(find(), ACPI_ERR_CHECKSUM);
}

TEST("acpi tables: an RSDP of impossible length is refused") {
    static const uint32_t lengths[] = {0, 20, 35, ACPI_TABLE_BYTES_MAX + 1, UINT32_MAX};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        fill();
        put32(ACPI_RSDP + 20, lengths[i]);
        assert_int_equal(find(), ACPI_ERR_LENGTH);
    }
    put32(ACPI_RSDP + 20, ACPI_TABLE_BYTES_MAX);
    assert_int_equal(find(), ACPI_ERR_UNREACHABLE);
}

TEST("acpi tables: a changed byte of the list or of the table is seen, whichever it is") {
    static const struct {
        uint32_t at, bytes;
    } pieces[] = {{ACPI_XSDT, 52}, {ACPI_MADT, MADT_BYTES}};
    for (unsigned i = 0; i < 2; i++) {
        for (uint32_t at = 0; at < pieces[i].bytes; at++) {
            fill();
            tables.bytes[pieces[i].at + at] ^= 0x10;
            enum acpi_status status = find();
            assert_int_not_equal(status, ACPI_OK);
            if (at >= 8)
                assert_int_equal(status, ACPI_ERR_CHECKSUM);
        }
    }
}

TEST("acpi tables: tables of impossible length are refused") {
    static const uint32_t lengths[] = {0, 35, 36, 43, ACPI_TABLE_BYTES_MAX + 1, UINT32_MAX};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        fill();
        acpi_fake_set_length(&tables, ACPI_MADT, lengths[i]);
        assert_int_equal(find(), ACPI_ERR_LENGTH);
    }
    fill();
    acpi_fake_set_length(&tables, ACPI_MADT, ACPI_TABLE_BYTES_MAX);
    assert_int_equal(find(), ACPI_ERR_UNREACHABLE);
    fill();
    acpi_fake_set_length(&tables, ACPI_XSDT, 35);
    assert_int_equal(find(), ACPI_ERR_LENGTH);
}

TEST("acpi tables: lists without the table say so, also when part of one is out of reach") {
    fill();
    acpi_fake_set_length(&tables, ACPI_XSDT, ACPI_HEADER_BYTES);
    assert_int_equal(find(), ACPI_ERR_ABSENT);
    acpi_fake_set_length(&tables, ACPI_XSDT, ACPI_HEADER_BYTES + 8 + 7); // a whole entry and a bit
    assert_int_equal(find(), ACPI_ERR_ABSENT);
    fill();
    memcpy(tables.bytes + ACPI_MADT, "CIPA", 4);
    assert_int_equal(find(), ACPI_ERR_ABSENT);
    put_xsdt_entry(0, UINT64_MAX);
    assert_int_equal(find(), ACPI_ERR_UNREACHABLE);
    memcpy(tables.bytes + ACPI_RSDT, "TDSR", 4);
    drop_xsdt();
    assert_int_equal(find(), ACPI_ERR_SIGNATURE);
}

TEST("acpi tables: a table that cannot be read, or is broken, does not hide the one behind it") {
    fill();
    put_xsdt_entry(0, UINT64_MAX);
    assert_int_equal(find(), ACPI_OK);
    fill();
    memset(tables.bytes + ACPI_FADT + 4, 0xff, 32); // length, sum and what follows
    assert_int_equal(find(), ACPI_OK);
}

TEST("acpi tables: a table whose signature differs in one letter is another") {
    for (unsigned at = 0; at < 4; at++) {
        fill();
        memcpy(tables.bytes + ACPI_FADT, "APIC", 4);
        tables.bytes[ACPI_FADT + at] = 'X';
        acpi_fake_sum(&tables, ACPI_FADT);
        assert_int_equal(find(), ACPI_OK);
    }
}

TEST("acpi tables: of two tables with the signature the first counts, be it broken") {
    fill();
    memcpy(tables.bytes + ACPI_FADT, tables.bytes + ACPI_MADT, MADT_BYTES);
    tables.bytes[ACPI_FADT + 10]++; // so that they differ
    acpi_fake_sum(&tables, ACPI_FADT);
    assert_int_equal(find_at(ACPI_BASE + ACPI_RSDP, ACPI_FADT), ACPI_OK);
    tables.bytes[ACPI_FADT + 10]++;
    assert_int_equal(find(), ACPI_ERR_CHECKSUM);
    acpi_fake_set_length(&tables, ACPI_FADT, 43);
    assert_int_equal(find(), ACPI_ERR_LENGTH);
}

static const uint8_t bytes_and_words[] = {
    7, 4, 0xaa, 0xbb, // a length of one byte
    7, 0, 4,    0,    // one of two
};

TEST(
    "acpi tables: entries come one by one, with lengths of one byte or two, up to the table's end") {
    struct acpi_entries entries = {.next = bytes_and_words, .left = 4, 1, 1};
    uint32_t length = 0;
    assert_ptr_equal(acpi_next_entry(&entries, &length), bytes_and_words);
    assert_int_equal(length, 4);
    assert_null(acpi_next_entry(&entries, &length));
    assert_int_equal(entries.left, 0);
    entries = (struct acpi_entries){.next = bytes_and_words + 4, .left = 4, 2, 2};
    assert_ptr_equal(acpi_next_entry(&entries, &length), bytes_and_words + 4);
    assert_int_equal(length, 4);
    assert_null(acpi_next_entry(&entries, &length));
    assert_int_equal(entries.left, 0);
}

TEST("acpi tables: an entry of 256 bytes and more has its length in two bytes") {
    uint8_t large[0x102] = {0, 0, 0x02, 0x01};
    struct acpi_entries entries = {.next = large, .left = sizeof(large), 2, 2};
    uint32_t length = 0;
    assert_ptr_equal(acpi_next_entry(&entries, &length), large);
    assert_int_equal(length, sizeof(large));
}

TEST("acpi tables: an entry that ends outside, or within its own length, is the last, for good") {
    static const struct {
        uint8_t bytes[4];
        uint32_t left;
        uint8_t length_at, length_bytes;
    } bad[] = {
        {{1, 2}, 1, 1, 1},       {{1, 5}, 4, 1, 1},       {{1, 1}, 4, 1, 1},
        {{1, 0}, 4, 1, 1},       {{1}, 3, 2, 2},          {{1, 0, 5, 0}, 4, 2, 2},
        {{1, 0, 3, 0}, 4, 2, 2}, {{1, 0, 4, 1}, 4, 2, 2},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        // No byte behind them, so that a sanitizer sees one too many.
        uint8_t *bytes = malloc(bad[i].left);
        memcpy(bytes, bad[i].bytes, bad[i].left);
        struct acpi_entries entries = {bytes, bad[i].left, bad[i].length_at, bad[i].length_bytes};
        for (unsigned again = 0; again < 2; again++) {
            uint32_t length = 77;
            assert_null(acpi_next_entry(&entries, &length));
            assert_int_equal(length, 77);
            assert_int_equal(entries.left, bad[i].left);
        }
        free(bytes);
    }
}

TEST("acpi: every status has words of its own") {
    for (int i = ACPI_OK; i <= ACPI_ERR_TOO_MANY; i++) {
        assert_string_not_equal(acpi_status_text((enum acpi_status)i), "unknown");
        for (int j = ACPI_OK; j < i; j++)
            assert_string_not_equal(acpi_status_text((enum acpi_status)i),
                                    acpi_status_text((enum acpi_status)j));
    }
    assert_string_equal(acpi_status_text((enum acpi_status)99), "unknown");
}
