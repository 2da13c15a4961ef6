// The fake machine's text console and keyboard.
#pragma once

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

#define FAKE_CONSOLES_MAX 17 // of the firmware, by device path
#define FAKE_COLUMNS_MAX  120
#define FAKE_ROWS_MAX     50

// The text console's screen.
struct fake_text_screen {
    uint32_t columns, rows; // 80 and 25 after fake_reset
    SIMPLE_TEXT_OUTPUT_MODE mode;
    uint16_t units[FAKE_ROWS_MAX][FAKE_COLUMNS_MAX];
    uint8_t attributes[FAKE_ROWS_MAX][FAKE_COLUMNS_MAX];
    bool has_no_mode;                       // its protocol says nothing of it
    uint32_t columns_reached, rows_reached; // positions beyond are refused; 0: none is
    uint16_t glyph;                         // the only character above Latin-1 that it can show
    uint32_t written;                       // units so far
    uint32_t scrolled;
};

// A key that is typed after so many milliseconds.
struct fake_key {
    uint32_t at_ms;
    uint16_t scan;
    uint16_t unit;
};
