// The other CPUs of the machine: found, started and parked for a kernel that asks for them, and
// given up where they do not come.
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "loader/cpus.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/setup.h"

#include <string.h>

#define MICROSECOND (FAKE_TSC_HZ / 1000000)
#define SECOND      FAKE_TSC_HZ

static const struct slipway_note_wishes cpus = {.version = SLIPWAY_BOOT_VERSION,
                                                .flags = SLIPWAY_NOTE_CPUS};

// A machine with so many CPUs besides the one that boots, and a kernel with wishes.
static void make_for(uint32_t others, struct slipway_note_wishes wishes) {
    setup_boot(SETUP_CONFIG);
    setup_wishes(wishes);
    for (uint32_t i = 0; i < others; i++)
        fake_add_cpu(10 + i);
}

static void make(uint32_t others) {
    make_for(others, cpus);
}

static const struct slipway_boot_info *boot(void) {
    fake_boot();
    return setup_expect_kernel();
}

static uint32_t count_state(const struct slipway_boot_info *info, uint32_t state) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < info->cpus.count; i++)
        count += setup_cpu(info, i)->state == state;
    return count;
}

static void expect_states(const struct slipway_boot_info *info, uint32_t parked, uint32_t absent) {
    assert_int_equal(info->cpus.count, 1 + parked + absent);
    assert_int_equal(count_state(info, SLIPWAY_CPU_PARKED), parked);
    assert_int_equal(count_state(info, SLIPWAY_CPU_ABSENT), absent);
}

// How long the CPUs took, in the TSC's counts.
static uint64_t stage_counts(const struct slipway_boot_info *info) {
    for (uint32_t i = 0; i < info->stages.count; i++) {
        const struct slipway_stage *stage = setup_record(&info->stages, i);
        if (strcmp(stage->name, "cpus") != 0)
            continue;
        assert_int_equal(stage->bytes, 0);
        return stage->tsc_end - stage->tsc_start;
    }
    fail_msg("no stage of the CPUs");
    return 0;
}

static void expect_time(const struct slipway_boot_info *info, uint64_t least, uint64_t less_than) {
    assert_in_range(stage_counts(info), least - least / 100, less_than - 1);
}

TEST("cpus: all that come at once are parked, in the order of the MADT, each with its own record") {
    for (uint32_t at = 0; at <= 4; at += 2) {
        make(4);
        fake.cpus[1].processor_id = 0x12345678;
        fake.boot_cpu_at = at;
        const struct slipway_boot_info *info = boot();
        expect_states(info, 4, 0);
        assert_int_equal(setup_cpu(info, at)->state, SLIPWAY_CPU_BOOT);
        assert_int_equal(info->cpus.stride, 64);
        assert_int_equal(fake.commands, 3); // STARTUP, INIT and STARTUP
        expect_time(info, 10000 * MICROSECOND, 11000 * MICROSECOND);
        setup_expect_logged("5 CPUs, 4 of them parked");
        assert_null(strstr(setup_log(), "did not come up"));
    }
}

TEST("cpus: what they use is not given away with the loader's memory") {
    make(3);
    const struct slipway_boot_info *info = boot();
    uint64_t modules = align_up(SETUP_MODULE_BYTES, FRAME_BYTES);
    uint64_t image = align_up(FAKE_IMAGE_BYTES, FRAME_BYTES);
    uint64_t own = FRAME_BYTES + 3 * (9 * FRAME_BYTES + KIB(64));
    assert_int_equal(setup_count_kind(info, SLIPWAY_MEM_MODULE), modules + image + own);
}

TEST("cpus: stacks are as large as the kernel wishes") {
    static const uint64_t sizes[] = {FRAME_BYTES, KIB(20), MIB(1)};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct slipway_note_wishes wishes = cpus;
        wishes.stack_bytes = sizes[i];
        make_for(3, wishes);
        expect_states(boot(), 3, 0);
    }
}

