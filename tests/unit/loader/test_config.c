#include "loader/config.h"

#include "common/base/arith.h"
#include "loader/config_text.h"

#include "tests/unit/support/config_texts.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Of a text without entries.
#define KEYS                                                                                       \
    "kernel, cmdline, log, module, digest, sha256, paging, resolution, clear, protocol, strict, kaslr"
#define KEYS_ABOVE "; keys here are " KEYS ", default, timeout, bls"

static struct config accept(const char *text) {
    struct config_file file = config_accept(text, config_room_for(strlen(text)));
    assert_int_equal(file.entry_count, 0);
    assert_int_equal(file.timeout, CONFIG_TIMEOUT_DEFAULT);
    return file.config;
}

static void expect_default(const struct config *config) {
    config_expect_text(config->kernel, "\\kernel.elf");
    config_expect_text(config->cmdline, "");
    assert_int_equal(config->log, CONFIG_LOG_QUIET);
    assert_int_equal(config->module_count, 0);
    assert_false(config->wants_digests);
    assert_int_equal(config->paging, CONFIG_PAGING_UNSET);
    assert_int_equal(config->resolution, CONFIG_RESOLUTION_FIRMWARE);
    assert_int_equal(config->width, 0);
    assert_int_equal(config->height, 0);
    assert_false(config->keeps_screen);
    assert_int_equal(config->protocol, CONFIG_PROTOCOL_UNSET);
    assert_false(config->is_lax);
    assert_int_equal(config->kaslr, CONFIG_KASLR_UNSET);
}

TEST("config: without a line that says something the defaults hold") {
    struct config config = config_default();
    expect_default(&config);
    const char *const texts[] = {"",     "\n",         "\r\n",         "  \t \n", "# kernel = x",
                                 "#\n#", " \t# x\r\n", "\xef\xbb\xbf", "\r",      "\n\n\n# x\n\n"};
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        config = accept(texts[i]);
        expect_default(&config);
    }
}

TEST("config: every key sets its field") {
    struct config config = accept("kernel = /boot/my kernel.elf\n"
                                  "cmdline = a=b # c  d\n"
                                  "log = debug\n"
                                  "module = \\initrd.img\n"
                                  "module = /fonts/k\xc3\xa4se.psf size=16  bold\n"
                                  "digest = sha256\n"
                                  "resolution = 1920x1080\n"
                                  "clear = off\n");
    config_expect_text(config.kernel, "/boot/my kernel.elf");
    config_expect_text(config.cmdline, "a=b # c  d");
    assert_int_equal(config.log, CONFIG_LOG_DEBUG);
    assert_true(config.wants_digests);
    assert_int_equal(config.resolution, CONFIG_RESOLUTION_SIZE);
    assert_int_equal(config.width, 1920);
    assert_int_equal(config.height, 1080);
    assert_true(config.keeps_screen);
    assert_int_equal(config.module_count, 2);
    config_expect_text(config.modules[0].path, "\\initrd.img");
    config_expect_text(config.modules[0].cmdline, "");
    config_expect_text(config.modules[1].path, "/fonts/k\xc3\xa4se.psf");
    config_expect_text(config.modules[1].cmdline, "size=16  bold");
}

