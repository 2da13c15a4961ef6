// See menu.h.
#include "loader/menu.h"

#include "common/base/arith.h"
#include "common/base/assert.h"

enum {
    LINE_GROWTH = 1024, // bytes by which the longest command line can grow
    PAGE = 10,
};

static void set_taken(struct menu *menu, struct menu_line line) {
    menu->line = menu->taken;
    menu->taken = line;
    menu->edited = menu->selected;
}

uint64_t menu_line_room(const struct menu_item *items, uint32_t count) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = max_u64(most, items[i].cmdline.bytes);
    return most + LINE_GROWTH;
}

void menu_begin(struct menu *ret_menu, const struct menu_item *items, uint32_t count,
                uint32_t selected, uint32_t left_ms, char *room) {
    ASSERT(selected < count);
    uint64_t capacity = menu_line_room(items, count);
    *ret_menu = (struct menu){
        .items = items,
        .count = count,
        .state = MENU_CHOOSING,
        .selected = selected,
        .page = PAGE,
        .left_ms = left_ms,
        .edited = count,
        .line = {.text = room, .capacity = capacity},
        .taken = {.text = room + capacity, .capacity = capacity},
    };
}

struct config_text menu_cmdline(const struct menu *menu) {
    if (menu->edited == menu->selected)
        return (struct config_text){menu->taken.text, menu->taken.bytes};
    return menu->items[menu->selected].cmdline;
}

static void move_to(struct menu *menu, int64_t index) {
    int64_t last = (int64_t)menu->count - 1;
    menu->selected = (uint32_t)(index < 0 ? 0 : (index > last ? last : index));
}

// The first nine entries are numbered.
static void press_character(struct menu *menu, uint32_t character) {
    if (character == 'b')
        menu->state = MENU_CHOSEN;
    if (character >= '1' && character <= '9' && character - '1' < menu->count)
        menu->selected = character - '1';
    if (character != 'e')
        return;
    menu_line_set(&menu->line, menu_cmdline(menu));
    menu->state = MENU_EDITING;
}

static void press_in_list(struct menu *menu, struct menu_key key) {
    int64_t at = menu->selected;
    switch (key.kind) {
    case MENU_KEY_CHARACTER:
        press_character(menu, key.character);
        break;
    case MENU_KEY_ENTER:
        menu->state = MENU_CHOSEN;
        break;
    case MENU_KEY_ESCAPE:
        menu->state = MENU_LEFT;
        break;
    case MENU_KEY_UP:
        move_to(menu, at - 1);
        break;
    case MENU_KEY_DOWN:
        move_to(menu, at + 1);
        break;
    case MENU_KEY_PAGE_UP:
        move_to(menu, at - menu->page);
        break;
    case MENU_KEY_PAGE_DOWN:
        move_to(menu, at + menu->page);
        break;
    case MENU_KEY_HOME:
        move_to(menu, 0);
        break;
    case MENU_KEY_END:
        move_to(menu, menu->count);
        break;
    case MENU_KEY_NONE:
    case MENU_KEY_BACKSPACE:
    case MENU_KEY_DELETE:
    case MENU_KEY_LEFT:
    case MENU_KEY_RIGHT:
    case MENU_KEY_KINDS:
        break;
    }
}

// The key Backspace of most terminals sends DEL, of which edk2's driver for terminals makes Delete:
// at the end of a line, where it has nothing else to do, it is that.
static void press_delete(struct menu_line *line) {
    if (line->cursor == line->bytes)
        menu_line_backspace(line);
    else
        menu_line_delete(line);
}

static void press_in_line(struct menu *menu, struct menu_key key) {
    struct menu_line *line = &menu->line;
    switch (key.kind) {
    case MENU_KEY_CHARACTER:
        menu_line_insert(line, key.character);
        break;
    case MENU_KEY_BACKSPACE:
        menu_line_backspace(line);
        break;
    case MENU_KEY_DELETE:
        press_delete(line);
        break;
    case MENU_KEY_LEFT:
        menu_line_left(line);
        break;
    case MENU_KEY_RIGHT:
        menu_line_right(line);
        break;
    case MENU_KEY_HOME:
        line->cursor = 0;
        break;
    case MENU_KEY_END:
        line->cursor = line->bytes;
        break;
    case MENU_KEY_ENTER:
        set_taken(menu, *line);
        [[fallthrough]];
    case MENU_KEY_ESCAPE:
        menu->state = MENU_CHOOSING;
        break;
    case MENU_KEY_NONE:
    case MENU_KEY_UP:
    case MENU_KEY_DOWN:
    case MENU_KEY_PAGE_UP:
    case MENU_KEY_PAGE_DOWN:
    case MENU_KEY_KINDS:
        break;
    }
}

bool menu_is_over(const struct menu *menu) {
    return menu->state != MENU_CHOOSING && menu->state != MENU_EDITING;
}

void menu_press(struct menu *menu, struct menu_key key) {
    if (menu_is_over(menu))
        return;
    menu->left_ms = MENU_FOREVER;
    if (menu->state == MENU_EDITING)
        press_in_line(menu, key);
    else
        press_in_list(menu, key);
}

void menu_elapse(struct menu *menu, uint32_t ms) {
    if (menu_is_over(menu) || menu->left_ms == MENU_FOREVER)
        return;
    menu->left_ms -= (uint32_t)min_u64(ms, menu->left_ms);
    if (menu->left_ms == 0)
        menu->state = MENU_TIMED_OUT;
}
