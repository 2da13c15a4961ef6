// See menu_line.h.
#include "loader/menu_line.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/utf.h"

void menu_line_set(struct menu_line *line, struct config_text text) {
    ASSERT(text.bytes <= line->capacity);
    memcpy(line->text, text.text, text.bytes);
    line->bytes = line->cursor = text.bytes;
}

void menu_line_left(struct menu_line *line) {
    while (line->cursor != 0 && utf8_is_inside(line->text[--line->cursor]))
        ;
}

void menu_line_right(struct menu_line *line) {
    if (line->cursor != line->bytes)
        line->cursor++;
    while (line->cursor != line->bytes && utf8_is_inside(line->text[line->cursor]))
        line->cursor++;
}

void menu_line_insert(struct menu_line *line, uint32_t code_point) {
    char character[4];
    unsigned bytes = utf8_encode(code_point, character);
    bool is_control = code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
    if (is_control || bytes == 0 || bytes > line->capacity - line->bytes)
        return;
    char *place = line->text + line->cursor;
    memmove(place + bytes, place, line->bytes - line->cursor);
    memcpy(place, character, bytes);
    line->bytes += bytes;
    line->cursor += bytes;
}

void menu_line_delete(struct menu_line *line) {
    uint64_t start = line->cursor;
    menu_line_right(line);
    memmove(line->text + start, line->text + line->cursor, line->bytes - line->cursor);
    line->bytes -= line->cursor - start;
    line->cursor = start;
}

void menu_line_backspace(struct menu_line *line) {
    if (line->cursor == 0)
        return;
    menu_line_left(line);
    menu_line_delete(line);
}

uint64_t menu_line_column(const struct menu_line *line) {
    return utf8_count(line->text, line->cursor);
}