TEST(
    "cpus: one that comes late is waited for, and a second STARTUP calls one that missed the first") {
    make(3);
    fake.cpus[1].comes_after = 150 * MICROSECOND; // before the second would be sent
    const struct slipway_boot_info *info = boot();
    expect_states(info, 3, 0);
    assert_int_equal(fake.commands, 3);
    make(3);
    fake.cpus[1].comes_after = 250 * MICROSECOND;
    expect_states(boot(), 3, 0);
    assert_int_equal(fake.commands, 4);
    make(3);
    fake.cpus[0].comes_at = 2;
    fake.cpus[2].comes_at = 2;
    fake.cpus[2].comes_after = SECOND;
    info = boot();
    expect_states(info, 3, 0);
    assert_int_equal(fake.commands, 4);
    expect_time(info, SECOND, SECOND + 11000 * MICROSECOND);
}

// QEMU's emulation does so with the last STARTUP of the firmware's.
TEST(
    "cpus: one that takes a STARTUP after INIT which it did not wait for starts in the loader's page") {
    make(3);
    fake.cpus[1].latches = true;
    fake.cpus[1].comes_at = 0;
    fake.cpus[2].latches = true;
    fake.cpus[2].comes_after = 20000 * MICROSECOND; // after the wait for INIT
    expect_states(boot(), 3, 0);
    assert_int_equal(fake.cpus[1].inits, 1);
}

TEST("cpus: one that the firmware left waiting starts again after INIT, and counts only then") {
    make(3);
    fake.cpus[0].waits = true;
    fake.cpus[1].waits = true;
    fake.cpus[1].comes_at = 2;
    fake.cpus[2].waits = true;
    fake.cpus[2].comes_at = 0; // not once more
    const struct slipway_boot_info *info = boot();
    expect_states(info, 2, 1);
    assert_int_equal(setup_cpu(info, 3)->state, SLIPWAY_CPU_ABSENT);
}

TEST("cpus: one that never comes is absent, and is sent back; the others are there") {
    make(3);
    fake.cpus[1].comes_at = 0;
    const struct slipway_boot_info *info = boot();
    expect_states(info, 2, 1);
    assert_int_equal(setup_cpu(info, 2)->state, SLIPWAY_CPU_ABSENT);
    assert_int_equal(fake.commands, 5);
    expect_time(info, 2 * SECOND, 2 * SECOND + 11000 * MICROSECOND);
    setup_expect_logged("the CPU with the APIC ID 11 did not come up");
    setup_expect_logged("4 CPUs, 2 of them parked");
    make(2);
    fake.cpus[0].comes_at = 0;
    fake.cpus[1].comes_at = 0;
    expect_states(boot(), 0, 2);
}

TEST(
    "cpus: one that comes when it has been given up stops, and its record says that it is absent") {
    make(3);
    fake.cpus[2].comes_at = 2;
    fake.cpus[2].comes_after = 3 * SECOND; // just before it is reset
    const struct slipway_boot_info *info = boot();
    expect_states(info, 2, 1);
    assert_int_equal(setup_cpu(info, 3)->state, SLIPWAY_CPU_ABSENT);
    assert_true(fake.cpus[2].has_stopped);
    setup_expect_logged("4 CPUs, 2 of them parked");
}

TEST("cpus: one that is not listed is sent back, as many as can be noted") {
    for (uint32_t unlisted = 1; unlisted <= 20; unlisted += unlisted == 1 ? 15 : 1) {
        make(2);
        for (uint32_t i = 0; i < unlisted; i++)
            fake_add_cpu(100 + i)->is_unlisted = true;
        const struct slipway_boot_info *info = boot();
        expect_states(info, 2, 0);
        assert_int_equal(fake.commands, 3 + min_u64(unlisted, 16));
        setup_expect_logged("3 CPUs, 2 of them parked");
    }
    make(1); // by x2APIC alone it could be reached
    fake_add_cpu(300)->is_unlisted = true;
    boot();
    assert_int_equal(fake.commands, 3);
}

static void expect_no_lapic(void) {
    const struct slipway_boot_info *info = boot();
    expect_states(info, 0, 2);
    assert_int_equal(fake.commands, 0);
    expect_time(info, 0, 100 * MICROSECOND);
    setup_expect_logged("the CPU with the APIC ID 10 cannot be called: the local APIC is off");
    setup_expect_logged("the CPU with the APIC ID 11 cannot be called: the local APIC is off");
    setup_expect_logged("3 CPUs, 0 of them parked");
}

TEST("cpus: without a local APIC all others are absent, and with one that was off they are not") {
    make(2);
    fake.has_apic = false;
    expect_no_lapic();
    make(2);
    fake.registers.apic_base &= ~(uint64_t)APIC_BASE_ENABLED;
    expect_states(boot(), 2, 0);
}

