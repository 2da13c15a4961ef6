// Which controller an interrupt is ended at, over two legacy controllers and a local APIC that are
// the test's own.
#include "tests/unit/support/test.h"

#include "common/x86/cpu.h"
#include "common/x86/uart.h"
#include "kernel/console/input.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/memory/shootdown.h"

#include <string.h>

static struct {
    uint8_t in_service[2]; // of the first legacy controller, of the second
    bool reads_in_service[2];
    uint8_t mask[2];
    bool has_apic;
    unsigned apic_in_service; // a vector; 0: none
    unsigned timer_starts;
    unsigned handled[INTERRUPTS_SOURCES];
    int to_receive; // bytes of COM1
    int received;
    unsigned overruns;
    unsigned shootdowns;
} fake;

static int pic_of(uint16_t port) {
    return port == 0x20 ? 0 : port == 0xA0 ? 1 : -1;
}

static void fake_out8(uint16_t port, uint8_t value) {
    int pic = pic_of(port);
    if (port == 0x21 || port == 0xA1)
        fake.mask[port >> 7] = value; // the last word that is written there
    if (pic < 0)
        return;
    fake.reads_in_service[pic] = value == 0x0B;
    if ((value & 0xF8) == 0x60) { // an end of one line
        assert_true(fake.in_service[pic] >> (value & 7) & 1);
        fake.in_service[pic] &= (uint8_t) ~(1u << (value & 7));
    }
}

static uint8_t fake_in8(uint16_t port) {
    int pic = pic_of(port);
    return pic >= 0 && fake.reads_in_service[pic] ? fake.in_service[pic] : 0;
}

int uart_read(void) {
    return fake.received == fake.to_receive ? -1 : fake.received++ % 100 + 1;
}

bool uart_overrun(void) {
    return fake.overruns != 0 && fake.overruns-- != 0;
}

bool apic_is_on(void) {
    return fake.has_apic;
}

bool apic_end_of_interrupt(uint8_t vector) {
    assert_true(fake.has_apic);
    if (vector != fake.apic_in_service)
        return false;
    fake.apic_in_service = 0;
    return true;
}

void apic_timer_once(uint8_t vector, uint64_t microseconds) {
    assert_int_equal(vector, 0x31);
    assert_int_equal(microseconds, 20);
    fake.timer_starts++;
}

void apic_timer_stop(void) {}

void shootdown_serve(void) {
    assert_int_equal(fake.apic_in_service, INTERRUPTS_SHOOTDOWN_VECTOR);
    fake.shootdowns++;
}

static void nothing(void) {}

void cpus_idle(bool may_sleep) {
    assert_false(may_sleep); // no interrupt came at the trial
}

#define cpu_in8            fake_in8
#define cpu_out8           fake_out8
#define cpu_raise(vector)  interrupts_handle(vector)
#define cpu_interrupts_on  nothing
#define cpu_interrupts_off nothing
#define this_cpu()         0u

#include "kernel/cpus/interrupts.c"

#include "kernel/console/input.c"

static void reset(bool has_apic) {
    memset(&fake, 0, sizeof(fake));
    fake.has_apic = has_apic;
}

static void count(enum interrupts_source source) {
    fake.handled[source]++;
}

TEST("interrupts: a vector that means nothing is ended at the local APIC that has it in service") {
    static const unsigned vectors[] = {0x20, 0x27, 0x2F, 0x30, 0x31, 0x32, 0x36, 0x35, 0xEF, 0xFF};
    for (unsigned i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        reset(true);
        fake.apic_in_service = vectors[i];
        interrupts_handle(vectors[i]);
        assert_int_equal(fake.apic_in_service, 0);
        assert_int_equal(fake.shootdowns, 0);
    }
    reset(false);
    interrupts_handle(0xEF);
}

TEST("interrupts: one by which another CPU has this one forget is ended when it has") {
    reset(true);
    fake.apic_in_service = INTERRUPTS_SHOOTDOWN_VECTOR;
    interrupts_handle(INTERRUPTS_SHOOTDOWN_VECTOR);
    assert_int_equal(fake.shootdowns, 1);
    assert_int_equal(fake.apic_in_service, 0);
}

TEST("interrupts: an interrupt of a legacy controller is ended there, on the way through both") {
    for (unsigned irq = 0; irq < 16; irq++) {
        reset(irq % 2);
        fake.apic_in_service = 0xEF; // interrupted
        fake.in_service[0] = (uint8_t)(irq < 8 ? 1u << irq : 1u << 2);
        fake.in_service[1] = (uint8_t)(irq < 8 ? 0 : 1u << (irq - 8));
        interrupts_handle(0x20 + irq);
        assert_int_equal(fake.in_service[0], 0);
        assert_int_equal(fake.in_service[1], 0);
        assert_int_equal(fake.apic_in_service, 0xEF);
    }
}

TEST(
    "interrupts: a spurious one is in service nowhere, but that of the second goes through line 2") {
    reset(true);
    fake.in_service[0] = 1 << 4 | 1 << 2;
    fake.in_service[1] = 1 << 3;
    interrupts_handle(0x27);
    assert_int_equal(fake.in_service[0], 1 << 4 | 1 << 2);
    interrupts_handle(0x2F);
    assert_int_equal(fake.in_service[0], 1 << 4);
    assert_int_equal(fake.in_service[1], 1 << 3);
}

