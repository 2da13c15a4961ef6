// What becomes of the machine's controllers on the way into the kernel: silent, whatever state they
// were in; and what cannot be one is not touched. A register that the loader has no business with
// is a breach of the fake's.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "tests/firmware/hardware.h"
#include "tests/firmware/picture.h"
#include "tests/firmware/setup.h"
#include "tests/unit/support/acpi_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESET = 0x10000, SMI = 0x2 << 8 };

static const struct slipway_boot_info *info;

static void make(void) {
    setup_boot(NULL);
    hardware_make();
}

// How often the log says it.
static unsigned said(const char *text) {
    unsigned count = 0;
    for (const char *at = (const char *)(uintptr_t)info->log.address;
         (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

// A boot into the kernel, with nothing in the log of what could not be done.
static void boot(void) {
    hardware_list();
    fake_boot();
    info = setup_expect_kernel();
    assert_int_equal(said("left as it is") + said("not believed"), 0);
}

// The same, but for this line.
static void boot_saying(const char *line) {
    fake_boot();
    info = setup_expect_kernel();
    assert_int_equal(said(line), 1);
    assert_int_equal(said("left as it is") + said("not believed"), 1);
}

static void stop_saying(const char *line) {
    hardware_list();
    fake_boot();
    setup_expect_stop(line);
}

static void expect_local_quiet(void) {
    assert_int_equal(hardware.local[0x08], 0);
    assert_int_equal(hardware.local[0x0f], 0x1ff);
    assert_int_equal(hardware.local[0x38], 0);
    for (unsigned vector = 0; vector < 256; vector++)
        assert_false(hardware.in_service[vector]);
}

static void expect_io_quiet(const struct hardware_io_apic *io) {
    for (unsigned pin = 0; pin < HARDWARE_PINS; pin++)
        assert_int_equal(io->entries[pin], RESET);
}

TEST("quiet: whatever the firmware left on, a kernel finds it silent") {
    make();
    boot();
    assert_int_equal(info->apic_mode, SLIPWAY_APIC_XAPIC);
    expect_local_quiet();
    assert_int_equal(hardware.ends, 7);
    assert_int_equal(hardware.ends_too_early, 0);
    assert_int_equal(hardware.local[0x2f], RESET);
    assert_int_equal(hardware.local[0x50], 0x50); // AMD's
    for (unsigned reg = 0x32; reg <= 0x37; reg++)
        assert_int_equal(hardware.local[reg], RESET);
    for (unsigned i = 0; i < HARDWARE_IO_APICS; i++)
        expect_io_quiet(&hardware.io[i]);
    assert_int_equal(hardware.hpet.configuration, 1); // counts on
    assert_int_equal(hardware.hpet.timers[0], 0x48);
    assert_int_equal(hardware.hpet.timers[1], 0x30);
    assert_int_equal(hardware.hpet.timers[2], 0x38);
    assert_int_equal(hardware.amd.control, 0x100);
}

TEST(
    "quiet: a VT-d unit stops to translate, to remap and to queue, in this order, and protects nothing") {
    make();
    boot();
    const struct hardware_vtd *unit = &hardware.vtd[0];
    assert_int_equal(unit->command_count, 3);
    assert_int_equal(unit->commands[0], 1u << 31);
    assert_int_equal(unit->commands[1], 1u << 25);
    assert_int_equal(unit->commands[2], 1u << 26);
    assert_int_equal(unit->status, 0x79800000);
    assert_int_equal(unit->protected_memory, 0);
    unit = &hardware.vtd[1]; // without protection: its register is not there
    assert_int_equal(unit->command_count, 1);
    assert_int_equal(unit->status, 0);
    assert_int_equal(unit->protected_memory, 0xee000001);
}

TEST("quiet: each kind of memory protection is looked for, and one that is off is not written") {
    static const uint32_t protects[] = {1 << 5, 1 << 6};
    for (size_t i = 0; i < ARRAY_LEN(protects); i++) {
        make();
        hardware.vtd[0].capability = protects[i];
        hardware.vtd[1].capability = protects[i];
        hardware.vtd[1].protected_memory = 0x12340000;
        boot();
        assert_int_equal(hardware.vtd[0].protected_memory, 0);
        assert_int_equal(hardware.vtd[1].protected_memory, 0x12340000);
        assert_int_equal(hardware.vtd[1].protection_writes, 0);
    }
}

TEST("quiet: an AMD IOMMU loses its logs and its commands before it goes off") {
    make();
    boot();
    assert_int_equal(hardware.amd.command_count, 2);
    assert_int_equal(hardware.amd.commands[0], 0x101);
    assert_int_equal(hardware.amd.commands[1], 0x100);
}

TEST("quiet: an IOMMU that is off is not written") {
    make();
    hardware.vtd[0].status = 0x41000000;
    hardware.vtd[0].protected_memory = 0;
    hardware.vtd[1].status = 0;
    hardware.amd.control = 0x500;
    boot();
    assert_int_equal(hardware.vtd[0].command_count, 0);
    assert_int_equal(hardware.vtd[1].command_count, 0);
    assert_int_equal(hardware.amd.command_count, 0);
}

#define REMEDY ": turn the IOMMU off in the firmware's setup"

TEST(
    "quiet: with an IOMMU that does not go off the machine stops, with the cause on the displays") {
    static const struct {
        uint32_t bit;
        const char *line;
    } parts[] = {
        {1u << 31, "VT-d unit at 0xfed91000: the translation of DMA does not go off" REMEDY},
        {1u << 25, "VT-d unit at 0xfed91000: the remapping of interrupts does not go off" REMEDY},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        make();
        uint32_t *pixels = picture_map(0x60000000, 640, 480);
        hardware.vtd[1].status = hardware.vtd[1].sticks = parts[i].bit;
        stop_saying(parts[i].line);
        assert_int_not_equal(pixels[0], 0);
        picture_unmap(pixels, 640, 480);
    }
    make();
    hardware.vtd[0].protection_sticks = true;
    stop_saying("VT-d unit at 0xfed90000: the protection of memory does not go off" REMEDY);
    make();
    hardware.amd.sticks = true;
    stop_saying("AMD IOMMU at 0xfeb80000: it does not go off" REMEDY);
}

TEST("quiet: a queue that does not go off is spoken of, and hinders nobody") {
    make();
    hardware.vtd[0].sticks = 1u << 26;
    boot();
    assert_int_equal(said("VT-d unit at 0xfed90000: queued invalidation stays on\n"), 1);
    assert_int_equal(hardware.vtd[0].status, 0x7d800000);
    assert_int_equal(hardware.vtd[0].protected_memory, 0);
}

TEST("quiet: a queue that stands still is not waited for for ever") {
    make();
    hardware.vtd[0].queue_sticks = true;
    boot();
    assert_int_equal(hardware.vtd[0].status, 0x79800000);
}

TEST("quiet: an HPET has as many timers as it says, but none behind its 1024 bytes") {
    static const uint32_t capabilities[] = {0x80862001, 0x80862101, 0x80863701, 0x80863801,
                                            0x80863f01};
    static const uint32_t counts[] = {1, 2, 24, 24, 24};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        make();
        hardware.hpet.capabilities = capabilities[i];
        for (unsigned timer = 0; timer < HARDWARE_HPET_TIMERS; timer++)
            hardware.hpet.timers[timer] = 0x3c;
        boot();
        for (unsigned timer = 0; timer < HARDWARE_HPET_TIMERS; timer++)
            assert_int_equal(hardware.hpet.timers[timer], timer < counts[i] ? 0x38 : 0x3c);
        assert_int_equal(hardware.hpet.writes, counts[i] + 1);
    }
}

TEST("quiet: an HPET that interrupts nobody is not written") {
    make();
    hardware.hpet.configuration = 1;
    for (unsigned timer = 0; timer < HARDWARE_HPET_TIMERS; timer++)
        hardware.hpet.timers[timer] = 0x38;
    boot();
    assert_int_equal(hardware.hpet.writes, 0);
}

TEST("quiet: what is delivered as an SMI, and nothing else, stays the firmware's") {
    const uint32_t logical_smi = SMI | 0x880;
    make();
    hardware.local[0x33] = SMI | 0x31;
    hardware.io[0].entries[9] = SMI;
    hardware.io[0].entries[10] = logical_smi;
    for (unsigned mode = 3; mode < 8; mode++)
        hardware.io[0].entries[10 + mode] = mode << 8;
    boot();
    assert_int_equal(hardware.local[0x33], SMI | 0x31);
    assert_int_equal(hardware.io[0].entries[9], SMI);
    assert_int_equal(hardware.io[0].entries[10], logical_smi);
    for (unsigned pin = 11; pin < HARDWARE_PINS; pin++)
        assert_int_equal(hardware.io[0].entries[pin], RESET);
}

TEST("quiet: a local APIC has as many entries as it says, and AMD's more") {
    make();
    hardware.local[0x03] = 0x40015;
    boot();
    assert_int_equal(hardware.local[0x2f], 0x31);    // CMCI
    assert_int_equal(hardware.local[0x33], 0x20033); // thermal
    assert_int_equal(hardware.local[0x34], RESET);   // performance
    make();
    hardware.local[0x03] = 0x80060015;
    hardware.local[0x40] = 0x40007;
    boot();
    for (unsigned reg = 0x50; reg < 0x54; reg++)
        assert_int_equal(hardware.local[reg], RESET);
    assert_int_equal(hardware.local[0x54], 0x54);
    make();
    hardware.local[0x03] = 0xff0015; // more than there can be
    boot();
    assert_int_equal(hardware.local[0x2f], RESET);
}

TEST("quiet: an x2APIC is dealt with by its MSRs, and stays one") {
    make();
    hardware.apic_base |= APIC_BASE_X2APIC;
    boot();
    assert_int_equal(info->apic_mode, SLIPWAY_APIC_X2APIC);
    assert_int_equal(hardware.apic_base, HARDWARE_LOCAL_APIC | 0xd00);
    expect_local_quiet();
}

TEST("quiet: a local APIC that is disabled is enabled, where it can be") {
    make();
    hardware.apic_base &= ~(uint64_t)APIC_BASE_ENABLED;
    boot();
    assert_int_equal(info->apic_mode, SLIPWAY_APIC_XAPIC);
    assert_int_equal(hardware.apic_base, HARDWARE_LOCAL_APIC | 0x900);
    expect_local_quiet();
    make();
    hardware.apic_base &= ~(uint64_t)APIC_BASE_ENABLED;
    hardware.is_stuck_off = true;
    boot();
    assert_int_equal(info->apic_mode, SLIPWAY_APIC_NONE);
    assert_int_equal(hardware.ends, 0);
    make();
    fake.has_apic = false;
    boot();
    assert_int_equal(info->apic_mode, SLIPWAY_APIC_NONE);
    assert_int_equal(hardware.ends, 0);
    expect_io_quiet(&hardware.io[0]); // all the same
}

TEST("quiet: where ACPI lists nothing no register is touched but the local APIC's") {
    make();
    hardware_list();
    fake.acpi_count = 0;
    fake_boot();
    info = setup_expect_kernel();
    assert_int_equal(said("left as it is") + said("not believed"), 0);
    expect_local_quiet();
    assert_int_equal(hardware.io[0].entries[1], 0x31);
    assert_int_equal(hardware.hpet.configuration, 3);
    assert_int_equal(hardware.vtd[0].command_count + hardware.amd.command_count, 0);
}

TEST("quiet: an I/O APIC has no more entries than it has numbers for") {
    make();
    hardware.io[2].version = 0xff0020;
    boot();
    expect_io_quiet(&hardware.io[2]);
}

// ---- What is not touched

// The second I/O APIC, at this address.
static void boot_with_io_at(uint64_t phys, const char *line) {
    make();
    hardware.io[1].phys = phys;
    hardware_list();
    boot_saying(line);
    assert_int_equal(hardware.io[1].entries[0], 0xc030);
    expect_io_quiet(&hardware.io[0]);
    expect_io_quiet(&hardware.io[2]);
}

TEST("quiet: what is misaligned, in RAM, or absent is left as it is, and spoken of") {
    boot_with_io_at(0xfec80010, "I/O APIC at 0xfec80010 left as it is: that is misaligned");
    boot_with_io_at(0x100000, "I/O APIC at 0x100000 left as it is: RAM is there");
    make();
    hardware.absent = 0xfec81000;
    hardware_list();
    boot_saying("I/O APIC at 0xfec81000 left as it is: it does not answer");
    assert_int_equal(hardware.io[2].entries[1], 0x31);
    make();
    hardware.hpet.phys = 0;
    hardware_list();
    boot_saying("HPET at 0x0 left as it is: there is nothing");
    make();
    hardware.absent = HARDWARE_AMD;
    hardware_list();
    boot_saying("AMD IOMMU at 0xfeb80000 left as it is: it does not answer");
    make();
    hardware.absent = HARDWARE_LOCAL_APIC;
    hardware_list();
    boot_saying("local APIC at 0xfee00000 left as it is: it does not answer");
    assert_int_equal(info->apic_mode, SLIPWAY_APIC_NONE);
}

// With one more bit in the address of a controller, which the loader sees.
static void boot_misaligned(unsigned bit, const char *name, uint64_t *phys) {
    char line[100];
    *phys += UINT64_C(1) << bit;
    snprintf(line, sizeof(line), "%s at 0x%lx left as it is: that is misaligned", name, *phys);
    hardware_list();
    boot_saying(line);
}

TEST("quiet: an address is misaligned by each bit that a controller of its kind does not use") {
    static const struct {
        const char *name;
        uint64_t *phys;
        unsigned bits;
    } kinds[] = {
        {"I/O APIC", &hardware.io[0].phys, 8},
        {"HPET", &hardware.hpet.phys, 10},
        {"VT-d unit", &hardware.vtd[1].phys, 12},
        {"AMD IOMMU", &hardware.amd.phys, 14},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        for (unsigned bit = 0; bit < kinds[i].bits; bit++) {
            make();
            boot_misaligned(bit, kinds[i].name, kinds[i].phys);
        }
        make();
        *kinds[i].phys += UINT64_C(1) << kinds[i].bits;
        boot();
    }
}

// RAM is there next to it, on both sides.
TEST("quiet: a page between RAM may be that of a controller") {
    make();
    hardware.io[1].phys = FAKE_LAPIC_PHYS + 0xf00;
    fake_add_memory(FAKE_LAPIC_PHYS - 4096, 4096, EfiConventionalMemory);
    fake_add_memory(FAKE_LAPIC_PHYS + 4096, 4096, EfiConventionalMemory);
    boot();
    expect_io_quiet(&hardware.io[1]);
}

// The firmware maps the AMD IOMMU, and the rest of its 2 MiB, for reads alone from the exit on: the
// writable bit of an entry of the second table, of the fourth GiB.
static void forbid_writes([[maybe_unused]] uint32_t attempt) {
    char *entries = (char *)(uintptr_t)(FAKE_TABLES_PHYS + FRAME_BYTES);
    entries[(HARDWARE_AMD >> 21 & 511) << 3] &= ~2;
}

TEST("quiet: what the firmware's page tables do not map, or not for writes, is left as it is") {
    make();
    hardware.vtd[1].phys = GIB(4); // they end there
    hardware_list();
    boot_saying("VT-d unit at 0x100000000 left as it is: RAM is there");
    make();
    hardware.vtd[1].phys = GIB(16);
    hardware_list();
    boot_saying("VT-d unit at 0x400000000 left as it is: the firmware does not map it");
    make();
    hardware.vtd[1].phys = 0x8000000000000000; // no address at all
    hardware_list();
    boot_saying("VT-d unit at 0x8000000000000000 left as it is: the firmware does not map it");
    assert_int_equal(hardware.vtd[1].command_count, 0);
    make();
    hardware.vtd[1].phys = FAKE_ELSEWHERE; // to something else
    hardware_list();
    boot_saying("VT-d unit at 0x3fe00000 left as it is: the firmware does not map it");
    assert_int_equal(hardware.vtd[1].command_count, 0);
    make();
    fake.in_exit = forbid_writes;
    hardware_list();
    boot_saying("AMD IOMMU at 0xfeb80000 left as it is: the firmware does not map it");
    assert_int_equal(hardware.amd.command_count, 0);
}

TEST("quiet: registers are found through tables of five levels as well") {
    make();
    fake.paging_levels = 5;
    boot();
    expect_local_quiet();
    expect_io_quiet(&hardware.io[2]);
}

TEST("quiet: the local APIC's page is looked for where its MSR says, within the CPU's addresses") {
    make();
    hardware.apic_base |= UINT64_C(1) << 48; // not an address of this CPU's
    boot();
    expect_local_quiet();
}

// ---- Tables

TEST("quiet: a table that is not believed lists nothing, and is spoken of") {
    static const struct {
        const char *signature;
        const char *line;
    } spoilt[] = {
        {"APIC",
         "ACPI: the APIC is not believed: its checksum, or that of a table on the way, is wrong"},
        {"HPET",
         "ACPI: the HPET is not believed: its checksum, or that of a table on the way, is wrong"},
        {"DMAR",
         "ACPI: the DMAR is not believed: its checksum, or that of a table on the way, is wrong"},
        {"IVRS",
         "ACPI: the IVRS is not believed: its checksum, or that of a table on the way, is wrong"},
    };
    for (size_t i = 0; i < ARRAY_LEN(spoilt); i++) {
        make();
        hardware_list();
        hardware_table(spoilt[i].signature)[20]++;
        boot_saying(spoilt[i].line);
        assert_int_equal(hardware.io[0].entries[1] == 0x31, i == 0);
        assert_int_equal(hardware.hpet.configuration == 3, i == 1);
        assert_int_equal(hardware.vtd[0].command_count == 0, i == 2);
        assert_int_equal(hardware.amd.command_count == 0, i == 3);
    }
}

TEST("quiet: what a table lists before an entry that is wrong is believed") {
    make();
    hardware_list();
    hardware_table("DMAR")[48 + 24 + 24 + 2] = 8; // the second unit's length
    hardware_sum("DMAR");
    boot_saying("ACPI: the DMAR is not believed: an entry has an impossible length");
    assert_int_equal(hardware.vtd[0].command_count, 3);
    assert_int_equal(hardware.vtd[1].command_count, 0);
}

TEST("quiet: a machine with more controllers than there is room for is refused in time") {
    static uint8_t madt[44 + 257 * 12] = "APIC";
    make();
    uint32_t length = sizeof(madt);
    memcpy(madt + 4, &length, 4);
    for (uint32_t i = 0; i < 257; i++) {
        uint32_t phys = 0xfe000000 + i * 0x1000;
        madt[44 + 12 * i] = 1;
        madt[44 + 12 * i + 1] = 12;
        memcpy(madt + 44 + 12 * i + 4, &phys, 4);
    }
    acpi_fake_sum_bytes(madt, sizeof(madt), 9);
    fake.acpi[0].bytes = madt;
    fake.acpi[0].count = sizeof(madt);
    fake.acpi_count = 1;
    fake_boot();
    setup_expect_failure("ACPI: more than 256 interrupt controllers and IOMMUs, at the APIC");
    assert_int_equal(hardware.accesses, 0);
}
