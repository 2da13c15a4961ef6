// See bls.h.
#include "loader/bls.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/bls_parts.h"
#include "loader/config_text.h"
#include "loader/utf.h"

enum key {
    KEY_TITLE,
    KEY_VERSION,
    KEY_MACHINE_ID,
    KEY_SORT_KEY,
    KEY_LINUX,
    KEY_EFI,
    KEY_UKI,
    KEY_INITRD,
    KEY_OPTIONS,
    KEY_ARCHITECTURE,
    KEYS,
};

static const char *const key_names[KEYS] = {
    [KEY_TITLE] = "title",
    [KEY_VERSION] = "version",
    [KEY_MACHINE_ID] = "machine-id",
    [KEY_SORT_KEY] = "sort-key",
    [KEY_LINUX] = "linux",
    [KEY_EFI] = "efi",
    [KEY_UKI] = "uki",
    [KEY_INITRD] = "initrd",
    [KEY_OPTIONS] = "options",
    [KEY_ARCHITECTURE] = "architecture",
};

struct parser {
    struct bls_entry entry;
    struct bls_room_parts room;
    uint32_t seen[KEYS]; // line, 0: none
    uint32_t line;
    struct bls_error error;
};

// `initrd x` is the shortest line that names one, and the last needs no ending. They are put down
// before the text turns out to be refused.
static uint64_t initrd_bound(uint64_t text_bytes) {
    return (text_bytes + 1) / (sizeof("initrd x\n") - 1);
}

// The name without its counter is no longer than the path. Options, title and version are parts of
// the text, and what goes around each is shorter than its key.
uint64_t bls_room(uint64_t path_bytes, uint64_t text_bytes) {
    return initrd_bound(text_bytes) * sizeof(struct config_module) + path_bytes + text_bytes;
}

struct bls_room_parts bls_make_room(void *start, uint64_t text_bytes) {
    struct config_module *initrds = start;
    return (struct bls_room_parts){initrds, (char *)(initrds + initrd_bound(text_bytes))};
}

static void append(struct bls_room_parts *room, struct config_text *text, struct config_text more) {
    memcpy(room->texts, more.text, more.bytes);
    text->bytes += more.bytes;
    room->texts += more.bytes;
}

// ---- Names

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool ends_in(struct config_text name, const char *suffix) {
    uint64_t bytes = strlen(suffix);
    if (name.bytes <= bytes)
        return false;
    for (uint64_t at = 0; at < bytes; at++) {
        if (lower(name.text[name.bytes - bytes + at]) != suffix[at])
            return false;
    }
    return true;
}

bool bls_is_text_name(struct config_text name) {
    return ends_in(name, ".conf") && name.text[0] != '.';
}

bool bls_is_image_name(struct config_text name) {
    return ends_in(name, ".efi") && name.text[0] != '.';
}

// The end of the character that begins at `at`, in valid UTF-8.
static uint64_t skip_character(struct config_text text, uint64_t at) {
    at++;
    while (at < text.bytes && utf8_is_inside(text.text[at]))
        at++;
    return at;
}