TEST("config: every choice has its word") {
    assert_int_equal(accept("log=quiet").log, CONFIG_LOG_QUIET);
    assert_int_equal(accept("log=info").log, CONFIG_LOG_INFO);
    assert_int_equal(accept("log=debug").log, CONFIG_LOG_DEBUG);
    assert_false(accept("digest=none").wants_digests);
    assert_true(accept("digest=sha256").wants_digests);
    assert_int_equal(accept("paging=4").paging, CONFIG_PAGING_4);
    assert_int_equal(accept("paging=5").paging, CONFIG_PAGING_5);
    assert_int_equal(accept("paging=max").paging, CONFIG_PAGING_MAX);
    assert_int_equal(accept("resolution=firmware").resolution, CONFIG_RESOLUTION_FIRMWARE);
    assert_int_equal(accept("resolution=native").resolution, CONFIG_RESOLUTION_NATIVE);
    assert_false(accept("clear=on").keeps_screen);
    assert_true(accept("clear=off").keeps_screen);
    assert_int_equal(accept("protocol=slipway").protocol, CONFIG_PROTOCOL_SLIPWAY);
    assert_int_equal(accept("protocol=limine").protocol, CONFIG_PROTOCOL_LIMINE);
    assert_int_equal(accept("protocol=efi").protocol, CONFIG_PROTOCOL_EFI);
    assert_int_equal(accept("protocol=linux").protocol, CONFIG_PROTOCOL_LINUX);
    assert_false(accept("strict=on").is_lax);
    assert_true(accept("strict=off").is_lax);
    assert_int_equal(accept("kaslr=on").kaslr, CONFIG_KASLR_ON);
    assert_int_equal(accept("kaslr=off").kaslr, CONFIG_KASLR_OFF);
}

TEST("config: a resolution is two numbers of 1 to 65535, and anything else is no choice") {
    struct config config = accept("resolution=1x65535");
    assert_int_equal(config.width, 1);
    assert_int_equal(config.height, 65535);
    config = accept("resolution = 65535x0001");
    assert_int_equal(config.width, 65535);
    assert_int_equal(config.height, 1);
    const char *const values[] = {
        "x",          "1024x",          "x768",
        "0x768",      "1024x0",         "1024X768",
        "1024 x 8",   "1024x768x32",    "1024*768",
        "1024x-768",  "65536x768",      "1024x65536",
        "Native",     "+1024x768",      "1024",
        "1024x768 ,", "4294968320x768", "1024x18446744073709552384",
        "1024x76:",   "1024x76/",
    };
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[80], message[160];
        snprintf(text, sizeof(text), "\nresolution = %s", values[i]);
        snprintf(
            message, sizeof(message),
            "line 2, column 14: '%s' is not WIDTHxHEIGHT (1 to 65535 each), native or firmware",
            values[i]);
        config_refuse(text, CONFIG_ERR_CHOICE, message);
    }
}

TEST("config: blanks around, a byte order mark, CRLF and a missing last newline do not count") {
    const char *const texts[] = {
        "kernel=k\nmodule=m x y",
        " \tkernel\t = \tk \t\r\n module = m\tx y \r\n",
        "\xef\xbb\xbfkernel = k\nmodule = m \t x y\r",
        "\n\nkernel = k\r\n\r\nmodule = m x y\n\n",
    };
    for (int i = 0; i < 4; i++) {
        struct config config = accept(texts[i]);
        config_expect_text(config.kernel, "k");
        config_expect_text(config.modules[0].path, "m");
        config_expect_text(config.modules[0].cmdline, "x y");
    }
}

TEST("config: a value in quotes is what stands between them, whatever the key") {
    struct config config = accept("kernel = \"/my kernel.elf\"\n"
                                  "cmdline =\" a = b # c \" \t\n"
                                  "log = \"info\"\n"
                                  "digest = \"sha256\"\n"
                                  "paging = \"5\"\n"
                                  "resolution = \"1x2\"\n"
                                  "clear = \"off\"\n");
    config_expect_text(config.kernel, "/my kernel.elf");
    config_expect_text(config.cmdline, " a = b # c ");
    assert_int_equal(config.log, CONFIG_LOG_INFO);
    assert_true(config.wants_digests);
    assert_int_equal(config.paging, CONFIG_PAGING_5);
    assert_int_equal(config.height, 2);
    assert_true(config.keeps_screen);
}

