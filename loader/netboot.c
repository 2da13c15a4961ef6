// See netboot.h.
#include "loader/netboot.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/utf.h"

#include <stddef.h>

enum {
    BOOTP_SERVER = 20, // siaddr (RFC 2131, 2)
    BOOTP_SERVER_BYTES = 4,
    BOOTP_NAME = 44, // sname
    BOOTP_NAME_BYTES = 64,
    BOOTP_FILE = 108,
    BOOTP_FILE_BYTES = 128,
    BOOTP_MAGIC = 236, // of DHCP's options (RFC 2131, 3), which follow
    BOOTP_OPTIONS = 240,

    DHCP4_PAD = 0,
    DHCP4_END = 255,
    DHCP4_OVERLOAD = 52, // which of `file` and `sname` have options (RFC 2132, 9.3)
    DHCP4_OVERLOAD_FILE = 1,
    DHCP4_OVERLOAD_NAME = 2,
    DHCP4_SERVER = 54,        // its address (9.7)
    DHCP4_BOOT_FILE = 67,     // its name (9.5)
    DHCP6_OPTIONS = 4,        // behind type and transaction (RFC 8415, 8)
    DHCP6_OPTION_BYTES = 4,   // its code and the length of what follows (21.1)
    DHCP6_BOOT_FILE_URL = 59, // RFC 5970, 3.1
    ADDRESS_BYTES = 16,
};

struct text {
    const uint8_t *at;
    uint64_t left;
};

// ---- IPv4

static bool find_option(struct text options, uint8_t code, struct text *ret_value) {
    while (options.left != 0 && *options.at != DHCP4_END) {
        uint64_t bytes = 1;
        if (*options.at != DHCP4_PAD) {
            if (options.left < 2 || options.at[1] > options.left - 2)
                return false;
            bytes = 2 + (uint64_t)options.at[1];
        }
        if (*options.at == code) {
            *ret_value = (struct text){options.at + 2, bytes - 2};
            return true;
        }
        options.at += bytes;
        options.left -= bytes;
    }
    return false;
}

static struct text options_of(const uint8_t *packet, uint64_t bytes) {
    static const uint8_t magic[BOOTP_OPTIONS - BOOTP_MAGIC] = {99, 130, 83, 99};
    if (bytes < BOOTP_OPTIONS || memcmp(packet + BOOTP_MAGIC, magic, sizeof(magic)) != 0)
        return (struct text){packet, 0};
    return (struct text){packet + BOOTP_OPTIONS, bytes - BOOTP_OPTIONS};
}

// DHCP4_OVERLOAD_... of a packet with these options.
static unsigned overload_of(struct text options) {
    struct text value;
    return find_option(options, DHCP4_OVERLOAD, &value) && value.left != 0 ? *value.at : 0;
}

// Among the options, or in the fields of the packet that have more of them.
static bool find_option_4(const uint8_t *packet, uint64_t bytes, uint8_t code,
                          struct text *ret_value) {
    struct text options = options_of(packet, bytes);
    unsigned overload = overload_of(options);
    struct text file = {packet + BOOTP_FILE, BOOTP_FILE_BYTES};
    struct text name = {packet + BOOTP_NAME, BOOTP_NAME_BYTES};
    return find_option(options, code, ret_value) ||
           ((overload & DHCP4_OVERLOAD_FILE) && find_option(file, code, ret_value)) ||
           ((overload & DHCP4_OVERLOAD_NAME) && find_option(name, code, ret_value));
}

bool netboot_server_4(const void *packet, uint64_t bytes, uint8_t ret_address[16]) {
    static const uint8_t none[BOOTP_SERVER_BYTES];
    const uint8_t *server = (const uint8_t *)packet + BOOTP_SERVER;
    struct text option;
    if (bytes < BOOTP_SERVER + BOOTP_SERVER_BYTES)
        return false;
    if (memcmp(server, none, sizeof(none)) == 0) {
        if (!find_option_4(packet, bytes, DHCP4_SERVER, &option) ||
            option.left != BOOTP_SERVER_BYTES)
            return false;
        server = option.at;
    }
    memcpy(ret_address, server, BOOTP_SERVER_BYTES);
    return true;
}

// The name as text, if it is one that can be shown.
static struct config_text name_of(struct text value) {
    struct config_text name = {(const char *)value.at, 0};
    while (name.bytes != value.left && value.at[name.bytes] != '\0') {
        uint8_t byte = value.at[name.bytes++];
        if (byte < ' ' || byte == 0x7f)
            return (struct config_text){0};
    }
    if (name.bytes > NETBOOT_FILE_MAX || utf8_find_invalid(name.text, name.bytes) != name.bytes)
        return (struct config_text){0};
    return name;
}

struct config_text netboot_file_4(const void *packet, uint64_t bytes) {
    const uint8_t *start = packet;
    struct text value;
    if (find_option_4(packet, bytes, DHCP4_BOOT_FILE, &value))
        return name_of(value);
    if (bytes < BOOTP_FILE + BOOTP_FILE_BYTES ||
        (overload_of(options_of(packet, bytes)) & DHCP4_OVERLOAD_FILE))
        return (struct config_text){0};
    return name_of((struct text){start + BOOTP_FILE, BOOTP_FILE_BYTES});
}

// ---- IPv6

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

