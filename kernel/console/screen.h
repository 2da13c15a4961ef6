// The screen: a picture of the memory map above, text below, in two or more panes side by side
// where the screen is wide enough. Owns the grid of characters; the framebuffer is never read back.
// On a machine without a framebuffer every function does nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum screen_colour {
    SCREEN_TEXT,
    SCREEN_HEADING,
    SCREEN_ALERT,
};

// Starts on the first framebuffer of boot_info that can be used, with the picture of the memory map
// and an empty text below. Once, after heap_start: the text is kept there. Before it, text goes
// nowhere.
void screen_start(void);

// Starts the screen if it can be and has not been: for a panic or fault that comes early, on a
// machine where nobody reads COM1. The heap is not asked: text has one pane of 80 columns.
void screen_start_for_failure(void);

// Writes text at the cursor: '\n', '\r' and '\b' move it, other control characters are left out;
// lines that are too long continue on the next, and the text scrolls.
void screen_write(const char *text, size_t bytes);

// Moves the cursor to the top of the next pane of text; nothing happens in the last.
void screen_next_pane(void);

// The colour of what is written from now on.
void screen_set_colour(enum screen_colour colour);

// Where the text is: in pixels, but for the scale.
struct screen_area {
    uint32_t left, top, width, height;
    uint32_t scale; // of a glyph
};

// False without a screen, or where it has no room for text; then *ret_area is untouched.
bool screen_find_area(struct screen_area *ret_area);

// Clears the text's area, for something else to be drawn there. What is written meanwhile is seen
// when the text is shown again, and so is all that was there. A failure shows it at once.
void screen_hide_text(void);
void screen_show_text(void);

// True while the screen's own code runs: a fault report must then not use it.
bool screen_is_busy(void);
