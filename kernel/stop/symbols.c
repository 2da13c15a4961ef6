#include "kernel/stop/symbols.h"

#include <stddef.h>

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_cut; // the table ended within something
};

static uint64_t read_number(struct reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end)
            break;
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    reader->is_cut = true;
    return 0;
}

static uint64_t apply_step(uint64_t line, uint64_t step) {
    return step & 1 ? line - (step / 2 + 1) : line + step / 2;
}

static const char *read_text(struct reader *reader) {
    const char *text = (const char *)reader->at;
    while (reader->at != reader->end) {
        if (*reader->at++ == '\0')
            return text;
    }
    reader->is_cut = true;
    return "";
}

// Text number `index` of those that `reader` stands before.
static const char *text_at(struct reader reader, uint64_t index) {
    const char *text = read_text(&reader);
    while (index-- != 0 && *text != '\0')
        text = read_text(&reader);
    return text;
}

// What begins next, after `place`, which is at `offset`. False at the end.
static bool read_next(struct reader *reader, struct reader files, struct symbols_place *place,
                      uint64_t *offset) {
    if (reader->at == reader->end)
        return false;
    uint64_t first = read_number(reader);
    *offset += first / 2;
    if (first & 1) {
        place->function = read_text(reader);
        place->file = text_at(files, read_number(reader));
    }
    place->line = apply_step(place->line, read_number(reader));
    return !reader->is_cut;
}

bool symbols_find(const uint8_t *table, const uint8_t *end, uint64_t offset,
                  struct symbols_place *ret_place) {
    const struct reader files = {.at = table, .end = end};
    struct reader reader = files;
    while (*read_text(&reader) != '\0')
        continue;
    struct symbols_place place = {0}, next = {0};
    uint64_t next_offset = 0;
    while (read_next(&reader, files, &next, &next_offset) && next_offset <= offset)
        place = next;
    if (place.function == NULL)
        return false;
    *ret_place = place;
    return true;
}
