// See load_options.h.
#include "loader/load_options.h"

#include "common/base/mem.h"
#include "loader/utf.h"

static uint16_t unit_at(const struct load_options *options, uint64_t index) {
    uint16_t unit;
    memcpy(&unit, (const char *)options->start + index * sizeof(unit), sizeof(unit));
    return unit;
}

static bool is_blank(uint16_t unit) {
    return unit == ' ' || unit == '\t';
}

static bool is_around(uint16_t unit) {
    return is_blank(unit) || unit == '\r' || unit == '\n';
}

// Units of the text.
struct span {
    uint64_t start;
    uint64_t end;
};

// The text up to its NUL, without what does not count at both ends.
static enum load_options_status find_text(const struct load_options *options,
                                          struct span *ret_text) {
    uint64_t units = options->bytes / sizeof(uint16_t);
    struct span text = {0, 0};
    while (text.end < units && unit_at(options, text.end) != 0)
        text.end++;
    for (uint64_t at = text.end; at < units; at++) {
        if (unit_at(options, at) != 0)
            return LOAD_OPTIONS_ERR_BEHIND;
    }
    while (text.end != 0 && is_around(unit_at(options, text.end - 1)))
        text.end--;
    while (text.start < text.end && is_around(unit_at(options, text.start)))
        text.start++;
    *ret_text = text;
    return LOAD_OPTIONS_OK;
}

static enum load_options_status check_text(const struct load_options *options, struct span text) {
    uint64_t ascii = 0;
    uint64_t units = text.end - text.start;
    const char *first = (const char *)options->start + text.start * sizeof(uint16_t);
    if (utf16_find_invalid(first, units) != units)
        return LOAD_OPTIONS_ERR_SURROGATE;
    for (uint64_t at = text.start; at < text.end; at++) {
        uint16_t unit = unit_at(options, at);
        if ((unit < ' ' && unit != '\t') || unit == 0x7f)
            return LOAD_OPTIONS_ERR_CONTROL;
        ascii += unit < 0x7f;
    }
    return 2 * ascii < units ? LOAD_OPTIONS_ERR_FOREIGN : LOAD_OPTIONS_OK;
}

// ---- The program's name

// The end of the first word as the shell reads it: blanks in quotes are part of it, and '^' takes
// its meaning from what follows.
static uint64_t first_word(struct config_text text) {
    bool is_quoted = false;
    uint64_t at = 0;
    for (; at < text.bytes && (is_quoted || !is_blank((uint8_t)text.text[at])); at++) {
        if (text.text[at] == '^' && at + 1 < text.bytes)
            at++;
        else if (text.text[at] == '"')
            is_quoted = !is_quoted;
    }
    return at;
}

static int lower(char c) {
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool is_before_name(char c) {
    return c == '\\' || c == '/' || c == ':' || c == '"';
}

// What stands behind the last separator or quote: "fs0:" is a name of the shell's for a volume.
static struct config_text file_name(struct config_text path) {
    uint64_t start = path.bytes;
    while (start != 0 && !is_before_name(path.text[start - 1]))
        start--;
    return (struct config_text){path.text + start, path.bytes - start};
}

// FAT knows no case.
static bool is_loader(struct config_text word, struct config_text loader) {
    if (word.bytes != 0 && word.text[word.bytes - 1] == '"')
        word.bytes--;
    struct config_text name = file_name(word);
    struct config_text wanted = file_name(loader);
    if (wanted.bytes == 0 || name.bytes != wanted.bytes)
        return false;
    for (uint64_t at = 0; at < name.bytes; at++) {
        if (lower(name.text[at]) != lower(wanted.text[at]))
            return false;
    }
    return true;
}

static void cut_program(const struct load_options *options, struct config_text *text) {
    uint64_t end = first_word(*text);
    const struct config_text word = {text->text, end};
    if (!options->is_shell && !is_loader(word, options->loader))
        return;
    while (end < text->bytes && is_blank((uint8_t)text->text[end]))
        end++;
    *text = (struct config_text){text->text + end, text->bytes - end};
}

uint64_t load_options_room(uint64_t bytes) {
    return bytes / sizeof(uint16_t) * 3 + 1;
}

enum load_options_status load_options_parse(const struct load_options *options, char *room,
                                            struct config_text *ret_cmdline) {
    struct span span;
    if (options->bytes > LOAD_OPTIONS_BYTES_MAX)
        return LOAD_OPTIONS_ERR_LONG;
    if (options->bytes % sizeof(uint16_t) != 0)
        return LOAD_OPTIONS_ERR_ODD;
    enum load_options_status status = find_text(options, &span);
    if (status == LOAD_OPTIONS_OK)
        status = check_text(options, span);
    if (status != LOAD_OPTIONS_OK)
        return status;
    const char *first = (const char *)options->start + span.start * sizeof(uint16_t);
    struct config_text text = {room, utf8_from_utf16(first, span.end - span.start, room)};
    cut_program(options, &text);
    if (text.bytes == 0)
        return LOAD_OPTIONS_NONE;
    *ret_cmdline = text;
    return LOAD_OPTIONS_OK;
}

const char *load_options_status_text(enum load_options_status status) {
    switch (status) {
    case LOAD_OPTIONS_OK:
        return "no error";
    case LOAD_OPTIONS_NONE:
        return "no text";
    case LOAD_OPTIONS_ERR_LONG:
        return "more than 65536";
    case LOAD_OPTIONS_ERR_ODD:
        return "an odd number, which no UTF-16 has (efibootmgr: -u)";
    case LOAD_OPTIONS_ERR_BEHIND:
        return "not text: more than zeros behind a NUL";
    case LOAD_OPTIONS_ERR_SURROGATE:
        return "not text: half a surrogate pair";
    case LOAD_OPTIONS_ERR_CONTROL:
        return "not text: a control character";
    case LOAD_OPTIONS_ERR_FOREIGN:
        return "not text: less than half of it would be ASCII (efibootmgr: -u)";
    }
    return "unknown";
}
