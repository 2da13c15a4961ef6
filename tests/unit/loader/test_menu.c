// The menu: keys and time on one side, the screen's text on the other.
#include "loader/menu.h"

#include "common/base/arith.h"
#include "loader/config_text.h"
#include "loader/utf.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS_MAX = 30 };

static struct menu_item items[ITEMS_MAX];
static struct menu menu;
static char *room;

// Entries `Entry 1`, `Entry 2`, ... with the command lines `line=1`, ...
static void begin(uint32_t count, uint32_t selected, uint32_t left_ms) {
    static char texts[ITEMS_MAX][2][24];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(texts[i][0], sizeof(texts[i][0]), "Entry %u", i + 1);
        snprintf(texts[i][1], sizeof(texts[i][1]), "line=%u", i + 1);
        items[i] = (struct menu_item){config_text_of(texts[i][0]), config_text_of(texts[i][1])};
    }
    free(room);
    room = malloc(2 * menu_line_room(items, count));
    menu_begin(&menu, items, count, selected, left_ms, room);
}

static void begin_with_line(const char *cmdline) {
    items[0] = (struct menu_item){config_text_of("One"), config_text_of(cmdline)};
    free(room);
    room = malloc(2 * menu_line_room(items, 1));
    menu_begin(&menu, items, 1, 0, MENU_FOREVER, room);
}

// Types: ^ v < > are arrows, { } home and end, - + the pages, \r \e \b \x7f (delete) themselves,
// anything else is a character.
static void type(const char *keys) {
    static const char names[] = "^v<>{}-+\r\x1b\b\x7f";
    static const enum menu_key_kind kinds[] = {
        MENU_KEY_UP,    MENU_KEY_DOWN,   MENU_KEY_LEFT,      MENU_KEY_RIGHT,
        MENU_KEY_HOME,  MENU_KEY_END,    MENU_KEY_PAGE_UP,   MENU_KEY_PAGE_DOWN,
        MENU_KEY_ENTER, MENU_KEY_ESCAPE, MENU_KEY_BACKSPACE, MENU_KEY_DELETE,
    };
    while (*keys != '\0') {
        uint32_t code_point;
        const char *name = strchr(names, *keys);
        unsigned bytes = utf8_decode(keys, strlen(keys), &code_point);
        assert_int_not_equal(bytes, 0);
        menu_press(&menu, name != NULL ? (struct menu_key){kinds[name - names], 0}
                                       : (struct menu_key){MENU_KEY_CHARACTER, code_point});
        keys += bytes;
    }
}

// The screen's text, without the blanks at the ends of rows; where the cursor is seen, a `_` stands
// in place of a blank. Marked rows end in `<`.
static const char *screen(uint32_t columns, uint32_t rows) {
    static char text[100 * 500];
    static struct menu_cell cells[300];
    const struct menu_size size = {columns, rows};
    size_t used = 0;
    uint32_t cursor_column = 0, cursor_row = 0;
    bool has_cursor = menu_find_cursor(&menu, size, &cursor_column, &cursor_row);
    for (uint32_t row = 0; row < rows; row++) {
        menu_draw_row(&menu, size, row, cells);
        size_t end = used;
        bool is_marked = false;
        for (uint32_t column = 0; column < columns; column++) {
            uint32_t unit = cells[column].unit;
            if (has_cursor && row == cursor_row && column == cursor_column && unit == ' ')
                unit = '_';
            used += utf8_encode(unit, text + used);
            end = unit != ' ' ? used : end;
            is_marked |= cells[column].style == MENU_MARKED;
        }
        used = end;
        if (is_marked)
            text[used++] = '<';
        text[used++] = '\n';
    }
    text[used] = '\0';
    return text;
}

#define HEADER "Slipway " SLIPWAY_VERSION
#define HELP   "Up, Down: choose   Enter: boot   e: edit the command line   Esc: leave\n"

TEST("menu: entries are listed by number, the chosen one is marked, and the time is shown") {
    begin(3, 1, 5000);
    assert_string_equal(screen(80, 25), HEADER "\n\n"
                                               "  1. Entry 1\n"
                                               "> 2. Entry 2<\n"
                                               "  3. Entry 3\n"
                                               "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
                                               "Boots in 5 seconds; any key stops the time\n" HELP);
    menu_elapse(&menu, 4000);
    assert_non_null(strstr(screen(80, 25), "Boots in 1 second; any"));
    type("x");
    menu_elapse(&menu, 100000);
    assert_int_equal(menu.state, MENU_CHOOSING);
    assert_string_equal(screen(80, 8), HEADER "\n\n"
                                              "  1. Entry 1\n"
                                              "> 2. Entry 2<\n"
                                              "  3. Entry 3\n"
                                              "\nCommand line: line=2\n" HELP);
}

