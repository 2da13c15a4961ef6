#include "common/acpi/madt.h"

#include "tests/unit/support/acpi_fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum { ENABLED = 1, ONLINE_CAPABLE = 2, CAPACITY = 4, BOOT_ID = 1 };

static struct acpi_fake tables;
static struct madt_cpu cpus[CAPACITY];

static struct madt_cpus result;

static enum acpi_status find_at(uint64_t rsdp, uint32_t capacity) {
    memset(cpus, 0xee, sizeof(cpus));
    result = (struct madt_cpus){.cpus = cpus, .capacity = capacity, .kept = 77, .found = 78};
    struct acpi_memory memory = acpi_fake_memory(&tables);
    enum acpi_status status = madt_find_cpus(&memory, rsdp, BOOT_ID, &result);
    acpi_fake_forget(&tables);
    if (status != ACPI_OK) {
        assert_int_equal(result.kept, 77);
        assert_int_equal(result.found, 78);
    }
    return status;
}

static enum acpi_status find(void) {
    return find_at(ACPI_BASE + ACPI_RSDP, CAPACITY);
}

static void assert_kept(uint32_t capacity, uint32_t found, uint32_t kept,
                        const uint32_t *expected) {
    assert_int_equal(find_at(ACPI_BASE + ACPI_RSDP, capacity), ACPI_OK);
    assert_int_equal(result.found, found);
    assert_int_equal(result.kept, kept);
    for (uint32_t i = 0; i < kept; i++)
        assert_int_equal(cpus[i].apic_id, expected[i]);
    for (uint32_t i = kept; i < CAPACITY; i++)
        assert_int_equal(cpus[i].apic_id, 0xeeeeeeee);
}

static void assert_found(uint32_t found, uint32_t kept, const uint32_t *expected) {
    assert_kept(CAPACITY, found, kept, expected);
}

// Two CPUs, one of which asks.
static void fill(void) {
    acpi_fake_fill(&tables);
    acpi_fake_add_apic(&tables, 0, ENABLED);
    acpi_fake_add_apic(&tables, BOOT_ID, ENABLED);
}

