// See netboot.h.
#include "loader/netboot.h"

#include "common/base/mem.h"

#include <stddef.h>

enum {
    BOOTP_SERVER = 20, // siaddr (RFC 2131, 2)
    BOOTP_SERVER_BYTES = 4,
    DHCP6_OPTIONS = 4,        // behind type and transaction (RFC 8415, 8)
    DHCP6_OPTION_BYTES = 4,   // its code and the length of what follows (21.1)
    DHCP6_BOOT_FILE_URL = 59, // RFC 5970, 3.1
    ADDRESS_BYTES = 16,
};

bool netboot_server_4(const void *packet, uint64_t bytes, uint8_t ret_address[16]) {
    static const uint8_t none[BOOTP_SERVER_BYTES];
    const uint8_t *server = (const uint8_t *)packet + BOOTP_SERVER;
    if (bytes < BOOTP_SERVER + BOOTP_SERVER_BYTES || memcmp(server, none, sizeof(none)) == 0)
        return false;
    memcpy(ret_address, server, BOOTP_SERVER_BYTES);
    return true;
}

// ---- IPv6

struct text {
    const uint8_t *at;
    uint64_t left;
};

static bool take(struct text *text, const char *wanted) {
    uint64_t bytes = strlen(wanted);
    if (text->left < bytes || memcmp(text->at, wanted, bytes) != 0)
        return false;
    text->at += bytes;
    text->left -= bytes;
    return true;
}

// A hexadecimal digit's value; 16 if it is none.
static unsigned digit(uint8_t character) {
    if (character >= '0' && character <= '9')
        return character - '0';
    uint8_t lower = character | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10U : 16;
}

// Two bytes of an address, as one to four digits. A fifth is not what may follow.
static bool take_group(struct text *text, uint8_t *ret_bytes) {
    unsigned value = 0;
    unsigned digits = 0;
    while (digits < 4 && text->left != 0 && digit(*text->at) < 16) {
        value = value << 4 | digit(*text->at);
        digits++;
        text->at++;
        text->left--;
    }
    ret_bytes[0] = (uint8_t)(value >> 8);
    ret_bytes[1] = (uint8_t)value;
    return digits != 0;
}

// An address as in RFC 4291, 2.2, forms 1 and 2, up to the bracket that ends it.
static bool take_address(struct text *text, uint8_t ret_address[ADDRESS_BYTES]) {
    uint8_t address[ADDRESS_BYTES];
    unsigned used = 0;
    unsigned gap = ADDRESS_BYTES; // where the "::" is
    if (take(text, "::"))
        gap = 0;
    while (!take(text, "]")) {
        bool is_first = used == 0 || used == gap;
        if (!is_first && take(text, "::")) {
            if (gap != ADDRESS_BYTES)
                return false;
            gap = used;
            continue;
        }
        if ((!is_first && !take(text, ":")) || used == ADDRESS_BYTES ||
            !take_group(text, address + used))
            return false;
        used += 2;
    }
    if (gap == ADDRESS_BYTES ? used != ADDRESS_BYTES : used == ADDRESS_BYTES)
        return false;
    if (gap != ADDRESS_BYTES) {
        memmove(address + ADDRESS_BYTES - (used - gap), address + gap, used - gap);
        memset(address + gap, 0, ADDRESS_BYTES - used);
    }
    memcpy(ret_address, address, sizeof(address));
    return true;
}

static bool read_url(struct text url, uint8_t ret_address[ADDRESS_BYTES]) {
    while (url.left != 0 && !take(&url, "://[")) {
        url.at++;
        url.left--;
    }
    return take_address(&url, ret_address);
}

static uint32_t read_big_endian_16(const uint8_t *at) {
    return (uint32_t)at[0] << 8 | at[1];
}

bool netboot_server_6(const void *packet, uint64_t bytes, uint8_t ret_address[16]) {
    const uint8_t *start = packet;
    for (uint64_t at = DHCP6_OPTIONS; at + DHCP6_OPTION_BYTES <= bytes;) {
        uint32_t code = read_big_endian_16(start + at);
        uint32_t length = read_big_endian_16(start + at + sizeof(uint16_t));
        at += DHCP6_OPTION_BYTES;
        if (length > bytes - at)
            return false;
        if (code == DHCP6_BOOT_FILE_URL)
            return read_url((struct text){start + at, length}, ret_address);
        at += length;
    }
    return false;
}
