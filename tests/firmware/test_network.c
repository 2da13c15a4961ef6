// Boots whose files come from a server, by PXE: what is asked of it, and what comes of all that can
// go wrong there.
#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/hash/sha256.h"
#include "tests/firmware/setup_network.h"

#include <stdio.h>
#include <string.h>

#define URL    "tftp://10.0.2.2/"
#define MODULE URL "boot/initrd.img"
#define WHERE  " (key 'module', " URL "slipway.conf line 2)"

static void set_up(void) {
    setup_network(SETUP_CONFIG, "", "BOOTX64.EFI");
}

// The first one.
static void expect_module(const struct slipway_boot_info *info, const void *want, uint64_t bytes) {
    const struct slipway_module *module = setup_record(&info->modules, 0);
    uint64_t phys = module->address - info->hhdm_base;
    assert_int_equal(module->bytes, bytes);
    assert_memory_equal((const void *)(uintptr_t)phys, want, bytes);
}

static void expect_modules(void) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->modules.count, 2);
    expect_module(info, setup_module, sizeof(setup_module));
    assert_int_equal(((const struct slipway_module *)setup_record(&info->modules, 1))->bytes, 0);
}

static void expect_asked(const char *want) {
    assert_string_equal(fake.server.asked, want);
}

TEST("network: config, kernel and modules come from the server, each asked for once") {
    set_up();
    fake_boot();
    expect_modules();
    expect_asked("size slipway.conf\nread slipway.conf\n"
                 "size kernel.elf\nread kernel.elf\n"
                 "size boot/initrd.img\nread boot/initrd.img\n"
                 "size empty\nread empty\n");
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->loader_path, "\\BOOTX64.EFI");
    setup_expect_text(&info->volume_label, "");
    assert_int_equal(info->server_kind, SLIPWAY_SERVER_IPV4);
    assert_memory_equal(info->server_address, "\x0a\0\2\2", 4);
}

static uint64_t count_loader_bytes(void) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = setup_record(&info->ranges, i);
        bytes += range->purpose == SLIPWAY_RANGE_LOADER ? range->bytes : 0;
    }
    return bytes;
}

TEST("network: no more is left of the files than of those of a volume") {
    setup_boot(SETUP_CONFIG);
    fake_boot();
    uint64_t want = count_loader_bytes();
    set_up();
    fake_boot();
    assert_int_equal(count_loader_bytes(), want);
    set_up();
    fake.server.hides_sizes = true;
    fake_boot();
    assert_int_equal(count_loader_bytes(), want);
}

TEST("network: paths begin in the boot file's folder, and the config is beside it") {
    setup_network(SETUP_CONFIG, "a/b/", "x.efi");
    fake_boot();
    expect_modules();
    assert_non_null(strstr(fake.server.asked, "read a/b/boot/initrd.img\n"));
    setup_expect_logged("config " URL "a/b/slipway.conf: 100 bytes");
}

TEST("network: of EFI/BOOT paths begin above it, and the config is there or above") {
    setup_network(SETUP_CONFIG, "/srv/", "EFI/BOOT/BOOTX64.EFI");
    fake_boot();
    expect_modules();
    assert_memory_equal(fake.server.asked,
                        "size /srv/EFI/BOOT/slipway.conf\n"
                        "size /srv/slipway.conf\n",
                        54);
    setup_expect_text(&setup_expect_kernel()->loader_path, "\\EFI\\BOOT\\BOOTX64.EFI");
    setup_network(SETUP_CONFIG, "/srv/", "EFI/BOOT/BOOTX64.EFI");
    setup_served("/srv/slipway.conf")->path = "/srv/EFI/BOOT/slipway.conf";
    fake_boot();
    expect_modules();
    assert_null(strstr(fake.server.asked, " /srv/slipway.conf"));
}

TEST("network: without a config the kernel is the one in the folder") {
    setup_network(NULL, "a/", "x.efi");
    fake_boot();
    setup_expect_kernel();
    setup_network(NULL, "a/", "x.efi");
    setup_served("a/kernel.elf")->path = "a/other.elf";
    fake_boot();
    setup_expect_failure(URL "a/kernel.elf: not found" DEFAULT_KERNEL);
}

