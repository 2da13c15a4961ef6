// Machine checks over registers of the test's own: what is gone on from, what is not, and what is
// told. A virtual machine raises none from which a kernel may go on.
#include "tests/unit/support/test.h"

#include "common/base/fmt.h"
#include "common/x86/cpu.h"

#include <string.h>

enum { MSRS = 0x480, STATUS = 0x401, ADDRESS = 0x402, CONTROL = 0x400 };

static struct {
    uint64_t msr[MSRS];
    uint32_t edx;
    uint32_t signature;
    unsigned cpu, started;
    unsigned waits; // of those that know no reason
    bool others_are_late;
} fake;

static uint64_t fake_rdmsr(uint32_t msr) {
    assert_true(msr < MSRS && fake.edx != 0);
    return fake.msr[msr];
}

static void fake_wrmsr(uint32_t msr, uint64_t value) {
    assert_true(msr < MSRS && fake.edx != 0);
    fake.msr[msr] = value;
}

static struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf) {
    (void)subleaf;
    assert_int_equal(leaf, 1);
    return (struct cpuid){.eax = fake.signature, .edx = fake.edx};
}

#include "kernel/base/clock.h"
#include "kernel/cpus/cpus.h"

uint64_t clock_after(uint64_t microseconds) {
    return microseconds;
}

bool clock_reached(uint64_t tsc) {
    return tsc != 0 && fake.others_are_late;
}

void clock_wait(uint64_t microseconds) {
    assert_true(microseconds != 0);
    fake.waits++;
}

unsigned cpus_started(void) {
    return fake.started;
}

// On each in turn.
void cpus_run(cpus_task task, void *argument) {
    unsigned caller = fake.cpu;
    for (fake.cpu = 0; fake.cpu < fake.started; fake.cpu++)
        task(argument);
    fake.cpu = caller;
}

#define this_cpu() (fake.cpu)
#define cpu_rdmsr  fake_rdmsr
#define cpu_wrmsr  fake_wrmsr
#define cpu_cpuid  fake_cpuid

#include "kernel/cpus/machine_check.c"

#define CORRECTED   UINT64_C(0x9400000000000005)
#define UNCORRECTED UINT64_C(0xb400000000000005)
#define CORRUPT     UINT64_C(0x9200000000000005)

static void reset(void) {
    memset(&fake, 0, sizeof(fake));
    memset(checks, 0, sizeof(checks));
    noted = 0;
    fake.edx = CPUID_1_EDX_MCE | CPUID_1_EDX_MCA;
    fake.signature = 0x000306a9; // family 6, model 0x3a
    fake.started = 1;
    fake.msr[MSR_MCG_CAP] = MCG_CAP_CONTROL | 10;
    fake.others_are_late = true;
}

static void fail_bank(unsigned bank, uint64_t status, uint64_t address) {
    fake.msr[STATUS + 4 * bank] = status;
    fake.msr[ADDRESS + 4 * bank] = address;
}

static void expect_told(const char *expected) {
    char text[1024];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    text[0] = '\0';
    machine_check_poll(&sink);
    assert_string_equal(text, expected);
}

TEST("machine check: a start has every bank report all that it can, but for the firmware's own") {
    reset();
    machine_check_start();
    assert_int_equal(fake.msr[MSR_MCG_CONTROL], UINT64_MAX);
    for (unsigned bank = 0; bank < 10; bank++)
        assert_int_equal(fake.msr[CONTROL + 4 * bank], UINT64_MAX);
    assert_int_equal(fake.msr[CONTROL + 4 * 10], 0);
    reset();
    fake.signature = 0x000106f1; // family 6, model 0x1f
    machine_check_start();
    assert_int_equal(fake.msr[CONTROL], UINT64_MAX);
    reset();
    fake.signature = 0x000006f2; // family 6, model 0x0f
    fake.msr[MSR_MCG_CAP] = 3;
    machine_check_start();
    assert_int_equal(fake.msr[CONTROL], 0);
    assert_int_equal(fake.msr[CONTROL + 4], UINT64_MAX);
    assert_int_equal(fake.msr[MSR_MCG_CONTROL], 0);
}

TEST("machine check: what a bank has kept from before the kernel is told, once, and forgotten") {
    reset();
    fail_bank(2, UNCORRECTED, 0x1234);
    machine_check_start();
    assert_int_equal(fake.msr[STATUS + 8], 0);
    expect_told("machine check on CPU 0: bank 2: status 0xb400000000000005, uncorrected, at "
                "0x1234, kept\n");
    expect_told("");
    assert_int_equal(machine_check_count(0), 1);
}

