#include "kernel/console/screen.h"

#include "common/base/arith.h"
#include "common/screen/framebuffer.h"
#include "kernel/base/boot.h"
#include "kernel/base/stages.h"
#include "kernel/console/picture.h"
#include "kernel/memory/heap.h"

#include <stdint.h>

enum {
    PANE_COLUMNS = 78, // the least that a pane has, if the screen is as wide
    COLUMNS_MAX = 128, // of a pane
    FEW_COLUMNS = 80,  // of the only pane that there is without a heap
    FEW_ROWS = 50,
    SCROLL_PART = 4,     // a single pane scrolls by this part of it at once
    SCALE_HEIGHT = 1080, // the font is doubled at twice this height, tripled at three times, ...
};

static const colour_t inks[] = {
    [SCREEN_TEXT] = 0xd8dee9,
    [SCREEN_HEADING] = 0x88c0d0,
    [SCREEN_ALERT] = 0xff8f80,
};

#define PAPER PICTURE_PAPER

struct cell {
    char character;
    uint8_t colour; // enum screen_colour
};

static struct cell few_cells[FEW_ROWS * FEW_COLUMNS]; // where the heap has none
static struct cell *cells;                            // rows of `columns`
static uint32_t columns, rows;                        // of the text, all panes; 0 without a screen
static uint32_t pane_rows, pane_width;                // rows; pixels from one pane to the next
static uint32_t column, row;                          // the cursor
static uint32_t left, top;                            // of the text, in pixels
static uint32_t scale;
static enum screen_colour colour_now = SCREEN_TEXT;
static bool busy;
static bool hidden; // something else is drawn where the text is

static const struct cell blank = {' ', SCREEN_TEXT};

// Where a cell is drawn: text runs down one pane and goes on at the top of the next, as in a
// newspaper.
static uint32_t cell_x(uint32_t at_row, uint32_t at_column) {
    return left + at_row / pane_rows * pane_width + at_column * GLYPH_WIDTH * scale;
}

static uint32_t cell_y(uint32_t at_row) {
    return top + at_row % pane_rows * GLYPH_HEIGHT * scale;
}

static struct cell *cell_at(uint32_t at_row, uint32_t at_column) {
    return &cells[(size_t)at_row * columns + at_column];
}

static void draw_cell(uint32_t at_row, uint32_t at_column) {
    const struct cell *cell = cell_at(at_row, at_column);
    if (hidden)
        return;
    framebuffer_glyph(cell_x(at_row, at_column), cell_y(at_row), cell->character, scale,
                      inks[cell->colour], PAPER);
}

static void draw_cursor(colour_t colour) {
    if (hidden)
        return;
    framebuffer_fill(cell_x(row, column), cell_y(row) + (GLYPH_HEIGHT - 2) * scale,
                     GLYPH_WIDTH * scale, 2 * scale, colour);
}

// Draws only what changes: most of a text is blank, and stays so.
static void set_cell(uint32_t at_row, uint32_t at_column, struct cell cell) {
    struct cell *old = cell_at(at_row, at_column);
    bool same = old->character == cell.character && old->colour == cell.colour;
    *old = cell;
    if (!same)
        draw_cell(at_row, at_column);
}

// Every scroll redraws most of the text: so it is by many rows at once. Where there are panes, what
// they show moves on by one, which is also easier to follow than text that flows through all.
static void scroll(void) {
    uint32_t by = pane_rows < rows ? pane_rows : (uint32_t)max_u64(rows / SCROLL_PART, 1);
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < columns; c++)
            set_cell(r, c, r + by < rows ? *cell_at(r + by, c) : blank);
    }
    row -= by;
}

static void new_line(void) {
    column = 0;
    if (++row == rows)
        scroll();
}

static void put(char character) {
    if (character == '\n') {
        new_line();
    } else if (character == '\r') {
        column = 0;
    } else if (character == '\b') {
        column -= column != 0;
    } else if (character >= ' ') {
        if (column == columns)
            new_line();
        set_cell(row, column++, (struct cell){character, (uint8_t)colour_now});
    }
}

