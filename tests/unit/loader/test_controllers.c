#include "loader/controllers.h"

#include "common/base/arith.h"
#include "tests/unit/support/acpi_fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

static struct acpi_fake tables;
static struct controllers found;

// A table of so many bytes in the MADT's place, without entries.
static void fill(const char *signature, uint32_t bytes) {
    static const uint8_t nothing[64];
    acpi_fake_fill(&tables);
    memcpy(tables.bytes + ACPI_MADT, signature, 4);
    acpi_fake_add(&tables, nothing, bytes - ACPI_MADT_ENTRIES);
}

static enum acpi_status find(enum controller_kind kind) {
    memset(&found, 0xee, sizeof(found));
    found.count = 0;
    struct acpi_memory memory = acpi_fake_memory(&tables);
    enum acpi_status status = controllers_add(&found, kind, &memory, ACPI_BASE + ACPI_RSDP);
    acpi_fake_forget(&tables);
    return status;
}

static void expect(enum controller_kind kind, uint32_t count, const uint64_t *phys) {
    assert_int_equal(find(kind), ACPI_OK);
    assert_int_equal(found.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(found.list[i].kind, kind);
        assert_int_equal(found.list[i].phys, phys[i]);
    }
}

#define ADD(...)                                                                                   \
    acpi_fake_add(&tables, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

TEST("controllers: I/O APICs are found in the MADT, among other entries, each once") {
    fill("APIC", 44);
    expect(CONTROLLER_IO_APIC, 0, NULL);
    acpi_fake_add_apic(&tables, 0, 1);
    ADD(1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0); // its interrupts are 24 and more
    ADD(2, 10, 0, 0, 2, 0, 0, 0, 0, 0);
    ADD(1, 13, 8, 0, 0, 0x10, 0xc8, 0xfe, 0, 0, 0, 0, 0); // longer than it must be
    ADD(1, 12, 9, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
    expect(CONTROLLER_IO_APIC, 2, (const uint64_t[]){0xfec00000, 0xfec81000});
}

TEST("controllers: the HPET's table has its address") {
    fill("HPET", 56);
    tables.bytes[ACPI_MADT + 44 + 2] = 0xd0;
    tables.bytes[ACPI_MADT + 44 + 3] = 0xfe;
    tables.bytes[ACPI_MADT + 44 + 7] = 0x12;
    acpi_fake_sum(&tables, ACPI_MADT);
    expect(CONTROLLER_HPET, 1, (const uint64_t[]){0x12000000fed00000});
    fill("HPET", 55);
    assert_int_equal(find(CONTROLLER_HPET), ACPI_ERR_LENGTH);
}

TEST("controllers: units of VT-d are the entries of type 0, which has two bytes") {
    fill("DMAR", 48);
    ADD(0, 1, 16, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0); // of type 256
    ADD(0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0x12);
    ADD(1, 0, 24, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    ADD(0, 0, 18, 0, 0, 0, 0, 0, 0, 0x10, 0xd9, 0xfe, 0, 0, 0, 0, 0, 0);
    expect(CONTROLLER_VTD, 2, (const uint64_t[]){0x12000000fed90000, 0xfed91000});
    fill("DMAR", 47);
    assert_int_equal(find(CONTROLLER_VTD), ACPI_ERR_LENGTH);
}

TEST("controllers: an AMD IOMMU is found by each of its three types, whatever its flags") {
    static const uint8_t types[] = {0x10, 0x11, 0x40};
    fill("IVRS", 48);
    for (uint8_t i = 0; i < sizeof(types); i++)
        ADD(types[i], 0xb0, 24, 0, 0, 0, 0, 0, 0, i, 0xb8, 0xfe, 0, 0, 0, 0x12, 0, 0, 0, 0, 0, 0, 0,
            0);
    ADD(0x20, 0xb0, 24, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    ADD(0x41, 0xb0, 24, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    expect(CONTROLLER_AMD_VI, 3,
           (const uint64_t[]){0x12000000feb80000, 0x12000000feb80100, 0x12000000feb80200});
}

// An entry of the type 0x20, which neither table has a controller in.
static void add_other(uint16_t bytes) {
    uint8_t entry[0x200] = {0x20, 0, (uint8_t)bytes, (uint8_t)(bytes >> 8)};
    acpi_fake_add(&tables, entry, bytes);
}

TEST("controllers: entries of four bytes, and of many, lie between those of both kinds of IOMMU") {
    static const enum controller_kind kinds[] = {CONTROLLER_VTD, CONTROLLER_AMD_VI};
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        fill(controllers_signature(kinds[i]), 48);
        add_other(4);
        add_other(0x1fe);
        ADD(i == 0 ? 0 : 0x10, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0xb8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0);
        add_other(4);
        expect(kinds[i], 1, (const uint64_t[]){0xfeb80000});
    }
}

TEST("controllers: the same address may be that of two kinds") {
    fill("APIC", 44);
    ADD(1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
    assert_int_equal(find(CONTROLLER_IO_APIC), ACPI_OK);
    found.list[0].kind = CONTROLLER_HPET;
    struct acpi_memory memory = acpi_fake_memory(&tables);
    assert_int_equal(controllers_add(&found, CONTROLLER_IO_APIC, &memory, ACPI_BASE + ACPI_RSDP),
                     ACPI_OK);
    acpi_fake_forget(&tables);
    assert_int_equal(found.count, 2);
}

TEST("controllers: an entry too short for its kind, or that ends outside, ends the list") {
    fill("APIC", 44);
    ADD(1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
    ADD(1, 11, 8, 0, 0, 0x10, 0xc8, 0xfe, 0, 0, 0);
    ADD(1, 12, 9, 0, 0, 0x20, 0xc8, 0xfe, 0, 0, 0, 0);
    assert_int_equal(find(CONTROLLER_IO_APIC), ACPI_ERR_ENTRY);
    assert_int_equal(found.count, 1);
    fill("APIC", 44);
    ADD(7, 3, 0);
    ADD(7, 3);
    assert_int_equal(find(CONTROLLER_IO_APIC), ACPI_ERR_ENTRY);
    fill("DMAR", 48);
    ADD(0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(find(CONTROLLER_VTD), ACPI_ERR_ENTRY);
    fill("IVRS", 48);
    ADD(0x10, 0, 23, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(find(CONTROLLER_AMD_VI), ACPI_ERR_ENTRY);
    assert_int_equal(found.count, 0);
}

TEST("controllers: there is room for 256, and one more is told") {
    struct acpi_memory memory = acpi_fake_memory(&tables);
    fill("APIC", 44);
    ADD(1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
    for (uint32_t i = 0; i < CONTROLLERS_MAX; i++)
        found.list[i] = (struct controller){i, CONTROLLER_VTD};
    found.count = CONTROLLERS_MAX - 1;
    assert_int_equal(controllers_add(&found, CONTROLLER_IO_APIC, &memory, ACPI_BASE + ACPI_RSDP),
                     ACPI_OK);
    assert_int_equal(found.count, CONTROLLERS_MAX);
    ADD(1, 12, 7, 0, 0, 0x10, 0xc0, 0xfe, 0, 0, 0, 0);
    assert_int_equal(controllers_add(&found, CONTROLLER_IO_APIC, &memory, ACPI_BASE + ACPI_RSDP),
                     ACPI_ERR_TOO_MANY);
    assert_int_equal(found.count, CONTROLLERS_MAX);
    acpi_fake_forget(&tables);
}

TEST("controllers: what is wrong on the way to a table is told") {
    for (enum controller_kind kind = 0; kind < CONTROLLER_KINDS; kind++) {
        fill("????", 60);
        assert_int_equal(find(kind), ACPI_ERR_ABSENT);
        fill(controllers_signature(kind), 60);
        tables.bytes[ACPI_MADT + 59]++;
        assert_int_equal(find(kind), ACPI_ERR_CHECKSUM);
        struct acpi_memory memory = acpi_fake_memory(&tables);
        assert_int_equal(controllers_add(&found, kind, &memory, 0), ACPI_ERR_NO_RSDP);
        acpi_fake_forget(&tables);
    }
}
