// The local APIC's driver over registers of the test's own, in both modes: an emulator without
// x2APIC shows the other alone.
#include "tests/unit/support/test.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/base/layout.h"
#include "kernel/memory/kernel_space.h"

#include <string.h>

enum { MSRS = 0x900, COUNTED = 2000000 };

static struct {
    uint32_t page[FRAME_BYTES / 4];
    uint64_t msr[MSRS];
    unsigned base_write_count; // to MSR_APIC_BASE
    unsigned ends;             // of interrupts in service, by MSR
    bool has_apic;
    struct vmem_mapping mapped;
    unsigned mapped_count;
    enum vmem_status map_status;
} fake;

static uint64_t fake_rdmsr(uint32_t msr) {
    assert_true(msr < MSRS);
    return fake.msr[msr];
}

// Ends the interrupt of highest priority that is in service.
static void end_highest(void) {
    for (unsigned word = 8; word-- != 0;) {
        uint32_t bits = (uint32_t)fake.msr[0x810 + word];
        if (bits == 0)
            continue;
        fake.msr[0x810 + word] = bits & ~(UINT32_C(1) << (31 - __builtin_clz(bits)));
        fake.ends++;
        return;
    }
    fail_msg("an end of no interrupt");
}

static void fake_wrmsr(uint32_t msr, uint64_t value) {
    assert_true(msr < MSRS);
    if (msr == 0x80B)
        end_highest();
    fake.base_write_count += msr == MSR_APIC_BASE;
    fake.msr[msr] = value;
}

static struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf) {
    (void)subleaf;
    return (struct cpuid){.edx = leaf == 1 && fake.has_apic ? CPUID_1_EDX_APIC : 0};
}

enum vmem_status space_map(const struct vmem_mapping *mapping) {
    fake.mapped = *mapping;
    fake.mapped_count++;
    return fake.map_status;
}

// Meanwhile the timers count down.
void clock_wait(uint64_t microseconds) {
    assert_int_equal(microseconds, 2000);
    fake.page[0x390 / 4] = fake.page[0x380 / 4] - COUNTED;
    fake.msr[0x839] = fake.msr[0x838] - COUNTED;
}

#define cpu_rdmsr fake_rdmsr
#define cpu_wrmsr fake_wrmsr
#define cpu_cpuid fake_cpuid
#undef KERNEL_APIC
#define KERNEL_APIC ((uint64_t)(uintptr_t)fake.page)

#include "common/x86/lapic.c"
#include "kernel/cpus/apic.c"

#define BASE UINT64_C(0xfee00000)

static void reset(uint64_t base) {
    memset(&fake, 0, sizeof(fake));
    fake.has_apic = true;
    fake.msr[MSR_APIC_BASE] = base;
    is_on = false;
}

static void start_in_page(void) {
    reset(BASE | APIC_BASE_ENABLED);
    assert_true(apic_start());
}

static void start_in_msrs(void) {
    reset(BASE | APIC_BASE_ENABLED | APIC_BASE_X2APIC);
    assert_true(apic_start());
}

static uint32_t page_register(unsigned at) {
    return fake.page[at / 4];
}

TEST("apic: a CPU without one, or with one that is off, has none") {
    reset(BASE | APIC_BASE_ENABLED);
    fake.has_apic = false;
    assert_false(apic_start());
    reset(BASE);
    assert_false(apic_start());
    reset(BASE | APIC_BASE_ENABLED);
    fake.map_status = VMEM_ERR_NO_MEMORY;
    assert_false(apic_start());
    assert_false(apic_is_on());
    assert_string_equal(apic_name(), "none");
}

TEST("apic: xAPIC is one uncached page where the MSR says, and x2APIC none") {
    reset(UINT64_C(0x8000012345600000) | APIC_BASE_ENABLED | 1 << 8);
    assert_true(apic_start());
    assert_int_equal(fake.mapped_count, 1);
    assert_int_equal(fake.mapped.phys.value, 0x12345600000);
    assert_int_equal(fake.mapped.bytes, FRAME_BYTES);
    assert_int_equal(fake.mapped.cache, VMEM_CACHE_UC);
    assert_int_equal(fake.mapped.rights, VMEM_READ | VMEM_WRITE);
    assert_string_equal(apic_name(), "xAPIC");
    start_in_msrs();
    assert_int_equal(fake.mapped_count, 0);
    assert_string_equal(apic_name(), "x2APIC");
}