void screen_write(const char *text, size_t bytes) {
    if (rows == 0)
        return;
    busy = true;
    if (column < columns)
        draw_cell(row, column); // over the cursor
    for (size_t i = 0; i < bytes; i++)
        put(text[i]);
    if (column < columns)
        draw_cursor(inks[SCREEN_HEADING]);
    busy = false;
}

void screen_next_pane(void) {
    if (rows == 0 || row / pane_rows == (rows - 1) / pane_rows)
        return;
    screen_write("\r", 1);
    uint32_t first = (row / pane_rows + 1) * pane_rows;
    while (row != first)
        screen_write("\n", 1);
}

void screen_set_colour(enum screen_colour colour) {
    colour_now = colour;
}

bool screen_is_busy(void) {
    return busy;
}

// Lays the text out below the picture, which ends at pixel line `from`.
static void lay_out_text(uint32_t from, bool has_heap) {
    uint32_t glyph = GLYPH_WIDTH * scale;
    uint32_t all_columns = framebuffer_width() / glyph;
    uint32_t panes = all_columns / (PANE_COLUMNS + 2) + (all_columns < PANE_COLUMNS + 2);
    left = glyph;
    top = from;
    pane_rows = (framebuffer_height() - from) / (GLYPH_HEIGHT * scale);
    pane_width = all_columns / panes * glyph;
    columns = all_columns > 2 ? (uint32_t)min_u64(all_columns / panes - 2, COLUMNS_MAX) : 0;
    rows = columns != 0 ? pane_rows * panes : 0;
    cells = has_heap ? heap_alloc((uint64_t)rows * columns * sizeof(*cells)) : NULL;
    if (cells == NULL) {
        cells = few_cells;
        columns = (uint32_t)min_u64(columns, FEW_COLUMNS);
        pane_rows = (uint32_t)min_u64(pane_rows, FEW_ROWS);
        rows = (uint32_t)min_u64(rows, pane_rows);
    }
    row = 0;
    column = 0;
    for (size_t i = 0; i < (size_t)rows * columns; i++)
        cells[i] = blank; // not drawn: the picture painted the paper already
}

bool screen_find_area(struct screen_area *ret_area) {
    if (rows == 0)
        return false;
    *ret_area = (struct screen_area){
        .left = left,
        .top = top,
        .width = framebuffer_width() - 2 * left,
        .height = pane_rows * GLYPH_HEIGHT * scale,
        .scale = scale,
    };
    return true;
}

static void clear_area(void) {
    framebuffer_fill(0, top, framebuffer_width(), framebuffer_height() - top, PAPER);
}

void screen_hide_text(void) {
    if (rows == 0)
        return;
    clear_area();
    hidden = true;
}

// Blanks are paper already.
void screen_show_text(void) {
    if (rows == 0 || !hidden)
        return;
    hidden = false;
    busy = true;
    clear_area();
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < columns; c++) {
            if (cell_at(r, c)->character != ' ')
                draw_cell(r, c);
        }
    }
    busy = false;
}

static void start(bool has_heap) {
    const struct slipway_array *framebuffers = &boot_info()->framebuffers;
    for (uint64_t i = 0; i < framebuffers->count; i++) {
        if (!framebuffer_start(boot_record(framebuffers, i)))
            continue;
        busy = true;
        stages_begin("screen");
        scale = (uint32_t)max_u64(framebuffer_height() / SCALE_HEIGHT, 1);
        lay_out_text(picture_draw(scale), has_heap);
        stages_end((uint64_t)framebuffer_width() * framebuffer_height() * sizeof(uint32_t));
        busy = false;
        return;
    }
}

void screen_start(void) {
    start(/*has_heap=*/true);
}

void screen_start_for_failure(void) {
    screen_show_text();
    if (rows == 0 && !busy && boot_info() != NULL)
        start(/*has_heap=*/false);
    screen_set_colour(SCREEN_ALERT);
}
