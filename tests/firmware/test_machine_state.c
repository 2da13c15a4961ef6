// The state of the machine that protocols but Slipway's own promise: registers, tables, local APICs
// and the other CPUs. Most of it is seen by setup_expect_kernel, which knows setup_machine.
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "tests/firmware/hardware.h"
#include "tests/firmware/setup.h"
#include "tests/unit/support/acpi_fake.h"

#include <stdio.h>
#include <string.h>

#define MODE (APIC_BASE_ENABLED | APIC_BASE_X2APIC)

enum { MASKED = 0x10000, SMI = 2 << 8, NMI = 4 << 8, INIT = 5 << 8, EXTERNAL = 7 << 8 };

static const enum machine_state states[] = {MACHINE_SLIPWAY, MACHINE_LIMINE, MACHINE_LIMINE_STRICT};

// A machine with so many other CPUs; a kernel in whose direct map all of its world is.
static void make(enum machine_state state, uint32_t others, struct slipway_note_wishes wishes) {
    setup_boot(SETUP_CONFIG);
    setup_machine.state = state;
    wishes.version = SLIPWAY_BOOT_VERSION;
    wishes.flags |= SLIPWAY_NOTE_DIRECT | (others != 0 ? SLIPWAY_NOTE_CPUS : 0);
    setup_wishes(wishes);
    for (uint32_t i = 0; i < others; i++)
        fake_add_cpu(10 + i);
}

static const struct slipway_boot_info *boot(void) {
    setup_machine_boot();
    return setup_expect_kernel();
}

TEST("machine: base revisions 5 and 6 are strict, those before are not") {
    for (unsigned revision = 0; revision <= 6; revision++)
        assert_int_equal(machine_state_of_limine(revision),
                         revision < 5 ? MACHINE_LIMINE : MACHINE_LIMINE_STRICT);
}

TEST("machine: whatever the levels, registers, tables and CPUs are as the protocol says") {
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        for (unsigned levels = 4; levels <= 5; levels++) {
            for (uint32_t others = 0; others <= 3; others += 3) {
                make(states[i], others, (struct slipway_note_wishes){.paging_levels = levels});
                fake.has_la57 = true;
                fake.has_mce = true;
                fake.paging_levels = 5;
                const struct slipway_boot_info *info = boot();
                assert_int_equal(info->paging_levels, levels);
                assert_true(setup_is_direct(info));
            }
        }
    }
}

// ---- Local APICs of the other CPUs

static uint32_t in_page(uint32_t reg) {
    return *(const uint32_t *)(FAKE_LAPIC_PHYS + reg);
}

TEST("machine: a local APIC of another CPU is set for a strict kernel, and left to others") {
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        make(states[i], 1, (struct slipway_note_wishes){0});
        fake.traces = true;
        boot();
        char crossing[40];
        snprintf(crossing, sizeof(crossing), "cr3=%lx cr3=%lx ", fake.cpu.crossing_root,
                 fake.cpu.root);
        bool is_strict = states[i] == MACHINE_LIMINE_STRICT;
        assert_int_equal(strstr(fake.trace, crossing) != NULL, is_strict);
        assert_int_equal(in_page(0xf0), 0x1ff);
        make(states[i], 1, (struct slipway_note_wishes){0});
        fake.registers.apic_base |= MODE;
        fake.traces = true;
        boot();
        const char *first = strstr(fake.trace, "80f=1ff "); // of the boot CPU
        assert_non_null(first);
        assert_int_equal(strstr(first + 1, "80f=1ff ") != NULL, is_strict);
        assert_null(strstr(fake.trace, "cr3="));
    }
}

TEST("machine: without a local APIC that is on, no page is mapped for it and nothing is set") {
    make(MACHINE_LIMINE_STRICT, 2, (struct slipway_note_wishes){0});
    fake.has_apic = false;
    boot();
}

// ---- Modes

static uint64_t boot_in_mode(enum machine_apic_mode wish, uint64_t found) {
    make(MACHINE_LIMINE_STRICT, 2, (struct slipway_note_wishes){0});
    setup_machine.apic_mode = wish;
    fake.registers.apic_base = (fake.registers.apic_base & ~(uint64_t)MODE) | found;
    fake.has_x2apic = true;
    const struct slipway_boot_info *info = boot();
    uint64_t mode = fake.registers.apic_base & MODE;
    assert_int_equal(info->apic_mode,
                     mode & APIC_BASE_X2APIC ? SLIPWAY_APIC_X2APIC : SLIPWAY_APIC_XAPIC);
    return mode;
}

