// Keys from a terminal's bytes.
#include "loader/menu_keys.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <string.h>

static struct menu_key keys[64];
static unsigned count;

// What these bytes are, and a pause after them.
static void receive(const char *bytes, size_t length) {
    struct menu_keys state = {0};
    count = 0;
    for (size_t i = 0; i < length; i++)
        count += menu_keys_add(&state, (uint8_t)bytes[i], &keys[count]);
    count += menu_keys_pause(&state, &keys[count]);
    assert_int_equal(state.count, 0);
    struct menu_key none;
    assert_false(menu_keys_pause(&state, &none));
}

TEST("menu keys: the sequences of VT100, VT220 and xterm are keys") {
    static const struct {
        const char *bytes;
        enum menu_key_kind kind;
    } cases[] = {
        {"\x1b[A", MENU_KEY_UP},       {"\x1bOA", MENU_KEY_UP},
        {"\x1b[B", MENU_KEY_DOWN},     {"\x1bOB", MENU_KEY_DOWN},
        {"\x1b[C", MENU_KEY_RIGHT},    {"\x1b[D", MENU_KEY_LEFT},
        {"\x1b[H", MENU_KEY_HOME},     {"\x1bOH", MENU_KEY_HOME},
        {"\x1b[1~", MENU_KEY_HOME},    {"\x1b[7~", MENU_KEY_HOME},
        {"\x1b[F", MENU_KEY_END},      {"\x1b[4~", MENU_KEY_END},
        {"\x1b[8~", MENU_KEY_END},     {"\x1b[3~", MENU_KEY_DELETE},
        {"\x1b[5~", MENU_KEY_PAGE_UP}, {"\x1b[6~", MENU_KEY_PAGE_DOWN},
        {"\x1bOM", MENU_KEY_ENTER},    {"\r", MENU_KEY_ENTER},
        {"\n", MENU_KEY_ENTER},        {"\r\n", MENU_KEY_ENTER},
        {"\b", MENU_KEY_BACKSPACE},    {"\x7f", MENU_KEY_BACKSPACE},
        {"\x1b", MENU_KEY_ESCAPE},     {"\x1b[Z", MENU_KEY_NONE},
        {"\x1b[2~", MENU_KEY_NONE},    {"\x1b[0~", MENU_KEY_NONE},
        {"\x1b[9~", MENU_KEY_NONE},    {"\x1b[15~", MENU_KEY_NONE},
        {"\x1b[1;5A", MENU_KEY_NONE},  {"\x1bx", MENU_KEY_NONE},
        {"\x1b[", MENU_KEY_NONE},      {"\x1b[1", MENU_KEY_NONE},
        {"\x1bO", MENU_KEY_NONE},      {"\x1b[\x07", MENU_KEY_NONE},
        {"\x80", MENU_KEY_NONE},       {"\xff", MENU_KEY_NONE},
        {"\xc3", MENU_KEY_NONE},       {"\xe2\x82", MENU_KEY_NONE},
        {"\xc3x", MENU_KEY_NONE},      {"\x1b[/~", MENU_KEY_NONE},
        {"\x1b[:~", MENU_KEY_NONE},    {"\x1b~", MENU_KEY_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        receive(cases[i].bytes, strlen(cases[i].bytes));
        assert_int_equal(count, 1);
        assert_int_equal(keys[0].kind, cases[i].kind);
        assert_int_equal(keys[0].character, 0);
    }
}

TEST("menu keys: characters are UTF-8") {
    static const uint32_t want[] = {'a', 0xe4, 0x20ac, 0x1f600, 'z', 0x7ff, 0x800, 0xffff, 0x10000};
    const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"
                        "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80";
    receive(text, strlen(text));
    assert_int_equal(count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(keys[i].kind, MENU_KEY_CHARACTER);
        assert_int_equal(keys[i].character, want[i]);
    }
}

TEST(
    "menu keys: a sequence that is cut off by another one is forgotten, and one without end ends") {
    receive("\x1b[1\x1b[A\x1b\x1b[B", 10);
    assert_int_equal(count, 2);
    assert_int_equal(keys[0].kind, MENU_KEY_UP);
    assert_int_equal(keys[1].kind, MENU_KEY_DOWN);
    receive("\x1b[1111111111111111", 18);
    assert_int_equal(keys[0].kind, MENU_KEY_NONE);
    assert_int_equal(count, 3); // and two characters
    receive("\r\n\n\n\r", 5);
    assert_int_equal(count, 4);
}

// Bytes that are no key, and the character behind them, unless they have taken it as well.
TEST("menu keys: what is no key ends where a sequence or a character would") {
    static const struct {
        const char *bytes;
        unsigned keys;
    } cases[] = {
        {"\x1bxA", 2},
        {"\x1b"
         "1A",
         2},
        {"\x1b[\x1f"
         "A",
         2},
        {"\x1b[@A", 2},
        {"\x1b[ A", 1},
        {"\x1b[?A", 1},
        {"\xbf"
         "A",
         2},
        {"\xc0"
         "A",
         1},
        {"\xf7\xbf\xbf"
         "A",
         1},
        {"\xf8"
         "A",
         2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        receive(cases[i].bytes, strlen(cases[i].bytes));
        assert_int_equal(count, cases[i].keys);
        assert_int_equal(keys[0].kind, MENU_KEY_NONE);
        if (count == 2)
            assert_int_equal(keys[1].character, 'A');
    }
}
