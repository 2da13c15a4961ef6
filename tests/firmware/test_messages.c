// What the loader says, where, and when it says nothing.
#include "common/base/arith.h"
#include "loader/log.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

#define MISSING "slipway: \\kernel.elf: not found" DEFAULT_KERNEL "\n"
#define KEY     "slipway: press a key to go back to the firmware, which goes on in 10 seconds\n"

// The console has what COM1 has, and waits for a key.
static void expect_console_as_com1(void) {
    assert_memory_equal(fake.console, fake.com1, fake.com1_bytes);
    assert_string_equal(fake.console + fake.com1_bytes, KEY);
}

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
    char want[400];
    int bytes = snprintf(want, sizeof(want),
                         "slipway: config /slipway.conf: 12 bytes\n"
                         "slipway: kernel \\kernel.elf: 20480 bytes at 0x%lx, entry 0x%lx\n"
                         "slipway: 0 modules, 0 bytes\n"
                         "slipway: 1 framebuffers, 0 controllers, RSDP at 0x%lx, SMBIOS at 0x%lx\n"
                         "slipway: %u tables, %u mappings, ",
                         info->kernel_phys, info->kernel_entry, info->rsdp_phys, info->smbios_phys,
                         info->table_pages, info->mappings.count);
    assert_memory_equal(fake.com1, want, (size_t)bytes);
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
        assert_string_equal(fake.console, MISSING KEY);
    }
}

TEST("a console of the firmware's that is COM1 has every line once, by the firmware") {
    setup_boot("log = debug\n");
    fake.console_is_com1 = true;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->log, fake.com1);
    setup_boot(NULL);
    fake.console_is_com1 = true;
    boot_without_kernel();
    assert_string_equal(fake.com1, MISSING KEY);
    assert_string_equal(fake.console, MISSING KEY);
}

TEST("a failure stays on the console until a key is typed, and no page is kept meanwhile") {
    setup_boot(NULL);
    fake.keys_before = 3; // to get into a boot menu, say
    fake.key_at_stall = 7;
    boot_without_kernel();
    assert_string_equal(fake.console, MISSING KEY);
    assert_int_equal(fake.keys_read, 4);
    assert_int_equal(fake.stalls, 7);
    for (uint64_t i = 0; i < fake.calls; i++)
        assert_true(fake.kinds[i] != FAKE_FREE_PAGES || i < fake.calls - 7);
}

TEST("a failure stays on the console for ten seconds when no key is typed, or none can be") {
    for (int keyboard = 0; keyboard < 2; keyboard++) {
        setup_boot(NULL);
        fake.has_keyboard = keyboard;
        fake.key_at_stall = 0;
        boot_without_kernel();
        assert_int_equal(fake.stalled_us, 10000000);
        assert_int_equal(fake.keys_read, 0);
    }
}

TEST("a key that is held down does not keep the loader") {
    setup_boot(NULL);
    fake.keys_before = UINT32_MAX - 1;
    boot_without_kernel();
    assert_int_equal(fake.stalls, 0);
    assert_int_equal(fake.keys_read, 64 + 1); // dropped, and the one that is waited for
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
    assert_string_equal(fake.console, MISSING KEY);
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
    assert_int_equal(fake_allocated_pages(), 0);
    assert_int_equal(fake.stalls, 0);
}

TEST("a line that is longer than the console's buffer arrives whole") {
    setup_boot("kernel = \\a path as long as this one is does not fit into the piece of text that "
               "the loader hands to the firmware at a time, nor into two.elf\n");
    fake_add_display(0xc0000000, 640, 480);
    fake_boot();
    expect_console_as_com1();
    assert_non_null(
        strstr(fake.com1, "into two.elf: not found (key 'kernel', /slipway.conf line 1)\n"));
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
    expect_console_as_com1();
}

TEST("why the default kernel is looked for is said: no config, an empty one, one without the key") {
    static const char *const configs[] = {NULL, "", "cmdline = x\n"};
    static const char *const reasons[] = {"there is no slipway.conf", "/slipway.conf is empty",
                                          "/slipway.conf names none"};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        char want[200];
        snprintf(want, sizeof(want), "\\kernel.elf: not found (the default kernel: %s)",
                 reasons[i]);
        setup_boot(configs[i]);
        boot_without_kernel();
        setup_expect_failure(want);
    }
}

TEST(
    "a path that is longer than a message shows its end, cut between two characters, and the cause") {
    char config[1025];
    for (size_t start = 9; start < 11; start++) {
        memcpy(config, "kernel = /", 10);
        for (size_t at = start; at + 2 < sizeof(config); at += 2)
            memcpy(config + at, "\xc3\xa4", 3);
        setup_boot(config);
        fake_boot();
        const char *line;
        setup_expect_return(&line);
        assert_memory_equal(line, "...\xc3\xa4\xc3\xa4", 7);
        const char *end = strstr(line, "\xa4: not found (key 'kernel', /slipway.conf line 1)");
        assert_non_null(end);
        assert_in_range(end - line, 190, 200);
    }
}

TEST("lines of the log are cut at 512 bytes, newline and all, and 8191 bytes of them are kept") {
    char text[600], want[513] = "slipway: ";
    memset(text, 'x', sizeof(text));
    memset(want + 9, 'x', 502);
    want[511] = '\n';
    fake_reset();
    log_init();
    size_t bytes;
    for (size_t lines = 1; lines < 17; lines++) {
        log_line(CONFIG_LOG_DEBUG, "%.*s", (int)sizeof(text), text);
        const char *log = log_text(&bytes);
        assert_int_equal(bytes, lines == 16 ? 8191 : lines * 512);
        assert_memory_equal(log + (lines - 1) * 512, want, lines == 16 ? 511 : 512);
        assert_int_equal(log[bytes], 0);
    }
    assert_string_equal(fake.com1, "");
}

TEST("a failure that is longer than a line is cut, and stays the first") {
    char text[600];
    memset(text, 'x', sizeof(text));
    fake_reset();
    log_init();
    assert_string_equal(log_failure(), "");
    assert_int_equal(log_fail(EFI_ABORTED, "%.*s", (int)sizeof(text), text), EFI_ABORTED);
    assert_int_equal(log_fail(EFI_NOT_FOUND, "a consequence"), EFI_NOT_FOUND);
    assert_int_equal(strlen(log_failure()), 511);
    assert_memory_equal(log_failure(), text, 511);
}

TEST("a status that has no name is printed with its number") {
    static const struct {
        EFI_STATUS status;
        const char *text;
    } cases[] = {{EFI_BAD_BUFFER_SIZE, "bad buffer size"},
                 {EFI_DEVICE_ERROR, "device error"},
                 {EFIERR(35), "HTTP error"},
                 {EFIERR(29), "status 0x800000000000001d"},
                 {EFIERR(36), "status 0x8000000000000024"},
                 {EFIERR(0), "status 0x8000000000000000"},
                 {~UINT64_C(0), "status 0xffffffffffffffff"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char want[100];
        snprintf(want, sizeof(want), "boot device: cannot open the volume (%s)", cases[i].text);
        setup_boot(NULL);
        fake.refused = FAKE_OPEN_VOLUME;
        fake.fail_status = cases[i].status;
        fake_boot();
        setup_expect_failure(want);
    }
}