// What does not fit is tried again with one character more for the last '*': never for one before
// it.
bool bls_matches(struct config_text pattern, struct config_text name) {
    uint64_t in_pattern = 0, in_name = 0;
    uint64_t behind_star = 0, from = 0; // 0: there was none
    while (in_name < name.bytes) {
        char wanted = '\0';
        if (in_pattern < pattern.bytes)
            wanted = pattern.text[in_pattern];
        if (wanted == '*') {
            behind_star = ++in_pattern;
            from = in_name;
        } else if (wanted == '?') {
            in_pattern++;
            in_name = skip_character(name, in_name);
        } else if (wanted != '\0' && lower(wanted) == lower(name.text[in_name])) {
            in_pattern++;
            in_name++;
        } else if (behind_star != 0) {
            in_pattern = behind_star;
            in_name = from = skip_character(name, from);
        } else {
            return false;
        }
    }
    while (in_pattern < pattern.bytes && pattern.text[in_pattern] == '*')
        in_pattern++;
    return in_pattern == pattern.bytes;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Digits from `at` on; their end.
static uint64_t skip_digits(struct config_text text, uint64_t at) {
    while (at < text.bytes && is_digit(text.text[at]))
        at++;
    return at;
}

// Where in a name without its suffix the counter begins; its end if there is none.
static uint64_t find_counter(struct config_text stem) {
    for (uint64_t plus = 0; plus < stem.bytes; plus++) {
        uint64_t left = skip_digits(stem, plus + 1);
        bool has_done = left + 1 < stem.bytes && stem.text[left] == '-';
        uint64_t end = has_done ? skip_digits(stem, left + 1) : left;
        if (stem.text[plus] == '+' && left > plus + 1 && end == stem.bytes)
            return plus;
    }
    return stem.bytes;
}

void bls_set_name(struct bls_entry *entry, struct bls_room_parts *room, struct config_text path) {
    uint64_t start = path.bytes;
    while (start != 0 && path.text[start - 1] != '/')
        start--;
    struct config_text file = config_cut(path, start, path.bytes);
    uint64_t suffix = file.bytes;
    while (suffix != 0 && file.text[suffix - 1] != '.')
        suffix--;
    ASSERT(suffix != 0); // the name has one
    struct config_text stem = config_cut(file, 0, suffix - 1);
    uint64_t counter = find_counter(stem);
    uint64_t zeros = counter + 1;
    while (zeros < stem.bytes && stem.text[zeros] == '0')
        zeros++;
    entry->is_spent = counter != stem.bytes && (zeros == stem.bytes || stem.text[zeros] == '-');
    entry->file = path;
    entry->name = (struct config_text){room->texts, 0};
    append(room, &entry->name, config_cut(file, 0, counter));
    append(room, &entry->name, config_cut(file, suffix - 1, file.bytes));
}

static void set_title(struct bls_entry *entry, struct bls_room_parts *room) {
    struct config_text title = {room->texts, 0};
    if (entry->title.bytes == 0) {
        entry->title = entry->name;
    } else if (entry->version.bytes != 0) {
        append(room, &title, entry->title);
        append(room, &title, config_text_of(" ("));
        append(room, &title, entry->version);
        append(room, &title, config_text_of(")"));
        entry->title = title;
    }
}

// ---- Type 1

static enum bls_status fail(struct parser *parser, enum bls_status status, struct config_text key) {
    parser->error = (struct bls_error){status, parser->line, key};
    return status;
}

static enum bls_status check_line(struct parser *parser, struct config_text line) {
    if (utf8_find_invalid(line.text, line.bytes) != line.bytes)
        return fail(parser, BLS_ERR_UTF8, config_cut(line, 0, 0));
    for (uint64_t at = 0; at < line.bytes; at++) {
        unsigned char byte = (unsigned char)line.text[at];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            return fail(parser, BLS_ERR_CONTROL, config_cut(line, 0, 0));
    }
    return BLS_OK;
}

static enum bls_status set_path(struct parser *parser, enum key key, struct config_text name,
                                struct config_text value) {
    if (parser->entry.path_line != 0)
        return fail(parser, BLS_ERR_TWO_FILES, name);
    parser->entry.path = value;
    parser->entry.path_line = parser->line;
    parser->entry.is_efi = key != KEY_LINUX;
    return BLS_OK;
}

static enum bls_status set(struct parser *parser, enum key key, struct config_text name,
                           struct config_text value) {
    struct bls_entry *entry = &parser->entry;
    switch (key) {
    case KEY_TITLE:
        entry->title = value;
        break;
    case KEY_VERSION:
        entry->version = value;
        break;
    case KEY_MACHINE_ID:
        entry->machine_id = value;
        break;
    case KEY_SORT_KEY:
        entry->sort_key = value;
        break;
    case KEY_LINUX:
    case KEY_EFI:
    case KEY_UKI:
        return set_path(parser, key, name, value);
    case KEY_INITRD:
        entry->initrds[entry->initrd_count++] = (struct config_module){
            .path = value, .cmdline = config_text_of(""), .line = parser->line};
        break;
    case KEY_OPTIONS:
        if (entry->cmdline.bytes != 0)
            append(&parser->room, &entry->cmdline, config_text_of(" "));
        append(&parser->room, &entry->cmdline, value);
        break;
    case KEY_ARCHITECTURE:
        if (!config_text_is(value, "x64") && !config_text_is(value, "X64"))
            return fail(parser, BLS_ERR_ARCHITECTURE, value);
        break;
    case KEYS:
        break;
    }
    return BLS_OK;
}

// A key without a value is one that is not there: `options` of an empty command line is written so.
static enum bls_status parse_line(struct parser *parser, struct config_text line) {
    enum bls_status status = check_line(parser, line);
    line = config_trim(line);
    if (status != BLS_OK || line.bytes == 0 || line.text[0] == '#')
        return status;
    uint64_t blank = min_u64(config_find(line, ' '), config_find(line, '\t'));
    struct config_text name = config_cut(line, 0, blank);
    struct config_text value = config_trim(config_cut(line, blank, line.bytes));
    unsigned key = 0;
    while (key < KEYS && !config_text_is(name, key_names[key]))
        key++;
    if (key == KEYS && parser->entry.ignored_line == 0) {
        parser->entry.ignored = name;
        parser->entry.ignored_line = parser->line;
    }
    if (key == KEYS || value.bytes == 0)
        return BLS_OK;
    if (parser->seen[key] != 0 && key != KEY_INITRD && key != KEY_OPTIONS)
        return fail(parser, BLS_ERR_DUPLICATE, name);
    parser->seen[key] = parser->line;
    return set(parser, (enum key)key, name, value);
}

static enum bls_status parse_lines(struct parser *parser, struct config_text rest) {
    while (rest.bytes != 0) {
        struct config_text line = config_cut(rest, 0, config_find(rest, '\n'));
        rest = config_cut(rest, min_u64(line.bytes + 1, rest.bytes), rest.bytes);
        if (line.bytes != 0 && line.text[line.bytes - 1] == '\r')
            line.bytes--;
        parser->line++;
        enum bls_status status = parse_line(parser, line);
        if (status != BLS_OK)
            return status;
    }
    parser->line = 0;
    return parser->entry.path_line == 0 ? fail(parser, BLS_ERR_NO_FILE, rest) : BLS_OK;
}

enum bls_status bls_parse(struct config_text path, struct config_text text, void *room,
                          struct bls_entry *ret_entry, struct bls_error *ret_error) {
    const struct config_text none = config_text_of("");
    struct parser parser = {
        .entry = {.title = none, .version = none, .sort_key = none, .machine_id = none},
        .room = bls_make_room(room, text.bytes),
    };
    enum bls_status status = BLS_ERR_SIZE;
    parser.entry.initrds = parser.room.initrds;
    parser.entry.cmdline = (struct config_text){parser.room.texts, 0};
    if (text.bytes <= BLS_TEXT_MAX_BYTES)
        status = parse_lines(&parser, text);
    else
        (void)fail(&parser, BLS_ERR_SIZE, config_text_of(""));
    if (status != BLS_OK) {
        *ret_error = parser.error;
        return status;
    }
    bls_set_name(&parser.entry, &parser.room, path);
    set_title(&parser.entry, &parser.room);
    *ret_entry = parser.entry;
    return BLS_OK;
}

struct config bls_config(const struct bls_entry *entry, const struct config *base) {
    struct config config = *base;
    config.kernel = entry->path;
    config.kernel_line = entry->path_line;
    config.kernel_digest = (struct config_digest){0};
    config.cmdline = entry->cmdline;
    config.protocol = entry->is_efi ? CONFIG_PROTOCOL_EFI : CONFIG_PROTOCOL_LINUX;
    config.modules = entry->initrds;
    config.module_count = entry->initrd_count;
    return config;
}

void bls_error_print(const struct sink *sink, const struct bls_error *error) {
    static const char *const texts[] = {
        [BLS_OK] = "no error",
        [BLS_ERR_SIZE] = "more than 16 KiB",
        [BLS_ERR_UTF8] = "not valid UTF-8",
        [BLS_ERR_CONTROL] = "a control character",
        [BLS_ERR_DUPLICATE] = "is there a second time",
        [BLS_ERR_ARCHITECTURE] = "is another architecture than x64",
        [BLS_ERR_NO_FILE] = "none of linux, efi and uki",
        [BLS_ERR_TWO_FILES] = "is there besides another file to start",
    };
    if (error->line != 0)
        fmt_print(sink, "line %u: ", error->line);
    const struct config_text key = config_fit(error->key, CONFIG_QUOTED_MAX_BYTES);
    if (key.bytes != 0)
        fmt_print(sink, "'%.*s' ", (int)key.bytes, key.text);
    fmt_print(sink, "%s", texts[error->status]);
}
