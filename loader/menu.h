// A menu of entries: which of them is chosen and with which command line, by keys and by time, and
// what people see of it, as rows of cells. Pure: no EFI, no globals, no allocation.
//
// Several screens of different sizes may show one menu: a row is drawn for a size, from what the
// menu is, without memory of what was drawn before.
//
//   up, down, page up, page down, home, end, a digit    choose
//   Enter, b                                            boot what is chosen
//   e                       edit its command line: Enter takes it, Escape drops what was changed,
//                           Delete at its end is Backspace
//   Escape                  leave, and boot nothing
//
// Any key stops the time. A command line that was edited is that of its entry until another one is
// edited; it is for this boot alone.
#pragma once

#include "loader/config.h"
#include "loader/menu_line.h"

#include <stdbool.h>
#include <stdint.h>

#define MENU_FOREVER UINT32_MAX

enum menu_key_kind {
    MENU_KEY_NONE, // nothing that the menu knows; it stops the time all the same
    MENU_KEY_CHARACTER,
    MENU_KEY_ENTER,
    MENU_KEY_ESCAPE,
    MENU_KEY_BACKSPACE,
    MENU_KEY_DELETE,
    MENU_KEY_UP,
    MENU_KEY_DOWN,
    MENU_KEY_LEFT,
    MENU_KEY_RIGHT,
    MENU_KEY_PAGE_UP,
    MENU_KEY_PAGE_DOWN,
    MENU_KEY_HOME,
    MENU_KEY_END,
    MENU_KEY_KINDS,
};

struct menu_key {
    enum menu_key_kind kind;
    uint32_t character; // a code point, of MENU_KEY_CHARACTER
};

// What people choose from. Valid UTF-8.
struct menu_item {
    struct config_text title;
    struct config_text cmdline;
};

enum menu_state {
    MENU_CHOOSING,
    MENU_EDITING,
    // The end, after which nothing changes any more:
    MENU_CHOSEN,
    MENU_TIMED_OUT, // the default is booted
    MENU_LEFT,
};

struct menu {
    const struct menu_item *items;
    uint32_t count; // at least 1
    enum menu_state state;
    uint32_t selected;      // index
    uint32_t page;          // entries that page up and page down go along
    uint32_t left_ms;       // until MENU_TIMED_OUT; MENU_FOREVER: it waits for ever
    uint32_t edited;        // index of the entry whose command line is `taken`; `count`: none
    struct menu_line line;  // being edited
    struct menu_line taken; // in place of that entry's own
};

// A screen that shows the menu; at least one cell.
struct menu_size {
    uint32_t columns;
    uint32_t rows;
};

enum menu_style {
    MENU_PLAIN,
    MENU_MARKED, // of the entry that is chosen
};

struct menu_cell {
    uint16_t unit; // UCS-2, one column wide on every console
    uint8_t style; // enum menu_style
};

// Bytes of each of the two buffers of menu_begin: the longest command line can grow by some.
uint64_t menu_line_room(const struct menu_item *items, uint32_t count);

// Begins with `selected`, which is booted after `left_ms` milliseconds unless a key comes. `room`,
// of twice menu_line_room(items, count) bytes, and the items must outlive the menu.
void menu_begin(struct menu *ret_menu, const struct menu_item *items, uint32_t count,
                uint32_t selected, uint32_t left_ms, char *room);

// A key was typed.
void menu_press(struct menu *menu, struct menu_key key);

// So much time went by.
void menu_elapse(struct menu *menu, uint32_t ms);

// True at the end.
bool menu_is_over(const struct menu *menu);

// The command line of the entry that is chosen: valid as long as the menu's items and buffers.
struct config_text menu_cmdline(const struct menu *menu);

// ---- What people see: menu_draw.c

// So many entries are in sight at once.
uint32_t menu_list_rows(struct menu_size size);

// Draws row `row` of the screen: size.columns cells.
void menu_draw_row(const struct menu *menu, struct menu_size size, uint32_t row,
                   struct menu_cell *ret_cells);

// Where the cursor is to be seen. False: nowhere.
bool menu_find_cursor(const struct menu *menu, struct menu_size size, uint32_t *ret_column,
                      uint32_t *ret_row);
