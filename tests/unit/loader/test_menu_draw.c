// What the menu draws into cells, in memory of their number: characters, sizes, seconds. How whole
// screens look: test_menu.c.
#include "loader/menu.h"

#include "common/base/arith.h"
#include "loader/config_text.h"
#include "loader/utf.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

static struct menu menu;
static struct menu_item item;
static char *room;

static void begin(const char *title, const char *cmdline, uint32_t left_ms) {
    item = (struct menu_item){config_text_of(title), config_text_of(cmdline)};
    free(room);
    room = malloc(2 * menu_line_room(&item, 1));
    menu_begin(&menu, &item, 1, 0, left_ms, room);
}

// The row has these characters of ASCII, and blanks behind them.
static void expect_row(struct menu_size size, uint32_t row, const char *want) {
    struct menu_cell *cells = malloc(size.columns * sizeof(*cells));
    menu_draw_row(&menu, size, row, cells);
    for (uint32_t column = 0; column < size.columns; column++)
        assert_int_equal(cells[column].unit, column < strlen(want) ? want[column] : ' ');
    free(cells);
}

TEST("menu draw: the list has all rows but those of the frame, and one at least") {
    static const uint32_t want[] = {1, 1, 2, 2, 3, 4, 2, 3, 4};
    for (uint32_t rows = 1; rows <= ARRAY_LEN(want); rows++)
        assert_int_equal(menu_list_rows((struct menu_size){80, rows}), want[rows - 1]);
}

TEST("menu draw: the first and last characters that are shown, and their neighbours") {
    static const uint32_t cases[][2] = {
        {'\t', ' '},    {0x1f, '?'},    {' ', ' '},     {'~', '~'},   {0x7f, '?'},
        {0x80, '?'},    {0x9f, '?'},    {0xa0, ' '},    {0xa1, 0xa1}, {0xac, 0xac},
        {0xad, '?'},    {0xae, 0xae},   {0x2ff, 0x2ff}, {0x300, '?'}, {0x36f, '?'},
        {0x370, 0x370}, {0x482, 0x482}, {0x483, '?'},   {0x489, '?'}, {0x48a, 0x48a},
        {0x52f, 0x52f}, {0x530, '?'},   {0x10041, '?'},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        char title[5] = {0};
        struct menu_cell cells[40];
        assert_int_not_equal(utf8_encode(cases[i][0], title), 0);
        begin(title, "", MENU_FOREVER);
        menu_draw_row(&menu, (struct menu_size){ARRAY_LEN(cells), 8}, 2, cells);
        assert_int_equal(cells[5].unit, cases[i][1]);
    }
}

TEST("menu draw: a row ends with its last column, and is blank behind its text") {
    begin("Title", "line", MENU_FOREVER);
    expect_row((struct menu_size){12, 8}, 2, "> 1. Title");
    expect_row((struct menu_size){10, 8}, 2, "> 1. Title");
    expect_row((struct menu_size){9, 8}, 2, "> 1. Titl");
    expect_row((struct menu_size){1, 8}, 2, ">");
}

TEST("menu draw: seconds are whole, and the last one is begun") {
    static const struct {
        uint32_t ms;
        const char *want;
    } cases[] = {{1, "1/1, 1 s: T"},
                 {1000, "1/1, 1 s: T"},
                 {1001, "1/1, 2 s: T"},
                 {999000, "1/1, 999 s: T"},
                 {86400000, "1/1, 86400 s: T"}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        begin("T", "", cases[i].ms);
        expect_row((struct menu_size){20, 1}, 0, cases[i].want);
    }
}

TEST("menu draw: where four columns are all, the edited line has no mark before it") {
    begin("T", "ab", MENU_FOREVER);
    menu_press(&menu, (struct menu_key){MENU_KEY_CHARACTER, 'e'});
    expect_row((struct menu_size){3, 1}, 0, "ab");
    expect_row((struct menu_size){4, 1}, 0, "ab");
    expect_row((struct menu_size){5, 1}, 0, "> ab");
    expect_row((struct menu_size){6, 1}, 0, "> ab");
}
