// A line of text that people edit, by characters: UTF-8, valid at all times. Pure.
#pragma once

#include "loader/config.h"

#include <stdbool.h>
#include <stdint.h>

struct menu_line {
    char *text; // the caller's, of `capacity` bytes, not NUL-terminated
    uint64_t capacity;
    uint64_t bytes;
    uint64_t cursor; // byte before which a character would go; at the start of one, or the end
};

// Begins with a copy of `text`, valid UTF-8 of at most `capacity` bytes. The cursor is at its end.
void menu_line_set(struct menu_line *line, struct config_text text);

// Moves the cursor by a character; at the ends nothing happens.
void menu_line_left(struct menu_line *line);
void menu_line_right(struct menu_line *line);

// Puts a character before the cursor: any but control characters and surrogates. Nothing happens
// with these, or without room.
void menu_line_insert(struct menu_line *line, uint32_t code_point);

// Takes out the character at the cursor, or the one before it. Nothing happens if there is none.
void menu_line_delete(struct menu_line *line);
void menu_line_backspace(struct menu_line *line);

// Characters before the cursor.
uint64_t menu_line_column(const struct menu_line *line);