TEST("config: of a module path and text may be in quotes, each, both or none") {
    struct config config = accept("module = \" two  blanks \"\n"
                                  "module = \"/a b\"\t size=16 \"bold\" \n"
                                  "module = /a\"b c\"\n"
                                  "module = \"/a b\" \" c  d \"\n"
                                  "module = /a\t\" c\"\n"
                                  "module = /a \"\"\n");
    static const char *const want[][2] = {
        {" two  blanks ", ""}, {"/a b", "size=16 \"bold\""},
        {"/a\"b", "c\""},      {"/a b", " c  d "},
        {"/a", " c"},          {"/a", ""},
    };
    assert_int_equal(config.module_count, 6);
    for (int i = 0; i < 6; i++) {
        config_expect_text(config.modules[i].path, want[i][0]);
        config_expect_text(config.modules[i].cmdline, want[i][1]);
    }
}

TEST("config: a quote within a value that does not begin with one is an ordinary character") {
    struct config config = accept("kernel = a \"b\" c\ncmdline = x=\"y z\"\n");
    config_expect_text(config.kernel, "a \"b\" c");
    config_expect_text(config.cmdline, "x=\"y z\"");
}

TEST("config: of a command line alone nothing in quotes is a value") {
    config_expect_text(accept("cmdline = \"\"").cmdline, "");
    config_expect_text(accept("cmdline = \" \"").cmdline, " ");
    config_refuse("module = \"\" text", CONFIG_ERR_NO_VALUE,
                  "line 1, column 1: key 'module' has no value");
    config_refuse("\n kernel = \"\"", CONFIG_ERR_NO_VALUE,
                  "line 2, column 2: key 'kernel' has no value");
    config_refuse("log = \"\"", CONFIG_ERR_NO_VALUE, "line 1, column 1: key 'log' has no value");
}

TEST("config: a quote that is not closed and text after a closing one are refused where they are") {
    config_refuse("module = \"a b", CONFIG_ERR_NO_QUOTE,
                  "line 1, column 10: no closing quote in '\"a b'");
    config_refuse("kernel = \"", CONFIG_ERR_NO_QUOTE,
                  "line 1, column 10: no closing quote in '\"'");
    config_refuse("kernel = \"a", CONFIG_ERR_NO_QUOTE,
                  "line 1, column 10: no closing quote in '\"a'");
    config_refuse("module = \"a\" \"b", CONFIG_ERR_NO_QUOTE,
                  "line 1, column 14: no closing quote in '\"b'");
    config_refuse("module = a \"b", CONFIG_ERR_NO_QUOTE,
                  "line 1, column 12: no closing quote in '\"b'");
    config_refuse("module = \"a\"b", CONFIG_ERR_AFTER_QUOTE,
                  "line 1, column 13: text after the closing quote in '\"a\"b'");
    config_refuse("\nkernel = \"a\"  b", CONFIG_ERR_AFTER_QUOTE,
                  "line 2, column 15: text after the closing quote in '\"a\"  b'");
    config_refuse("cmdline = \"a\" b \"c\"", CONFIG_ERR_AFTER_QUOTE,
                  "line 1, column 15: text after the closing quote in '\"a\" b \"c\"'");
    config_refuse("module = \"a\" \"b\"\"", CONFIG_ERR_AFTER_QUOTE,
                  "line 1, column 17: text after the closing quote in '\"b\"\"'");
    config_refuse("module = a \"b\" c", CONFIG_ERR_AFTER_QUOTE,
                  "line 1, column 16: text after the closing quote in '\"b\" c'");
}

TEST("config: columns are characters, as editors count them, and a tab is one") {
    config_refuse("\t\tkernl = x", CONFIG_ERR_UNKNOWN_KEY,
                  "line 1, column 3: unknown key 'kernl'" KEYS_ABOVE);
    config_refuse("module = /\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \"b", CONFIG_ERR_NO_QUOTE,
                  "line 1, column 15: no closing quote in '\"b'");
    config_refuse("# \xc3\xa4\xff", CONFIG_ERR_UTF8,
                  "line 1, column 4: byte 0xff is not valid UTF-8");
    config_refuse("# \xe2\x82\xac\x01", CONFIG_ERR_CONTROL,
                  "line 1, column 4: byte 0x01 is a control character");
    config_refuse("[\xc3\xa4 ]\nlog=info", CONFIG_ERR_NAME,
                  "line 1, column 3: '\xc3\xa4 ' is no name of an entry: blanks, quotes, '[', ']' "
                  "and '=' are not");
}

