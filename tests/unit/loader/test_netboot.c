// The boot server's address and its names for files: found in packets that are in order, and in no
// others. What its errors mean.
#include "loader/netboot.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { URL_OPTION = 59 };

// The packet in a place of its size. With no address expected, nothing may be written.
static void expect(bool (*find)(const void *, uint64_t, uint8_t[16]), const void *packet,
                   uint64_t bytes, const uint8_t *want, uint64_t want_bytes) {
    uint8_t *copy = malloc(bytes + 1);
    uint8_t address[16];
    uint8_t whole[16];
    memcpy(copy + 1, packet, bytes);
    memset(address, 0xa5, sizeof(address));
    memset(whole, 0xa5, sizeof(whole));
    memcpy(whole, want, want_bytes);
    assert_int_equal(find(copy + 1, bytes, address), want_bytes != 0);
    assert_memory_equal(address, whole, sizeof(whole));
    free(copy);
}

TEST("netboot: an IPv4 packet has the server's address behind the client's two") {
    uint8_t packet[240];
    for (unsigned i = 0; i < sizeof(packet); i++)
        packet[i] = (uint8_t)i;
    expect(netboot_server_4, packet, sizeof(packet), packet + 20, 4);
    expect(netboot_server_4, packet, 24, packet + 20, 4);
    for (uint64_t bytes = 0; bytes < 24; bytes++)
        expect(netboot_server_4, packet, bytes, packet, 0);
    memset(packet + 20, 0, 4);
    expect(netboot_server_4, packet, sizeof(packet), packet, 0);
    packet[23] = 1;
    expect(netboot_server_4, packet, sizeof(packet), packet + 20, 4);
}

static uint8_t packet_6[512];

// A DHCPv6 packet with another option before the URL; returns its bytes.
static uint64_t make_6(const char *url, uint16_t option) {
    static const uint8_t start[] = {7, 1, 2, 3, 0, 1, 0, 3, 'a', 'b', 'c'};
    uint64_t used = sizeof(start);
    uint64_t length = strlen(url);
    memcpy(packet_6, start, used);
    const uint8_t head[] = {(uint8_t)(option >> 8), (uint8_t)option, (uint8_t)(length >> 8),
                            (uint8_t)length};
    memcpy(packet_6 + used, head, sizeof(head));
    memcpy(packet_6 + used + sizeof(head), url, length);
    return used + sizeof(head) + length;
}

