// COM1: a port that firmware uses stays as it is, and nothing that is being sent is lost.
#include "common/base/arith.h"
#include "common/x86/uart.h"
#include "tests/firmware/setup.h"

#include <string.h>

#define MISSING "slipway: \\kernel.elf: not found" DEFAULT_KERNEL "\n"

enum {
    IER = 1,
    LCR = 3,
    MCR = 4,
    SCRATCH = 7,
    DTR_RTS = 0x03,
    OUT2 = 0x08,
    LOOP = 0x10,
};

// A port at 9600 baud, as firmware leaves it that has a console there.
static void use_9600(void) {
    const uint8_t registers[8] = {0, 0x0f, 0, 0x03, 0x0b, 0, 0, 0};
    memcpy(fake.com1_registers, registers, sizeof(registers));
    fake.com1_divisor[0] = 12;
    fake.com1_has_fifos = true;
}

static void boot_without_kernel(void) {
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot();
}

static void expect_divisor(unsigned divisor) {
    assert_int_equal(fake.com1_divisor[0] | fake.com1_divisor[1] << 8, divisor);
}

TEST("com1: a port that was set up keeps its speed and frame, in the kernel too") {
    static const uint8_t frames[] = {0x1a, 0x01}; // 7 data bits and even parity; 6 data bits
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        setup_boot(NULL);
        use_9600();
        fake.com1_registers[LCR] = frames[i];
        fake.com1_input = "typed before";
        fake_boot();
        setup_expect_kernel();
        expect_divisor(12);
        assert_int_equal(fake.com1_registers[LCR], frames[i]);
        assert_int_equal(fake.com1_registers[IER], 0);
        assert_string_equal(fake.com1_input, "typed before");
    }
}

TEST("com1: a port that nobody has set up gets 115200 8N1, FIFOs, DTR and RTS") {
    setup_boot(NULL);
    fake.com1_divisor[0] = 12; // as after a reset of QEMU's
    fake.com1_divisor[1] = 3;
    fake_boot();
    setup_expect_kernel();
    expect_divisor(1);
    assert_int_equal(fake.com1_registers[LCR], 0x03);
    assert_int_equal(fake.com1_registers[MCR], DTR_RTS | OUT2);
    assert_true(fake.com1_has_fifos);
    setup_boot(NULL);
    fake.com1_registers[LCR] = 0x03; // a frame, but no speed
    fake_boot();
    setup_expect_kernel();
    expect_divisor(1);
}

TEST("com1: a port that is looped back or has its divisor open is heard all the same") {
    setup_boot(NULL);
    use_9600();
    fake.com1_registers[MCR] = LOOP;
    fake.com1_registers[LCR] = 0x83;
    boot_without_kernel();
    setup_expect_failure("\\kernel.elf: not found" DEFAULT_KERNEL);
    assert_int_equal(fake.com1_registers[MCR], LOOP); // as it was
    assert_int_equal(fake.com1_registers[IER], 0x0f);
    expect_divisor(12);
}

TEST("com1: what firmware is sending is sent before anything is changed, and so is the message") {
    for (int set_up = 0; set_up < 2; set_up++) {
        setup_boot(NULL);
        if (set_up)
            use_9600();
        fake.com1_has_fifos = false;
        fake.com1_busy = 500;
        fake.com1_busy_a_byte = 10;
        boot_without_kernel();
        assert_string_equal(fake.com1, MISSING);
        setup_expect_failure("\\kernel.elf: not found" DEFAULT_KERNEL);
        assert_int_equal(fake.com1_busy, 0);
    }
}

TEST("com1: after a failure the port and the task priority are as they were") {
    for (int set_up = 0; set_up < 2; set_up++) {
        setup_boot(NULL);
        use_9600();
        fake.com1_registers[LCR] = set_up ? 0x03 : 0;
        fake.com1_registers[MCR] = 0x07;
        uint8_t registers[8];
        memcpy(registers, fake.com1_registers, sizeof(registers));
        fake.tpl = TPL_CALLBACK;
        boot_without_kernel();
        assert_string_equal(fake.com1, MISSING);
        fake.com1_registers[SCRATCH] = 0;
        assert_memory_equal(fake.com1_registers, registers, sizeof(registers));
        expect_divisor(12);
        assert_int_equal(fake.tpl, TPL_CALLBACK);
    }
}

TEST(
    "com1: a UART that takes nothing is given up after one wait, which is longer the slower it is") {
    static const struct {
        unsigned divisor, waits;
    } cases[] = {{0, 1}, {1, 1}, {12, 12}, {9000, 96}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setup_boot("log = debug\n");
        use_9600();
        fake.com1_divisor[0] = (uint8_t)cases[i].divisor;
        fake.com1_divisor[1] = (uint8_t)(cases[i].divisor >> 8);
        fake.uart_is_stuck = true;
        fake.com1_input = "it receives";
        fake_boot();
        setup_expect_kernel();
        assert_string_equal(fake.com1, "");
        assert_int_equal(fake.com1_polls, cases[i].waits * 10000);
        assert_int_equal(fake.com1_registers[IER], 0x0f);
    }
}

TEST("com1: a UART that stops in the middle of a message is given back as it was, too") {
    for (int set_up = 0; set_up < 2; set_up++) {
        setup_boot(NULL);
        use_9600();
        fake.com1_registers[LCR] = set_up ? 0x03 : 0;
        fake.uart_takes = 10;
        fake.com1_input = "it receives";
        uint8_t registers[8];
        memcpy(registers, fake.com1_registers, sizeof(registers));
        boot_without_kernel();
        assert_string_equal(fake.com1, "slipway: \\");
        fake.com1_registers[SCRATCH] = 0;
        assert_memory_equal(fake.com1_registers, registers, sizeof(registers));
        expect_divisor(12);
    }
}

TEST("com1: what is received is read byte by byte, and that some was lost is told once") {
    fake_reset();
    use_9600();
    fake.com1_overran = true; // of before
    assert_true(uart_init());
    assert_false(uart_overrun());
    fake.com1_input = "ab";
    assert_int_equal(uart_read(), 'a');
    assert_int_equal(uart_read(), 'b');
    assert_int_equal(uart_read(), -1);
    assert_false(uart_overrun());
    fake.com1_overran = true;
    const struct sink sink = uart_sink();
    fmt_print(&sink, "x");
    assert_string_equal(fake.com1, "x");
    assert_int_equal(uart_read(), -1);
    assert_true(uart_overrun());
    assert_false(uart_overrun());
}

// That the port is others': nothing that the loader asks for changes it.
static void expect_untouched(void) {
    fake.com1_input = "for others";
    fake.com1_registers[MCR] = LOOP;
    const struct fake before = fake;
    assert_false(uart_present());
    assert_int_equal(uart_read(), -1);
    uart_write("text\n", 5);
    uart_restore();
    assert_memory_equal(&fake, &before, sizeof(fake));
}

TEST("com1: a port that is not there, was given back, or is stuck is not touched any more") {
    fake_reset();
    assert_true(uart_init());
    assert_true(uart_present());
    uart_restore();
    expect_untouched();
    assert_true(uart_init());
    fake.has_uart = false;
    assert_false(uart_init());
    expect_untouched();
    fake_reset();
    assert_true(uart_init());
    fake.uart_is_stuck = true;
    assert_false(uart_init());
    expect_untouched();
}
