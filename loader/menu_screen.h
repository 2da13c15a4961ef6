// A screen that shows a menu: the firmware's console, or COM1, as a terminal of 80 columns and 24
// rows that knows ECMA-48 (VT100).
//
// Only cells that have changed are written, and the cursor is hidden but where a line is edited. A
// console that cannot place the cursor (UEFI 2.9, 12.4: SetCursorPosition may fail) gets lines: all
// entries once, then one line for each change.
#pragma once

#include "loader/menu.h"

#include <stdbool.h>
#include <stdint.h>

struct menu_screen {
    bool is_com1;  // else the firmware's console
    bool is_lines; // the cursor cannot be placed
    struct menu_size size;
    struct menu_cell *shown; // what stands there, row by row
    struct menu_cell *drawn; // room for one row
    enum menu_style style;   // in force
    bool has_cursor;         // it is to be seen,
    uint32_t cursor_column;  // there
    uint32_t cursor_row;
    uint64_t attribute_before; // of the console
    bool had_cursor;
};

// Finds out how large it is; there must be a console, or COM1.
void menu_screen_find(struct menu_screen *ret_screen, bool is_com1);

// Bytes of memory that it needs.
uint64_t menu_screen_room(const struct menu_screen *screen);

// Clears it. `room`, of so many bytes, aligned to 8, must last until its end.
void menu_screen_begin(struct menu_screen *screen, const struct menu *menu, void *room);

// Shows what has changed.
void menu_screen_show(struct menu_screen *screen, const struct menu *menu);

// Clears it again; attributes and cursor are what they were.
void menu_screen_end(struct menu_screen *screen);
