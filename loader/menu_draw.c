// What people see of a menu: its rows, as cells. See menu.h.
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/fmt.h"
#include "loader/config_text.h"
#include "loader/menu.h"
#include "loader/utf.h"

enum {
    FRAME_ROWS_LEAST = 7, // with fewer rows there are no empty ones
    NUMBERED = 9,
    PROMPT_COLUMNS = 2,
};

#define NO_ROW UINT32_MAX

// Which row shows what.
struct layout {
    uint32_t header;
    uint32_t list;
    uint32_t list_rows;
    uint32_t status; // the list's own row, if there is but one
    uint32_t help;
};

static struct layout lay_out(struct menu_size size) {
    uint32_t rows = size.rows;
    ASSERT(rows != 0 && size.columns != 0);
    if (rows >= FRAME_ROWS_LEAST)
        return (struct layout){0, 2, rows - 5, rows - 2, rows - 1};
    if (rows >= 4)
        return (struct layout){NO_ROW, 0, rows - 2, rows - 2, rows - 1};
    return (struct layout){NO_ROW, 0, rows == 1 ? 1 : rows - 1, rows - 1, NO_ROW};
}

uint32_t menu_list_rows(struct menu_size size) {
    return lay_out(size).list_rows;
}

// ---- Text into cells

struct pen {
    struct menu_cell *cells;
    uint32_t columns;
    uint32_t at;
    enum menu_style style;
};

// What consoles show in one column, as far as is known: Latin, Greek and Cyrillic without what
// combines. Any other character is a question mark.
static uint16_t unit_of(uint32_t code_point) {
    bool is_shown = (code_point >= 0x20 && code_point < 0x7f) ||
                    (code_point > 0xa0 && code_point < 0x300 && code_point != 0xad) ||
                    (code_point >= 0x370 && code_point < 0x483) ||
                    (code_point >= 0x48a && code_point < 0x530);
    if (code_point == '\t' || code_point == 0xa0)
        return ' ';
    return is_shown ? (uint16_t)code_point : '?';
}

// The first `skipped` characters are left out, and those for which there is no room.
static void put_text(struct pen *pen, struct config_text text, uint64_t skipped) {
    for (uint64_t at = 0; at < text.bytes && pen->at < pen->columns;) {
        uint32_t code_point = 0;
        unsigned bytes = utf8_decode(text.text + at, text.bytes - at, &code_point);
        ASSERT(bytes != 0);
        at += bytes;
        if (skipped != 0) {
            skipped--;
            continue;
        }
        pen->cells[pen->at++] = (struct menu_cell){unit_of(code_point), (uint8_t)pen->style};
    }
}

[[gnu::format(printf, 2, 3)]] static void put(struct pen *pen, const char *format, ...) {
    char storage[128];
    struct fmt_buffer buffer = fmt_buffer_make(storage, sizeof(storage));
    struct sink sink = fmt_buffer_sink(&buffer);
    va_list arguments;
    va_start(arguments, format);
    fmt_vprint(&sink, format, arguments);
    va_end(arguments);
    put_text(pen, (struct config_text){storage, buffer.used}, 0);
}

// ---- Rows

static uint32_t seconds_left(const struct menu *menu) {
    return menu->left_ms / 1000 + (menu->left_ms % 1000 != 0);
}

// A list that is longer than the screen is turned over by pages, so that little is drawn anew.
static uint32_t first_shown(const struct menu *menu, uint32_t list_rows) {
    return menu->selected - menu->selected % list_rows;
}

static void draw_item(const struct menu *menu, uint32_t index, struct pen *pen) {
    if (index >= menu->count)
        return;
    bool is_selected = index == menu->selected;
    pen->style = is_selected ? MENU_MARKED : MENU_PLAIN;
    put(pen, is_selected ? "> " : "  ");
    if (index < NUMBERED)
        put(pen, "%u. ", index + 1);
    else
        put(pen, "   ");
    put_text(pen, menu->items[index].title, 0);
    if (index == menu->edited)
        put(pen, " *");
}