TEST("interrupts: what the legacy controllers had in service before the start is ended") {
    reset(false);
    memset(fake.in_service, 0xFF, sizeof(fake.in_service));
    interrupts_start();
    assert_int_equal(fake.mask[0], 0xFF);
    assert_int_equal(fake.mask[1], 0xFF);
    assert_int_equal(fake.in_service[0], 0);
    assert_int_equal(fake.in_service[1], 0);
}

TEST("interrupts: a timer is started again by its interrupt, until it is told to stop") {
    reset(true);
    interrupts_try_start(20, count);
    assert_int_equal(fake.timer_starts, 1);
    fake.apic_in_service = 0x31;
    interrupts_handle(0x31);
    interrupts_raise();
    assert_int_equal(fake.apic_in_service, 0);
    assert_int_equal(fake.timer_starts, 2);
    interrupts_try_stop();
    fake.apic_in_service = 0x31; // it was too late to be stopped
    interrupts_handle(0x31);
    assert_int_equal(fake.apic_in_service, 0);
    assert_int_equal(fake.timer_starts, 2);
    assert_int_equal(fake.handled[INTERRUPTS_TIMER], 1);
    assert_int_equal(fake.handled[INTERRUPTS_RAISED], 1);
}

// What has come since `before`: one of `kind`, and nothing else.
static void expect_one(const struct interrupts_counts *before, enum interrupts_kind kind) {
    const struct interrupts_counts *now = interrupts_counts(0);
    assert_int_equal(now->all, before->all + 1);
    for (unsigned i = 0; i < INTERRUPTS_KINDS; i++)
        assert_int_equal(now->of[i], before->of[i] + (i == kind));
}

enum { NOWHERE, AT_PIC, AT_APIC };

TEST("interrupts: each is counted as what it is, by its vector and by who has it in service") {
    static const struct {
        unsigned vector, where;
        enum interrupts_kind kind;
    } cases[] = {
        {0x20, AT_PIC, INTERRUPTS_KIND_LEGACY},
        {0x20, AT_APIC, INTERRUPTS_KIND_UNKNOWN},
        {0x20, NOWHERE, INTERRUPTS_KIND_UNKNOWN},
        {0x24, AT_PIC, INTERRUPTS_KIND_COM1},
        {0x24, AT_APIC, INTERRUPTS_KIND_UNKNOWN},
        {0x27, AT_PIC, INTERRUPTS_KIND_LEGACY},
        {0x27, AT_APIC, INTERRUPTS_KIND_UNKNOWN},
        {0x27, NOWHERE, INTERRUPTS_KIND_SPURIOUS_LEGACY},
        {0x28, AT_PIC, INTERRUPTS_KIND_LEGACY},
        {0x2F, AT_PIC, INTERRUPTS_KIND_LEGACY},
        {0x2F, NOWHERE, INTERRUPTS_KIND_SPURIOUS_LEGACY},
        {0x30, NOWHERE, INTERRUPTS_KIND_RAISED},
        {0x31, AT_APIC, INTERRUPTS_KIND_TIMER},
        {0x34, AT_APIC, INTERRUPTS_KIND_SLICE},
        {0x32, AT_APIC, INTERRUPTS_KIND_WAKE},
        {0x33, AT_APIC, INTERRUPTS_KIND_SHOOTDOWN},
        {0x35, AT_APIC, INTERRUPTS_KIND_UNKNOWN},
        {0xFE, NOWHERE, INTERRUPTS_KIND_UNKNOWN},
        {0xFF, NOWHERE, INTERRUPTS_KIND_SPURIOUS_APIC},
        {0xFF, AT_APIC, INTERRUPTS_KIND_UNKNOWN},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        reset(true);
        unsigned vector = cases[i].vector, irq = vector - 0x20;
        if (cases[i].where == AT_APIC)
            fake.apic_in_service = vector;
        if (cases[i].where == AT_PIC)
            fake.in_service[irq / 8] = (uint8_t)(1u << irq % 8);
        struct interrupts_counts before = *interrupts_counts(0);
        interrupts_handle(vector);
        expect_one(&before, cases[i].kind);
        assert_int_equal(interrupts_counts(0)->last, vector);
        if (cases[i].kind == INTERRUPTS_KIND_UNKNOWN)
            assert_int_equal(interrupts_counts(0)->last_unknown, vector);
    }
}

TEST("interrupts: COM1's line alone is let through, once somebody waits for it") {
    reset(false);
    interrupts_start();
    interrupts_start_com1(nothing);
    assert_int_equal(fake.mask[0], 0xEF);
    assert_int_equal(fake.mask[1], 0xFF);
}

static void expect_input(int first, int end) {
    for (int byte = first; byte < end; byte++)
        assert_int_equal(input_read(), byte % 100 + 1);
}

TEST("interrupts: bytes that come faster than they are read leave a mark where they are missing") {
    reset(false);
    (void)input_start();
    fake.to_receive = 300;
    interrupts_handle(0x24);
    expect_input(0, 255);
    assert_int_equal(input_read(), INPUT_LOST);
    fake.to_receive = 310;
    interrupts_handle(0x24);
    expect_input(300, 310);
    fake.to_receive = 316;
    fake.overruns = 1;
    interrupts_handle(0x24);
    fake.to_receive = 320;
    interrupts_handle(0x24);
    expect_input(310, 316);
    assert_int_equal(input_read(), INPUT_LOST);
    expect_input(316, 320);
}