TEST("config: kernel and modules know the line that names them") {
    assert_int_equal(config_default().kernel_line, 0);
    struct config config = accept("# x\nmodule = a\n\nkernel = k\r\nmodule = \"b\"\n");
    assert_int_equal(config.kernel_line, 4);
    assert_int_equal(config.modules[0].line, 2);
    assert_int_equal(config.modules[1].line, 5);
    config_expect_text(config.cmdline, ""); // no key sets what another one does
    assert_false(config.wants_digests);
}

TEST("config: an unknown key is named with its line, and with the keys that there are") {
    config_refuse("# x\n\nkernl = a\n", CONFIG_ERR_UNKNOWN_KEY,
                  "line 3, column 1: unknown key 'kernl'" KEYS_ABOVE);
    config_refuse("Kernel = a", CONFIG_ERR_UNKNOWN_KEY,
                  "line 1, column 1: unknown key 'Kernel'" KEYS_ABOVE);
    config_refuse("kernel x = a", CONFIG_ERR_UNKNOWN_KEY,
                  "line 1, column 1: unknown key 'kernel x'" KEYS_ABOVE);
    config_refuse("kerne = a", CONFIG_ERR_UNKNOWN_KEY,
                  "line 1, column 1: unknown key 'kerne'" KEYS_ABOVE);
    // The byte order mark is one at the very start only, and whole.
    config_refuse("\xef\xbb\xbekernel = a", CONFIG_ERR_UNKNOWN_KEY,
                  "line 1, column 1: unknown key '\xef\xbb\xbekernel'" KEYS_ABOVE);
    config_refuse("\n\xef\xbb\xbfkernel = a", CONFIG_ERR_UNKNOWN_KEY,
                  "line 2, column 1: unknown key '\xef\xbb\xbfkernel'" KEYS_ABOVE);
    config_refuse("kernl = a\n[x]\n", CONFIG_ERR_UNKNOWN_KEY,
                  "line 1, column 1: unknown key 'kernl'" KEYS_ABOVE);
    config_refuse("[x]\n timeuot = a", CONFIG_ERR_UNKNOWN_KEY,
                  "line 2, column 2: unknown key 'timeuot'; keys here are " KEYS ", title");
}

TEST("config: a key that is set twice is refused with both lines") {
    config_refuse("kernel = a\n\nkernel = a\n", CONFIG_ERR_DUPLICATE,
                  "line 3, column 1: key 'kernel' is set a second time, first in line 1");
    config_refuse("\ncmdline = a\ncmdline = b\n", CONFIG_ERR_DUPLICATE,
                  "line 3, column 1: key 'cmdline' is set a second time, first in line 2");
    config_refuse("log = info\nlog = info\n", CONFIG_ERR_DUPLICATE,
                  "line 2, column 1: key 'log' is set a second time, first in line 1");
    config_refuse("digest = none\ndigest = sha256\n", CONFIG_ERR_DUPLICATE,
                  "line 2, column 1: key 'digest' is set a second time, first in line 1");
}

#define DIGEST "00112233445566778899aAbBcCdDeEfF00112233445566778899aabbccddeeff"

TEST("config: a digest belongs to the kernel or module that was named last") {
    const uint8_t want[32] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
                              0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                              0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    struct config config = accept("module = a\nmodule = b\ncmdline = x\nsha256 = " DIGEST "\n"
                                  "kernel = c\n# x\n\nsha256=" DIGEST "\nmodule = d\n");
    assert_int_equal(config.modules[0].digest.line, 0);
    assert_int_equal(config.modules[1].digest.line, 4);
    assert_memory_equal(config.modules[1].digest.bytes, want, sizeof(want));
    assert_int_equal(config.kernel_digest.line, 8);
    assert_memory_equal(config.kernel_digest.bytes, want, sizeof(want));
    assert_int_equal(config.modules[2].digest.line, 0);
    assert_int_equal(accept("kernel = c").kernel_digest.line, 0);
}