// All in one row.
static void draw_short(const struct menu *menu, struct pen *pen) {
    put(pen, "%u/%u", menu->selected + 1, menu->count);
    if (menu->left_ms != MENU_FOREVER)
        put(pen, ", %u s", seconds_left(menu));
    put(pen, ": ");
    put_text(pen, menu->items[menu->selected].title, 0);
}

static uint32_t prompt_columns(uint32_t columns) {
    return columns > 2 * PROMPT_COLUMNS ? PROMPT_COLUMNS : 0;
}

// Of an edited line, the first character in sight: the line moves by half its width, so that it is
// seldom drawn anew. The cursor, which may be one behind the text, is always in sight.
static uint64_t first_character(const struct menu *menu, uint32_t width) {
    uint64_t column = menu_line_column(&menu->line);
    uint64_t step = max_u64(width / 2, 1);
    return column < width ? 0 : ((column - width) / step + 1) * step;
}

static void draw_line(const struct menu *menu, struct pen *pen) {
    uint32_t prompt = prompt_columns(pen->columns);
    put(pen, "%s", prompt != 0 ? "> " : "");
    put_text(pen, (struct config_text){menu->line.text, menu->line.bytes},
             first_character(menu, pen->columns - prompt));
}

static void draw_status(const struct menu *menu, struct pen *pen) {
    struct config_text cmdline = menu_cmdline(menu);
    uint32_t seconds = seconds_left(menu);
    if (menu->left_ms != MENU_FOREVER) {
        put(pen, "Boots in %u second%s; any key stops the time", seconds, seconds == 1 ? "" : "s");
        return;
    }
    put(pen, menu->edited == menu->selected ? "Edited command line: " : "Command line: ");
    put_text(pen, cmdline.bytes != 0 ? cmdline : config_text_of("(none)"), 0);
}

static void draw_header(const struct menu *menu, uint32_t list_rows, struct pen *pen) {
    put(pen, "Slipway %s", SLIPWAY_VERSION);
    if (menu->count > list_rows)
        put(pen, ", entry %u of %u", menu->selected + 1, menu->count);
}

static void draw_help(const struct menu *menu, struct pen *pen) {
    put(pen, menu->state == MENU_EDITING
                 ? "Enter: take it   Esc: drop the changes"
                 : "Up, Down: choose   Enter: boot   e: edit the command line   Esc: leave");
}

void menu_draw_row(const struct menu *menu, struct menu_size size, uint32_t row,
                   struct menu_cell *ret_cells) {
    const struct layout layout = lay_out(size);
    struct pen pen = {.cells = ret_cells, .columns = size.columns};
    for (uint32_t i = 0; i < size.columns; i++)
        ret_cells[i] = (struct menu_cell){' ', MENU_PLAIN};
    if (row == layout.status && menu->state == MENU_EDITING)
        draw_line(menu, &pen);
    else if (size.rows == 1)
        draw_short(menu, &pen);
    else if (row >= layout.list && row - layout.list < layout.list_rows)
        draw_item(menu, first_shown(menu, layout.list_rows) + row - layout.list, &pen);
    else if (row == layout.status)
        draw_status(menu, &pen);
    else if (row == layout.header)
        draw_header(menu, layout.list_rows, &pen);
    else if (row == layout.help)
        draw_help(menu, &pen);
}

bool menu_find_cursor(const struct menu *menu, struct menu_size size, uint32_t *ret_column,
                      uint32_t *ret_row) {
    uint32_t prompt = prompt_columns(size.columns);
    if (menu->state != MENU_EDITING)
        return false;
    *ret_column =
        (uint32_t)(menu_line_column(&menu->line) - first_character(menu, size.columns - prompt)) +
        prompt;
    *ret_row = lay_out(size).status;
    return true;
}
