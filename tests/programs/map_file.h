// The text form of an EFI memory map: a descriptor a line, `TYPE PHYS_START_HEX PAGES_DEC
// ATTR_HEX`, `#` comments. TYPE is decimal, or hexadecimal after 0x; the hexadecimal columns may
// have a 0x. Parses text that comes from anywhere into descriptors of any stride.
#pragma once

#include "common/memmap/descriptor.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAP_FILE_LINE_MAX 1024 // bytes of a line, its end excluded
#define MAP_FILE_COLUMNS  4

struct map_file {
    unsigned char *descriptors; // from malloc
    uint64_t count;
    uint64_t stride;
};

struct map_file_error {
    uint64_t line; // from 1
    const char *cause;
};

static inline void map_file_free(struct map_file *map) {
    free(map->descriptors);
    *map = (struct map_file){0};
}

// Reads a number of `base` 10 or 16, `max` at most. Null, or what is wrong with it; then *ret_value
// is untouched.
static inline const char *map_file_number(const char *text, const char *end, unsigned base,
                                          uint64_t max, uint64_t *ret_value) {
    uint64_t value = 0;
    if (text == end)
        return "a number without digits";
    for (; text < end; text++) {
        unsigned digit = 16;
        if (*text >= '0' && *text <= '9')
            digit = (unsigned)(*text - '0');
        else if (*text >= 'a' && *text <= 'f')
            digit = (unsigned)(*text - 'a') + 10;
        else if (*text >= 'A' && *text <= 'F')
            digit = (unsigned)(*text - 'A') + 10;
        if (digit >= base)
            return base == 10 ? "not a decimal number" : "not a hexadecimal number";
        if (value > (max - digit) / base)
            return "a number that is too large";
        value = value * base + digit;
    }
    *ret_value = value;
    return NULL;
}

static inline bool map_file_has_0x(const char *text, const char *end) {
    return end - text >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

// A column's number: null, or what is wrong with it.
static inline const char *map_file_column(unsigned column, const char *text, const char *end,
                                          uint64_t *ret_value) {
    static const struct {
        uint64_t max;
        unsigned base;
        bool may_have_0x;
    } rules[MAP_FILE_COLUMNS] = {
        {UINT32_MAX, 10, true},  // type
        {UINT64_MAX, 16, true},  // start
        {UINT64_MAX, 10, false}, // pages
        {UINT64_MAX, 16, true},  // attributes
    };
    unsigned base = rules[column].base;
    if (rules[column].may_have_0x && map_file_has_0x(text, end)) {
        text += 2;
        base = 16;
    }
    return map_file_number(text, end, base, rules[column].max, ret_value);
}

static inline bool map_file_is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// Splits a line without its comment into columns; null, or what is wrong. *ret_columns is 0 for a
// line without any.
static inline const char *map_file_line(const char *text, const char *end,
                                        uint64_t values[MAP_FILE_COLUMNS], unsigned *ret_columns) {
    unsigned columns = 0;
    while (text < end) {
        if (map_file_is_blank(*text)) {
            text++;
            continue;
        }
        const char *stop = text;
        while (stop < end && !map_file_is_blank(*stop))
            stop++;
        if (columns == MAP_FILE_COLUMNS)
            return "more than four columns";
        const char *cause = map_file_column(columns, text, stop, &values[columns]);
        if (cause != NULL)
            return cause;
        columns++;
        text = stop;
    }
    if (columns != 0 && columns != MAP_FILE_COLUMNS)
        return "fewer than four columns";
    *ret_columns = columns;
    return NULL;
}

// Writes a descriptor; what firmware would have beyond its 40 bytes is filled with noise.
static inline void map_file_store(struct map_file *map, const uint64_t values[MAP_FILE_COLUMNS]) {
    unsigned char *at = map->descriptors + map->count * map->stride;
    uint32_t type = (uint32_t)values[0];
    uint64_t virt = 0;
    memset(at, 0xa5, map->stride);
    memcpy(at, &type, sizeof(type));
    memcpy(at + 8, &values[1], sizeof(uint64_t));
    memcpy(at + 16, &virt, sizeof(virt));
    memcpy(at + 24, &values[2], sizeof(uint64_t));
    memcpy(at + 32, &values[3], sizeof(uint64_t));
    map->count++;
}

// Parses `bytes` bytes of text into descriptors `stride` bytes apart (40 at least). On success
// *ret_map is the caller's to free; on failure it is untouched and *ret_error says what is wrong.
[[nodiscard]] static inline bool map_file_parse(const char *text, uint64_t bytes, uint64_t stride,
                                                struct map_file *ret_map,
                                                struct map_file_error *ret_error) {
    const char *end = text + bytes;
    uint64_t lines = 1;
    for (const char *at = text; at < end; at++)
        lines += *at == '\n';
    struct map_file map = {.descriptors = malloc(lines * stride), .stride = stride};
    const char *cause = map.descriptors == NULL ? "not enough memory" : NULL;
    uint64_t line = 0;
    while (cause == NULL && text < end) {
        line++;
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline == NULL ? end : newline;
        const char *comment = memchr(text, '#', (size_t)(stop - text));
        uint64_t values[MAP_FILE_COLUMNS];
        unsigned columns = 0;
        if (stop - text > MAP_FILE_LINE_MAX)
            cause = "a line of more than 1024 bytes";
        else
            cause = map_file_line(text, comment == NULL ? stop : comment, values, &columns);
        if (cause == NULL && columns > 0)
            map_file_store(&map, values);
        text = newline == NULL ? end : newline + 1;
    }
    if (cause != NULL) {
        map_file_free(&map);
        *ret_error = (struct map_file_error){line, cause};
        return false;
    }
    *ret_map = map;
    return true;
}