TEST("config: a digest of no file, a second one, and what is none are refused") {
    config_refuse("sha256 = " DIGEST, CONFIG_ERR_NO_FILE,
                  "line 1, column 1: key 'sha256' has no kernel or module before it");
    config_refuse("log = info\nsha256 = x", CONFIG_ERR_NO_FILE,
                  "line 2, column 1: key 'sha256' has no kernel or module before it");
    config_refuse("kernel = a\nsha256 = " DIGEST "\n\nsha256 = " DIGEST, CONFIG_ERR_DUPLICATE,
                  "line 4, column 1: key 'sha256' is set a second time, first in line 2");
    config_refuse("kernel = a\nsha256 =", CONFIG_ERR_NO_VALUE,
                  "line 2, column 1: key 'sha256' has no value");
    char text[100] = "module = a\nsha256=" DIGEST;
    for (size_t at = 18; at < 18 + 64; at++) {
        static const char others[] = "/:@G`g ";
        for (size_t i = 0; i < sizeof(others) - 1; i++) {
            struct config_error error;
            struct config_file file;
            char before = text[at];
            text[at] = others[i];
            assert_int_equal(
                config_parse(text, strlen(text), config_room_for(strlen(text)), &file, &error),
                CONFIG_ERR_CHOICE);
            text[at] = before;
        }
    }
    config_refuse("kernel=a\nsha256=0" DIGEST, CONFIG_ERR_CHOICE,
                  "line 2, column 8: '0" DIGEST "' is not 64 hexadecimal digits");
    config_refuse("kernel=a\nsha256=12", CONFIG_ERR_CHOICE,
                  "line 2, column 8: '12' is not 64 hexadecimal digits");
}

TEST("config: a key without a value, a line without '=' and '=' without a key are refused") {
    config_refuse("kernel =", CONFIG_ERR_NO_VALUE, "line 1, column 1: key 'kernel' has no value");
    config_refuse("cmdline = \t \r\n", CONFIG_ERR_NO_VALUE,
                  "line 1, column 1: key 'cmdline' has no value");
    config_refuse("log=\n", CONFIG_ERR_NO_VALUE, "line 1, column 1: key 'log' has no value");
    config_refuse("\nmodule=\n", CONFIG_ERR_NO_VALUE,
                  "line 2, column 1: key 'module' has no value");
    config_refuse("digest=", CONFIG_ERR_NO_VALUE, "line 1, column 1: key 'digest' has no value");
    config_refuse(" kernel \\kernel.elf ", CONFIG_ERR_NO_EQUALS,
                  "line 1, column 2: no '=' in 'kernel \\kernel.elf'");
    config_refuse("\n = x\n", CONFIG_ERR_NO_KEY, "line 2, column 2: no key before '=' in '= x'");
}

TEST("config: a value that is no choice is refused with the choices") {
    config_refuse("log = verbose", CONFIG_ERR_CHOICE,
                  "line 1, column 7: 'verbose' is not quiet, info or debug");
    config_refuse("log = debugg", CONFIG_ERR_CHOICE,
                  "line 1, column 7: 'debugg' is not quiet, info or debug");
    config_refuse("paging = 3", CONFIG_ERR_CHOICE, "line 1, column 10: '3' is not 4, 5 or max");
    config_refuse("digest = md5", CONFIG_ERR_CHOICE,
                  "line 1, column 10: 'md5' is not none or sha256");
    config_refuse("clear = no", CONFIG_ERR_CHOICE, "line 1, column 9: 'no' is not on or off");
    config_refuse("strict = yes", CONFIG_ERR_CHOICE, "line 1, column 10: 'yes' is not on or off");
    config_refuse("kaslr = 1", CONFIG_ERR_CHOICE, "line 1, column 9: '1' is not on or off");
    config_refuse("protocol = multiboot", CONFIG_ERR_CHOICE,
                  "line 1, column 12: 'multiboot' is not slipway, limine, efi or linux");
}

