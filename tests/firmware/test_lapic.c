// The local APIC's driver, over registers in a page and in MSRs. Numbers are the manual's (SDM 3A
// tables 10-1 and 10-6, figure 10-12; SDM 2A, CPUID).
#include "common/x86/lapic.h"

#include "common/x86/regs.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

#define PAGE FAKE_LAPIC_PHYS

static struct lapic lapic;

static volatile uint32_t *in_page(unsigned offset) {
    return (volatile uint32_t *)(uintptr_t)(PAGE + offset);
}

static void make(uint64_t base) {
    fake_reset();
    fake.registers.apic_base = base;
    lapic = (struct lapic){.is_x2apic = true, .page = 77};
}

TEST("lapic: one that is off, or that the CPU has not, is not found") {
    make(PAGE);
    assert_false(lapic_find(&lapic));
    make(PAGE | APIC_BASE_ENABLED);
    fake.has_apic = false; // and there is no MSR of its base
    assert_false(lapic_find(&lapic));
    assert_int_equal(lapic.page, 77);
    assert_string_equal(fake.breach, "");
}

TEST("lapic: its page is the MSR's, without the bits around the address") {
    make(UINT64_C(0xfff7654321234fff) & ~(uint64_t)APIC_BASE_X2APIC);
    assert_true(lapic_find(&lapic));
    assert_false(lapic.is_x2apic);
    assert_int_equal(lapic.page, 0x7654321234000);
    make(PAGE | APIC_BASE_ENABLED | APIC_BASE_X2APIC);
    assert_true(lapic_find(&lapic));
    assert_true(lapic.is_x2apic);
}

TEST("lapic: registers are words of the page, or MSRs, and the ID has 8 bits or 32") {
    make(PAGE | APIC_BASE_ENABLED);
    assert_true(lapic_find(&lapic));
    *in_page(0x20) = 0x12ffffff;
    *in_page(0x390) = 0x12345678;
    assert_int_equal(lapic_id(&lapic), 0x12);
    assert_int_equal(lapic_read(&lapic, LAPIC_CURRENT_COUNT), 0x12345678);
    lapic_write(&lapic, LAPIC_SPURIOUS, 0x1ff);
    assert_int_equal(*in_page(0xf0), 0x1ff);
    make(PAGE | APIC_BASE_ENABLED | APIC_BASE_X2APIC);
    fake.apic_id = 0x12345678;
    assert_true(lapic_find(&lapic));
    assert_int_equal(lapic_id(&lapic), 0x12345678);
    assert_string_equal(fake.breach, "");
    lapic_write(&lapic, LAPIC_SPURIOUS, 0x1ff);
    assert_int_equal(cpu_rdmsr(0x80f), 0x1ff);
    assert_string_equal(fake.breach, "");
    cpu_wrmsr(0x839, 0x12345678);
    assert_int_equal(lapic_read(&lapic, LAPIC_CURRENT_COUNT), 0x12345678);
}

static struct cpuid topology; // leaf 0xB
static uint32_t basic_leaves = 1;

static struct cpuid cpuid(uint32_t leaf, uint32_t subleaf) {
    assert_int_equal(subleaf, 0);
    assert_true(leaf <= basic_leaves);
    if (leaf == 0)
        return (struct cpuid){.eax = basic_leaves};
    return leaf == 1 ? (struct cpuid){.ebx = 0x12ffffff, .edx = CPUID_1_EDX_APIC} : topology;
}

TEST("lapic: CPUID tells the ID in leaf 0xB where that says something, else in leaf 1") {
    make(PAGE | APIC_BASE_ENABLED);
    fake.cpuid = cpuid;
    assert_true(lapic_find(&lapic));
    topology = (struct cpuid){.ebx = 1, .edx = 0x12345678};
    basic_leaves = 0xa;
    assert_int_equal(lapic_id_by_cpuid(), 0x12);
    basic_leaves = 0xb;
    assert_int_equal(lapic_id_by_cpuid(), 0x12345678);
    topology.ebx = 0;
    assert_int_equal(lapic_id_by_cpuid(), 0x12);
    basic_leaves = 0x20;
    topology.ebx = 0xffff;
    assert_int_equal(lapic_id_by_cpuid(), 0x12345678);
}

TEST("lapic: IDs from 255 on are in reach with x2APIC alone") {
    lapic.is_x2apic = false;
    assert_true(lapic_can_reach(&lapic, 0));
    assert_true(lapic_can_reach(&lapic, 0xfe));
    assert_false(lapic_can_reach(&lapic, 0xff));
    assert_false(lapic_can_reach(&lapic, 0x100));
    lapic.is_x2apic = true;
    assert_true(lapic_can_reach(&lapic, 0xff));
    assert_true(lapic_can_reach(&lapic, 0x12345678));
}

// ---- Commands, by a page of the test's own

static uint32_t page[4096 / 4];
static unsigned pauses, pauses_until_idle;

static void pause(void) {
    pauses++;
    if (pauses == pauses_until_idle)
        page[0x300 / 4] &= ~0x1000U;
    assert_int_equal(page[0x310 / 4], 0); // nothing is written while it is busy
}

static void send(unsigned until_idle, uint32_t id, uint32_t command) {
    fake_reset();
    fake.in_pause = pause;
    memset(page, 0, sizeof(page));
    pauses = 0;
    pauses_until_idle = until_idle;
    page[0x300 / 4] = until_idle == 0 ? 0 : 0x1000;
    lapic = (struct lapic){.page = (uintptr_t)page};
    lapic_send(&lapic, id, command);
}

TEST("lapic: a command is in two words of the page, behind the command before it") {
    for (unsigned until_idle = 0; until_idle < 5; until_idle++) {
        send(until_idle, 0x12, LAPIC_SEND_FIXED | 0x34);
        assert_int_equal(page[0x310 / 4], 0x12000000);
        assert_int_equal(page[0x300 / 4], 0x4034);
        assert_int_equal(pauses, until_idle);
    }
    send(0, 0xfe, LAPIC_SEND_NMI);
    assert_int_equal(page[0x310 / 4], 0xfe000000);
    assert_int_equal(page[0x300 / 4], 0x4400);
    send(0, 1, LAPIC_SEND_INIT);
    assert_int_equal(page[0x300 / 4], 0x4500);
    send(0, 0, LAPIC_ALL_OTHERS | LAPIC_SEND_STARTUP | 0x9a);
    assert_int_equal(page[0x300 / 4], 0xc469a);
}

TEST("lapic: one that stays busy is written to all the same, after a million looks") {
    send(2000000, 0x12, LAPIC_SEND_NMI);
    assert_int_equal(page[0x310 / 4], 0x12000000);
    assert_int_equal(page[0x300 / 4], 0x4400);
    assert_int_equal(pauses, 1000000);
}

TEST("lapic: with x2APIC a command is one write, with 32 bits of ID") {
    make(PAGE | APIC_BASE_ENABLED | APIC_BASE_X2APIC);
    fake.traces = true;
    assert_true(lapic_find(&lapic));
    lapic_send(&lapic, 0x12345678, LAPIC_SEND_INIT);
    assert_string_equal(fake.trace, "fence 830=1234567800004500 ");
}
