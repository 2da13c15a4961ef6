// What the loader says, where, and when it says nothing.
#include "tests/firmware/setup.h"

#include <string.h>

#define MISSING "slipway: kernel.elf: not found\n"

static void boot_without_kernel(void) {
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot();
}

TEST("a good boot says nothing, with a display or without") {
    for (int display = 0; display < 2; display++) {
        setup_boot(SETUP_CONFIG);
        if (display)
            fake_add_display(0xc0000000, 640, 480);
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_string_equal(fake.com1, "");
        assert_string_equal(fake.console, "");
        assert_true(info->log.bytes != 0); // it was kept all the same
    }
}

TEST("with log = debug COM1, the display and the hand-over have the same lines") {
    setup_boot("log = debug\n");
    fake_add_display(0xc0000000, 640, 480);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_non_null(strstr(fake.com1, "slipway: kernel \\kernel.elf: 20480 bytes"));
    assert_non_null(strstr(fake.com1, "1 framebuffers"));
    // The console gets all up to the exit, where COM1 is the only one left.
    const char *exit = strstr(fake.com1, "slipway: ExitBootServices, attempt 1, with a map of ");
    assert_non_null(exit);
    assert_non_null(strstr(exit, "slipway: the firmware has left\n"));
    assert_int_equal(fake.console_bytes, exit - fake.com1);
    assert_memory_equal(fake.com1, fake.console, fake.console_bytes);
    setup_expect_text(&info->log, fake.com1);
}

TEST("with log = info there is less to read") {
    setup_boot("log = info\n");
    fake_boot();
    setup_expect_kernel();
    assert_non_null(strstr(fake.com1, "slipway: kernel "));
    assert_null(strstr(fake.com1, "framebuffers"));
}

TEST("a failure is printed once on COM1 and once on the firmware's console, whatever that is") {
    for (int display = 0; display < 2; display++) {
        setup_boot(NULL);
        if (display)
            fake_add_display(0xc0000000, 640, 480);
        boot_without_kernel();
        assert_int_equal(fake.status, EFI_NOT_FOUND);
        assert_string_equal(fake.com1, MISSING);
        assert_string_equal(fake.console, MISSING);
    }
}

TEST("without a display the firmware's console is taken for COM1, and spared what COM1 has") {
    setup_boot("log = debug\n");
    fake_boot();
    setup_expect_kernel();
    assert_non_null(strstr(fake.com1, "ExitBootServices, attempt 1"));
    assert_string_equal(fake.console, "");
}

TEST("a UART that takes nothing is given up after one wait") {
    setup_boot("log = debug\n");
    fake.uart_is_stuck = true;
    fake_boot();
    setup_expect_kernel();
    assert_string_equal(fake.com1, "");
    assert_int_equal(fake.com1_polls, 10000);
}

TEST("after a failure COM1 and the task priority are as they were") {
    const uint8_t registers[8] = {0, 0x0f, 0, 0x07, 0x03, 0, 0, 0};
    setup_boot(NULL);
    memcpy(fake.com1_registers, registers, sizeof(registers));
    fake.com1_divisor[0] = 12;
    fake.com1_divisor[1] = 1;
    fake.tpl = TPL_CALLBACK;
    boot_without_kernel();
    assert_string_equal(fake.com1, MISSING);
    fake.com1_registers[7] = 0; // the scratch register
    assert_memory_equal(fake.com1_registers, registers, sizeof(registers));
    assert_int_equal(fake.com1_divisor[0], 12);
    assert_int_equal(fake.com1_divisor[1], 1);
    assert_int_equal(fake.tpl, TPL_CALLBACK);
}

TEST("a long value leaves room for the cause") {
    char config[400] = "log = ";
    memset(config + 6, 'a', 300);
    setup_boot(config);
    fake_boot();
    assert_non_null(strstr(fake.com1, "aaaa' is not quiet, info or debug\n"));
}

TEST("without COM1 a failure goes to the firmware's console") {
    setup_boot(NULL);
    fake.has_uart = false;
    boot_without_kernel();
    assert_string_equal(fake.com1, "");
    assert_string_equal(fake.console, MISSING);
}

TEST("without any console the loader goes on silently") {
    setup_boot("log = debug\n");
    fake.has_uart = false;
    fake.has_console = false;
    fake_boot();
    setup_expect_kernel();
    setup_boot(NULL);
    fake.has_uart = false;
    fake.has_console = false;
    boot_without_kernel();
    assert_int_equal(fake.status, EFI_NOT_FOUND);
    assert_int_equal(fake_held_pages(), 0);
}

TEST("a line that is longer than the console's buffer arrives whole") {
    setup_boot("kernel = \\a path as long as this one is does not fit into the piece of text that "
               "the loader hands to the firmware at a time, nor into two.elf\n");
    fake_add_display(0xc0000000, 640, 480);
    fake_boot();
    assert_string_equal(fake.console, fake.com1);
    assert_non_null(strstr(fake.com1, "into two.elf: not found\n"));
}

// RAM turns up where a framebuffer is: it would be mapped with two cache types.
static void put_ram_under_display(uint32_t reading) {
    if (reading == 2)
        fake_add_memory(0xc0000000, 0x200000, EfiConventionalMemory);
}

TEST("what the audit finds is told in one line, and the boot ends") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480);
    fake.before_map = put_ram_under_display;
    fake_boot();
    const char *line;
    setup_expect_return(&line);
    assert_int_equal(fake.status, EFI_COMPROMISED_DATA);
    assert_non_null(strstr(line, "audit 4: frame c0000000: mapped with cache type 5 by "));
    assert_string_equal(fake.console, fake.com1);
}
