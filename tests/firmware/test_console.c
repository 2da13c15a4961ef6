// The firmware's console: what is written there, and whether COM1 is one of them, by the device
// paths that the firmware gives (UEFI 2.9, 10.3).
#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "loader/console.h"
#include "tests/firmware/setup.h"

#include <string.h>

#define NODES_MAX 32 // of a path, that are looked at

static const ACPI_HID_DEVICE_PATH com1 = {
    {ACPI_DEVICE_PATH, ACPI_DP, {sizeof(ACPI_HID_DEVICE_PATH), 0}}, EISA_PNP_ID(0x501), 0};
static const EFI_DEVICE_PATH other = {HARDWARE_DEVICE_PATH, HW_PCI_DP, {sizeof(other), 0}};
static const EFI_DEVICE_PATH end = {
    END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(end), 0}};

static char path[1024];
static size_t path_bytes;

static void append(const void *node, size_t bytes) {
    memcpy(path + path_bytes, node, bytes);
    path_bytes += bytes;
}

// A machine whose one console has a path that begins with so many nodes.
static void begin_path(uint32_t nodes) {
    setup_boot(NULL);
    fake.consoles[0] = path;
    path_bytes = 0;
    for (uint32_t i = 0; i < nodes; i++)
        append(&other, sizeof(other));
}

// Starts the loader, which asks the firmware about its consoles once, and says what it has found.
static bool finds_com1(void) {
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot();
    assert_int_equal(fake.com1_bytes != 0, !console_is_on_com1());
    uint32_t asked = 0;
    for (uint64_t i = 0; i < fake.calls; i++)
        asked += fake.kinds[i] == FAKE_LOCATE_HANDLE;
    assert_int_equal(asked, 1);
    assert_string_equal(fake.breach, "");
    return console_is_on_com1();
}

TEST("console: COM1 is known by the first PNP0501 among the first 32 nodes of the path") {
    for (uint32_t before = 0; before <= NODES_MAX; before += NODES_MAX - 1) {
        for (int follows = 0; follows < 2; follows++) {
            begin_path(before);
            append(&com1, sizeof(com1));
            append(follows ? &other : &end, sizeof(end));
            append(&end, sizeof(end));
            assert_true(finds_com1());
        }
    }
    begin_path(NODES_MAX);
    append(&com1, sizeof(com1));
    append(&end, sizeof(end));
    assert_false(finds_com1());
}

TEST("console: another device is not COM1, nor is what follows a path's end or a node of no size") {
    ACPI_HID_DEVICE_PATH nodes[5];
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        nodes[i] = com1;
    nodes[0].HID = EISA_PNP_ID(0x500);
    nodes[1].UID = 1;
    nodes[2].Header.Type = HARDWARE_DEVICE_PATH;
    nodes[3].Header.SubType = ACPI_DP + 1;
    nodes[4].Header.Length[0] = sizeof(com1) - 1;
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        begin_path(1);
        append(&nodes[i], nodes[i].Header.Length[0]);
        append(&end, sizeof(end));
        assert_false(finds_com1());
    }
    EFI_DEVICE_PATH stops[] = {end, other};
    stops[1].Length[0] = 0;
    for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
        begin_path(1);
        append(&stops[i], sizeof(stops[i]));
        append(&com1, sizeof(com1));
        append(&end, sizeof(end));
        assert_false(finds_com1());
    }
}

TEST("console: COM1 is found among 16 consoles, and one without a path is passed over") {
    for (uint32_t others = 0; others < 18; others++) {
        setup_boot(NULL);
        fake.console_is_com1 = others < 17;
        fake.console_count = fake.console_is_com1 ? others : 16;
        for (uint32_t i = 0; i < fake.console_count; i++)
            fake.consoles[i] = i % 2 ? NULL : &end;
        setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
        fake_boot();
        assert_int_equal(console_is_on_com1(), others + 1 <= 16);
    }
}

TEST("console: a text arrives whole, in parts of 62") {
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot(); // which leaves the firmware's tables known
    static char text[200];
    memset(text, 'x', sizeof(text));
    for (size_t bytes = 0; bytes < sizeof(text); bytes++) {
        text[bytes] = '\n';
        fake.console_bytes = 0;
        uint64_t calls = fake.calls;
        console_write(text, bytes + 1);
        assert_int_equal(fake.calls - calls, bytes / 62 + 1);
        assert_int_equal(fake.console_bytes, bytes + 1);
        assert_memory_equal(fake.console, text, bytes + 1);
        text[bytes] = 'x';
    }
}

static void expect_shown(const char *text, size_t bytes, const char *shown) {
    fake.console_bytes = 0;
    memset(fake.console, 0, sizeof(fake.console));
    console_write(text, bytes);
    assert_string_equal(fake.console, shown);
}

TEST("console: UTF-8 is shown as far as there are glyphs, else a question mark a character") {
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot();
    fake.screen.glyph = 0x3bb;
    expect_shown("\x7e\x7f \u00e4 \u03bb \u03bc \uffff \U00010000", 20,
                 "\x7e\x7f \u00e4 \u03bb ? ? ?");
    expect_shown("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", 8, "???\xc2\xa0");
    // What is no UTF-8: bytes out of place, an overlong form, a character cut off.
    expect_shown("a\x80\xff\xc0\xafz\xe2\x82", 8, "a????z??");
}

TEST("console: a failure names a file whose name is not ASCII, there as on COM1") {
    setup_boot("kernel = /\u00e4/\u03bb.elf\n");
    fake.screen.glyph = 0x3bb;
    fake_boot();
    setup_expect_failure("/\u00e4/\u03bb.elf: not found (key 'kernel', /slipway.conf line 1)");
    assert_memory_equal(fake.console, fake.com1, fake.com1_bytes);
}