TEST("network: a server that does not tell sizes sends each file once, whatever that is") {
    static uint8_t large[(5 << 20) + 1];
    for (unsigned hides_needed = 0; hides_needed < 2; hides_needed++) {
        set_up();
        fake.server.hides_sizes = true;
        fake.server.hides_needed = hides_needed;
        fake_boot();
        expect_modules();
        expect_asked("size slipway.conf\nread slipway.conf\n"
                     "size kernel.elf\nread kernel.elf\n"
                     "size boot/initrd.img\nread boot/initrd.img\n"
                     "size empty\nread empty\n");
        setup_network("module = /large\n", "", "x");
        struct fake_file *file = fake_add_file("large", large, sizeof(large));
        file->volume = FAKE_ON_SERVER;
        large[5 << 20] = 0x42;
        fake.server.hides_sizes = true;
        fake.server.hides_needed = hides_needed;
        fake_boot();
        expect_module(setup_expect_kernel(), large, sizeof(large));
        assert_non_null(strstr(fake.server.asked, hides_needed
                                                      ? "size large\nread large\nread large\n"
                                                        "read large\n"
                                                      : "size large\nread large\nread large\n"));
    }
}

TEST("network: of a file of unknown size 1 MiB is read at first, and then four times as much") {
    static uint8_t large[4 << 20];
    static const struct {
        uint64_t bytes;
        const char *asked;
    } cases[] = {{1 << 20, "size large\nread large\n"},
                 {(1 << 20) + 1, "size large\nread large\nread large\n"},
                 {4 << 20, "size large\nread large\nread large\n"}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        setup_network("module = /large\n", "", "x");
        fake_add_file("large", large, cases[i].bytes)->volume = FAKE_ON_SERVER;
        fake.server.hides_sizes = fake.server.hides_needed = true;
        fake_boot();
        expect_module(setup_expect_kernel(), large, cases[i].bytes);
        const char *asked = strstr(fake.server.asked, "size large\n");
        assert_non_null(asked);
        assert_string_equal(asked, cases[i].asked);
    }
}

TEST("network: a size of 0 is not believed") {
    set_up();
    fake.server.says_0 = true;
    fake_boot();
    expect_modules();
}

TEST("network: a server that refuses to agree on blocks is asked without") {
    for (unsigned keeps_codes = 0; keeps_codes < 2; keeps_codes++) {
        set_up();
        fake.server.takes_no_blocks = true;
        fake.server.keeps_codes = keeps_codes;
        fake_boot();
        expect_modules();
        expect_asked("size slipway.conf\nsize slipway.conf 512\nread slipway.conf 512\n"
                     "size kernel.elf 512\nread kernel.elf 512\n"
                     "size boot/initrd.img 512\nread boot/initrd.img 512\n"
                     "size empty 512\nread empty 512\n");
    }
}

TEST("network: a file that is absent is said with its URL, whatever the firmware makes of errors") {
    for (unsigned how = 0; how < 3; how++) {
        set_up();
        setup_served("boot/initrd.img")->path = "elsewhere";
        fake.server.keeps_codes = how == 1;
        fake.server.firmware_knows = how == 2;
        fake_boot();
        setup_expect_failure(MODULE ": not found" WHERE "; a path with blanks wants quotes");
    }
}

static void expect_failure_of_config(const char *want) {
    char line[400];
    snprintf(line, sizeof(line), URL "slipway.conf: %s", want);
    fake_boot();
    setup_expect_failure(line);
}

TEST("network: what the server says is said, with the remedy where one is known") {
    static const char access[] =
        "; TFTP must be allowed to read the file, there and in its folders";
    char want[400];
    for (unsigned keeps_codes = 0; keeps_codes < 2; keeps_codes++) {
        set_up();
        fake.server.keeps_codes = keeps_codes;
        fake.server.code = 2;
        fake.server.words = "Access violation\n\x1b[2J";
        snprintf(want, sizeof(want), "the server refuses, 'Access violation??[2J'%s", access);
        expect_failure_of_config(want);
    }
    set_up();
    fake.server.keeps_codes = true;
    fake.server.code = 4;
    fake.server.words = "";
    expect_failure_of_config("the server refuses");
    set_up();
    fake.server.keeps_codes = true;
    fake.server.code = 4;
    fake.server.words = "~";
    expect_failure_of_config("the server refuses, '~'");
    set_up();
    fake.server.keeps_codes = true;
    fake.server.code = 4;
    fake.server.words = "\x7f\x80";
    expect_failure_of_config("the server refuses, '?"
                             "?'");
    char words[200] = {0}; // as long as there is room, without a NUL
    memset(words, 'w', 150);
    set_up();
    fake.server.keeps_codes = true;
    fake.server.code = 4;
    fake.server.words = words;
    snprintf(want, sizeof(want), "the server refuses, '%.127s'", words);
    expect_failure_of_config(want);
}

