// See config.h.
#include "loader/config.h"

#include "common/base/arith.h"

// Of a value that is quoted in a message: the cause comes after it.
#define QUOTED_MAX_BYTES 80
static void print_cause(const struct sink *sink, const struct config_error *error) {
    int bytes = (int)min_u64(error->text.bytes, QUOTED_MAX_BYTES);
    const char *text = error->text.text;
    switch (error->status) {
    case CONFIG_OK:
        fmt_print(sink, "no error");
        return;
    case CONFIG_ERR_FILE_SIZE:
        fmt_print(sink, "%lu bytes, more than %d", error->number, CONFIG_FILE_MAX_BYTES);
        return;
    case CONFIG_ERR_UTF8:
        fmt_print(sink, "byte 0x%02lx is not valid UTF-8", error->number);
        return;
    case CONFIG_ERR_CONTROL:
        fmt_print(sink, "byte 0x%02lx is a control character", error->number);
        return;
    case CONFIG_ERR_NO_EQUALS:
        fmt_print(sink, "no '=' in '%.*s'", bytes, text);
        return;
    case CONFIG_ERR_NO_KEY:
        fmt_print(sink, "no key before '=' in '%.*s'", bytes, text);
        return;
    case CONFIG_ERR_NO_VALUE:
        fmt_print(sink, "key '%.*s' has no value", bytes, text);
        return;
    case CONFIG_ERR_NO_QUOTE:
        fmt_print(sink, "no closing quote in '%.*s'", bytes, text);
        return;
    case CONFIG_ERR_AFTER_QUOTE:
        fmt_print(sink, "text after the closing quote in '%.*s'", bytes, text);
        return;
    case CONFIG_ERR_UNKNOWN_KEY:
        fmt_print(sink, "unknown key '%.*s'", bytes, text);
        return;
    case CONFIG_ERR_DUPLICATE:
        fmt_print(sink, "key '%.*s' is set a second time, first in line %u", bytes, text,
                  error->first_line);
        return;
    case CONFIG_ERR_CHOICE:
        fmt_print(sink, "'%.*s' is not %s", bytes, text, error->choices);
        return;
    case CONFIG_ERR_NO_FILE:
        fmt_print(sink, "key '%.*s' has no kernel or module before it", bytes, text);
        return;
    }
}

void config_error_print(const struct sink *sink, const struct config_error *error) {
    if (error->line != 0)
        fmt_print(sink, "line %u, column %u: ", error->line, error->column);
    print_cause(sink, error);
}