static void use_x2apic(struct fake_registers *registers) {
    registers->apic_base |= APIC_BASE_ENABLED | APIC_BASE_X2APIC;
}

TEST("cpus: with x2APIC, IDs have 32 bits") {
    make(0);
    fake.has_topology = true;
    fake.apic_id = 0x12345604; // with the lowest bits of another
    use_x2apic(&fake.registers);
    fake_add_cpu(4);
    fake_add_cpu(0xff);
    fake_add_cpu(0x12345603);
    fake_add_cpu(0xfffffffe)->comes_at = 0;
    fake_add_cpu(0x10004)->comes_at = 2;
    const struct slipway_boot_info *info = boot();
    expect_states(info, 4, 1);
    setup_expect_logged("the CPU with the APIC ID 4294967294 did not come up");
}

TEST("cpus: one out of the boot CPU's reach that does not come is left where it is") {
    make(1);
    fake_add_cpu(0xff)->comes_at = 0;
    fake_add_cpu(300)->comes_at = 0;
    fake_add_cpu(0xfe)->comes_at = 0;
    expect_states(boot(), 1, 3);
    assert_int_equal(fake.commands, 5);
}

TEST("cpus: all have the boot CPU's mode of the local APIC, its MTRRs, and no CET") {
    for (unsigned i = 0; i < 4; i++) {
        make(3);
        fake.has_cet = i & 1;
        if (i & 2)
            use_x2apic(&fake.registers);
        use_x2apic(&fake.cpus[0].registers);
        fake.cpus[0].registers.mtrr_default = 0;
        fake.cpus[0].registers.mtrr_fixed[10]++;
        fake.cpus[1].registers.apic_base &= ~(uint64_t)APIC_BASE_ENABLED;
        fake.cpus[1].registers.mtrr_variable[7][1] = 0;
        expect_states(boot(), 3, 0);
    }
    make(2);
    fake.has_mtrrs = false;
    fake.cpus[0].registers = fake.registers;
    expect_states(boot(), 2, 0);
}

static void pass_no_time(void) {}

TEST(
    "cpus: waits are 10 ms after INIT, 200 us after a STARTUP and two seconds for all, to the us") {
    make(1);
    fake.cpus[0].comes_at = 0;
    fake.has_tsc_leaf = true;
    fake.in_pause = pass_no_time; // so that it passes with each look at the TSC alone
    expect_states(boot(), 0, 1);
    assert_int_equal(fake.commands, 5);
    static const uint64_t waits[] = {10000, 200, 2000000};
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) // and the look from which they are counted
        assert_int_equal(fake.sent[i + 2] - fake.sent[i + 1],
                         waits[i] * MICROSECOND + FAKE_TSC_STEP);
}

TEST("cpus: whatever was in memory, nothing behind the records is taken for one") {
    for (uint32_t others = 1; others <= 3; others++) {
        make(others);
        fake.fresh = 0; // as a record of a CPU that has not come
        fake.cpus[0].comes_at = 0;
        expect_states(boot(), others - 1, 1);
    }
}

static uint32_t stopped_timer(void) {
    return 77;
}

TEST("cpus: where nobody knows how fast the TSC counts, waits are longer, and end") {
    make(2);
    fake.pm_timer = stopped_timer;
    fake.cpus[0].comes_after = SECOND;
    const struct slipway_boot_info *info = boot();
    assert_int_equal(info->tsc_hz, 0);
    expect_states(info, 2, 0);
    make(2);
    fake.pm_timer = stopped_timer;
    fake.cpus[0].comes_at = 0;
    info = boot();
    expect_states(info, 1, 1);
    expect_time(info, 20 * SECOND, 21 * SECOND);
}

TEST("cpus: a local APIC that is slow to send is waited for, and one that stays busy is not") {
    make(2);
    fake.lapic_takes = 50;
    fake.cpus[0].comes_at = 0;
    expect_states(boot(), 1, 1);
    make(1);
    fake.lapic_is_stuck = true;
    expect_states(boot(), 1, 0);
}

