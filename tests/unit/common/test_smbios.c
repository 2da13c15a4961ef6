#include "common/smbios/smbios.h"

#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_2 = 31, BYTES_3 = 24 };

static uint8_t entry[256];

static void sum(uint32_t count, uint32_t sum_at) {
    uint8_t total = 0;
    entry[sum_at] = 0;
    for (uint32_t i = 0; i < count; i++)
        total = (uint8_t)(total + entry[i]);
    entry[sum_at] = (uint8_t)-total;
}

static void put(uint32_t at, uint64_t value, uint32_t bytes) {
    memcpy(entry + at, &value, bytes);
}

static void fill_2(uint8_t length) {
    memset(entry, 0x5a, sizeof(entry));
    memcpy(entry, "_SM_", 4);
    entry[5] = length;
    memcpy(entry + 16, "_DMI_", 5);
    put(22, 0xfedc, 2);
    put(24, 0xcafe1230, 4);
    sum(length, 4);
}

static void fill_3(uint8_t length) {
    memset(entry, 0x5a, sizeof(entry));
    memcpy(entry, "_SM3_", 5);
    entry[6] = length;
    put(12, 0xfedcba98, 4);
    put(16, 0x123456789abcdef0, 8);
    sum(length, 5);
}

// In memory of exactly its size, so that a sanitizer sees a byte too many.
static enum smbios_status read_entry(struct smbios_table *ret_table) {
    uint8_t *first = malloc(SMBIOS_FIRST_BYTES);
    memcpy(first, entry, SMBIOS_FIRST_BYTES);
    uint32_t bytes = smbios_entry_bytes(first);
    free(first);
    if (bytes == 0)
        bytes = SMBIOS_FIRST_BYTES;
    uint8_t *whole = malloc(bytes);
    memcpy(whole, entry, bytes);
    enum smbios_status status = smbios_read_entry(whole, ret_table);
    free(whole);
    return status;
}

static void expect_table(uint64_t phys, uint64_t bytes) {
    struct smbios_table table;
    assert_int_equal(read_entry(&table), SMBIOS_OK);
    assert_int_equal(table.phys, phys);
    assert_int_equal(table.bytes, bytes);
}

static void expect_error(enum smbios_status want) {
    struct smbios_table table = {11, 22};
    assert_int_equal(read_entry(&table), want);
    assert_int_equal(table.phys, 11);
    assert_int_equal(table.bytes, 22);
}

TEST("smbios: an entry point of version 2 leads to its table, also with the length that 2.1 gave") {
    fill_2(BYTES_2);
    assert_int_equal(smbios_entry_bytes(entry), BYTES_2);
    expect_table(0xcafe1230, 0xfedc);
    fill_2(BYTES_2 - 1);
    expect_table(0xcafe1230, 0xfedc);
    fill_2(255);
    expect_table(0xcafe1230, 0xfedc);
}

TEST("smbios: an entry point of version 3 leads to its table") {
    fill_3(BYTES_3);
    assert_int_equal(smbios_entry_bytes(entry), BYTES_3);
    expect_table(0x123456789abcdef0, 0xfedcba98);
    fill_3(255);
    expect_table(0x123456789abcdef0, 0xfedcba98);
}

TEST("smbios: an entry point that is too short is none") {
    fill_2(BYTES_2 - 2);
    expect_error(SMBIOS_ERR_ENTRY);
    fill_3(BYTES_3 - 1);
    expect_error(SMBIOS_ERR_ENTRY);
    fill_3(0);
    assert_int_equal(smbios_entry_bytes(entry), 0);
    expect_error(SMBIOS_ERR_ENTRY);
}

TEST("smbios: every byte of an entry point counts") {
    for (uint32_t at = 0; at < BYTES_2; at++) {
        fill_2(BYTES_2);
        entry[at] ^= 0x10;
        expect_error(at < 4 || at == 5 ? SMBIOS_ERR_ENTRY : SMBIOS_ERR_CHECKSUM);
    }
    for (uint32_t at = 0; at < BYTES_3; at++) {
        fill_3(BYTES_3);
        entry[at] ^= 0x10;
        expect_error(at < 5 || at == 6 ? SMBIOS_ERR_ENTRY : SMBIOS_ERR_CHECKSUM);
    }
}

TEST("smbios: the anchor of the second half counts, whatever the sum") {
    for (uint32_t at = 16; at < 21; at++) {
        fill_2(BYTES_2);
        entry[at] ^= 0x10;
        sum(BYTES_2, 4);
        expect_error(SMBIOS_ERR_ENTRY);
    }
}

TEST("smbios: what is no entry point has no length") {
    static const char *const others[] = {"_SM", "_SN_", "_DMI_", "RSD PTR "};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        memset(entry, 0x40, sizeof(entry));
        memcpy(entry, others[i], strlen(others[i]));
        assert_int_equal(smbios_entry_bytes(entry), 0);
        expect_error(SMBIOS_ERR_ENTRY);
    }
}