TEST("menu: with fewer rows the list stays, and with one row all stands in it") {
    begin(3, 0, 1001);
    assert_string_equal(screen(30, 4), "> 1. Entry 1<\n  2. Entry 2\n"
                                       "Boots in 2 seconds; any key st\n"
                                       "Up, Down: choose   Enter: boot\n");
    assert_string_equal(screen(30, 3),
                        "> 1. Entry 1<\n  2. Entry 2\nBoots in 2 seconds; any key st\n");
    assert_string_equal(screen(30, 2), "> 1. Entry 1<\nBoots in 2 seconds; any key st\n");
    assert_string_equal(screen(30, 1), "1/3, 2 s: Entry 1\n");
    type("v");
    assert_string_equal(screen(30, 1), "2/3: Entry 2\n");
    assert_string_equal(screen(1, 1), "2\n");
    type("e");
    assert_string_equal(screen(30, 1), "> line=2_\n");
}

TEST("menu: keys choose, and stop at the ends") {
    static const struct {
        const char *keys;
        uint32_t selected;
    } cases[] = {
        {"", 2},  {"v", 3},  {"^", 1},  {"^^^^", 0}, {"}", 28},     {"}v", 28},
        {"{", 0}, {"+", 12}, {"+-", 2}, {"-", 0},    {"}+", 28},    {"}-", 18},
        {"5", 4}, {"9", 8},  {"0", 2},  {"<>", 2},   {"\b\x7f", 2}, {"x:\xc3\xa4", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(29, 2, 5000);
        type(cases[i].keys);
        assert_int_equal(menu.selected, cases[i].selected);
        assert_int_equal(menu.state, MENU_CHOOSING);
    }
    begin(3, 0, 5000);
    type("4");
    assert_int_equal(menu.selected, 0);
}

TEST("menu: Enter and b choose, Escape leaves, and nothing changes afterwards") {
    static const struct {
        const char *keys;
        enum menu_state state;
    } ends[] = {{"v\r", MENU_CHOSEN}, {"vb", MENU_CHOSEN}, {"v\x1b", MENU_LEFT}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        begin(3, 0, 5000);
        type(ends[i].keys);
        type("^e\x1b");
        menu_elapse(&menu, 6000);
        assert_int_equal(menu.state, ends[i].state);
        assert_int_equal(menu.selected, 1);
        assert_true(menu_is_over(&menu));
    }
}

TEST("menu: when the time is over the default is booted, and not a moment before") {
    begin(3, 2, 5000);
    menu_elapse(&menu, 4999);
    assert_false(menu_is_over(&menu));
    menu_elapse(&menu, 1);
    assert_int_equal(menu.state, MENU_TIMED_OUT);
    assert_int_equal(menu.selected, 2);
    type("^");
    assert_int_equal(menu.selected, 2);
    begin(3, 2, 5000);
    menu_elapse(&menu, UINT32_MAX);
    assert_int_equal(menu.state, MENU_TIMED_OUT);
    begin(3, 2, MENU_FOREVER);
    for (int i = 0; i < 3; i++)
        menu_elapse(&menu, UINT32_MAX);
    assert_false(menu_is_over(&menu));
    menu_press(&menu, (struct menu_key){MENU_KEY_NONE, 0});
    begin(3, 2, 5000);
    menu_press(&menu, (struct menu_key){MENU_KEY_NONE, 0});
    assert_int_equal(menu.left_ms, MENU_FOREVER);
}

TEST("menu: a long list is turned over by pages, and says where it is") {
    begin(29, 11, MENU_FOREVER);
    assert_int_equal(menu_list_rows((struct menu_size){40, 9}), 4);
    assert_string_equal(screen(40, 9), HEADER ", entry 12 of 29\n\n"
                                              "  9. Entry 9\n"
                                              "     Entry 10\n"
                                              "     Entry 11\n"
                                              ">    Entry 12<\n"
                                              "\nCommand line: line=12\n"
                                              "Up, Down: choose   Enter: boot   e: edit\n");
    type("}");
    assert_string_equal(screen(40, 9), HEADER ", entry 29 of 29\n\n"
                                              ">    Entry 29<\n"
                                              "\n\n\n"
                                              "\nCommand line: line=29\n"
                                              "Up, Down: choose   Enter: boot   e: edit\n");
}

TEST("menu: what no console shows in one column is a question mark, and a tab is a blank") {
    begin(1, 0, MENU_FOREVER);
    items[0].title = config_text_of("\xc3\xa4\xd0\x96\xe4\xb8\xad\xcc\x81\xf0\x9f\x98\x80\tx");
    assert_non_null(strstr(screen(80, 8), "> 1. \xc3\xa4\xd0\x96??? x<\n"));
    items[0].cmdline = config_text_of("");
    assert_non_null(strstr(screen(80, 8), "\nCommand line: (none)\n"));
}

// ---- The command line

static void expect_line(const char *want) {
    struct config_text line = menu_cmdline(&menu);
    assert_int_equal(line.bytes, strlen(want));
    assert_memory_equal(line.text, want, line.bytes);
}

TEST("menu: an edited command line is that of its entry, until another one is edited") {
    begin(3, 0, 5000);
    type("e x\r");
    expect_line("line=1 x");
    assert_string_equal(screen(80, 8), HEADER "\n\n"
                                              "> 1. Entry 1 *<\n"
                                              "  2. Entry 2\n"
                                              "  3. Entry 3\n"
                                              "\nEdited command line: line=1 x\n" HELP);
    type("v");
    expect_line("line=2");
    type("^ey\r");
    expect_line("line=1 xy");
    type("ez\x1b"); // dropped
    expect_line("line=1 xy");
    type("vez\x1b^");
    expect_line("line=1 xy");
    type("vez\r^");
    expect_line("line=1");
    type("v\r");
    expect_line("line=2z");
    assert_int_equal(menu.state, MENU_CHOSEN);
}

TEST("menu: the command line is edited by characters") {
    static const struct {
        const char *keys, *line;
    } cases[] = {
        {"", "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\b", "a\xc3\xa4\xe2\x82\xac"},
        {"\b\b", "a\xc3\xa4"},
        {"\b\b\b", "a"},
        {"\b\b\b\b\b", ""},
        {"<\b", "a\xc3\xa4\xf0\x9f\x98\x80"},
        {"{\x7f", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"{>\x7f\x7f", "a\xf0\x9f\x98\x80"},
        {"{\b>>>>>>\x7f!", "a\xc3\xa4\xe2\x82\xac!"}, // at the end it is Backspace
        {"\x7f\x7f", "a\xc3\xa4"},
        {"{\x7f\x7f\x7f\x7f\x7f", ""},
        {"{>\xc3\xb6", "a\xc3\xb6\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"{^v-+}<<<<<<b", "ba\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\x01\x1f\t\xc2\x80\xc2\x9f\xc2\xa0", "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xc2\xa0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin_with_line("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
        type("e");
        type(cases[i].keys);
        type("\r");
        expect_line(cases[i].line);
    }
    begin_with_line("a");
    type("e");
    menu_press(&menu, (struct menu_key){MENU_KEY_CHARACTER, 0xd800});
    menu_press(&menu, (struct menu_key){MENU_KEY_CHARACTER, 0x110000});
    menu_press(&menu, (struct menu_key){MENU_KEY_CHARACTER, 0x7f});
    type("\r");
    expect_line("a");
}

TEST("menu: a line that has no more room takes nothing, not even in part") {
    begin_with_line("");
    type("e");
    uint64_t capacity = menu.line.capacity;
    for (uint64_t i = 0; i < capacity - 1; i++)
        type("x");
    type("\xc3\xa4");
    assert_int_equal(menu.line.bytes, capacity - 1);
    type("yz");
    assert_int_equal(menu.line.bytes, capacity);
    assert_int_equal(menu.line.text[capacity - 1], 'y');
}

TEST("menu: the longest command line can grow by 1024 bytes, wherever it stands") {
    static const char *const lines[] = {"", "1", "12", "", "123"};
    for (unsigned i = 0; i < ARRAY_LEN(lines); i++)
        items[i].cmdline = config_text_of(lines[i]);
    static const uint64_t most[] = {0, 1, 2, 2, 3};
    for (uint32_t count = 1; count <= ARRAY_LEN(lines); count++)
        assert_int_equal(menu_line_room(items, count), most[count - 1] + 1024);
    assert_int_equal(menu_line_room(items + 2, 2), 2 + 1024);
}

TEST("menu: a long line moves so that the cursor is in sight") {
    begin_with_line("0123456789abcdef");
    type("e");
    assert_string_equal(screen(12, 1), "> abcdef_\n"); // ten columns, moved by five
    type("<<<<<<");
    assert_string_equal(screen(12, 1), "> 56789abcde\n");
    type("<");
    assert_string_equal(screen(12, 1), "> 0123456789\n");
    for (uint32_t columns = 1; columns < 30; columns++) {
        type("}");
        for (int at = 16; at >= 0; at--) {
            uint32_t column, row;
            assert_true(menu_find_cursor(&menu, (struct menu_size){columns, 9}, &column, &row));
            assert_true(column < columns);
            assert_int_equal(row, 7);
            struct menu_cell cells[30];
            menu_draw_row(&menu, (struct menu_size){columns, 9}, row, cells);
            assert_int_equal(cells[column].unit, at == 16 ? ' ' : "0123456789abcdef"[at]);
            type("<");
        }
    }
}

TEST("menu: where nothing is edited no cursor is shown") {
    uint32_t column, row;
    begin(2, 0, 5000);
    assert_false(menu_find_cursor(&menu, (struct menu_size){80, 25}, &column, &row));
    type("e\x1b");
    assert_false(menu_find_cursor(&menu, (struct menu_size){80, 25}, &column, &row));
}
