#include "loader/utf.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

// The encoder that the decoder is tested against; RFC 3629 section 3.
static unsigned encode(uint32_t code_point, char *text) {
    if (code_point < 0x80) {
        text[0] = (char)code_point;
        return 1;
    }
    unsigned bytes = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (unsigned i = bytes - 1; i > 0; i--, code_point >>= 6)
        text[i] = (char)(0x80 | (code_point & 0x3f));
    text[0] = (char)(0xf00 >> bytes | code_point);
    return bytes;
}

TEST("utf: every code point decodes to itself, and surrogates and what lies above to nothing") {
    for (uint32_t code_point = 0; code_point < 0x120000; code_point++) {
        char text[4];
        uint32_t decoded = UINT32_MAX;
        unsigned bytes = encode(code_point, text);
        bool valid = code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff);
        assert_int_equal(utf8_decode(text, bytes, &decoded), valid ? bytes : 0);
        assert_int_equal(decoded, valid ? code_point : UINT32_MAX);
        assert_int_equal(utf8_decode(text, bytes - 1, &decoded), 0);
        char encoded[4] = "zzzz";
        assert_int_equal(utf8_encode(code_point, encoded), valid ? bytes : 0);
        assert_memory_equal(encoded, valid ? text : "zzzz", valid ? bytes : 4);
    }
}

TEST("utf: of valid text the characters are counted") {
    assert_int_equal(utf8_count("", 0), 0);
    assert_int_equal(utf8_count("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z", 11), 5);
}