TEST("machine check: a CPU without the registers is left alone, and any check is reported") {
    reset();
    fake.edx = 0;
    machine_check_start();
    assert_false(machine_check_handle());
    expect_told("");
}

TEST("machine check: the code goes on where nothing is lost, and the next check can come") {
    reset();
    fail_bank(1, CORRECTED, 0x77000);
    fail_bank(3, CORRECTED & ~MC_STATUS_ADDRESS, 0x99000);
    fake.msr[MSR_MCG_STATUS] = MCG_STATUS_IN_PROGRESS | MCG_STATUS_RESTARTABLE;
    assert_true(machine_check_handle());
    assert_int_equal(fake.msr[MSR_MCG_STATUS], 0);
    assert_int_equal(fake.msr[STATUS + 4], 0);
    assert_int_equal(fake.msr[STATUS + 12], 0);
    assert_int_equal(noted, 0);
    assert_int_equal(fake.waits, 0);
    expect_told("machine check on CPU 0: bank 1: status 0x9400000000000005, corrected, at 0x77000\n"
                "machine check on CPU 0: bank 3: status 0x9000000000000005, corrected\n");
}

TEST("machine check: it ends the kernel where something is lost, or the code cannot go on") {
    static const struct {
        uint64_t mcg, status;
        unsigned waits;
    } cases[] = {
        {MCG_STATUS_IN_PROGRESS | MCG_STATUS_RESTARTABLE, UNCORRECTED, 0},
        {MCG_STATUS_IN_PROGRESS | MCG_STATUS_RESTARTABLE, CORRUPT, 0},
        {MCG_STATUS_IN_PROGRESS, CORRECTED, 0},
        {MCG_STATUS_IN_PROGRESS, 0, 1},         // another CPU may know why
        {MCG_STATUS_RESTARTABLE, CORRECTED, 0}, // INT 18
        {0, 0, 0},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        reset();
        fail_bank(0, cases[i].status, 0x1000);
        fake.msr[MSR_MCG_STATUS] = cases[i].mcg;
        assert_false(machine_check_handle());
        assert_int_equal(fake.msr[MSR_MCG_STATUS], cases[i].mcg); // for the report
        assert_int_equal(fake.msr[STATUS], cases[i].status);
        assert_int_equal(fake.waits, cases[i].waits);
    }
}

TEST("machine check: of one that comes to all CPUs the report has what each has noted") {
    reset();
    fake.started = 3;
    fake.msr[MSR_MCG_STATUS] = MCG_STATUS_IN_PROGRESS;
    fake.cpu = 2;
    fail_bank(4, CORRECTED, 0x4000);
    expect_told("machine check on CPU 0: bank 4: status 0x9400000000000005, corrected, at "
                "0x4000\n"); // the registers are those of one CPU here
    fail_bank(5, UNCORRECTED, 0x5000);
    assert_false(machine_check_handle());
    fake.cpu = 1;
    fail_bank(5, 0, 0);
    fail_bank(6, CORRUPT, 0x6000);
    fake.others_are_late = false; // all have noted theirs: nobody waits for good
    noted |= 1;
    assert_false(machine_check_handle());
    char text[1024] = "";
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    fake.cpu = 0;
    machine_check_print_others(&sink);
    assert_string_equal(text, "  CPU 1 bank 6: status 0x9200000000000005, corrected\n"
                              "  CPU 2 bank 5: status 0xb400000000000005, uncorrected, at "
                              "0x5000\n");
}

TEST("machine check: of many errors the newest are told, and how many are not") {
    reset();
    for (unsigned i = 0; i < 7; i++) {
        fail_bank(i, CORRECTED & ~MC_STATUS_ADDRESS, 0);
    }
    expect_told("machine check on CPU 0: 3 more\n"
                "machine check on CPU 0: bank 3: status 0x9000000000000005, corrected\n"
                "machine check on CPU 0: bank 4: status 0x9000000000000005, corrected\n"
                "machine check on CPU 0: bank 5: status 0x9000000000000005, corrected\n"
                "machine check on CPU 0: bank 6: status 0x9000000000000005, corrected\n");
    assert_int_equal(machine_check_count(0), 7);
}