// What stands in the way of a list is said, and the boot CPU is alone: with nothing to start.
static void expect_alone(const char *message) {
    const struct slipway_boot_info *info = boot();
    expect_states(info, 0, 0);
    assert_int_equal(fake.code_limit, 0);
    expect_time(info, 0, 100 * MICROSECOND);
    setup_expect_logged(message);
    assert_null(strstr(setup_log(), "more than"));
    setup_expect_logged("1 CPUs, 0 of them parked");
}

TEST("cpus: where ACPI does not tell of them the boot CPU is alone, and the log says why") {
    make(0);
    expect_alone("the other CPUs are left out: the MADT is not believed: there is none");
    make(2);
    fake.madt_is_broken = true;
    expect_alone(
        "the other CPUs are left out: the MADT is not believed: its checksum, or that of a table on the way, is wrong");
    make(2);
    fake.boot_cpu_unlisted = true;
    expect_alone(
        "the other CPUs are left out: the MADT is not believed: it does not list the CPU that boots");
    make(2);
    fake.has_pm_timer = false;
    expect_alone("the other CPUs are left out: the MADT is not believed: there is no RSDP");
}

TEST("cpus: a machine of one CPU starts nothing") {
    make(0);
    fake.has_madt = true;
    fake_add_cpu(7)->is_unlisted = true; // stays with the firmware
    const struct slipway_boot_info *info = boot();
    expect_states(info, 0, 0);
    assert_int_equal(fake.code_limit, 0);
    assert_null(strstr(setup_log(), "left out"));
}

TEST("cpus: 1024 are listed at most, the boot CPU among them, and what has no room is refused") {
    setup_boot("log = info\n");
    setup_wishes(cpus);
    fake.has_madt = true;
    fake.madt_more = 1100;
    fake_boot();
    assert_string_equal(fake.breach, "");
    assert_int_equal(fake.end, FAKE_RETURNED);
    assert_int_equal(fake_allocated_pages(), 0);
    assert_non_null(strstr(fake.com1, "\nslipway: 77 of 1101 CPUs are left out: more than 1024\n"));
    // 16 pages of records, and of the others 9 pages and a stack each.
    assert_non_null(
        strstr(fake.com1, "\nslipway: 1024 CPUs: no room for 104820736 bytes (out of memory)\n"));
    setup_boot("log = info\n");
    setup_wishes(cpus);
    fake.has_madt = true;
    fake.madt_more = 1023;
    fake_boot();
    assert_null(strstr(fake.com1, "left out"));
    assert_non_null(strstr(fake.com1, "\nslipway: 1024 CPUs: no room for 104820736 bytes"));
}

TEST("cpus: without room below 1 MiB for the startup page the boot is refused") {
    make(1);
    fake_set_memory(FAKE_LOW_START, FAKE_LOW_END - FAKE_LOW_START, EfiBootServicesCode);
    fake_boot();
    setup_expect_failure("startup page: no room for 40960 bytes below 1 MiB (not found)");
}

TEST("cpus: the startup page lies below 1 MiB where the boot CPU takes the same way") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct slipway_note_wishes wishes = cpus;
        wishes.paging_levels = 9 - levels;
        make_for(3, wishes);
        fake.paging_levels = levels;
        fake.has_la57 = true;
        const struct slipway_boot_info *info = boot();
        expect_states(info, 3, 0);
        assert_int_equal(info->paging_levels, 9 - levels);
    }
}

TEST("cpus: a map that changes late does not touch them") {
    make(3);
    fake.exit_refusals = 3;
    expect_states(boot(), 3, 0);
}

TEST("cpus: a kernel that does not ask for them pays nothing") {
    setup_boot(SETUP_CONFIG);
    boot();
    uint64_t calls = fake.calls, pages = fake_allocated_pages();
    setup_boot(SETUP_CONFIG);
    for (uint32_t i = 0; i < 3; i++)
        fake_add_cpu(10 + i);
    const struct slipway_boot_info *info = boot();
    assert_int_equal(info->cpus.count, 0);
    assert_int_equal(fake.calls, calls);
    assert_int_equal(fake_allocated_pages(), pages);
    assert_int_equal(fake.commands, 0);
    for (uint32_t i = 0; i < info->stages.count; i++)
        assert_string_not_equal(
            ((const struct slipway_stage *)setup_record(&info->stages, i))->name, "cpus");
    for (uint32_t i = 0; i < fake.cpu_count; i++)
        assert_int_equal(fake.cpus[i].state, FAKE_CPU_IDLE);
}
