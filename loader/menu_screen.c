// See menu_screen.h.
#include "loader/menu_screen.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/base/mem.h"
#include "common/x86/uart.h"
#include "loader/console.h"
#include "loader/firmware.h"
#include "loader/utf.h"

enum {
    COLUMNS_MAX = 300,
    ROWS_MAX = 100,
    COLUMNS = 80, // of a terminal, and of a console's first mode
    TERMINAL_ROWS = 24,
    CONSOLE_ROWS = 25,
    TEXT_CELLS = 64, // that are written at once
    FRAME_ROWS = 5,  // that a screen has besides its list
};

// As messages are written: light grey on black. Marked is the reverse.
static const uint8_t attributes[] = {
    [MENU_PLAIN] = EFI_TEXT_ATTR(EFI_LIGHTGRAY, EFI_BLACK),
    [MENU_MARKED] = EFI_TEXT_ATTR(EFI_BLACK, EFI_LIGHTGRAY),
};
static const char *const sequences[] = {[MENU_PLAIN] = "\x1b[0m", [MENU_MARKED] = "\x1b[7m"};

// ---- The device

static void send(const char *text) {
    uart_write(text, strlen(text));
}

// A console that refuses does so now or never: what is written goes into lines from then on.
static void move_to(struct menu_screen *screen, uint32_t column, uint32_t row) {
    if (screen->is_com1) {
        const struct sink sink = uart_sink();
        fmt_print(&sink, "\x1b[%u;%uH", row + 1, column + 1);
    } else if (EFI_ERROR(ST->ConOut->SetCursorPosition(ST->ConOut, column, row))) {
        screen->is_lines = true;
    }
}

// A console without colours has the mark before the text.
static void set_style(struct menu_screen *screen, enum menu_style style) {
    screen->style = style;
    if (screen->is_com1)
        send(sequences[style]);
    else
        ST->ConOut->SetAttribute(ST->ConOut, attributes[style]);
}

static void show_cursor(const struct menu_screen *screen, bool is_shown) {
    if (screen->is_com1)
        send(is_shown ? "\x1b[?25h" : "\x1b[?25l");
    else
        ST->ConOut->EnableCursor(ST->ConOut, is_shown);
}

static void clear(struct menu_screen *screen) {
    if (screen->is_com1)
        send("\x1b[2J\x1b[H");
    else if (EFI_ERROR(ST->ConOut->ClearScreen(ST->ConOut)))
        screen->is_lines = true;
}

static void write_cells(const struct menu_screen *screen, const struct menu_cell *cells,
                        uint32_t count) {
    CHAR16 wide[TEXT_CELLS + 1];
    char text[4 * TEXT_CELLS];
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        wide[i] = screen->is_com1 ? 0 : console_unit(cells[i].unit);
        bytes += utf8_encode(cells[i].unit, text + bytes);
    }
    wide[count] = 0;
    if (screen->is_com1)
        uart_write(text, bytes);
    else
        ST->ConOut->OutputString(ST->ConOut, wide);
}

// ---- Rows

// Cells [start, end) of the row that is drawn, from the cursor on, each in its style.
static void write_row(struct menu_screen *screen, uint32_t start, uint32_t end) {
    const struct menu_cell *cells = screen->drawn;
    while (start != end) {
        uint32_t count = 1;
        enum menu_style style = (enum menu_style)cells[start].style;
        while (start + count != end && count != TEXT_CELLS && cells[start + count].style == style)
            count++;
        if (style != screen->style && !screen->is_lines)
            set_style(screen, style);
        write_cells(screen, cells + start, count);
        start += count;
    }
}

static bool is_same(struct menu_cell one, struct menu_cell other) {
    return one.unit == other.unit && one.style == other.style;
}

static uint32_t text_end(const struct menu_screen *screen) {
    uint32_t end = screen->size.columns;
    while (end != 0 && screen->drawn[end - 1].unit == ' ')
        end--;
    return end;
}

// The row that is drawn as a line of its own.
static void write_line(struct menu_screen *screen) {
    static const struct menu_cell ends[] = {{'\r', MENU_PLAIN}, {'\n', MENU_PLAIN}};
    write_row(screen, 0, text_end(screen));
    write_cells(screen, ends, ARRAY_LEN(ends));
}

// True if the row has changed. Then what has changed in it is written, but for lines.
static bool show_row(struct menu_screen *screen, const struct menu *menu, uint32_t row) {
    struct menu_cell *shown = screen->shown + (uint64_t)row * screen->size.columns;
    uint32_t start = 0, end = screen->size.columns;
    menu_draw_row(menu, screen->size, row, screen->drawn);
    while (start != end && is_same(shown[start], screen->drawn[start]))
        start++;
    while (end != start && is_same(shown[end - 1], screen->drawn[end - 1]))
        end--;
    if (start == end)
        return false;
    memcpy(shown + start, screen->drawn + start, (end - start) * sizeof(*shown));
    if (!screen->is_lines)
        move_to(screen, start, row);
    if (!screen->is_lines)
        write_row(screen, start, end);
    return true;
}

