// The line of text that people edit, in memory of its size.
#include "loader/menu_line.h"

#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

static struct menu_line begin(const char *text, uint64_t capacity) {
    struct menu_line line = {.text = malloc(capacity), .capacity = capacity};
    menu_line_set(&line, (struct config_text){text, strlen(text)});
    return line;
}

static void expect(struct menu_line line, const char *text, uint64_t cursor) {
    assert_int_equal(line.bytes, strlen(text));
    assert_memory_equal(line.text, text, line.bytes);
    assert_int_equal(line.cursor, cursor);
}

TEST("menu line: a character of each length goes in, up to the last byte of the room") {
    struct menu_line line = begin("ab", 12);
    menu_line_left(&line);
    menu_line_insert(&line, 0x1f600);
    menu_line_insert(&line, 0x20ac);
    menu_line_insert(&line, 0xe4);
    expect(line,
           "a\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa4"
           "b",
           10);
    menu_line_insert(&line, 0xe4); // without room
    expect(line,
           "a\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa4"
           "b",
           10);
    menu_line_insert(&line, '~');
    expect(line, "a\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa4~b", 11);
    assert_int_equal(menu_line_column(&line), 5);
    free(line.text);
}

TEST("menu line: controls and surrogates do not go in, their neighbours do") {
    static const uint32_t bad[] = {0, 0x1f, 0x7f, 0x80, 0x9f, 0xd800, 0xdfff, 0x110000};
    static const uint32_t good[] = {' ', '~', 0xa0, 0xd7ff, 0xe000, 0x10ffff};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct menu_line line = begin("", 4);
        menu_line_insert(&line, bad[i]);
        expect(line, "", 0);
        free(line.text);
    }
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct menu_line line = begin("", 4);
        menu_line_insert(&line, good[i]);
        assert_int_equal(menu_line_column(&line), 1);
        free(line.text);
    }
}

TEST("menu line: a character is taken out at the cursor or before it, and none at the ends") {
    struct menu_line line = begin("a\xe2\x82\xac"
                                  "b",
                                  5);
    menu_line_delete(&line);
    expect(line,
           "a\xe2\x82\xac"
           "b",
           5);
    menu_line_left(&line);
    menu_line_left(&line);
    expect(line,
           "a\xe2\x82\xac"
           "b",
           1);
    menu_line_delete(&line);
    expect(line, "ab", 1);
    menu_line_backspace(&line);
    expect(line, "b", 0);
    menu_line_backspace(&line);
    menu_line_left(&line);
    expect(line, "b", 0);
    menu_line_right(&line);
    menu_line_right(&line);
    expect(line, "b", 1);
    free(line.text);
}