TEST("netboot: an IPv6 packet has the server's address in the URL of the boot file") {
    static const struct {
        const char *url;
        uint8_t address[16];
    } good[] = {
        {"tftp://[2001:db8::1]/boot.efi", {0x20, 1, 0x0d, 0xb8, [15] = 1}},
        {"http://[2001:DB8:0:a:Bc:dEf:1234:0]:80/x",
         {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0xa, 0, 0xbc, 0x0d, 0xef, 0x12, 0x34, 0, 0}},
        {"tftp://[::]", {0}},
        {"tftp://[::1]", {[15] = 1}},
        {"tftp://[1::]", {0, 1}},
        {"tftp://[::2:3]", {[13] = 2, [15] = 3}},
        {"tftp://[::90:9f]", {[13] = 0x90, [15] = 0x9f}},
        {"tftp://[fe80::a:b]/", {0xfe, 0x80, [13] = 0xa, [15] = 0xb}},
        {"tftp://[1:2:3:4:5:6:7::]/", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0}},
        {"tftp://[::2:3:4:5:6:7:8]/", {0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
        {":/tftp://[1:2:3:4:5:6:7:8]", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
    };
    for (unsigned i = 0; i < ARRAY_LEN(good); i++)
        expect(netboot_server_6, packet_6, make_6(good[i].url, URL_OPTION), good[i].address, 16);
}

TEST("netboot: a URL may have more than 255 bytes") {
    static const uint8_t address[16] = {[15] = 1};
    char url[320];
    memset(url, 'x', 300);
    strcpy(url + 300, "://[::1]");
    expect(netboot_server_6, packet_6, make_6(url, URL_OPTION), address, 16);
}

TEST("netboot: a URL with a name, or with what is no address, tells none") {
    static const char *const bad[] = {
        "",
        "tftp://server/boot.efi",
        "tftp:/[::1]",
        "tftp://[",
        "tftp://[]",
        "tftp://[::1",
        "tftp://[:",
        "tftp://[:]",
        "tftp://[:1::2]",
        "tftp://[1:2:3:4:5:6:7]",
        "tftp://[1:2:3:4:5:6:7:]",
        "tftp://[1:2:3:4:5:6:7:8:9]",
        "tftp://[1:2:3:4:5:6:7:8::]",
        "tftp://[::1:2:3:4:5:6:7:8]",
        "tftp://[1::2::3]",
        "tftp://[1:::3]",
        "tftp://[12345::]",
        "tftp://[::g]",
        "tftp://[::@]",
        "tftp://[::1 ]",
        "tftp://[::1%eth0]",
        "tftp://[::192.0.2.1]",
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        expect(netboot_server_6, packet_6, make_6(bad[i], URL_OPTION), packet_6, 0);
}

TEST("netboot: an IPv6 packet without the option, or cut anywhere, tells no address") {
    static const uint8_t address[16] = {[15] = 1};
    const char *url = "tftp://[::1]";
    uint64_t bytes = make_6(url, URL_OPTION);
    expect(netboot_server_6, packet_6, bytes + 100, address, 16);
    for (uint64_t cut = 0; cut < bytes; cut++)
        expect(netboot_server_6, packet_6, cut, packet_6, 0);
    expect(netboot_server_6, packet_6, make_6(url, URL_OPTION + 1), packet_6, 0);
    expect(netboot_server_6, packet_6, make_6(url, URL_OPTION + 256), packet_6, 0);
    bytes = make_6(url, URL_OPTION);
    packet_6[6] = 1; // the option before is longer than all
    expect(netboot_server_6, packet_6, bytes, packet_6, 0);
}

// ---- Options of DHCP

enum { OPTIONS = 240, PACKET_BYTES = 300, FIELD_FILE = 108, FIELD_NAME = 44 };

static uint8_t packet_4[PACKET_BYTES];

// A packet with a boot file in its field and these bytes as its options, which nothing ends.
static void make_4(const char *file, const void *options, uint64_t bytes) {
    memset(packet_4, 0, sizeof(packet_4));
    memcpy(packet_4 + FIELD_FILE, file, strlen(file));
    memcpy(packet_4 + OPTIONS - 4, "\x63\x82\x53\x63", 4);
    memcpy(packet_4 + OPTIONS, options, bytes);
}

#define MAKE_4(file, options) make_4(file, options, sizeof(options) - 1)

// The name in a copy of its size, which the sanitizer watches.
static void expect_file(struct config_text (*find)(const void *, uint64_t), const void *packet,
                        uint64_t bytes, const char *want) {
    uint8_t *copy = malloc(bytes + 1);
    memcpy(copy + 1, packet, bytes);
    struct config_text name = find(copy + 1, bytes);
    assert_int_equal(name.bytes, strlen(want));
    assert_memory_equal(name.bytes == 0 ? want : name.text, want, name.bytes);
    free(copy);
}

static void expect_file_4(const char *want) {
    expect_file(netboot_file_4, packet_4, sizeof(packet_4), want);
}

TEST("netboot: without siaddr the server is the one that the packet names as its own") {
    const uint8_t own[4] = {10, 0, 2, 2};
    MAKE_4("", "\0\0\65\1\5\66\4\12\0\2\2\377");
    expect(netboot_server_4, packet_4, sizeof(packet_4), own, 4);
    packet_4[20] = 9;
    expect(netboot_server_4, packet_4, sizeof(packet_4), packet_4 + 20, 4);
    MAKE_4("", "\66\3\12\0\2\377"); // no address
    expect(netboot_server_4, packet_4, sizeof(packet_4), own, 0);
    MAKE_4("", "\377\66\4\12\0\2\2");
    expect(netboot_server_4, packet_4, sizeof(packet_4), own, 0);
    MAKE_4("", "\377\0\66\4\12\0\2\2");
    expect(netboot_server_4, packet_4, sizeof(packet_4), own, 0);
    MAKE_4("", "\376\0\1\4\377\377\377\0\66\4\12\0\2\2");
    expect(netboot_server_4, packet_4, sizeof(packet_4), own, 4);
    MAKE_4("", "\66\4\12\0\2\2\377");
    packet_4[OPTIONS - 1] ^= 1; // it has no options
    expect(netboot_server_4, packet_4, sizeof(packet_4), own, 0);
}

TEST("netboot: the boot file is that of the option, or else of the field") {
    MAKE_4("field.efi", "\103\12option.efi\377");
    expect_file_4("option.efi");
    MAKE_4("field.efi", "\103\13option.efi\0\377"); // some end it with a NUL
    expect_file_4("option.efi");
    MAKE_4("a/field.efi", "\377\103\1x");
    expect_file_4("a/field.efi");
    MAKE_4("", "\377");
    expect_file_4("");
    memset(packet_4 + FIELD_FILE, 'x', 128);
    char want[129] = {0};
    memset(want, 'x', 128);
    expect_file_4(want);
    for (uint64_t cut = 0; cut < FIELD_FILE + 128; cut++)
        expect_file(netboot_file_4, packet_4, cut, "");
    expect_file(netboot_file_4, packet_4, FIELD_FILE + 128, want);
}

TEST("netboot: fields of the packet that hold options are no names, and are looked through") {
    MAKE_4("\103\5a.efi\377", "\64\1\1\377");
    expect_file_4("a.efi");
    MAKE_4("field.efi", "\64\1\2\377");
    memcpy(packet_4 + FIELD_NAME, "\103\5b.efi\377", 8);
    expect_file_4("b.efi");
    packet_4[OPTIONS + 2] = 3;
    expect_file_4("b.efi");
    packet_4[OPTIONS + 2] = 0;
    expect_file_4("field.efi");
    MAKE_4("\103\200", "\64\1\1\377"); // longer than the field
    expect_file_4("");
    memcpy(packet_4 + FIELD_NAME, "\103\5b.efi\377", 8); // which has no options
    expect_file_4("");
}

TEST("netboot: an option may fill the field of the server's name, between two others") {
    char want[63] = {0};
    memset(want, 'x', 62);
    MAKE_4("x", "\64\1\2\377");
    packet_4[FIELD_NAME - 1] = 0xff;
    packet_4[FIELD_NAME] = 67;
    packet_4[FIELD_NAME + 1] = 62;
    memset(packet_4 + FIELD_NAME + 2, 'x', 62);
    expect_file_4(want);
    packet_4[FIELD_NAME + 1] = 63;
    expect_file_4("x");
}

TEST("netboot: options that are cut anywhere lead nowhere") {
    MAKE_4("", "\65\1\5\103\5a.efi");
    memset(packet_4 + OPTIONS + 10, 0xee, sizeof(packet_4) - OPTIONS - 10);
    for (uint64_t cut = OPTIONS; cut < OPTIONS + 10; cut++)
        expect_file(netboot_file_4, packet_4, cut, "");
    expect_file(netboot_file_4, packet_4, OPTIONS + 10, "a.efi");
    MAKE_4("field.efi", "\103\0"); // whole, and without a name
    expect_file(netboot_file_4, packet_4, OPTIONS + 2, "");
    expect_file(netboot_file_4, packet_4, OPTIONS + 1, "field.efi");
}

TEST("netboot: a name that cannot be shown, or is too long, is none") {
    char long_name[13 + NETBOOT_FILE_MAX + 2] = {0};
    MAKE_4("", "\103\3a\nb\377");
    expect_file_4("");
    MAKE_4("", "\103\3a\177b\377");
    expect_file_4("");
    MAKE_4("", "\103\3a\300b\377");
    expect_file_4("");
    MAKE_4("", "\103\4\303\244b!\377");
    expect_file_4("\303\244b!");
    MAKE_4("", "\103\3a b\377");
    expect_file_4("a b");
    memset(long_name, 'x', 13 + NETBOOT_FILE_MAX + 1);
    memcpy(long_name, "tftp://[::1]/", 13);
    expect_file(netboot_file_6, packet_6, make_6(long_name, URL_OPTION), "");
    long_name[13 + NETBOOT_FILE_MAX] = '\0';
    expect_file(netboot_file_6, packet_6, make_6(long_name, URL_OPTION), long_name + 13);
}

TEST("netboot: with IPv6 the boot file is what stands behind the server, up to the mode") {
    static const char *const names[][2] = {
        {"tftp://[2001:db8::1]/boot.efi", "boot.efi"},
        {"tftp://[::1]/a/b%20c.efi;mode=octet", "a/b%20c.efi"},
        {"tftp://server//a.efi", "/a.efi"},
        {"tftp://[::1]/;mode=octet", ""},
        {"tftp://[::1]/a;mode", "a;mode"},
        {"tftp://[::1]/a;mode=", "a"},
        {"tftp://[::1]/", ""},
        {"tftp://[::1]", ""},
        {"tftp:/x", ""},
        {"", ""},
    };
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        expect_file(netboot_file_6, packet_6, make_6(names[i][0], URL_OPTION), names[i][1]);
    expect_file(netboot_file_6, packet_6, make_6("tftp://[::1]/a", URL_OPTION + 1), "");
}

// ---- Names on the server

static struct config_text text(const char *string) {
    return (struct config_text){string, strlen(string)};
}

TEST("netboot: paths begin in the boot file's folder, or in the one that EFI/BOOT is in") {
    static const struct {
        const char *file, *root;
    } cases[] = {
        {"BOOTX64.EFI", ""},
        {"/BOOTX64.EFI", "/"},
        {"a/b.efi", "a/"},
        {"a\\b\\c.efi", "a\\b\\"},
        {"EFI/BOOT/BOOTX64.EFI", ""},
        {"efi\\boot\\bootx64.efi", ""},
        {"/srv/Efi/Boot/x", "/srv/"},
        {"notEFI/BOOT/x", "notEFI/BOOT/"},
        {"EFI/BOOTS/x", "EFI/BOOTS/"},
        {"UFI/BOOT/x", "UFI/BOOT/"},
        {"EFI/BOOT", "EFI/"},
        {"EFI\002BOOT/x", "EFI\002BOOT/"},
        {"", ""},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(netboot_root_bytes(text(cases[i].file)), strlen(cases[i].root));
}

TEST("netboot: a name is the root and the path, with the root's separators") {
    static const char *const cases[][3] = {
        {"", "\\kernel.elf", "kernel.elf"},
        {"/", "\\a\\b", "/a/b"},
        {"a/", "\\b\\c", "a/b/c"},
        {"a\\", "\\b\\c", "a\\b\\c"},
    };
    char name[NETBOOT_NAME_MAX + 1];
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_text path = text(cases[i][1]);
        char *copy = malloc(path.bytes); // without the NUL
        memcpy(copy, path.text, path.bytes);
        path.text = copy;
        assert_int_equal(netboot_join(text(cases[i][0]), path, name), strlen(cases[i][2]));
        free(copy);
        assert_string_equal(name, cases[i][2]);
    }
}

TEST("netboot: a name of 400 bytes is the longest") {
    char path[402];
    char name[NETBOOT_NAME_MAX + 1] = "as it was";
    memset(path, 'p', sizeof(path));
    path[0] = '\\';
    assert_int_equal(netboot_join(text(""), (struct config_text){path, 402}, name), 0);
    assert_int_equal(netboot_join(text("r/"), (struct config_text){path, 400}, name), 0);
    assert_string_equal(name, "as it was");
    assert_int_equal(netboot_join(text(""), (struct config_text){path, 401}, name), 400);
    assert_memory_equal(name, path + 1, 400);
    assert_int_equal(name[400], 0);
}

TEST("netboot: a server's error is told by its code, or by its words where there is none") {
    static const struct {
        unsigned code;
        const char *text;
        enum netboot_error error;
    } cases[] = {
        {1, "Access violation", NETBOOT_ERR_ABSENT},
        {2, "File not found", NETBOOT_ERR_ACCESS},
        {8, "", NETBOOT_ERR_OPTIONS},
        {3, "Disk full", NETBOOT_ERR_OTHER},
        {5, "Access", NETBOOT_ERR_OTHER},
        {255, "", NETBOOT_ERR_OTHER},
        {0, "File not found", NETBOOT_ERR_ABSENT},
        {0, "", NETBOOT_ERR_ABSENT},
        {0, "Access violation", NETBOOT_ERR_ACCESS},
        {0, "cannot ACCESS /srv/tftp/x", NETBOOT_ERR_ACCESS},
        {0, "Permission problem", NETBOOT_ERR_ACCESS},
        {0, "denied", NETBOOT_ERR_ACCESS},
        {0, "acces", NETBOOT_ERR_ABSENT},
        {0, "Success", NETBOOT_ERR_ABSENT},
        {0, "Bad Option", NETBOOT_ERR_OPTIONS},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t bytes = strlen(cases[i].text);
        char *copy = malloc(bytes + 1);
        memcpy(copy + 1, cases[i].text, bytes);
        assert_int_equal(netboot_find_error(cases[i].code, copy + 1, bytes), cases[i].error);
        free(copy);
    }
    assert_int_equal(netboot_find_error(0, "no\0access", 9), NETBOOT_ERR_ABSENT);
}
