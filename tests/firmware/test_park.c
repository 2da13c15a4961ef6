// Where another CPU waits for the kernel: what it makes like the boot CPU's, that it says so, and
// that it enters the kernel when it is released, and not before. Its addresses are this host's.
#include "loader/park.h"

#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

#define MODE  (APIC_BASE_ENABLED | APIC_BASE_X2APIC)
#define BASE  UINT64_C(0xfee00000)
#define ENTRY UINT64_C(0xffffffff80001230)

enum { WAITS = 3 };

static struct park_table table;
static struct park_area area;
static struct slipway_cpu record;
static unsigned pauses;

// The kernel, on the boot CPU.
static void release(void) {
    assert_int_equal(record.state, SLIPWAY_CPU_PARKED);
    if (++pauses == WAITS)
        record.entry = ENTRY;
}

static void make(void) {
    fake_reset();
    fake.in_pause = release;
    fake.traces = true;
    pauses = 0;
    record = (struct slipway_cpu){.stack_top = 0x7000, .apic_id = 5};
    table = (struct park_table){.apic_base = fake.registers.apic_base};
    mtrr_read(&table.mtrrs);
    area = (struct park_area){
        .cpu = {.root = 0x1000, .stack_top = 0x7000, .entry = 1, .boot_info = 2},
        .apic_id = 5,
        .record = &record,
        .released_at = &record.entry,
        .argument = (uintptr_t)&record,
        .table = &table,
    };
}

static void wait(void) {
    park_wait(&area);
}

static void run(enum fake_end end) {
    fake_run(wait);
    assert_int_equal(fake.end, end);
    assert_string_equal(fake.breach, "");
}

TEST(
    "park: a CPU says that it is parked, and enters the kernel with its record when it is released") {
    make();
    run(FAKE_ENTERED);
    assert_int_equal(pauses, WAITS);
    struct enter_cpu want = area.cpu;
    want.root = 0x1000;
    want.stack_top = 0x7000;
    want.entry = ENTRY;
    want.boot_info = (uintptr_t)&record;
    assert_memory_equal(&fake.cpu, &want, sizeof(want));
    const struct slipway_cpu told = {
        .entry = ENTRY, .stack_top = 0x7000, .apic_id = 5, .state = SLIPWAY_CPU_PARKED};
    assert_memory_equal(&record, &told, sizeof(told));
    assert_string_equal(fake.trace, ""); // nothing differed
}

TEST("park: a CPU that was released before it looked enters at once") {
    make();
    record.entry = ENTRY;
    run(FAKE_ENTERED);
    assert_int_equal(pauses, 0);
    assert_int_equal(fake.cpu.entry, ENTRY);
}

static void forget(void) {
    assert_int_equal(record.state, SLIPWAY_CPU_PARKED);
    record.state = ++pauses < WAITS ? 0 : SLIPWAY_CPU_ABSENT;
}

TEST("park: a CPU says again that it is parked when that is forgotten, until it is given up") {
    make();
    fake.in_pause = forget;
    run(FAKE_STOPPED);
    assert_int_equal(pauses, WAITS);
    assert_int_equal(record.state, SLIPWAY_CPU_ABSENT);
}

TEST("park: a CPU that has been given up stops, and touches nothing") {
    make();
    record.state = SLIPWAY_CPU_ABSENT;
    record.entry = ENTRY;
    run(FAKE_STOPPED);
    assert_int_equal(record.state, SLIPWAY_CPU_ABSENT);
    assert_int_equal(pauses, 0);
}

