#include "loader/load_options.h"

#include "loader/utf.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

#define LOADER "\\EFI\\BOOT\\BOOTX64.EFI"

static uint8_t bytes[LOAD_OPTIONS_BYTES_MAX + 4];
static uint64_t used;

static void put(uint16_t unit) {
    memcpy(bytes + used, &unit, 2);
    used += 2;
}

static void put_ascii(const char *text) {
    for (; *text != '\0'; text++)
        put((uint8_t)*text);
}

// Parses what was put, from memory of exactly its size at an odd address, into exactly the room.
// *ret_text holds the result.
static enum load_options_status parse(bool is_shell, const char *loader, char *ret_text) {
    char *start = malloc(used + 1);
    memcpy(start + 1, bytes, used);
    const struct load_options options = {start + 1, used, is_shell, {loader, strlen(loader)}};
    char *room = malloc(load_options_room(used));
    struct config_text cmdline = {"untouched", 9};
    enum load_options_status status = load_options_parse(&options, room, &cmdline);
    if (status == LOAD_OPTIONS_OK)
        assert_int_equal(utf8_find_invalid(cmdline.text, cmdline.bytes), cmdline.bytes);
    else
        assert_memory_equal(cmdline.text, "untouched", 9);
    memcpy(ret_text, cmdline.text, cmdline.bytes);
    ret_text[cmdline.bytes] = '\0';
    free(start);
    free(room);
    used = 0;
    return status;
}

static void expect(const char *want) {
    char text[400];
    assert_int_equal(parse(false, LOADER, text), LOAD_OPTIONS_OK);
    assert_string_equal(text, want);
}

static void refuse(enum load_options_status want) {
    char text[400];
    assert_int_equal(parse(false, LOADER, text), want);
}

TEST("load options: text is the command line, with a NUL, with several, and without one") {
    for (unsigned zeros = 0; zeros < 4; zeros++) {
        put_ascii("root=/dev/x  quiet");
        for (unsigned i = 0; i < zeros; i++)
            put(0);
        expect("root=/dev/x  quiet");
    }
    put_ascii("a");
    expect("a");
}

TEST("load options: blanks and ends of line around the text do not count, within it a tab may be") {
    put_ascii(" \t\r\n a\tb c \t\r\n");
    put(0);
    expect("a\tb c");
    put_ascii(" \n");
    refuse(LOAD_OPTIONS_NONE);
    put(0);
    refuse(LOAD_OPTIONS_NONE);
}

TEST("load options: nothing but such is no text, however little") {
    static const char *const texts[] = {"", " ", "\t", "\r\n"};
    for (unsigned i = 0; i < 4; i++) {
        put_ascii(texts[i]);
        refuse(LOAD_OPTIONS_NONE);
        put_ascii(texts[i]);
        put(0);
        refuse(LOAD_OPTIONS_NONE);
    }
}

TEST("load options: characters of every length become UTF-8, for which there is room") {
    assert_int_equal(load_options_room(0), 1);
    assert_int_equal(load_options_room(2), 3 + 1);
    assert_int_equal(load_options_room(LOAD_OPTIONS_BYTES_MAX), 98304 + 1);
    put_ascii("x=");
    put(0xe9);
    put(0x20ac);
    put_ascii("ab");
    put(0xd83d);
    put(0xde00);
    expect("x=\xc3\xa9\xe2\x82\xac"
           "ab\xf0\x9f\x98\x80");
}

TEST("load options: half a pair of surrogates is no text, wherever it stands") {
    put_ascii("  ");
    put(0xd800);
    refuse(LOAD_OPTIONS_ERR_SURROGATE); // behind blanks, too
    static const uint16_t halves[] = {0xd800, 0xdbff, 0xdc00, 0xdfff};
    for (unsigned i = 0; i < 4; i++) {
        put_ascii("ab");
        put(halves[i]);
        put_ascii("cd");
        refuse(LOAD_OPTIONS_ERR_SURROGATE);
        put_ascii("ab");
        put(halves[i]);
        refuse(LOAD_OPTIONS_ERR_SURROGATE);
        put(halves[i]);
        put_ascii("ab");
        refuse(LOAD_OPTIONS_ERR_SURROGATE);
    }
    put_ascii("ab");
    put(0xde00); // the wrong way round
    put(0xd83d);
    refuse(LOAD_OPTIONS_ERR_SURROGATE);
}

TEST("load options: control characters but the tab, and an odd number of bytes, are no text") {
    for (uint16_t unit = 1; unit < 0x81; unit++) {
        put_ascii("ab");
        put(unit);
        put_ascii("c");
        char text[400];
        bool is_control = (unit < ' ' && unit != '\t') || unit == 0x7f;
        assert_int_equal(parse(false, LOADER, text),
                         is_control ? LOAD_OPTIONS_ERR_CONTROL : LOAD_OPTIONS_OK);
    }
    put_ascii("root=x");
    used--;
    refuse(LOAD_OPTIONS_ERR_ODD);
    put(0);
    used--;
    refuse(LOAD_OPTIONS_ERR_ODD);
}

static void put_bytes(const char *text, uint64_t count) {
    memcpy(bytes + used, text, count);
    used += count;
}