TEST("config: a line may have any number of bytes") {
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES + 1);
    memset(text, 'x', BYTES);
    memcpy(text, "cmdline=", 8);
    text[BYTES] = '\0';
    assert_int_equal(accept(text).cmdline.bytes, BYTES - 8);
    text[BYTES - 1] = '\x7f';
    config_refuse(text, CONFIG_ERR_CONTROL,
                  "line 1, column 1048576: byte 0x7f is a control character");
    free(text);
}

TEST("config: what is not UTF-8 is refused with its byte, in comments too") {
    config_refuse("\nkernel = k\xe4se\n", CONFIG_ERR_UTF8,
                  "line 2, column 11: byte 0xe4 is not valid UTF-8");
    config_refuse("# \xc0\x80", CONFIG_ERR_UTF8, "line 1, column 3: byte 0xc0 is not valid UTF-8");
    config_refuse("cmdline = \xe2\x82\n\xac", CONFIG_ERR_UTF8,
                  "line 1, column 11: byte 0xe2 is not valid UTF-8");
    config_refuse("\xff\xfe", CONFIG_ERR_UTF8, "line 1, column 1: byte 0xff is not valid UTF-8");
}

TEST("config: control characters are refused with their byte, the tab excepted") {
    config_refuse_bytes("log = a\0b", 9, CONFIG_ERR_CONTROL,
                        "line 1, column 8: byte 0x00 is a control character");
    config_refuse("\n# \x1b[0m", CONFIG_ERR_CONTROL,
                  "line 2, column 3: byte 0x1b is a control character");
    config_refuse("# \x1f", CONFIG_ERR_CONTROL,
                  "line 1, column 3: byte 0x1f is a control character");
    config_refuse("cmdline = a\x7f", CONFIG_ERR_CONTROL,
                  "line 1, column 12: byte 0x7f is a control character");
    config_refuse("log = info\rlog = info", CONFIG_ERR_CONTROL,
                  "line 1, column 11: byte 0x0d is a control character");
    config_refuse("log = info\r\r\n", CONFIG_ERR_CONTROL,
                  "line 1, column 11: byte 0x0d is a control character");
    config_refuse("a\x01\xff", CONFIG_ERR_CONTROL,
                  "line 1, column 2: byte 0x01 is a control character");
    config_refuse("a\xff\x01", CONFIG_ERR_UTF8, "line 1, column 2: byte 0xff is not valid UTF-8");
    config_expect_text(accept("cmdline = a\tb").cmdline, "a\tb");
}

TEST("config: whatever byte stands wherever in a comment is taken or refused for what it is") {
    for (unsigned at = 2; at < 27; at++) {
        for (unsigned byte = 0; byte <= 255; byte++) {
            char text[] = "# .........................";
            char message[80];
            bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
            if (byte == '\n' || (byte == '\r' && at == sizeof(text) - 2))
                continue; // which end the line
            text[at] = (char)byte;
            snprintf(message, sizeof(message), "line 1, column %u: byte 0x%02x is %s", at + 1, byte,
                     is_control ? "a control character" : "not valid UTF-8");
            if (is_control || byte >= 0x80)
                config_refuse_bytes(text, sizeof(text) - 1,
                                    is_control ? CONFIG_ERR_CONTROL : CONFIG_ERR_UTF8, message);
            else
                accept(text);
        }
    }
}

TEST("config: a line and a key end where they do, however long they are") {
    for (int before = 0; before < 20; before++) {
        for (int behind = 0; behind < 20; behind++) {
            char text[80];
            snprintf(text, sizeof(text), "#%*s\n%*slog%*s=debug\n#", before, "", behind, "", before,
                     "");
            assert_int_equal(accept(text).log, CONFIG_LOG_DEBUG);
        }
    }
}

