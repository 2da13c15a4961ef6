// See utf.h.
#include "loader/utf.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <stddef.h>

// RFC 3629 section 3: by the first byte, the length, the bits it carries and the smallest code
// point that needs the length (anything below is an overlong form).
struct form {
    uint8_t mask;
    uint8_t prefix;
    uint8_t bytes;
    uint32_t smallest;
};

static const struct form forms[] = {
    {0x80, 0x00, 1, 0},
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

static const struct form *find_form(uint8_t first) {
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if ((first & forms[i].mask) == forms[i].prefix)
            return &forms[i];
    return NULL;
}

unsigned utf8_decode(const char *text, uint64_t bytes, uint32_t *ret_code_point) {
    const struct form *form = bytes == 0 ? NULL : find_form((uint8_t)text[0]);
    if (form == NULL || form->bytes > bytes)
        return 0;
    uint32_t code_point = (uint8_t)text[0] & ~(uint32_t)form->mask & 0xff;
    for (unsigned i = 1; i < form->bytes; i++) {
        uint8_t next = (uint8_t)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        code_point = code_point << 6 | (next & 0x3f);
    }
    bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (code_point < form->smallest || code_point > 0x10ffff || surrogate)
        return 0;
    *ret_code_point = code_point;
    return form->bytes;
}

uint64_t utf8_find_invalid(const char *text, uint64_t bytes) {
    uint64_t at = 0;
    while (at < bytes) {
        if ((uint8_t)text[at] < 0x80) { // nearly all of a text
            at++;
            continue;
        }
        uint32_t code_point;
        unsigned length = utf8_decode(text + at, bytes - at, &code_point);
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

uint64_t utf8_count(const char *text, uint64_t bytes) {
    uint64_t count = 0;
    for (uint64_t at = 0; at < bytes; at++)
        count += !utf8_is_inside(text[at]);
    return count;
}

// Fails if there is no room for the unit and a terminator after it.
static bool put_unit(uint16_t *path, uint64_t capacity, uint64_t *used, uint32_t unit) {
    ASSERT(*used < capacity);
    if (capacity - *used < 2)
        return false;
    path[(*used)++] = (uint16_t)unit;
    return true;
}

enum utf_status utf_path_convert(const char *path, uint64_t bytes, uint16_t *ret_path,
                                 uint64_t capacity) {
    uint64_t used = 0;
    if (capacity < 2)
        return UTF_ERR_LONG;
    ret_path[used++] = '\\';
    for (uint64_t at = 0; at < bytes;) {
        uint32_t unit;
        unsigned length = utf8_decode(path + at, bytes - at, &unit);
        if (length == 0 || unit == 0)
            return UTF_ERR_INVALID;
        if (unit > 0xffff)
            return UTF_ERR_RANGE;
        at += length;
        if (unit == '/')
            unit = '\\';
        if (unit == '\\' && ret_path[used - 1] == '\\')
            continue;
        if (!put_unit(ret_path, capacity, &used, unit))
            return UTF_ERR_LONG;
    }
    ret_path[used] = 0;
    return UTF_OK;
}

static bool is_surrogate(uint32_t code_point) {
    return code_point >= 0xd800 && code_point <= 0xdfff;
}

// RFC 3629 section 3.
unsigned utf8_encode(uint32_t code_point, char *ret_text) {
    unsigned length = 1;
    if (code_point > 0x10ffff || is_surrogate(code_point))
        return 0;
    while (length < 4 && code_point >= forms[length].smallest)
        length++;
    for (unsigned i = length - 1; i > 0; i--, code_point >>= 6)
        ret_text[i] = (char)(0x80 | (code_point & 0x3f));
    ret_text[0] = (char)(forms[length - 1].prefix | code_point);
    return length;
}

static uint32_t unit_at(const char *text, uint64_t units, uint64_t index) {
    uint16_t unit = 0;
    if (index < units)
        memcpy(&unit, text + index * sizeof(unit), sizeof(unit));
    return unit;
}

// RFC 2781, 2.2. Decodes the code point at `index`; a surrogate without its other half is one
// itself. Returns the units that it takes.
static unsigned decode_unit(const char *text, uint64_t units, uint64_t index,
                            uint32_t *ret_code_point) {
    uint32_t unit = unit_at(text, units, index);
    uint32_t next = unit_at(text, units, index + 1);
    bool is_high = unit >= 0xd800 && unit <= 0xdbff;
    bool is_pair = is_high && next >= 0xdc00 && next <= 0xdfff;
    *ret_code_point = is_pair ? 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff) : unit;
    return is_pair ? 2 : 1;
}

uint64_t utf16_find_invalid(const void *text, uint64_t units) {
    for (uint64_t at = 0; at < units;) {
        uint32_t code_point;
        unsigned taken = decode_unit(text, units, at, &code_point);
        if (is_surrogate(code_point))
            return at;
        at += taken;
    }
    return units;
}

uint64_t utf8_from_utf16(const void *text, uint64_t units, char *ret_text) {
    uint64_t used = 0;
    for (uint64_t at = 0; unit_at(text, units, at) != 0;) {
        uint32_t code_point;
        at += decode_unit(text, units, at, &code_point);
        used += utf8_encode(is_surrogate(code_point) ? 0xfffd : code_point, ret_text + used);
    }
    ret_text[used] = '\0';
    return used;
}

// RFC 2781, 2.1.
uint64_t utf16_from_utf8(const char *text, uint64_t bytes, uint16_t *ret_units) {
    uint64_t used = 0;
    for (uint64_t at = 0; at < bytes;) {
        uint32_t code_point = 0;
        unsigned length = utf8_decode(text + at, bytes - at, &code_point);
        ASSERT(length != 0);
        at += length;
        if (code_point > 0xffff) {
            code_point -= 0x10000;
            ret_units[used++] = (uint16_t)(0xd800 | code_point >> 10);
            code_point = 0xdc00 | (code_point & 0x3ff);
        }
        ret_units[used++] = (uint16_t)code_point;
    }
    return used;
}

const char *utf_status_text(enum utf_status status) {
    switch (status) {
    case UTF_OK:
        return "no error";
    case UTF_ERR_INVALID:
        return "not valid UTF-8";
    case UTF_ERR_RANGE:
        return "a character above U+FFFF, which firmware file names cannot have";
    case UTF_ERR_LONG:
        return "path too long";
    }
    return "unknown";
}