TEST("network: a server that does not answer, or cannot be reached, is said so") {
    set_up();
    fake.server.is_silent = true;
    expect_failure_of_config("the server does not answer; does TFTP run there, and does every "
                             "firewall let its UDP pass?");
    expect_asked("size slipway.conf\n");
    set_up();
    fake.server.is_unreachable = true;
    expect_failure_of_config("the server cannot be reached (ICMP error); does TFTP run there?");
    static const char *const errors[] = {"network", "host", "protocol", "port"};
    for (unsigned i = 0; i < ARRAY_LEN(errors); i++) {
        char want[100];
        set_up();
        fake.refused = FAKE_MTFTP;
        fake.fail_status = EFIERR((100 + i)); // as UDP's statuses are numbered
        snprintf(want, sizeof(want),
                 "the server cannot be reached (%s unreachable); does TFTP run there?", errors[i]);
        expect_failure_of_config(want);
    }
}

TEST("network: a file that has grown, or shrunk, since its size was asked for is not booted") {
    static const char *const sends[] = {"sends more", "has sent less", "sends more", "sends more"};
    for (unsigned how = 0; how < ARRAY_LEN(sends); how++) {
        char want[300];
        setup_network(NULL, "", "x.efi");
        fake.server.grows = how == 0 || how == 3;
        fake.server.shrinks = how == 1;
        fake.server.claims = how == 2 ? sizeof(setup_kernel) + 1 : 0;
        fake.server.hides_needed = how == 3;
        fake_boot();
        snprintf(want, sizeof(want),
                 URL "kernel.elf: the server has said that it has %zu bytes, and %s" DEFAULT_KERNEL
                     "; was it changed?",
                 sizeof(setup_kernel), sends[how]);
        setup_expect_failure(want);
    }
}

TEST("network: a digest is that of what came, in whatever way it came") {
    static const char *const configs[] = {
        "kernel = /kernel.elf\nsha256 = 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
        "module = /boot/initrd.img\nsha256 = "
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"};
    for (unsigned i = 0; i < 4; i++) {
        const char *line;
        setup_network(configs[i % 2], "", "x.efi");
        fake.server.hides_sizes = i > 1;
        fake_boot();
        setup_expect_return(&line);
        const char *start = i % 2 ? MODULE ": its SHA-256 is " : URL "kernel.elf: its SHA-256 is ";
        assert_memory_equal(line, start, strlen(start));
        assert_non_null(strstr(line, ", not 00112233445566778899aabbccddeeff"));
    }
}

TEST("network: files with the digest that is wanted are booted") {
    static char config[400];
    static const char *const starts[] = {"kernel = /kernel.elf\nsha256 = ",
                                         "\nmodule = /boot/initrd.img\nsha256 = "};
    for (unsigned hides_sizes = 0; hides_sizes < 2; hides_sizes++) {
        struct fmt_buffer buffer = fmt_buffer_make(config, sizeof(config));
        struct sink sink = fmt_buffer_sink(&buffer);
        setup_boot(NULL); // makes what is to be in the files
        for (unsigned i = 0; i < 2; i++) {
            uint8_t digest[SHA256_BYTES];
            sha256(i == 0 ? (void *)&setup_kernel : setup_module,
                   i == 0 ? sizeof(setup_kernel) : sizeof(setup_module), digest);
            fmt_print(&sink, "%s", starts[i]);
            for (unsigned at = 0; at < sizeof(digest); at++)
                fmt_print(&sink, "%02x", digest[at]);
        }
        setup_network(config, "", "x.efi");
        fake.server.hides_sizes = hides_sizes;
        fake_boot();
        expect_module(setup_expect_kernel(), setup_module, sizeof(setup_module));
    }
}

TEST("network: what lasts is shown, by what the firmware tells of each packet") {
    set_up();
    fake.server.is_slow = true;
    fake.console_keeps_cr = true;
    fake_boot();
    expect_modules();
    assert_non_null(strstr(fake.console, "\rslipway: " MODULE ": 66% of 0 MB, 0.0 MB/s"));
    assert_non_null(strstr(fake.console, ": 100% of 0 MB"));
    assert_true(fake.server.callbacks != 0 && !fake.server.makes_callbacks);
    set_up();
    fake.server.is_slow = true;
    fake.server.has_callback = true; // the firmware shows something itself
    fake_boot();
    expect_modules();
    assert_int_equal(fake.server.callbacks, 0);
    assert_null(strstr(fake.console, "MB/s"));
}

// Each of the three packets of data has four bytes, and one before them none.
TEST("network: of each packet its data counts, and what is not data does not") {
    setup_network("module = /tiny\n", "", "x.efi");
    fake_add_file("tiny", "twelve bytes", 12)->volume = FAKE_ON_SERVER;
    fake.server.is_slow = true;
    fake.console_keeps_cr = true;
    fake_boot();
    expect_module(setup_expect_kernel(), "twelve bytes", 12);
    const char *at = strstr(fake.console, URL "tiny: "), *last = NULL;
    static const char *const wants[] = {"0%", "33%", "66%", "100%"};
    for (unsigned i = 0; i < ARRAY_LEN(wants); i++) {
        assert_non_null(at);
        at += sizeof(URL "tiny: ") - 1;
        assert_memory_equal(at, wants[i], strlen(wants[i]));
        last = at;
        at = strstr(at, URL "tiny: ");
    }
    assert_null(at);
    last = strchr(last, '\r'); // at the end blanks take the line's place
    assert_non_null(last);
    assert_int_equal(last[1], ' ');
    assert_int_equal(last[1 + strspn(last + 1, " ")], '\r');
}

TEST("network: with IPv6 the server is that of the URL") {
    static const uint8_t url[] = "\2xyz\0\73\0\35tftp://[2001:db8::1]/a/x.efi";
    setup_network(SETUP_CONFIG, "a/", "");
    memcpy(setup_pxe.DhcpAck.Raw, url, sizeof(url) - 1);
    setup_pxe.UsingIpv6 = TRUE;
    setup_served("a/empty")->path = "none";
    fake_boot();
    setup_expect_failure("tftp://[2001:db8:0:0:0:0:0:1]/a/empty: not found (key 'module', "
                         "tftp://[2001:db8:0:0:0:0:0:1]/a/slipway.conf line 3)");
}

TEST("network: a name that no server can be asked for is refused") {
    static char config[600] = "kernel = /";
    for (unsigned bytes = 400; bytes < 402; bytes++) {
        const char *line;
        memset(config + 10, 'k', bytes);
        strcpy(config + 10 + bytes, "\n");
        setup_network(config, "", "x.efi");
        fake_boot();
        setup_expect_return(&line);
        assert_non_null(strstr(line, bytes == 400
                                         ? "kkkk: not found (key 'kernel'"
                                         : "kkkk: a server cannot be asked for names of more than "
                                           "400 bytes (key 'kernel'"));
        assert_memory_equal(line, "...", 3);
    }
}

TEST("network: a device with neither file system nor server is said so, once") {
    set_up();
    setup_pxe.DhcpAckReceived = FALSE;
    fake_boot();
    setup_expect_failure("boot device: no file system (unsupported), and no server by PXE");
    set_up();
    fake.pxe = NULL;
    fake_boot();
    setup_expect_failure("boot device: no file system (unsupported), and no server by PXE");
}

TEST("network: where there are both, the volume's file counts and the server has what it lacks") {
    set_up();
    fake.has_no_volume = false;
    fake_add_file("\\slipway.conf", "module = /boot/initrd.img on disk\n", 34);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&((const struct slipway_module *)setup_record(&info->modules, 0))->cmdline,
                      "on disk");
    expect_asked("size kernel.elf\nread kernel.elf\n"
                 "size boot/initrd.img\nread boot/initrd.img\n");
}

