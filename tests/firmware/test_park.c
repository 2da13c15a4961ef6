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