TEST("apic: a start lets interrupts in, those of the legacy controllers too") {
    static const struct {
        unsigned at;
        uint32_t value;
    } expected[] = {{0x80, 0}, {0xF0, 0x1FF}, {0x320, 0x10000}, {0x3E0, 0xB}, {0x350, 0x700}};
    reset(BASE | APIC_BASE_ENABLED);
    fake.page[0x80 / 4] = 0xF0;
    fake.page[0x350 / 4] = 0x10000;
    assert_true(apic_start());
    for (unsigned i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(page_register(expected[i].at), expected[i].value);
    reset(BASE | APIC_BASE_ENABLED | APIC_BASE_X2APIC);
    fake.msr[0x808] = 0xF0;
    fake.msr[0x835] = 0x10000;
    assert_true(apic_start());
    for (unsigned i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(fake.msr[0x800 + expected[i].at / 16], expected[i].value);
}

TEST("apic: IDs have 8 bits in the page and 32 in the MSR") {
    start_in_page();
    fake.page[0x20 / 4] = 0x12FFFFFF;
    assert_int_equal(apic_id(), 0x12);
    start_in_msrs();
    fake.msr[0x802] = 0x12345678;
    assert_int_equal(apic_id(), 0x12345678);
}

TEST("apic: what is sent to another CPU, by two registers or by one") {
    start_in_page();
    apic_send(0x12, 0x32);
    assert_int_equal(page_register(0x310), 0x12000000);
    assert_int_equal(page_register(0x300), 0x4032);
    apic_send_nmi(0x13);
    assert_int_equal(page_register(0x310), 0x13000000);
    assert_int_equal(page_register(0x300), 0x4400);
    start_in_msrs();
    apic_send(0x12345678, 0x32);
    assert_int_equal(fake.msr[0x830], 0x1234567800004032);
    apic_send_nmi(1);
    assert_int_equal(fake.msr[0x830], 0x0000000100004400);
}

TEST("apic: one that never takes a command holds up nobody for good") {
    start_in_page();
    fake.page[0x300 / 4] = 1 << 12;
    apic_send_nmi(1);
    assert_int_equal(page_register(0x300), 0x4400);
}

TEST("apic: another CPU must be in the boot CPU's mode, which the loader has seen to") {
    reset(BASE | APIC_BASE_ENABLED);
    assert_false(apic_start_other()); // the boot CPU comes first
    start_in_page();
    assert_true(apic_start_other());
    fake.page[0xF0 / 4] = 0;
    fake.msr[MSR_APIC_BASE] = BASE;
    assert_false(apic_start_other());
    fake.msr[MSR_APIC_BASE] = BASE | APIC_BASE_ENABLED | APIC_BASE_X2APIC;
    assert_false(apic_start_other());
    assert_int_equal(page_register(0xF0), 0);
    start_in_msrs();
    fake.msr[0x80F] = 0;
    fake.msr[MSR_APIC_BASE] = BASE | APIC_BASE_ENABLED;
    assert_false(apic_start_other());
    assert_int_equal(fake.msr[0x80F], 0);
    fake.msr[MSR_APIC_BASE] |= APIC_BASE_X2APIC;
    assert_true(apic_start_other());
    assert_int_equal(fake.msr[0x80F], 0x1FF);
    assert_int_equal(fake.base_write_count, 0);
}

TEST("apic: the timer counts what was measured, at least one, and no more than it can") {
    start_in_page(); // a tick a nanosecond
    assert_int_equal(page_register(0x380), 0);
    apic_timer_once(0x31, 20);
    assert_int_equal(page_register(0x320), 0x31);
    assert_int_equal(page_register(0x380), 20000);
    apic_timer_once(0x31, 0);
    assert_int_equal(page_register(0x380), 1);
    apic_timer_once(0x31, UINT64_C(1) << 40);
    assert_int_equal(page_register(0x380), UINT32_MAX);
    apic_timer_stop();
    assert_int_equal(page_register(0x320), 0x10000);
    assert_int_equal(page_register(0x380), 0);
    start_in_msrs();
    apic_timer_once(0x31, 20);
    assert_int_equal(fake.msr[0x832], 0x31);
    assert_int_equal(fake.msr[0x838], 20000);
}

TEST("apic: what is in service is ended, and nothing else is") {
    start_in_page();
    fake.page[0xB0 / 4] = 7;
    fake.page[0x110 / 4] = 1 << 0x11; // vector 0x31
    assert_false(apic_end_of_interrupt(0x30));
    assert_false(apic_end_of_interrupt(0x11));
    assert_false(apic_end_of_interrupt(0x51));
    assert_false(apic_end_of_interrupt(0xFF));
    assert_int_equal(page_register(0xB0), 7);
    assert_true(apic_end_of_interrupt(0x31));
    assert_int_equal(page_register(0xB0), 0);
    start_in_msrs();
    fake.msr[0x811] = 1 << 0x11;
    assert_false(apic_end_of_interrupt(0x30));
    assert_int_equal(fake.ends, 0);
    assert_true(apic_end_of_interrupt(0x31));
    assert_int_equal(fake.ends, 1);
    assert_int_equal(fake.msr[0x811], 0);
}

TEST("apic: what was in service before the start is ended, on every CPU") {
    reset(BASE | APIC_BASE_ENABLED);
    fake.page[0xB0 / 4] = 7;
    fake.page[0x170 / 4] = UINT32_C(1) << 0x1F;
    assert_true(apic_start());
    assert_int_equal(page_register(0xB0), 0);
    fake.page[0xB0 / 4] = 7;
    assert_true(apic_start_other());
    assert_int_equal(page_register(0xB0), 0);
    reset(BASE | APIC_BASE_ENABLED | APIC_BASE_X2APIC);
    for (unsigned word = 0; word < 8; word++)
        fake.msr[0x810 + word] = UINT32_C(0x80000001);
    assert_true(apic_start());
    assert_int_equal(fake.ends, 16);
    for (unsigned word = 0; word < 8; word++)
        assert_int_equal(fake.msr[0x810 + word], 0);
}
