// See fmt.h.
#include "common/base/fmt.h"

#include "common/base/mem.h"

#include <stdbool.h>

// One conversion, parsed.
struct spec {
    bool left;      // '-'
    bool zero;      // '0'
    unsigned width; // characters, 0: none
    unsigned longs; // number of 'l', 'z' counts as one
    int precision;  // of %s, -1: none
};

static void put(const struct sink *sink, const char *text, size_t bytes) {
    if (bytes != 0)
        sink->write(sink->context, text, bytes);
}

static void pad(const struct sink *sink, char with, size_t count) {
    while (count-- != 0)
        put(sink, &with, 1);
}

static void put_padded(const struct sink *sink, const struct spec *spec, const char *text,
                       size_t bytes) {
    size_t fill = spec->width > bytes ? spec->width - bytes : 0;
    if (!spec->left)
        pad(sink, ' ', fill);
    put(sink, text, bytes);
    if (spec->left)
        pad(sink, ' ', fill);
}

static void put_number(const struct sink *sink, const struct spec *spec, uint64_t value,
                       unsigned base, bool negative) {
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    size_t bytes = sizeof(digits) - at;
    size_t fill = spec->width > bytes + negative ? spec->width - bytes - negative : 0;
    if (!spec->left && !spec->zero)
        pad(sink, ' ', fill);
    if (negative)
        put(sink, "-", 1);
    if (!spec->left && spec->zero)
        pad(sink, '0', fill);
    put(sink, &digits[at], bytes);
    if (spec->left)
        pad(sink, ' ', fill);
}

static unsigned parse_digits(const char **at) {
    unsigned value = 0;
    while (**at >= '0' && **at <= '9')
        value = value * 10 + (unsigned)(*(*at)++ - '0');
    return value;
}

static struct spec parse_spec(const char **at, va_list *arguments) {
    struct spec spec = {.precision = -1};
    for (; **at == '-' || **at == '0'; (*at)++) {
        spec.left |= **at == '-';
        spec.zero |= **at == '0';
    }
    spec.width = parse_digits(at);
    if ((*at)[0] == '.' && (*at)[1] == '*') {
        spec.precision = va_arg(*arguments, int);
        *at += 2;
    }
    for (; **at == 'l' || **at == 'z'; (*at)++)
        spec.longs++;
    return spec;
}

static void put_signed(const struct sink *sink, const struct spec *spec, int64_t value) {
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    put_number(sink, spec, magnitude, 10, value < 0);
}

static size_t text_bytes(const char *text, int precision) {
    size_t most = precision < 0 ? SIZE_MAX : (size_t)precision;
    size_t bytes = 0;
    while (bytes < most && text[bytes] != '\0')
        bytes++;
    return bytes;
}

static void put_conversion(const struct sink *sink, const struct spec *spec, char conversion,
                           va_list *arguments) {
    if (conversion == 'd') {
        put_signed(sink, spec, spec->longs ? va_arg(*arguments, long) : va_arg(*arguments, int));
    } else if (conversion == 'u' || conversion == 'x') {
        uint64_t value =
            spec->longs ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned);
        put_number(sink, spec, value, conversion == 'x' ? 16 : 10, false);
    } else if (conversion == 's') {
        const char *text = va_arg(*arguments, const char *);
        put_padded(sink, spec, text, text_bytes(text, spec->precision));
    } else if (conversion == 'c') {
        char one = (char)va_arg(*arguments, int);
        put_padded(sink, spec, &one, 1);
    } else {
        put(sink, &conversion, 1); // "%%"
    }
}

static void vprint(const struct sink *sink, const char *at, va_list *arguments) {
    while (*at != '\0') {
        const char *plain = at;
        while (*at != '\0' && *at != '%')
            at++;
        put(sink, plain, (size_t)(at - plain));
        if (*at == '\0')
            return;
        at++;
        struct spec spec = parse_spec(&at, arguments);
        if (*at == '\0')
            return;
        put_conversion(sink, &spec, *at++, arguments);
    }
}

void fmt_vprint(const struct sink *sink, const char *format, va_list arguments) {
    va_list copy; // a va_list parameter may be an array type, whose address cannot be passed on
    va_copy(copy, arguments);
    vprint(sink, format, &copy);
    va_end(copy);
}

void fmt_print(const struct sink *sink, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprint(sink, format, &arguments);
    va_end(arguments);
}

void fmt_template(const struct sink *sink, const char *template,
                  void (*print)(const struct sink *sink, char what, const void *context),
                  const void *context) {
    for (const char *at = template; *at != '\0'; at++) {
        if (*at == '$')
            print(sink, *++at, context);
        else
            fmt_print(sink, "%c", *at);
    }
}

struct fmt_buffer fmt_buffer_make(char *storage, size_t capacity) {
    if (capacity != 0)
        storage[0] = '\0';
    return (struct fmt_buffer){.text = storage, .capacity = capacity};
}

static void buffer_write(void *context, const char *text, size_t bytes) {
    struct fmt_buffer *buffer = context;
    size_t room = buffer->capacity == 0 ? 0 : buffer->capacity - 1 - buffer->used;
    size_t kept = bytes < room ? bytes : room;
    buffer->dropped += bytes - kept;
    if (kept == 0)
        return;
    memcpy(buffer->text + buffer->used, text, kept);
    buffer->used += kept;
    buffer->text[buffer->used] = '\0';
}

struct sink fmt_buffer_sink(struct fmt_buffer *buffer) {
    return (struct sink){.write = buffer_write, .context = buffer};
}