// Where in the text `wanted` begins; its length if nowhere.
static uint64_t find(struct text text, const char *wanted) {
    uint64_t bytes = strlen(wanted);
    uint64_t at = 0;
    while (text.left - at >= bytes && memcmp(text.at + at, wanted, bytes) != 0)
        at++;
    return text.left - at < bytes ? text.left : at;
}

// Nothing is left of a text without it.
static void skip_behind(struct text *text, const char *wanted) {
    uint64_t at = find(*text, wanted);
    uint64_t bytes = at == text->left ? at : at + strlen(wanted);
    text->at += bytes;
    text->left -= bytes;
}

static bool read_url(struct text url, uint8_t ret_address[ADDRESS_BYTES]) {
    skip_behind(&url, "://[");
    return take_address(&url, ret_address);
}

static uint32_t read_big_endian_16(const uint8_t *at) {
    return (uint32_t)at[0] << 8 | at[1];
}

// The URL of the boot file (RFC 5970, 3.1).
static bool find_url(const uint8_t *packet, uint64_t bytes, struct text *ret_url) {
    for (uint64_t at = DHCP6_OPTIONS; at + DHCP6_OPTION_BYTES <= bytes;) {
        uint32_t code = read_big_endian_16(packet + at);
        uint32_t length = read_big_endian_16(packet + at + sizeof(uint16_t));
        at += DHCP6_OPTION_BYTES;
        if (length > bytes - at)
            return false;
        if (code == DHCP6_BOOT_FILE_URL) {
            *ret_url = (struct text){packet + at, length};
            return true;
        }
        at += length;
    }
    return false;
}

bool netboot_server_6(const void *packet, uint64_t bytes, uint8_t ret_address[16]) {
    struct text url;
    return find_url(packet, bytes, &url) && read_url(url, ret_address);
}

// Behind the server, up to the mode of the transfer (RFC 3617, 3).
struct config_text netboot_file_6(const void *packet, uint64_t bytes) {
    struct text url;
    if (!find_url(packet, bytes, &url))
        return (struct config_text){0};
    skip_behind(&url, "://");
    skip_behind(&url, "/");
    url.left = find(url, ";mode=");
    return name_of(url);
}

// ---- Errors of TFTP's

// Whether the text has `word`, which is in small letters, in whatever case.
static bool has_word(struct text text, const char *word) {
    uint64_t bytes = strlen(word);
    for (; text.left >= bytes; text.at++, text.left--) {
        uint64_t same = 0;
        while (same < bytes && (text.at[same] | 0x20) == (uint8_t)word[same])
            same++;
        if (same == bytes)
            return true;
    }
    return false;
}

static enum netboot_error error_of(struct text text) {
    static const char *const access[] = {"access", "denied", "permi"};
    for (unsigned i = 0; i < ARRAY_LEN(access); i++) {
        if (has_word(text, access[i]))
            return NETBOOT_ERR_ACCESS;
    }
    return has_word(text, "option") ? NETBOOT_ERR_OPTIONS : NETBOOT_ERR_ABSENT;
}

enum netboot_error netboot_find_error(unsigned code, const void *text, uint64_t bytes) {
    enum { UNKNOWN = 0, NOT_FOUND = 1, ACCESS = 2, OPTIONS = 8 };
    struct text words = {text, 0};
    while (words.left != bytes && words.at[words.left] != '\0')
        words.left++;
    switch (code) {
    case UNKNOWN:
        return error_of(words);
    case NOT_FOUND:
        return NETBOOT_ERR_ABSENT;
    case ACCESS:
        return NETBOOT_ERR_ACCESS;
    case OPTIONS:
        return NETBOOT_ERR_OPTIONS;
    default:
        return NETBOOT_ERR_OTHER;
    }
}

// ---- Names on the server

static bool is_separator(char c) {
    return c == '/' || c == '\\';
}

// Whether the text ends with `folder`, in whatever case and with whatever separators.
static bool ends_in(struct config_text text, const char *folder) {
    uint64_t bytes = strlen(folder);
    if (text.bytes < bytes ||
        (text.bytes > bytes && !is_separator(text.text[text.bytes - bytes - 1])))
        return false;
    for (uint64_t i = 0; i < bytes; i++) {
        char c = text.text[text.bytes - bytes + i];
        if (folder[i] == '/' ? !is_separator(c) : (c & ~0x20) != folder[i])
            return false;
    }
    return true;
}

uint64_t netboot_root_bytes(struct config_text boot_file) {
    static const char removable[] = "EFI/BOOT/"; // UEFI 2.9, 3.5.1.1
    struct config_text folder = boot_file;
    while (folder.bytes != 0 && !is_separator(folder.text[folder.bytes - 1]))
        folder.bytes--;
    return folder.bytes - (ends_in(folder, removable) ? sizeof(removable) - 1 : 0);
}

uint64_t netboot_join(struct config_text root, struct config_text path,
                      char ret_name[NETBOOT_NAME_MAX + 1]) {
    uint64_t rest = path.bytes - 1;
    char separator = (char)(root.bytes == 0 ? '/' : root.text[root.bytes - 1]);
    if (root.bytes + rest > NETBOOT_NAME_MAX)
        return 0;
    if (root.bytes != 0) // it may have no text either
        memcpy(ret_name, root.text, root.bytes);
    for (uint64_t i = 0; i < rest; i++)
        ret_name[root.bytes + i] = (char)(path.text[1 + i] == '\\' ? separator : path.text[1 + i]);
    ret_name[root.bytes + rest] = '\0';
    return root.bytes + rest;
}