static void place_cursor(struct menu_screen *screen, const struct menu *menu, bool has_written) {
    uint32_t column = 0, row = 0;
    bool is_shown = menu_find_cursor(menu, screen->size, &column, &row);
    bool is_elsewhere = has_written || column != screen->cursor_column || row != screen->cursor_row;
    if (is_shown && is_elsewhere)
        move_to(screen, column, row);
    if (is_shown != screen->has_cursor)
        show_cursor(screen, is_shown);
    screen->has_cursor = is_shown;
    screen->cursor_column = column;
    screen->cursor_row = row;
}

// What a console without positions shows first: a screen on which the whole list has room.
static void write_list(struct menu_screen *screen, const struct menu *menu) {
    const struct menu_size whole = {screen->size.columns, menu->count + FRAME_ROWS};
    for (uint32_t row = 0; row < whole.rows; row++) {
        menu_draw_row(menu, whole, row, screen->drawn);
        if (text_end(screen) != 0)
            write_line(screen);
    }
    // The one row begins with a number from now on, so it differs from what is shown, and is
    // written.
    screen->size.rows = 1;
}

void menu_screen_show(struct menu_screen *screen, const struct menu *menu) {
    bool has_written = false;
    for (uint32_t row = 0; row < screen->size.rows && !screen->is_lines; row++)
        has_written |= show_row(screen, menu, row);
    if (!screen->is_lines)
        place_cursor(screen, menu, has_written);
    if (!screen->is_lines)
        return;
    if (screen->size.rows != 1)
        write_list(screen, menu);
    if (show_row(screen, menu, 0))
        write_line(screen);
}

// ---- Beginning and end

// edk2's console of several devices takes the number that its mode has for the first of them for
// its own when it looks whether a position is on the screen. So it may refuse what its mode has,
// and be smaller for the menu.
static void shrink(struct menu_screen *screen) {
    SIMPLE_TEXT_OUTPUT_INTERFACE *console = ST->ConOut;
    if (EFI_ERROR(console->SetCursorPosition(console, screen->size.columns - 1, 0)))
        screen->size.columns = (uint32_t)min_u64(screen->size.columns, COLUMNS - 1);
    if (EFI_ERROR(console->SetCursorPosition(console, 0, screen->size.rows - 1)))
        screen->size.rows = (uint32_t)min_u64(screen->size.rows, CONSOLE_ROWS);
}

// The last column stays empty: behind it a console goes to the next row, and from the last row
// everything would move up.
void menu_screen_find(struct menu_screen *ret_screen, bool is_com1) {
    UINTN columns = COLUMNS, rows = is_com1 ? TERMINAL_ROWS : CONSOLE_ROWS;
    *ret_screen = (struct menu_screen){.is_com1 = is_com1, .had_cursor = true};
    if (!is_com1) {
        const SIMPLE_TEXT_OUTPUT_MODE *mode = ST->ConOut->Mode;
        ret_screen->attribute_before = attributes[MENU_PLAIN];
        UINTN number = 0;
        if (mode != NULL) {
            ret_screen->attribute_before = (uint64_t)mode->Attribute;
            ret_screen->had_cursor = mode->CursorVisible != 0;
            number = (UINTN)mode->Mode;
        }
        if (EFI_ERROR(ST->ConOut->QueryMode(ST->ConOut, number, &columns, &rows)))
            columns = COLUMNS, rows = CONSOLE_ROWS;
    }
    ret_screen->size.columns = (uint32_t)min_u64(max_u64(columns, 2) - 1, COLUMNS_MAX);
    ret_screen->size.rows = (uint32_t)min_u64(max_u64(rows, 1), ROWS_MAX);
    if (!is_com1)
        shrink(ret_screen);
}

uint64_t menu_screen_room(const struct menu_screen *screen) {
    return (screen->size.rows + UINT64_C(1)) * screen->size.columns * sizeof(*screen->shown);
}

void menu_screen_begin(struct menu_screen *screen, const struct menu *menu, void *room) {
    uint64_t cells = (uint64_t)screen->size.rows * screen->size.columns;
    screen->shown = room;
    screen->drawn = screen->shown + cells;
    for (uint64_t i = 0; i < cells; i++)
        screen->shown[i] = (struct menu_cell){' ', MENU_PLAIN};
    set_style(screen, MENU_PLAIN);
    clear(screen);
    if (!screen->is_lines)
        show_cursor(screen, false);
    menu_screen_show(screen, menu);
}

void menu_screen_end(struct menu_screen *screen) {
    set_style(screen, MENU_PLAIN);
    if (!screen->is_com1)
        ST->ConOut->SetAttribute(ST->ConOut, screen->attribute_before);
    if (!screen->is_lines)
        clear(screen);
    show_cursor(screen, screen->had_cursor); // it was hidden before a console began to refuse
}