TEST("network: files of other volumes are named as ever, and devices connected for them") {
    setup_network("module = label(OTHER)/m\n", "", "x.efi");
    struct fake_file *file = fake_add_file("\\m", setup_module, 7);
    file->volume = fake_add_volume(NULL, L"OTHER");
    fake.volumes[0].is_unconnected = true;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(((const struct slipway_module *)setup_record(&info->modules, 0))->bytes, 7);
    setup_network("module = label(OTHER)/boot/initrd.img\n", "", "x.efi");
    fake_add_volume(NULL, L"OTHER");
    fake_boot();
    setup_expect_failure("label(OTHER)/boot/initrd.img: not found (key 'module', " URL
                         "slipway.conf line 1)");
    assert_null(strstr(fake.server.asked, "initrd"));
}

TEST("network: an EFI application comes from the server as well, and not the loader itself") {
    setup_network("kernel = /a.efi\n", "", "x.efi");
    pe_file_make(setup_pe);
    fake_add_file("a.efi", setup_pe, sizeof(setup_pe))->volume = FAKE_ON_SERVER;
    fake_boot();
    setup_expect_success();
    assert_int_equal(fake.starts, 1);
    assert_memory_equal(fake.image_bytes, setup_pe, sizeof(setup_pe));
    setup_network("kernel = /x.efi\n", "", "x.efi");
    fake_add_file("x.efi", setup_pe, sizeof(setup_pe))->volume = FAKE_ON_SERVER;
    fake_boot();
    setup_expect_failure(URL "x.efi: is this loader itself (key 'kernel', " URL
                             "slipway.conf line 1)");
}
