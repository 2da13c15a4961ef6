#include "kernel/cpus/madt.h"

#include "tests/unit/support/acpi_fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum { ENABLED = 1, ONLINE_CAPABLE = 2, CAPACITY = 4, BOOT_ID = 1 };

static struct acpi_fake tables;
static uint32_t ids[CAPACITY];

static struct madt_cpus result;

static enum madt_status find_at(uint64_t rsdp) {
    memset(ids, 0xee, sizeof(ids));
    ids[0] = BOOT_ID;
    result = (struct madt_cpus){.ids = ids, .capacity = CAPACITY, .kept = 77, .found = 78};
    struct acpi_memory memory = acpi_fake_memory(&tables);
    enum madt_status status = madt_find_cpus(&memory, rsdp, &result);
    acpi_fake_forget(&tables);
    if (status != MADT_OK) {
        assert_int_equal(result.kept, 77);
        assert_int_equal(result.found, 78);
    }
    return status;
}

static enum madt_status find(void) {
    return find_at(ACPI_BASE + ACPI_RSDP);
}

static void assert_found(uint32_t found, uint32_t kept, const uint32_t *expected) {
    assert_int_equal(find(), MADT_OK);
    assert_int_equal(result.found, found);
    assert_int_equal(result.kept, kept);
    for (uint32_t i = 0; i < kept; i++)
        assert_int_equal(ids[i], expected[i]);
}

// Two CPUs, one of which asks.
static void fill(void) {
    acpi_fake_fill(&tables);
    acpi_fake_add_apic(&tables, 0, ENABLED);
    acpi_fake_add_apic(&tables, BOOT_ID, ENABLED);
}

TEST("madt: enabled CPUs are found by either kind of entry, the one that asks first") {
    fill();
    acpi_fake_add_x2apic(&tables, 0x12345678, ENABLED | ONLINE_CAPABLE);
    acpi_fake_add(&tables, (const uint8_t[]){1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, 12);
    acpi_fake_add_apic(&tables, 254, ENABLED);
    assert_found(4, 4, (const uint32_t[]){BOOT_ID, 0, 0x12345678, 254});
}

TEST("madt: disabled CPUs, IDs that mean all, and repetitions do not count") {
    fill();
    acpi_fake_add_apic(&tables, 7, 0);
    acpi_fake_add_apic(&tables, 8, ONLINE_CAPABLE);
    acpi_fake_add_apic(&tables, 0xff, ENABLED);
    acpi_fake_add_x2apic(&tables, 9, 0);
    acpi_fake_add_x2apic(&tables, 0xffffffff, ENABLED);
    acpi_fake_add_apic(&tables, 0, ENABLED);
    acpi_fake_add_x2apic(&tables, 0, ENABLED);
    acpi_fake_add_x2apic(&tables, BOOT_ID, ENABLED);
    acpi_fake_add_x2apic(&tables, 0xff, ENABLED); // an x2APIC may have this one
    assert_found(3, 3, (const uint32_t[]){BOOT_ID, 0, 0xff});
}

TEST("madt: what does not fit is counted, and nothing behind the capacity is written") {
    fill();
    for (uint8_t id = 10; id < 30; id++)
        acpi_fake_add_apic(&tables, id, ENABLED);
    assert_found(22, CAPACITY, (const uint32_t[]){BOOT_ID, 0, 10, 11});
}

TEST("madt: a CPU that is not listed learns so, also where it alone asks") {
    acpi_fake_fill(&tables);
    assert_int_equal(find(), MADT_ERR_BOOT_CPU);
    acpi_fake_add_apic(&tables, BOOT_ID, 0);
    acpi_fake_add_apic(&tables, BOOT_ID + 1, ENABLED);
    assert_int_equal(find(), MADT_ERR_BOOT_CPU);
}

TEST("madt: a changed byte is seen, whichever it is") {
    for (uint32_t at = 0; at < 60; at++) {
        fill();
        tables.bytes[ACPI_MADT + at] ^= 0x10;
        assert_int_not_equal(find(), MADT_OK);
    }
}

TEST("madt: a table too short for what comes before the entries is refused") {
    fill();
    acpi_fake_set_length(&tables, ACPI_MADT, 43);
    assert_int_equal(find(), MADT_ERR_LENGTH);
    acpi_fake_set_length(&tables, ACPI_MADT, 44);
    assert_int_equal(find(), MADT_ERR_BOOT_CPU);
}

TEST("madt: what is wrong on the way to the MADT is told") {
    fill();
    assert_int_equal(find_at(0), MADT_ERR_NO_RSDP);
    assert_int_equal(find_at(UINT64_MAX), MADT_ERR_UNREACHABLE);
    assert_int_equal(find_at(ACPI_BASE + 1), MADT_ERR_SIGNATURE);
    tables.bytes[ACPI_MADT + ACPI_MADT_ENTRIES]++;
    assert_int_equal(find(), MADT_ERR_CHECKSUM);
    memcpy(tables.bytes + ACPI_MADT, "CIPA", 4);
    assert_int_equal(find(), MADT_ERR_ABSENT);
}

TEST("madt: entries that are too short for their kind, or end outside, are refused") {
    static const uint8_t bad[][4] = {
        {77, 0}, {77, 1}, {0, 7}, {9, 15}, {77, 5}, {0, 255},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fill();
        acpi_fake_add(&tables, bad[i], sizeof(bad[i]));
        assert_int_equal(find(), MADT_ERR_ENTRY);
    }
    fill();
    acpi_fake_add(&tables, (const uint8_t[]){77}, 1);
    assert_int_equal(find(), MADT_ERR_ENTRY);
    fill();
    acpi_fake_add(&tables, (const uint8_t[]){77, 2}, 2); // empty, of a kind to come
    assert_int_equal(find(), MADT_OK);
}

TEST("madt: every status has words of its own") {
    for (int i = MADT_OK; i <= MADT_ERR_BOOT_CPU; i++) {
        assert_string_not_equal(madt_status_text((enum madt_status)i), "unknown");
        for (int j = MADT_OK; j < i; j++)
            assert_string_not_equal(madt_status_text((enum madt_status)i),
                                    madt_status_text((enum madt_status)j));
    }
    assert_string_equal(madt_status_text((enum madt_status)99), "unknown");
}