TEST("machine: local APICs get the mode that is wished for, or stay as they were found") {
    assert_int_equal(boot_in_mode(MACHINE_APIC_AS_FOUND, APIC_BASE_ENABLED), APIC_BASE_ENABLED);
    assert_int_equal(boot_in_mode(MACHINE_APIC_AS_FOUND, MODE), MODE);
    assert_int_equal(boot_in_mode(MACHINE_APIC_XAPIC, APIC_BASE_ENABLED), APIC_BASE_ENABLED);
    assert_int_equal(boot_in_mode(MACHINE_APIC_XAPIC, MODE), APIC_BASE_ENABLED);
    assert_int_equal(boot_in_mode(MACHINE_APIC_X2APIC, APIC_BASE_ENABLED), MODE);
    assert_int_equal(boot_in_mode(MACHINE_APIC_X2APIC, MODE), MODE);
}

TEST("machine: where the CPU has no x2APIC mode there is xAPIC mode") {
    make(MACHINE_LIMINE_STRICT, 1, (struct slipway_note_wishes){0});
    setup_machine.apic_mode = MACHINE_APIC_X2APIC;
    boot();
    assert_int_equal(fake.registers.apic_base & MODE, APIC_BASE_ENABLED);
}

static void make_stuck(void) {
    make(MACHINE_LIMINE, 1, (struct slipway_note_wishes){0});
    setup_machine.apic_mode = MACHINE_APIC_XAPIC;
    fake.registers.apic_base |= MODE;
}

TEST("machine: x2APIC mode that cannot be left is refused before the exit, if it is to be left") {
    make_stuck();
    fake.x2apic_locked = true;
    setup_machine_boot();
    setup_expect_failure("the kernel wants xAPIC mode, and the firmware has locked x2APIC mode");
    make_stuck();
    fake_add_cpu(255);
    setup_machine_boot();
    setup_expect_failure("the kernel wants xAPIC mode, in which no CPU has the APIC ID 255");
    make_stuck();
    fake_add_cpu(254);
    boot();
    make_stuck(); // in xAPIC mode already
    fake.registers.apic_base &= ~(uint64_t)APIC_BASE_X2APIC;
    fake.x2apic_locked = true;
    fake_add_cpu(255)->comes_at = 0;
    boot();
    make_stuck(); // and as found
    setup_machine.apic_mode = MACHINE_APIC_AS_FOUND;
    fake.x2apic_locked = true;
    fake_add_cpu(255);
    boot();
}

// ---- Interrupt controllers

static void make_hardware(enum machine_state state) {
    make(state, 0, (struct slipway_note_wishes){0});
    hardware_make();
    fake.apic_id = 0;                     // which its MADT lists
    hardware.local[0x32] = 0x20032;       // the timer, periodic
    hardware.local[0x33] = SMI | 0x33;    // thermal
    hardware.local[0x34] = INIT;          // performance, of all things
    hardware.local[0x35] = EXTERNAL;      // LINT0: the 8259
    hardware.local[0x36] = NMI;           // LINT1
    hardware.local[0x37] = 1 << 8 | 0x37; // errors, lowest priority
    hardware.io[0].entries[0] = EXTERNAL;
    hardware.io[0].entries[1] = NMI;
    hardware.io[0].entries[2] = INIT;
    hardware.io[0].entries[3] = SMI;
    hardware.io[0].entries[4] = 1 << 8 | 0x34;
}

TEST(
    "machine: before base revision 5 only interrupts are masked: the 8259 and NMIs have their way") {
    make_hardware(MACHINE_LIMINE);
    hardware_list();
    boot();
    static const uint32_t local[] = {MASKED | 0x20032, SMI | 0x33, INIT,
                                     EXTERNAL,         NMI,        MASKED | 1 << 8 | 0x37};
    assert_memory_equal(&hardware.local[0x32], local, sizeof(local));
    static const uint32_t io[] = {EXTERNAL, NMI, INIT, SMI, MASKED, MASKED};
    assert_memory_equal(hardware.io[0].entries, io, sizeof(io));
    assert_int_equal(hardware.local[0x0f], 0x1ff);
    assert_int_equal(hardware.local[0x08], 0);
    assert_int_equal(hardware.local[0x38], 0);
}