TEST("load options: what firmware keeps in options of its own is no text") {
    put_bytes("\x4e\xac\x08\x81\x11\x9f\x59\x4d\x85\x0e\xe2\x1a\x52\x2c\x59\xb2", 16); // edk2
    refuse(LOAD_OPTIONS_ERR_FOREIGN);
    put_bytes("\0\0BO", 4);
    refuse(LOAD_OPTIONS_ERR_BEHIND);
    put_bytes("RC", 2);
    refuse(LOAD_OPTIONS_ERR_FOREIGN);
    put_bytes("WINDOWS\0\1\0\0\0\x88\0\0\0x\0\0\0B\0C\0D\0", 26);
    refuse(LOAD_OPTIONS_ERR_BEHIND);
    put_bytes("root=/dev/sda1 quiet", 20); // efibootmgr without -u
    refuse(LOAD_OPTIONS_ERR_FOREIGN);
    put_bytes("\1\0\0\0\x62\0U\0E\0F\0I\0\0\0", 16); // a whole boot option
    refuse(LOAD_OPTIONS_ERR_BEHIND);
    for (unsigned i = 0; i < 8; i++)
        put(0xffff);
    refuse(LOAD_OPTIONS_ERR_FOREIGN);
}

TEST("load options: a text is at least half ASCII") {
    for (unsigned foreign = 3; foreign < 6; foreign++) {
        char text[400];
        put_ascii("abcd");
        for (unsigned i = 0; i < foreign; i++)
            put(0x4e00);
        assert_int_equal(parse(false, "", text),
                         foreign <= 4 ? LOAD_OPTIONS_OK : LOAD_OPTIONS_ERR_FOREIGN);
    }
    put_ascii("abc");
    put(0x7e);
    for (unsigned i = 0; i < 4; i++)
        put(0x80);
    char text[400];
    assert_int_equal(parse(false, "", text), LOAD_OPTIONS_OK); // 0x7e is ASCII, 0x80 is not
    put_ascii("a");
    put(0x80);
    put(0x80);
    refuse(LOAD_OPTIONS_ERR_FOREIGN);
}

TEST("load options: 64 KiB are read, more are not") {
    static char text[LOAD_OPTIONS_BYTES_MAX];
    while (used < LOAD_OPTIONS_BYTES_MAX)
        put('x');
    assert_int_equal(parse(false, "", text), LOAD_OPTIONS_OK);
    assert_int_equal(strlen(text), LOAD_OPTIONS_BYTES_MAX / 2);
    while (used < LOAD_OPTIONS_BYTES_MAX + 2)
        put('x');
    refuse(LOAD_OPTIONS_ERR_LONG);
}

TEST("load options: a first word that ends in the name of the loader's file is left out") {
    static const char *const words[] = {
        "BOOTX64.EFI",           "bootx64.efi",
        "fs0:BOOTX64.EFI",       "FS0:\\EFI\\boot\\BootX64.efi",
        "/EFI/BOOT/BOOTX64.EFI", "\"fs0:\\a b\\BOOTX64.EFI\"",
        "\"BOOTX64.EFI\"",       "f\"s 0\":BOOTX64.EFI",
    };
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        put_ascii(words[i]);
        put_ascii(" \t one  \"two\"");
        expect("one  \"two\"");
        put_ascii(words[i]);
        refuse(LOAD_OPTIONS_NONE);
    }
    static const char *const others[] = {"BOOTX64.EFI.x a", "xBOOTX64.EFI a", "OOTX64.EFI a",
                                         "BOOTX64.EFJ a",   "a BOOTX64.EFI",  "[OOTX64.EFI a"};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        put_ascii(others[i]);
        expect(others[i]);
    }
}

TEST("load options: letters from A to Z alone have two cases") {
    char text[400];
    put_ascii("az[@.efi a");
    assert_int_equal(parse(false, "AZ[@.EFI", text), LOAD_OPTIONS_OK);
    assert_string_equal(text, "a");
    static const char *const others[] = {"az{@.efi a", "az[`.efi a"};
    for (unsigned i = 0; i < 2; i++) {
        put_ascii(others[i]);
        assert_int_equal(parse(false, "AZ[@.EFI", text), LOAD_OPTIONS_OK);
        assert_string_equal(text, others[i]);
    }
}

TEST("load options: a loader whose file has no name takes every word") {
    static const char *const loaders[] = {"", "\\EFI\\"};
    for (unsigned i = 0; i < 2; i++) {
        char text[400];
        put_ascii("a/ b");
        assert_int_equal(parse(false, loaders[i], text), LOAD_OPTIONS_OK);
        assert_string_equal(text, "a/ b");
    }
}

static void expect_shell(const char *line, const char *want) {
    char text[400];
    put_ascii(line);
    put(0);
    enum load_options_status status = parse(true, LOADER, text);
    assert_int_equal(status, want[0] == '\0' ? LOAD_OPTIONS_NONE : LOAD_OPTIONS_OK);
    assert_string_equal(text, want[0] == '\0' ? "untouched" : want);
}

TEST("load options: of the shell's line the first word is left out, whatever it is") {
    expect_shell("BOOTX64.EFI a b", "a b");
    expect_shell("bootx64 a  b ", "a  b");
    expect_shell("\"fs0:\\my dir\\x.efi\" \"a b\" c", "\"a b\" c");
    expect_shell("fs0:\"my dir\"\\x a", "a");
    expect_shell("a^ b c", "c");
    expect_shell("a^\" b c", "b c");
    expect_shell("\"a^\" b\" c", "c");
    expect_shell("x\ty", "y");
    expect_shell("x", "");
    expect_shell("x  ", "");
    expect_shell("x^", "");
    expect_shell("\"x y", "");
    expect_shell("", "");
}

TEST("load options: every status has its words") {
    for (int status = LOAD_OPTIONS_OK; status <= LOAD_OPTIONS_ERR_FOREIGN; status++)
        assert_string_not_equal(load_options_status_text((enum load_options_status)status),
                                "unknown");
}
