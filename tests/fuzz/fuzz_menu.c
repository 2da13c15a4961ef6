// A menu of any entries on screens of any size, any keys and any time: it ends when it should, the
// cursor and what is drawn stay on the screen, and the command line is text.
#include "common/base/arith.h"
#include "loader/menu.h"
#include "loader/menu_keys.h"
#include "loader/utf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { ITEMS_MAX = 40, COLUMNS_MAX = 300, ROWS_MAX = 100 };

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_row(const struct menu *menu, struct menu_size size, uint32_t row) {
    struct menu_cell *cells = malloc(size.columns * sizeof(*cells)); // exactly
    memset(cells, 0xa5, size.columns * sizeof(*cells));
    menu_draw_row(menu, size, row, cells);
    for (uint32_t i = 0; i < size.columns; i++) {
        require(cells[i].style <= MENU_MARKED);
        require(cells[i].unit >= ' ' && cells[i].unit != 0x7f && cells[i].unit < 0x530);
    }
    free(cells);
}

static void check(const struct menu *menu, struct menu_size size) {
    uint32_t column, row;
    struct config_text line = menu_cmdline(menu);
    require(menu->selected < menu->count);
    require(utf8_find_invalid(line.text, line.bytes) == line.bytes);
    require(utf8_find_invalid(menu->line.text, menu->line.bytes) == menu->line.bytes);
    require(menu->line.cursor <= menu->line.bytes && menu->line.bytes <= menu->line.capacity);
    require(menu_list_rows(size) >= 1 && menu_list_rows(size) <= size.rows);
    bool is_seen = menu_find_cursor(menu, size, &column, &row);
    require(is_seen == (menu->state == MENU_EDITING));
    require(!is_seen || (column < size.columns && row < size.rows));
    check_row(menu, size, 0);
    check_row(menu, size, size.rows - 1);
    if (is_seen)
        check_row(menu, size, row);
}

// All rows: the entry that is chosen is there.
static void check_screen(const struct menu *menu, struct menu_size size) {
    struct menu_cell cells[COLUMNS_MAX];
    uint32_t marked = 0;
    for (uint32_t row = 0; row < size.rows; row++) {
        menu_draw_row(menu, size, row, cells);
        marked += cells[0].style == MENU_MARKED;
    }
    require(marked == (size.rows != 1));
}

// The next bytes as a valid text of at most `most` bytes, in the caller's data.
static struct config_text take_text(const uint8_t **data, size_t *bytes, size_t most) {
    size_t length = *bytes == 0 ? 0 : min_u64(**data % (most + 1), *bytes - 1);
    if (*bytes == 0)
        return (struct config_text){"", 0};
    struct config_text text = {(const char *)*data + 1, length};
    *data += 1 + length;
    *bytes -= 1 + length;
    text.bytes = utf8_find_invalid(text.text, length);
    return text;
}

static void run(struct menu *menu, struct menu_size size, const uint8_t *data, size_t bytes) {
    struct menu_keys keys = {0};
    struct menu_key key;
    for (size_t i = 0; i < bytes; i++) {
        enum menu_state before = menu->state;
        if (data[i] >= 0xf8) // which is no byte of UTF-8
            menu_elapse(menu, (data[i] & 7u) * 500);
        else if (menu_keys_add(&keys, data[i], &key))
            menu_press(menu, key);
        if (data[i] == 0xff && menu_keys_pause(&keys, &key))
            menu_press(menu, key);
        require(keys.count < sizeof(keys.bytes));
        require(before <= MENU_EDITING || menu->state == before);
        check(menu, size);
    }
    check_screen(menu, size);
    menu_press(menu, (struct menu_key){MENU_KEY_ESCAPE, 0});
    menu_press(menu, (struct menu_key){MENU_KEY_ENTER, 0});
    require(menu_is_over(menu));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct menu_item items[ITEMS_MAX];
    struct menu menu;
    if (bytes < 5)
        return 0;
    const struct menu_size size = {1 + (data[0] | (data[1] & 1u) << 8) % COLUMNS_MAX,
                                   1 + data[2] % ROWS_MAX};
    uint32_t count = 1 + data[3] % ITEMS_MAX;
    uint32_t left_ms = data[4] == 0 ? MENU_FOREVER : data[4] * 100u;
    uint32_t selected = (data[1] >> 1) % count;
    data += 5;
    bytes -= 5;
    for (uint32_t i = 0; i < count; i++) {
        items[i].title = take_text(&data, &bytes, 40);
        items[i].cmdline = take_text(&data, &bytes, 200);
    }
    char *room = malloc(2 * menu_line_room(items, count));
    menu_begin(&menu, items, count, selected, left_ms, room);
    check(&menu, size);
    run(&menu, size, data, bytes);
    free(room);
    return 0;
}