TEST("park: the mode of the local APIC becomes the boot CPU's, by steps that the CPU allows") {
    static const struct {
        uint64_t own, wanted;
        const char *writes;
    } cases[] = {
        {APIC_BASE_ENABLED, APIC_BASE_ENABLED, ""},
        {MODE, MODE, ""},
        {0, 0, ""},
        {0, APIC_BASE_ENABLED, "1b=fee00000 1b=fee00800 "},
        {0, MODE, "1b=fee00800 1b=fee00c00 "},
        {APIC_BASE_ENABLED, MODE, "1b=fee00800 1b=fee00c00 "},
        {MODE, APIC_BASE_ENABLED, "1b=fee00000 1b=fee00800 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        make();
        fake.registers.apic_base = BASE | cases[i].own;
        table.apic_base = 0x12345000 | 1 << 8 | cases[i].wanted; // the place is each CPU's own
        run(FAKE_ENTERED);
        assert_string_equal(fake.trace, cases[i].writes);
        assert_int_equal(fake.registers.apic_base, BASE | cases[i].wanted);
    }
}

TEST("park: CET is off where the CPU has it, and its register is left alone where not") {
    make();
    fake.has_cet = table.has_cet = true;
    run(FAKE_ENTERED);
    assert_string_equal(fake.trace, "6a2=0 ");
    assert_true(fake.s_cet_was_cleared);
}

TEST("park: MTRRs that differ are adopted before the CPU says that it is there") {
    make();
    fake.registers.mtrr_variable[2][0] = 0;
    record.state = SLIPWAY_CPU_ABSENT;
    run(FAKE_STOPPED);
    assert_int_equal(fake.registers.mtrr_variable[2][0], table.mtrrs.base[2]);
}

// ---- For kernels of the Limine boot protocol

static uint64_t word;

static void release_by_word(void) {
    assert_int_equal(record.state, SLIPWAY_CPU_PARKED);
    if (++pauses == WAITS)
        word = ENTRY;
}

static void make_limine(enum machine_state state) {
    make();
    table.state = state;
    word = 0;
    area.cpu.crossing_root = 0x2000;
    area.released_at = &word;
    area.argument = 0xffff800000123450;
    fake.in_pause = release_by_word;
}

TEST(
    "park: another word releases a CPU with another argument, after it has forgotten translations") {
    make_limine(MACHINE_LIMINE);
    run(FAKE_ENTERED);
    assert_int_equal(pauses, WAITS);
    assert_int_equal(fake.cpu.entry, ENTRY);
    assert_int_equal(fake.cpu.boot_info, 0xffff800000123450);
    assert_int_equal(record.entry, 0);
    assert_string_equal(fake.trace, "cr3=1000 ");
}

static void change_word(void) {
    area.released_at = &word;
    fake.in_pause = release_by_word;
}

TEST("park: the word may be changed while the CPU waits") {
    make_limine(MACHINE_LIMINE);
    static uint64_t before;
    area.released_at = &before;
    fake.in_pause = change_word;
    run(FAKE_ENTERED);
    assert_int_equal(pauses, WAITS);
    assert_int_equal(fake.cpu.entry, ENTRY);
}

// The local APIC of a CPU that starts: a register for each 16 bytes of its page.
static uint32_t local[0x40];

static uint32_t read_local(uint64_t phys) {
    return local[(phys - FAKE_LAPIC_PHYS) / 16];
}

static void write_local(uint64_t phys, uint32_t value) {
    local[(phys - FAKE_LAPIC_PHYS) / 16] = value;
}

static void make_local(enum machine_state state) {
    make_limine(state);
    memset(local, 0, sizeof(local));
    local[0x03] = 0x60015; // seven entries, as after INIT
    local[0x2f] = 0x10000;
    for (unsigned reg = 0x32; reg <= 0x37; reg++)
        local[reg] = 0x10000;
    local[0x0f] = 0xff;
    fake.mmio_read = read_local;
    fake.mmio_write = write_local;
    fake.exited = fake.interrupts_are_off = true;
    table.apic_page = FAKE_LAPIC_PHYS;
    area.lints[1] = MADT_NMI | MADT_NMI_LOW;
}

TEST("park: for a strict kernel the local APIC is on, and its pin for NMIs is set, by its page") {
    make_local(MACHINE_LIMINE_STRICT);
    uint32_t want[ARRAY_LEN(local)];
    memcpy(want, local, sizeof(want));
    want[0x0f] = 0x1ff;
    want[0x36] = 0x12400;
    run(FAKE_ENTERED);
    assert_memory_equal(local, want, sizeof(want));
    assert_string_equal(fake.trace, "cr3=2000 cr3=1000 cr3=1000 ");
}

TEST("park: what is not mapped, is off, or is not to be set is not touched") {
    for (unsigned i = 0; i < 3; i++) {
        make_local(i == 0 ? MACHINE_LIMINE : MACHINE_LIMINE_STRICT);
        uint32_t want[ARRAY_LEN(local)];
        memcpy(want, local, sizeof(want));
        if (i == 1)
            table.apic_page += 0x1000;
        if (i == 2)
            fake.registers.apic_base = table.apic_base = FAKE_LAPIC_PHYS;
        run(FAKE_ENTERED);
        assert_memory_equal(local, want, sizeof(want));
        assert_string_equal(fake.trace, "cr3=1000 ");
    }
}

TEST("park: in x2APIC mode the local APIC is set by its MSRs") {
    make_local(MACHINE_LIMINE_STRICT);
    fake.registers.apic_base |= MODE;
    table.apic_base = fake.registers.apic_base;
    run(FAKE_ENTERED);
    assert_non_null(strstr(fake.trace, "836=12400 "));
    assert_non_null(strstr(fake.trace, "80f=1ff cr3=1000 "));
    assert_null(strstr(fake.trace, "cr3=2000"));
    assert_int_equal(local[0x0f], 0xff);
}
