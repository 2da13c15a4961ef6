// See config.h.
#include "loader/config.h"

#include "common/base/arith.h"

// Of a value that is quoted in a message: the cause comes after it.
#define QUOTED_MAX_BYTES 80

enum { NAMES_MAX = 8 };
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
    case CONFIG_ERR_NO_BRACKET:
        fmt_print(sink, "no ']' in '%.*s'", bytes, text);
        return;
    case CONFIG_ERR_AFTER_BRACKET:
        fmt_print(sink, "text after the ']' in '%.*s'", bytes, text);
        return;
    case CONFIG_ERR_NAME:
        fmt_print(sink, "'%.*s' is no name of an entry: blanks, quotes, '[', ']' and '=' are not",
                  bytes, text);
        return;
    case CONFIG_ERR_SECOND_ENTRY:
        fmt_print(sink, "entry '%.*s' is there a second time, first in line %u", bytes, text,
                  error->first_line);
        return;
    case CONFIG_ERR_EMPTY_ENTRY:
        fmt_print(sink, "entry '%.*s' has no key below it", bytes, text);
        return;
    case CONFIG_ERR_ONLY_IN_ENTRY:
        fmt_print(sink, "key '%.*s' belongs to an entry, below a line [NAME]", bytes, text);
        return;
    case CONFIG_ERR_ONLY_ABOVE:
        fmt_print(sink, "key '%.*s' belongs above the first entry", bytes, text);
        return;
    case CONFIG_ERR_NO_ENTRY:
        fmt_print(sink, "there is no entry '%.*s'", bytes, text);
        if (error->entry_count != 0)
            fmt_print(sink, "; entries are ");
        config_print_names(sink, error->entries, error->entry_count);
        return;
    }
}

void config_print_names(const struct sink *sink, const struct config_entry *entries,
                        uint32_t count) {
    for (uint32_t i = 0; i < count && i < NAMES_MAX; i++) {
        int bytes = (int)min_u64(entries[i].name.bytes, QUOTED_MAX_BYTES);
        fmt_print(sink, "%s%.*s", i == 0 ? "" : ", ", bytes, entries[i].name.text);
    }
    if (count > NAMES_MAX)
        fmt_print(sink, ", ...");
}

void config_error_print(const struct sink *sink, const struct config_error *error) {
    if (error->line != 0)
        fmt_print(sink, "line %u, column %u: ", error->line, error->column);
    print_cause(sink, error);
}
