#include "kernel/base/text.h"

#include "common/base/mem.h"

bool text_is(const char *text, const char *expected) {
    size_t bytes = strlen(expected);
    return strlen(text) == bytes && memcmp(text, expected, bytes) == 0;
}

static unsigned digit_value(char character) {
    char lower = (char)(character | 0x20);
    if (character >= '0' && character <= '9')
        return (unsigned)(character - '0');
    if (lower >= 'a' && lower <= 'f')
        return (unsigned)(lower - 'a') + 10;
    return UINT32_MAX;
}

static bool parse(const char *text, unsigned base, uint64_t *ret_value) {
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned digit = digit_value(*text);
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool text_parse_hex(const char *text, uint64_t *ret_value) {
    bool has_prefix = text[0] == '0' && (text[1] | 0x20) == 'x';
    return parse(text + (has_prefix ? 2 : 0), 16, ret_value);
}

bool text_parse_decimal(const char *text, uint64_t *ret_value) {
    return parse(text, 10, ret_value);
}
