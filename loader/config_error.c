// See config.h.
#include "loader/config.h"

#include "loader/config_parser.h"
#include "loader/config_text.h"

enum { NAMES_MAX = 8 };

// What stands before and behind the text that is wrong, where there is one.
static const struct cause {
    const char *before, *behind;
} causes[] = {
    [CONFIG_ERR_NO_EQUALS] = {"no '=' in ", ""},
    [CONFIG_ERR_NO_KEY] = {"no key before '=' in ", ""},
    [CONFIG_ERR_NO_VALUE] = {"key ", " has no value"},
    [CONFIG_ERR_NO_QUOTE] = {"no closing quote in ", ""},
    [CONFIG_ERR_AFTER_QUOTE] = {"text after the closing quote in ", ""},
    [CONFIG_ERR_UNKNOWN_KEY] = {"unknown key ", ""},
    [CONFIG_ERR_DUPLICATE] = {"key ", " is set a second time"},
    [CONFIG_ERR_CHOICE] = {"", " is not "},
    [CONFIG_ERR_NO_FILE] = {"key ", " has no kernel or module before it"},
    [CONFIG_ERR_NO_BRACKET] = {"no ']' in ", ""},
    [CONFIG_ERR_AFTER_BRACKET] = {"text after the ']' in ", ""},
    [CONFIG_ERR_NAME] = {"", " is no name of an entry: blanks, quotes, '[', ']' and '=' are not"},
    [CONFIG_ERR_SECOND_ENTRY] = {"entry ", " is there a second time"},
    [CONFIG_ERR_EMPTY_ENTRY] = {"entry ", " has no key below it: at least one, such as title"},
    [CONFIG_ERR_ONLY_IN_ENTRY] = {"key ", " belongs to an entry, below a line [NAME]"},
    [CONFIG_ERR_ONLY_ABOVE] = {"key ", " belongs above the first entry"},
    [CONFIG_ERR_NO_ENTRY] = {"there is no entry ", ""},
};

static void print_number(const struct sink *sink, const struct config_error *error) {
    if (error->status == CONFIG_OK)
        fmt_print(sink, "no error");
    else if (error->status == CONFIG_ERR_FILE_SIZE)
        fmt_print(sink, "%lu bytes, more than %d", error->number, CONFIG_FILE_MAX_BYTES);
    else
        fmt_print(sink, "byte 0x%02lx is %s", error->number,
                  error->status == CONFIG_ERR_UTF8 ? "not valid UTF-8" : "a control character");
}

static void print_cause(const struct sink *sink, const struct config_error *error) {
    const struct cause *cause = &causes[error->status];
    if (cause->before == NULL) {
        print_number(sink, error);
        return;
    }
    const struct config_text text = config_fit(error->text, CONFIG_QUOTED_MAX_BYTES);
    fmt_print(sink, "%s'%.*s'%s", cause->before, (int)text.bytes, text.text, cause->behind);
    if (error->status == CONFIG_ERR_CHOICE)
        fmt_print(sink, "%s", error->choices);
    if (error->status == CONFIG_ERR_DUPLICATE || error->status == CONFIG_ERR_SECOND_ENTRY)
        fmt_print(sink, ", first in line %u", error->first_line);
    if (error->status == CONFIG_ERR_UNKNOWN_KEY) {
        fmt_print(sink, "; keys here are ");
        config_print_keys(sink, error->is_in_entry);
    }
    if (error->status == CONFIG_ERR_NO_ENTRY)
        fmt_print(sink, "%s",
                  error->entry_count != 0 ? "; entries are "
                                          : ", nor any: a line [NAME] begins one");
    config_print_names(sink, error->entries, error->entry_count);
}

void config_print_names(const struct sink *sink, const struct config_entry *entries,
                        uint32_t count) {
    for (uint32_t i = 0; i < count && i < NAMES_MAX; i++) {
        const struct config_text name = config_fit(entries[i].name, CONFIG_QUOTED_MAX_BYTES);
        fmt_print(sink, "%s%.*s", i == 0 ? "" : ", ", (int)name.bytes, name.text);
    }
    if (count > NAMES_MAX)
        fmt_print(sink, ", ...");
}

void config_error_print(const struct sink *sink, const struct config_error *error) {
    if (error->line != 0)
        fmt_print(sink, "line %u, column %u: ", error->line, error->column);
    print_cause(sink, error);
}
