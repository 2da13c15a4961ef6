// The boot server's address: found in packets that are in order, and in no others.
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