TEST("madt: enabled CPUs are found by either kind of entry, in the order of the table") {
    fill();
    acpi_fake_add_x2apic(&tables, 0x12345678, ENABLED | ONLINE_CAPABLE);
    acpi_fake_add(&tables, (const uint8_t[]){1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, 12);
    acpi_fake_add_apic(&tables, 254, ENABLED);
    assert_found(4, 4, (const uint32_t[]){0, BOOT_ID, 0x12345678, 254});
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
    assert_found(3, 3, (const uint32_t[]){0, BOOT_ID, 0xff});
}

TEST("madt: an ID of 8 bits that means all is no CPU's, and an entry of another kind is none") {
    acpi_fake_fill(&tables);
    acpi_fake_add(&tables, (const uint8_t[]){1, 12, 5, 0, 0, 0, 0xc0, 0xfe, 1, 0, 0, 0}, 12);
    acpi_fake_add_apic(&tables, BOOT_ID, ENABLED);
    acpi_fake_add_apic(&tables, 0xff, ENABLED);
    assert_found(1, 1, (const uint32_t[]){BOOT_ID});
}

TEST("madt: what does not fit is counted, and nothing behind the capacity is written") {
    fill();
    for (uint8_t id = 10; id < 30; id++)
        acpi_fake_add_apic(&tables, id, ENABLED);
    assert_found(22, CAPACITY, (const uint32_t[]){0, BOOT_ID, 10, 11});
}

TEST("madt: the CPU that asks is kept, wherever it stands") {
    acpi_fake_fill(&tables);
    for (uint8_t id = 10; id < 30; id++)
        acpi_fake_add_apic(&tables, id, ENABLED);
    acpi_fake_add_x2apic(&tables, BOOT_ID, ENABLED);
    acpi_fake_add_apic(&tables, 30, ENABLED);
    assert_found(22, CAPACITY, (const uint32_t[]){10, 11, 12, BOOT_ID});
    assert_kept(2, 22, 2, (const uint32_t[]){10, BOOT_ID});
    assert_kept(1, 22, 1, (const uint32_t[]){BOOT_ID});
}

TEST("madt: without a place to keep any, CPUs are counted") {
    fill();
    acpi_fake_add_apic(&tables, 7, ENABLED);
    assert_kept(0, 3, 0, NULL);
    acpi_fake_fill(&tables);
    assert_int_equal(find_at(ACPI_BASE + ACPI_RSDP, 0), ACPI_ERR_BOOT_CPU);
}

TEST("madt: a CPU has the ID by which ACPI names it, which has 8 bits or 32") {
    acpi_fake_fill(&tables);
    acpi_fake_add(&tables, (const uint8_t[]){0, 8, 0xfe, BOOT_ID, ENABLED, 0, 0, 0}, 8);
    acpi_fake_add(
        &tables,
        (const uint8_t[]){9, 16, 0, 0, 2, 0, 0, 0, ENABLED, 0, 0, 0, 0x78, 0x56, 0x34, 0x12}, 16);
    assert_found(2, 2, (const uint32_t[]){BOOT_ID, 2});
    assert_int_equal(cpus[0].processor_id, 0xfe);
    assert_int_equal(cpus[1].processor_id, 0x12345678);
}

TEST("madt: a CPU that is not listed learns so, also where it alone asks") {
    acpi_fake_fill(&tables);
    assert_int_equal(find(), ACPI_ERR_BOOT_CPU);
    acpi_fake_add_apic(&tables, BOOT_ID, 0);
    acpi_fake_add_apic(&tables, BOOT_ID + 1, ENABLED);
    assert_int_equal(find(), ACPI_ERR_BOOT_CPU);
}

TEST("madt: a changed byte is seen, whichever it is") {
    for (uint32_t at = 0; at < 60; at++) {
        fill();
        tables.bytes[ACPI_MADT + at] ^= 0x10;
        assert_int_not_equal(find(), ACPI_OK);
    }
}

TEST("madt: a table too short for what comes before the entries is refused") {
    fill();
    acpi_fake_set_length(&tables, ACPI_MADT, 43);
    assert_int_equal(find(), ACPI_ERR_LENGTH);
    acpi_fake_set_length(&tables, ACPI_MADT, 44);
    assert_int_equal(find(), ACPI_ERR_BOOT_CPU);
}

TEST("madt: what is wrong on the way to the MADT is told") {
    fill();
    assert_int_equal(find_at(0, CAPACITY), ACPI_ERR_NO_RSDP);
    assert_int_equal(find_at(UINT64_MAX, CAPACITY), ACPI_ERR_UNREACHABLE);
    assert_int_equal(find_at(ACPI_BASE + 1, CAPACITY), ACPI_ERR_SIGNATURE);
    tables.bytes[ACPI_MADT + ACPI_MADT_ENTRIES]++;
    assert_int_equal(find(), ACPI_ERR_CHECKSUM);
    memcpy(tables.bytes + ACPI_MADT, "CIPA", 4);
    assert_int_equal(find(), ACPI_ERR_ABSENT);
}

TEST("madt: entries that are too short for their kind, or end outside, are refused") {
    static const uint8_t bad[][4] = {
        {77, 0}, {77, 1}, {0, 7}, {9, 15}, {77, 5}, {0, 255},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fill();
        acpi_fake_add(&tables, bad[i], sizeof(bad[i]));
        assert_int_equal(find(), ACPI_ERR_ENTRY);
    }
    static const uint8_t short_ones[][16] = {{0, 7}, {9, 15}};
    for (unsigned i = 0; i < 2; i++) {
        fill();
        acpi_fake_add(&tables, short_ones[i], short_ones[i][1]); // and all of it is there
        assert_int_equal(find(), ACPI_ERR_ENTRY);
    }
    fill();
    acpi_fake_add(&tables, (const uint8_t[]){77}, 1);
    assert_int_equal(find(), ACPI_ERR_ENTRY);
    fill();
    acpi_fake_add(&tables, (const uint8_t[]){77, 2}, 2); // empty, of a kind to come
    assert_int_equal(find(), ACPI_OK);
}

// ---- NMIs

static void add_nmi(uint8_t processor, uint16_t flags, uint8_t lint) {
    const uint8_t entry[6] = {4, 6, processor, (uint8_t)flags, (uint8_t)(flags >> 8), lint};
    acpi_fake_add(&tables, entry, sizeof(entry));
}

static void add_x2apic_nmi(uint32_t processor, uint16_t flags, uint8_t lint) {
    uint8_t entry[12] = {0xa, 12, (uint8_t)flags, (uint8_t)(flags >> 8), 0, 0, 0, 0, lint};
    memcpy(entry + 4, &processor, sizeof(processor));
    acpi_fake_add(&tables, entry, sizeof(entry));
}

// Three CPUs with these processor IDs.
static void fill_processors(uint8_t first, uint8_t second, uint32_t third) {
    acpi_fake_fill(&tables);
    acpi_fake_add(&tables, (const uint8_t[8]){0, 8, first, BOOT_ID, ENABLED}, 8);
    acpi_fake_add(&tables, (const uint8_t[8]){0, 8, second, 7, ENABLED}, 8);
    uint8_t entry[16] = {9, 16, 0, 0, 9, 0, 0, 0, ENABLED};
    memcpy(entry + 12, &third, sizeof(third));
    acpi_fake_add(&tables, entry, sizeof(entry));
}

static void assert_lints(const uint8_t (*expected)[MADT_LINTS]) {
    assert_int_equal(find(), ACPI_OK);
    assert_int_equal(result.kept, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_memory_equal(cpus[i].lints, expected[i], MADT_LINTS);
}

TEST("madt: a pin is for NMIs on the processors that an entry names, by either kind of entry") {
    fill_processors(3, 4, 0x12345);
    assert_lints((const uint8_t[3][2]){{0, 0}, {0, 0}, {0, 0}});
    fill_processors(3, 4, 0x12345);
    add_nmi(4, 0, 1);
    add_x2apic_nmi(3, 0, 0);
    add_x2apic_nmi(0x12345, 0, 1);
    assert_lints((const uint8_t[3][2]){{1, 0}, {0, 1}, {0, 1}});
    fill_processors(3, 4, 0xff);
    add_nmi(0xff, 0, 1); // all
    assert_lints((const uint8_t[3][2]){{0, 1}, {0, 1}, {0, 1}});
    fill_processors(3, 0xff, 0x12345);
    add_x2apic_nmi(0xff, 0, 1); // one
    assert_lints((const uint8_t[3][2]){{0, 0}, {0, 1}, {0, 0}});
    fill_processors(3, 4, 0x12345);
    add_x2apic_nmi(0xffffffff, 0, 0); // all
    assert_lints((const uint8_t[3][2]){{1, 0}, {1, 0}, {1, 0}});
}

TEST("madt: polarity and trigger are what the flags say, and else active high and edge") {
    for (unsigned flags = 0; flags < 16; flags++) {
        fill_processors(1, 2, 3);
        add_nmi(2, (uint16_t)(0xfff0 | flags), 1);
        add_x2apic_nmi(3, (uint16_t)(0xfff0 | flags), 0);
        uint8_t want = MADT_NMI | ((flags & 3) == 3 ? MADT_NMI_LOW : 0) |
                       (flags >> 2 == 3 ? MADT_NMI_LEVEL : 0);
        assert_lints((const uint8_t[3][2]){{0, 0}, {0, want}, {want, 0}});
    }
}

TEST(
    "madt: entries before their CPUs count, and of two the last; short ones and other pins do not") {
    acpi_fake_fill(&tables);
    add_nmi(0xff, 3, 1);
    add_nmi(0xff, 0, 0);
    acpi_fake_add(&tables, (const uint8_t[8]){0, 8, 5, BOOT_ID, ENABLED}, 8);
    acpi_fake_add(&tables, (const uint8_t[8]){0, 8, 6, 7, ENABLED}, 8);
    acpi_fake_add(&tables, (const uint8_t[8]){0, 8, 7, 8, ENABLED}, 8);
    add_nmi(6, 0xc, 1);
    add_nmi(0xff, 0, 2);
    add_x2apic_nmi(0xffffffff, 0, 0xff);
    acpi_fake_add(&tables, (const uint8_t[5]){4, 5, 0xff, 0xf, 0}, 5);
    acpi_fake_add(&tables, (const uint8_t[11]){0xa, 11, 0xf, 0, 0xff, 0xff, 0xff, 0xff}, 11);
    assert_lints((const uint8_t[3][2]){{1, 3}, {1, 5}, {1, 3}});
}

TEST("madt: where there is no room for all, the pins of those that are kept are found") {
    fill_processors(3, 4, 5);
    add_nmi(0xff, 0, 1);
    assert_int_equal(find_at(ACPI_BASE + ACPI_RSDP, 1), ACPI_OK);
    assert_int_equal(result.kept, 1);
    assert_int_equal(cpus[0].lints[1], MADT_NMI);
    assert_int_equal(cpus[1].lints[1], 0xee);
}