TEST("utf: of all sequences of two and three bytes only the shortest forms are valid") {
    uint64_t valid = 0;
    for (uint32_t bits = 0; bits < 0x1000000; bits++) {
        const char text[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        uint32_t code_point;
        unsigned bytes = utf8_decode(text, 3, &code_point);
        if (bytes < 2)
            continue;
        char again[4];
        if (encode(code_point, again) != bytes || memcmp(text, again, bytes) != 0)
            fail_msg("0x%06x decodes to U+%04X in %u bytes", bits, code_point, bytes);
        valid++;
    }
    // U+0080 to U+07FF, each with 256 third bytes; U+0800 to U+FFFF without the surrogates.
    assert_int_equal(valid, 0x780 * 256 + 0xf800 - 0x800);
}

static void expect_invalid_at(const char *text, uint64_t offset) {
    uint64_t bytes = strlen(text);
    char *copy = malloc(bytes + 1); // exact, but for a byte that must not be looked at
    memcpy(copy, text, bytes);
    for (unsigned i = 0; i < 2; i++) {
        copy[bytes] = "\x80z"[i];
        assert_int_equal(utf8_find_invalid(copy, bytes), offset);
    }
    free(copy);
}

TEST("utf: the first invalid byte is found") {
    expect_invalid_at("", 0);
    expect_invalid_at("kernel", 6);
    expect_invalid_at("k\xc3\xa4s\xe2\x82\xac\xf0\x9f\x98\x80", 11);
    expect_invalid_at("ab\x80", 2);             // a continuation alone
    expect_invalid_at("ab\xc3", 2);             // cut short
    expect_invalid_at("ab\xe2\x82", 2);         // cut short
    expect_invalid_at("ab\xc0\x80", 2);         // overlong NUL
    expect_invalid_at("ab\xe0\x80\xaf", 2);     // overlong '/'
    expect_invalid_at("ab\xf0\x82\x82\xac", 2); // overlong euro
    expect_invalid_at("ab\xf0\x8f\xbf\xbf", 2); // overlong U+FFFF
    expect_invalid_at("a\xed\xa0\x80", 1);      // surrogate
    expect_invalid_at("a\xf4\x90\x80\x80", 1);  // above U+10FFFF
    expect_invalid_at("a\xf8\x88\x80\x80\x80", 1);
    expect_invalid_at("a\xff", 1);
    expect_invalid_at("\xc3\xc3\xa4", 0);
}

static void expect_path(const char *path, const char *want) {
    uint16_t units[64];
    memset(units, 0xa5, sizeof(units));
    assert_int_equal(utf_path_convert(path, strlen(path), units, 64), UTF_OK);
    for (uint64_t i = 0; i <= strlen(want); i++)
        assert_int_equal(units[i], want[i]);
}

TEST("utf: a path starts with one backslash and has one between names") {
    expect_path("\\kernel.elf", "\\kernel.elf");
    expect_path("/kernel.elf", "\\kernel.elf");
    expect_path("kernel.elf", "\\kernel.elf");
    expect_path("boot/a b\\kernel.elf", "\\boot\\a b\\kernel.elf");
    expect_path("//boot/\\/kernel.elf", "\\boot\\kernel.elf");
    expect_path("../x/./y/", "\\..\\x\\.\\y\\");
    expect_path("", "\\");
}

TEST("utf: names outside ASCII keep their code points") {
    uint16_t units[8];
    const uint16_t want[] = {'\\', 0xe4, 0x20ac, 0xffff, 0};
    const char path[] = "\xc3\xa4\xe2\x82\xac\xef\xbf\xbf";
    assert_int_equal(utf_path_convert(path, sizeof(path) - 1, units, 8), UTF_OK);
    assert_memory_equal(units, want, sizeof(want));
}

TEST("utf: what the firmware cannot name is refused") {
    uint16_t units[16];
    assert_int_equal(utf_path_convert("a\xf0\x9f\x98\x80", 5, units, 16), UTF_ERR_RANGE);
    assert_int_equal(utf_path_convert("a\xf0\x90\x80\x80", 5, units, 16), UTF_ERR_RANGE);
    assert_int_equal(utf_path_convert("a\xc3", 2, units, 16), UTF_ERR_INVALID);
    assert_int_equal(utf_path_convert("a\xc3\xa4", 2, units, 16), UTF_ERR_INVALID); // cut short
    assert_int_equal(utf_path_convert("a\0b", 3, units, 16), UTF_ERR_INVALID);
    assert_string_equal(utf_status_text(UTF_OK), "no error");
    assert_string_equal(utf_status_text(UTF_ERR_INVALID), "not valid UTF-8");
    assert_string_equal(utf_status_text(UTF_ERR_RANGE),
                        "a character above U+FFFF, which firmware file names cannot have");
    assert_string_equal(utf_status_text(UTF_ERR_LONG), "path too long");
}

TEST("utf: a path fits into exactly its length and a terminator, or is refused within bounds") {
    for (uint64_t capacity = 0; capacity < 8; capacity++) {
        uint16_t *units = malloc(capacity == 0 ? 1 : 2 * capacity);
        enum utf_status want = capacity < 5 ? UTF_ERR_LONG : UTF_OK;
        assert_int_equal(utf_path_convert("abc", 3, units, capacity), want);
        if (want == UTF_OK)
            assert_int_equal(units[4], 0);
        want = capacity < 2 ? UTF_ERR_LONG : UTF_OK; // a backslash alone
        assert_int_equal(utf_path_convert("", 0, units, capacity), want);
        free(units);
    }
}

// As many units as `text` has, and as much room as is promised to be enough.
static void expect_utf8(const uint16_t *units, uint64_t count, const char *want) {
    char *unaligned = malloc(2 * count + 1);
    char *text = malloc(3 * count + 1);
    memcpy(unaligned + 1, units, 2 * count);
    assert_int_equal(utf8_from_utf16(unaligned + 1, count, text), strlen(want));
    assert_string_equal(text, want);
    free(unaligned);
    free(text);
}

TEST("utf: every code point comes out of UTF-16 as the UTF-8 that decodes to it") {
    for (uint32_t code_point = 1; code_point < 0x110000; code_point++) {
        bool is_wide = code_point > 0xffff;
        uint32_t above = code_point - 0x10000;
        const uint16_t units[] = {
            (uint16_t)(is_wide ? 0xd800 + (above >> 10) : code_point),
            (uint16_t)(0xdc00 + (above & 0x3ff)),
        };
        bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
        char want[5] = {0};
        char text[7];
        encode(is_surrogate ? 0xfffd : code_point, want);
        assert_int_equal(utf8_from_utf16(units, is_wide ? 2 : 1, text), strlen(want));
        assert_string_equal(text, want);
    }
}

TEST("utf: a text in UTF-16 ends with its units or at a NUL, whatever halves it has") {
    expect_utf8((const uint16_t[]){'a'}, 0, "");
    expect_utf8((const uint16_t[]){0, 'a'}, 2, "");
    expect_utf8((const uint16_t[]){'a', 0xe4, 0, 'b'}, 4, "a\xc3\xa4");
    expect_utf8((const uint16_t[]){'a', 0xd83d, 0xde00, 'b'}, 4,
                "a\xf0\x9f\x98\x80"
                "b");
    expect_utf8((const uint16_t[]){'a', 0xd83d}, 2, "a\xef\xbf\xbd");
    expect_utf8((const uint16_t[]){0xd83d, 0xd83d, 0xde00}, 3, "\xef\xbf\xbd\xf0\x9f\x98\x80");
    expect_utf8((const uint16_t[]){0xd83d, 'a'}, 2,
                "\xef\xbf\xbd"
                "a");
    expect_utf8((const uint16_t[]){0xd83d, 0xe000}, 2, "\xef\xbf\xbd\xee\x80\x80");
    expect_utf8((const uint16_t[]){0xd83d, 0, 0xde00}, 3, "\xef\xbf\xbd");
    expect_utf8((const uint16_t[]){0xde00, 0xd83d}, 2, "\xef\xbf\xbd\xef\xbf\xbd");
    expect_utf8((const uint16_t[]){0xffff, 0xffff, 0xffff}, 3,
                "\xef\xbf\xbf\xef\xbf\xbf\xef\xbf\xbf");
}

static void expect_utf16_invalid(const uint16_t *units, uint64_t count, uint64_t want) {
    char *copy = malloc(2 * count + 1); // exact, at an odd address
    memcpy(copy + 1, units, 2 * count);
    assert_int_equal(utf16_find_invalid(copy + 1, count), want);
    free(copy);
}

TEST("utf: the first surrogate without its other half is found, and a NUL is a unit") {
    static const uint16_t units[] = {'a', 0, 0xd83d, 0xde00, 0xd7ff, 0xe000, 0xdbff, 0xdfff, 'b'};
    for (uint64_t count = 0; count <= 9; count++)
        expect_utf16_invalid(units, count, count == 3 || count == 7 ? count - 1 : count);
    expect_utf16_invalid((const uint16_t[]){0xdc00, 0xd800, 'a'}, 3, 0);
    expect_utf16_invalid((const uint16_t[]){'a', 0xd800, 0xd800, 0xdc00}, 4, 1);
    expect_utf16_invalid((const uint16_t[]){0xd800, 0xdc00, 0xdc00}, 3, 2);
}

TEST("utf: UTF-8 becomes UTF-16, a unit or two for each character, and no more than its bytes") {
    const struct {
        const char *text;
        uint64_t units;
        uint16_t want[4];
    } texts[] = {
        {"", 0, {0}},
        {"a\x7f", 2, {'a', 0x7f}},
        {"\xc2\x80\xdf\xbf", 2, {0x80, 0x7ff}},
        {"\xe0\xa0\x80\xef\xbf\xbf", 2, {0x800, 0xffff}},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 4, {0xd800, 0xdc00, 0xdbff, 0xdfff}},
        {"\xf0\x9f\x98\x80", 2, {0xd83d, 0xde00}},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(texts); i++) {
        uint64_t bytes = strlen(texts[i].text);
        char back[3 * 8 + 1];
        uint16_t *units = malloc(bytes * sizeof(*units) + 1);
        assert_int_equal(utf16_from_utf8(texts[i].text, bytes, units), texts[i].units);
        assert_memory_equal(units, texts[i].want, texts[i].units * sizeof(*units));
        assert_int_equal(utf8_from_utf16(units, texts[i].units, back), bytes);
        assert_string_equal(back, texts[i].text);
        free(units);
    }
}