TEST("machine: from base revision 5 on NMIs and the 8259 are masked too, and nothing else") {
    make_hardware(MACHINE_LIMINE_STRICT);
    hardware_list();
    boot();
    static const uint32_t local[] = {MASKED | 0x20032,  SMI | 0x33,   INIT,
                                     MASKED | EXTERNAL, MASKED | NMI, MASKED | 1 << 8 | 0x37};
    assert_memory_equal(&hardware.local[0x32], local, sizeof(local));
    static const uint32_t io[] = {MASKED, MASKED, INIT, SMI, MASKED, MASKED};
    assert_memory_equal(hardware.io[0].entries, io, sizeof(io));
    assert_int_equal(hardware.local[0x0f], 0x1ff);
    assert_int_equal(hardware.local[0x08], 0);
    assert_int_equal(hardware.local[0x38], 0);
}

// Another entry of the MADT.
static void list(const uint8_t *entry, uint32_t bytes) {
    uint8_t *madt = hardware_table("APIC");
    uint32_t length;
    memcpy(&length, madt + ACPI_TABLE_LENGTH, sizeof(length));
    memcpy(madt + length, entry, bytes);
    length += bytes;
    memcpy(madt + ACPI_TABLE_LENGTH, &length, sizeof(length));
    hardware_sum("APIC");
    fake.acpi[0].count = length;
}

TEST(
    "machine: a pin for NMIs by the MADT is set so from base revision 5 on, unless it is the firmware's") {
    static const struct {
        uint8_t flags; // of the MADT
        uint32_t found, want;
    } pins[] = {
        {0x0, EXTERNAL, MASKED | NMI},
        {0x5, 0x31, MASKED | NMI},
        {0x3, NMI, MASKED | NMI | 1 << 13},
        {0xc, EXTERNAL, MASKED | NMI | 1 << 15},
        {0xf, MASKED, MASKED | NMI | 5 << 13},
        {0xf, SMI | 5, SMI | 5},
        {0x0, INIT, INIT},
    };
    for (size_t i = 0; i < ARRAY_LEN(pins); i++) {
        for (uint32_t lint = 0; lint <= 1; lint++) {
            make_hardware(MACHINE_LIMINE_STRICT);
            hardware.local[0x35 + lint] = pins[i].found;
            hardware_list();
            list((const uint8_t[6]){4, 6, 0xff, pins[i].flags, 0, (uint8_t)lint}, 6);
            boot();
            assert_int_equal(hardware.local[0x35 + lint], pins[i].want);
            assert_int_equal(hardware.local[0x36 - lint], MASKED | (lint == 0 ? NMI : EXTERNAL));
        }
    }
    make_hardware(MACHINE_LIMINE);
    hardware_list();
    list((const uint8_t[6]){4, 6, 0xff, 0, 0, 1}, 6);
    hardware.local[0x36] = EXTERNAL;
    boot();
    assert_int_equal(hardware.local[0x36], EXTERNAL);
}

TEST("machine: a local APIC that is off stays off for kernels that may count on it, without CPUs") {
    make_hardware(MACHINE_LIMINE);
    hardware.apic_base &= ~(uint64_t)APIC_BASE_ENABLED;
    hardware_list();
    assert_int_equal(boot()->apic_mode, SLIPWAY_APIC_NONE);
    assert_false(hardware.apic_base & APIC_BASE_ENABLED);
    make_hardware(MACHINE_LIMINE);
    setup_machine.apic_mode = MACHINE_APIC_XAPIC;
    hardware.apic_base &= ~(uint64_t)APIC_BASE_ENABLED;
    hardware_list();
    assert_int_equal(boot()->apic_mode, SLIPWAY_APIC_XAPIC);
    make_hardware(MACHINE_LIMINE_STRICT);
    hardware.apic_base &= ~(uint64_t)APIC_BASE_ENABLED;
    hardware_list();
    assert_int_equal(boot()->apic_mode, SLIPWAY_APIC_XAPIC);
}

TEST(
    "machine: IOMMUs stay as they are for a kernel that wants to keep them, and go off for others") {
    for (unsigned keeps = 0; keeps <= 1; keeps++) {
        make_hardware(MACHINE_LIMINE_STRICT);
        setup_machine.keeps_iommus = keeps;
        const struct hardware found = hardware;
        hardware_list();
        boot();
        assert_int_equal(hardware.amd.control, keeps ? found.amd.control : 0x100);
        assert_int_equal(memcmp(hardware.vtd, found.vtd, sizeof(found.vtd)) == 0, keeps);
        assert_int_equal(hardware.hpet.configuration, 1); // as ever
    }
}