TEST("config: any number of modules is accepted, in their order, in the room that is said") {
    enum { MODULES = 10000 };
    static char text[MODULES * 20];
    size_t used = 0;
    for (unsigned i = 0; i < MODULES; i++)
        used += (size_t)sprintf(text + used, "module = m%05u\n", i);
    struct config config = accept(text);
    assert_int_equal(config.module_count, MODULES);
    for (unsigned i = 0; i < MODULES; i++) {
        assert_int_equal(strtoul(config.modules[i].path.text + 1, NULL, 10), i);
        assert_int_equal(config.modules[i].line, i + 1);
    }
    // As short as can be, with nothing behind the last.
    for (unsigned count = 1; count < 10; count++) {
        text[0] = '\0';
        for (unsigned i = 0; i < count; i++)
            strcat(text, i == 0 ? "module=m" : "\nmodule=m");
        assert_int_equal(config_module_bound(strlen(text)), count);
        assert_int_equal(config_module_bound(strlen(text) - 1), count - 1);
        assert_int_equal(accept(text).module_count, count);
    }
}

TEST("config: a file of 2 GiB or more is refused by its size") {
    struct config_file file;
    const struct config_room none = {0};
    struct config_error error = {0};
    const uint64_t bytes = UINT64_C(1) << 31;
    assert_int_equal(config_parse(NULL, bytes, none, &file, &error), CONFIG_ERR_FILE_SIZE);
    assert_int_equal(error.line, 0);
    char printed[80];
    struct fmt_buffer buffer = fmt_buffer_make(printed, sizeof(printed));
    struct sink sink = fmt_buffer_sink(&buffer);
    config_error_print(&sink, &error);
    assert_string_equal(printed, "2147483648 bytes, more than 2147483647");
    char *text = mmap(NULL, bytes - 1, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(text, MAP_FAILED);
    memcpy(text, "\a\n", 2); // all that is read of it
    assert_int_equal(config_parse(text, bytes - 1, none, &file, &error), CONFIG_ERR_CONTROL);
    munmap(text, bytes - 1);
}

TEST("config: a text cut at any byte is accepted or refused, and never read past its end") {
    const char text[] = "\xef\xbb\xbfkernel = k\xc3\xa4se\r\n#\r\nmodule = m x\nlog = info\n";
    for (uint64_t bytes = 0; bytes < sizeof(text); bytes++) {
        struct config_file file;
        struct config_error error = {.status = CONFIG_OK};
        char *copy = config_exact(text, bytes);
        enum config_status status =
            config_parse(copy, bytes, config_room_for(bytes), &file, &error);
        assert_int_equal(status, error.status);
        free(copy);
    }
}

TEST("config: of a text the whole characters that fit are its start") {
    static const char text[] = "a\xc3\xa9\xe2\x82\xbf"; // of 1, 2 and 3 bytes
    static const uint64_t fits[] = {0, 1, 1, 3, 3, 3, 6, 6};
    char *copy = config_exact(text, sizeof(text) - 1); // nothing behind it is read
    for (uint64_t most = 0; most < ARRAY_LEN(fits); most++) {
        struct config_text fit = config_fit((struct config_text){copy, sizeof(text) - 1}, most);
        assert_ptr_equal(fit.text, copy);
        assert_int_equal(fit.bytes, fits[most]);
    }
    free(copy);
}

TEST("config: of a long value a message shows 80 bytes, and then the cause") {
    char text[200] = "log = ";
    char want[200] = "line 1, column 7: '";
    memset(text + 6, 'a', 81);
    memset(want + 19, 'a', 80);
    strcat(want, "' is not quiet, info or debug");
    config_refuse(text, CONFIG_ERR_CHOICE, want);
    // Of a character that the end would cut, nothing.
    strcpy(text + 6 + 78, "\xe2\x82\xac");
    strcpy(want + 19 + 78, "' is not quiet, info or debug");
    config_refuse(text, CONFIG_ERR_CHOICE, want);
}
