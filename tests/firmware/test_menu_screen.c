// The menu's screen call by call: all that a console is told, and how large it is taken to be. The
// menu in a boot: test_menu.c.
#include "loader/menu_screen.h"

#include "common/base/arith.h"
#include "loader/config_text.h"
#include "loader/firmware.h"
#include "loader/utf.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The console, and what it was told: "@3,1 " the cursor's place, "#07 " the attribute, "+ " and
// "- " the cursor, "? " its mode, "clear ", and texts in quotes.
static struct {
    UINTN columns, rows, columns_reached, rows_reached;
    bool fails_query, fails_clear;
} console;
static char said[2000];
static size_t said_bytes;

[[gnu::format(printf, 1, 2)]] static void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    said_bytes +=
        (size_t)vsnprintf(said + said_bytes, sizeof(said) - said_bytes, format, arguments);
    va_end(arguments);
    assert_in_range(said_bytes, 0, sizeof(said) - 1);
}

static EFI_STATUS EFIAPI output([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self, CHAR16 *text) {
    say("'");
    for (; *text != 0; text++) {
        char character[5] = {0};
        assert_int_not_equal(utf8_encode(*text, character), 0);
        say("%s", character);
    }
    say("' ");
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI test_string([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                     CHAR16 *text) {
    assert_int_equal(text[1], 0);
    say("%x? ", text[0]);
    return EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI query([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self, UINTN mode,
                               UINTN *ret_columns, UINTN *ret_rows) {
    say("%lu? ", mode);
    *ret_columns = console.columns;
    *ret_rows = console.rows;
    return console.fails_query ? EFI_DEVICE_ERROR : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_attribute([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                       UINTN attribute) {
    say("#%02lx ", attribute);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_cursor([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                    UINTN column, UINTN row) {
    say("@%lu,%lu ", column, row);
    return column < console.columns_reached && row < console.rows_reached ? EFI_SUCCESS
                                                                          : EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI enable_cursor([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                       BOOLEAN is_shown) {
    say(is_shown ? "+ " : "- ");
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI clear([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self) {
    say("clear ");
    return console.fails_clear ? EFI_UNSUPPORTED : EFI_SUCCESS;
}

static SIMPLE_TEXT_OUTPUT_MODE mode;
static SIMPLE_TEXT_OUTPUT_INTERFACE output_console;
static struct menu_screen screen;
static struct menu menu;
static struct menu_item items[2];
static char *line_room;
static void *cells;

static void set_up(UINTN columns, UINTN rows) {
    static EFI_SYSTEM_TABLE system = {.ConOut = &output_console};
    mode = (SIMPLE_TEXT_OUTPUT_MODE){.Mode = 3, .Attribute = 0x0e, .CursorVisible = TRUE};
    output_console = (SIMPLE_TEXT_OUTPUT_INTERFACE){.OutputString = output,
                                                    .TestString = test_string,
                                                    .QueryMode = query,
                                                    .SetAttribute = set_attribute,
                                                    .SetCursorPosition = set_cursor,
                                                    .EnableCursor = enable_cursor,
                                                    .ClearScreen = clear,
                                                    .Mode = &mode};
    console.columns = console.columns_reached = columns;
    console.rows = console.rows_reached = rows;
    console.fails_query = console.fails_clear = false;
    said_bytes = 0;
    ST = &system;
}

static void tear_down(void) {
    free(line_room);
    free(cells);
    line_room = cells = NULL;
    ST = NULL;
}

static void expect_said(const char *want) {
    said[said_bytes] = '\0';
    assert_string_equal(said, want);
    said_bytes = 0;
}

static void find(uint32_t columns, uint32_t rows, const char *want) {
    menu_screen_find(&screen, false);
    assert_int_equal(screen.size.columns, columns);
    assert_int_equal(screen.size.rows, rows);
    expect_said(want);
}

// In memory of the size that is asked for.
static void begin(const char *one, const char *two) {
    items[0] = (struct menu_item){config_text_of(one), config_text_of("a")};
    items[1] = (struct menu_item){config_text_of(two), config_text_of("b")};
    line_room = malloc(2 * menu_line_room(items, 2));
    menu_begin(&menu, items, 2, 0, MENU_FOREVER, line_room);
    menu_screen_find(&screen, false);
    said_bytes = 0;
    cells = malloc(menu_screen_room(&screen));
    menu_screen_begin(&screen, &menu, cells);
}

static void press(enum menu_key_kind kind, uint32_t character) {
    menu_press(&menu, (struct menu_key){kind, character});
    menu_screen_show(&screen, &menu);
}

TEST("menu screen: a console has the size of its mode, without the last column, within limits") {
    static const struct {
        UINTN columns, rows;
        uint32_t want_columns, want_rows;
        const char *said;
    } cases[] = {
        {80, 25, 79, 25, "3? @78,0 @0,24 "},
        {0, 0, 1, 1, "3? @0,0 @0,0 "},
        {1, 1, 1, 1, "3? @0,0 @0,0 "},
        {2, 1, 1, 1, "3? @0,0 @0,0 "},
        {3, 2, 2, 2, "3? @1,0 @0,1 "},
        {300, 99, 299, 99, "3? @298,0 @0,98 "},
        {301, 100, 300, 100, "3? @299,0 @0,99 "},
        {302, 101, 300, 100, "3? @299,0 @0,99 "},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        set_up(cases[i].columns, cases[i].rows);
        console.columns_reached = console.rows_reached = 1000;
        find(cases[i].want_columns, cases[i].want_rows, cases[i].said);
        assert_int_equal(screen.attribute_before, 0x0e);
        assert_true(screen.had_cursor);
    }
    tear_down();
}

TEST(
    "menu screen: a console that does not reach its mode's size has 79 columns or 25 rows at most") {
    set_up(100, 31);
    console.columns_reached = 98;
    find(79, 31, "3? @98,0 @0,30 ");
    console.columns_reached = 99;
    console.rows_reached = 30;
    find(99, 25, "3? @98,0 @0,30 ");
    console.rows_reached = 31;
    find(99, 31, "3? @98,0 @0,30 ");
    set_up(40, 10);
    console.columns_reached = 0;
    find(39, 10, "3? @38,0 @0,9 ");
    tear_down();
}

TEST("menu screen: without a mode, or without its size, it is the first mode of all") {
    set_up(100, 31);
    console.fails_query = true;
    mode.CursorVisible = FALSE;
    find(79, 25, "3? @78,0 @0,24 ");
    assert_false(screen.had_cursor);
    console.fails_query = false;
    output_console.Mode = NULL;
    find(99, 31, "0? @98,0 @0,30 ");
    assert_int_equal(screen.attribute_before, 0x07);
    assert_true(screen.had_cursor);
    menu_screen_find(&screen, true);
    assert_int_equal(screen.size.columns, 79);
    assert_int_equal(screen.size.rows, 24);
    assert_true(screen.had_cursor);
    expect_said("");
    tear_down();
}

TEST("menu screen: its memory is a cell for each place, and a row") {
    screen = (struct menu_screen){.size = {7, 2}};
    assert_int_equal(menu_screen_room(&screen), 3 * 7 * sizeof(struct menu_cell));
}

TEST("menu screen: what changes is written, and the cursor placed where it is not yet") {
    set_up(18, 4);
    begin("A", "B");
    expect_said("#07 clear - @0,0 #70 '> 1. A' @2,1 #07 '2. B' @0,2 'Command line: a' "
                "@0,3 'Up, Down: choose' ");
    menu_screen_show(&screen, &menu);
    expect_said("");
    press(MENU_KEY_DOWN, 0);
    expect_said("@0,0 '  1. A' @0,1 #70 '> 2. B' @14,2 #07 'b' ");
    press(MENU_KEY_CHARACTER, 'e');
    expect_said("@0,2 '> b            ' @0,3 'Enter: take it  ' @3,2 + ");
    menu_screen_show(&screen, &menu);
    expect_said("");
    press(MENU_KEY_CHARACTER, 'x');
    expect_said("@3,2 'x' @4,2 ");
    press(MENU_KEY_LEFT, 0);
    expect_said("@3,2 ");
    press(MENU_KEY_LEFT, 0);
    expect_said("@2,2 ");
    press(MENU_KEY_LEFT, 0);
    expect_said("");
    press(MENU_KEY_CHARACTER, 'b');
    expect_said("@3,2 'bx' @3,2 ");
    press(MENU_KEY_DELETE, 0); // what is written moves the cursor, which belongs before it
    expect_said("@3,2 'x ' @3,2 ");
    press(MENU_KEY_ESCAPE, 0);
    expect_said("@0,2 'Command line: b' @0,3 'Up, Down: choose' - ");
    menu_screen_end(&screen);
    expect_said("#07 #0e clear + ");
    tear_down();
}

TEST("menu screen: 64 cells are written at once, and those of one style") {
    char title[142] = {0};
    char want[400];
    for (unsigned i = 0; i < 70; i++)
        memcpy(title + 2 * i, "\xc3\xa4", 2);
    set_up(100, 1);
    begin(title, "B");
    snprintf(want, sizeof(want), "#07 clear - @0,0 '1/2: %.118s' '%s' ", title, title + 118);
    expect_said(want);
    tear_down();
    set_up(100, 2);
    begin(title, "B");
    snprintf(want, sizeof(want),
             "#07 clear - @0,0 #70 '> 1. %.118s' '%s' @0,1 #07 'Command line: a' ", title,
             title + 118);
    expect_said(want);
    tear_down();
}

TEST("menu screen: of characters above Latin-1 the console is asked for each") {
    set_up(20, 2);
    begin("\xc3\xbf\xc4\x80\xd0\x96z", "B"); // U+00FF, U+0100, U+0416
    expect_said("#07 clear - @0,0 #70 100? 416? '> 1. \xc3\xbf??z' @0,1 #07 'Command line: a' ");
    tear_down();
}

TEST("menu screen: a console that cannot clear gets lines, one more for each change") {
    set_up(18, 4);
    console.fails_clear = true;
    begin("A", "B");
    expect_said("#07 clear 'Slipway " SLIPWAY_VERSION "' '\r\n' '> 1. A' '\r\n' '  2. B' '\r\n' "
                "'Command line: a' '\r\n' 'Up, Down: choose' '\r\n' '1/2: A' '\r\n' ");
    menu_screen_show(&screen, &menu);
    expect_said("");
    press(MENU_KEY_DOWN, 0);
    expect_said("'2/2: B' '\r\n' ");
    press(MENU_KEY_CHARACTER, 'e');
    expect_said("'> b' '\r\n' ");
    menu_screen_end(&screen);
    expect_said("#07 #0e + ");
    tear_down();
}

TEST("menu screen: a console that refuses a place gets lines from then on") {
    set_up(18, 4);
    begin("A", "B");
    said_bytes = 0;
    console.columns_reached = 0;
    press(MENU_KEY_DOWN, 0);
    expect_said("@0,0 'Slipway " SLIPWAY_VERSION "' '\r\n' '  1. A' '\r\n' '> 2. B' '\r\n' "
                "'Command line: b' '\r\n' 'Up, Down: choose' '\r\n' '2/2: B' '\r\n' ");
    tear_down();
}
