#include "kernel/base/text.h"

#include "tests/unit/support/test.h"

static void expect(bool (*parse)(const char *, uint64_t *), const char *text, uint64_t value) {
    uint64_t found = ~value;
    assert_true(parse(text, &found));
    assert_true(found == value);
}

static void expect_none(bool (*parse)(const char *, uint64_t *), const char *text) {
    uint64_t found = 7;
    assert_false(parse(text, &found));
    assert_true(found == 7);
}

TEST("text: one is another if it has the same characters, and no more") {
    assert_true(text_is("", "") && text_is("map", "map"));
    assert_false(text_is("map", "maps") || text_is("maps", "map") || text_is("mop", "map"));
}

TEST("text: hexadecimal ones have an 0x or not, and letters of both cases") {
    expect(text_parse_hex, "0", 0);
    expect(text_parse_hex, "0x0", 0);
    expect(text_parse_hex, "0Xffff800000000Abc", UINT64_C(0xffff800000000abc));
    expect(text_parse_hex, "9afAF", 0x9afaf);
    expect(text_parse_hex, "000000000000000000001", 1);
    expect(text_parse_hex, "ffffffffffffffff", UINT64_MAX);
}

TEST("text: decimal ones have digits alone") {
    expect(text_parse_decimal, "0", 0);
    expect(text_parse_decimal, "18446744073709551615", UINT64_MAX);
    expect(text_parse_decimal, "0042", 42);
}

TEST("text: what is none, or too large, is refused") {
    static const char *const none[] = {"",   "0x", "x1",    "1 ", " 1", "-1", "+1",
                                       "1g", "1G", "0x0x1", "/",  ":",  "@"};
    for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        expect_none(text_parse_hex, none[i]);
        expect_none(text_parse_decimal, none[i]);
    }
    expect_none(text_parse_hex, "10000000000000000");
    expect_none(text_parse_decimal, "18446744073709551616");
    expect_none(text_parse_decimal, "99999999999999999999");
    expect_none(text_parse_decimal, "1a");
}
