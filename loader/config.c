// See config.h.
#include "loader/config.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/utf.h"

// Of a value that is quoted in a message: the cause comes after it.
#define QUOTED_MAX_BYTES 80

#define SIZE_MAX_PIXELS 65535 // of a picture, each way

enum key {
    KEY_KERNEL,
    KEY_CMDLINE,
    KEY_LOG,
    KEY_MODULE,
    KEY_DIGEST,
    KEY_SHA256,
    KEY_PAGING,
    KEY_RESOLUTION,
    KEY_CLEAR,
    KEY_PROTOCOL,
    KEY_STRICT,
    KEYS,
};

static const char *const key_names[KEYS] = {
    [KEY_KERNEL] = "kernel",         [KEY_CMDLINE] = "cmdline", [KEY_LOG] = "log",
    [KEY_MODULE] = "module",         [KEY_DIGEST] = "digest",   [KEY_PAGING] = "paging",
    [KEY_RESOLUTION] = "resolution", [KEY_CLEAR] = "clear",     [KEY_SHA256] = "sha256",
    [KEY_PROTOCOL] = "protocol",     [KEY_STRICT] = "strict",
};

// The words of a value that is a choice; the index of a word is what it stands for.
struct choices {
    const char *text; // for messages
    unsigned count;
    const char *words[4];
};

static const struct choices log_choices = {
    "quiet, info or debug",
    3,
    {[CONFIG_LOG_QUIET] = "quiet", [CONFIG_LOG_INFO] = "info", [CONFIG_LOG_DEBUG] = "debug"},
};

enum digest { DIGEST_NONE, DIGEST_SHA256 };

static const struct choices digest_choices = {
    "none or sha256",
    2,
    {[DIGEST_NONE] = "none", [DIGEST_SHA256] = "sha256"},
};

static const struct choices paging_choices = {
    "4, 5 or max",
    3,
    {[CONFIG_PAGING_4] = "4", [CONFIG_PAGING_5] = "5", [CONFIG_PAGING_MAX] = "max"},
};

static const struct choices resolution_choices = {
    "WIDTHxHEIGHT (1 to 65535 each), native or firmware",
    2,
    {[CONFIG_RESOLUTION_FIRMWARE] = "firmware", [CONFIG_RESOLUTION_NATIVE] = "native"},
};

enum { SWITCH_OFF, SWITCH_ON };

static const struct choices switch_choices = {
    "on or off",
    2,
    {[SWITCH_OFF] = "off", [SWITCH_ON] = "on"},
};

static const struct choices protocol_choices = {
    "slipway, limine, efi or linux",
    4,
    {[CONFIG_PROTOCOL_SLIPWAY] = "slipway",
     [CONFIG_PROTOCOL_LIMINE] = "limine",
     [CONFIG_PROTOCOL_EFI] = "efi",
     [CONFIG_PROTOCOL_LINUX] = "linux"},
};

struct parser {
    struct config config;
    struct config_module *modules;
    uint64_t module_bound;
    struct config_error error;    // its line is the line being parsed,
    const char *line;             // which starts here
    uint32_t seen[KEYS];          // line that set a key, 0: none
    struct config_digest *digest; // of the file named last; null: none was
};

static struct config_text text_of(const char *literal) {
    return (struct config_text){literal, strlen(literal)};
}

static bool text_is(struct config_text text, const char *literal) {
    return text.bytes == strlen(literal) && memcmp(text.text, literal, text.bytes) == 0;
}

static struct config_text cut(struct config_text text, uint64_t start, uint64_t end) {
    ASSERT(start <= end && end <= text.bytes);
    return (struct config_text){text.text + start, end - start};
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static struct config_text trim(struct config_text text) {
    uint64_t start = 0;
    uint64_t end = text.bytes;
    while (start < end && is_blank(text.text[start]))
        start++;
    while (end > start && is_blank(text.text[end - 1]))
        end--;
    return cut(text, start, end);
}

// ---- Eight bytes at a time: most of a config is comments

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

static uint64_t word_at(struct config_text text, uint64_t at) {
    uint64_t word;
    memcpy(&word, text.text + at, sizeof(word));
    return word;
}

// True if a byte of the word is `wanted`: the lowest 0 of the differences borrows from bit 7, which
// it does not have.
static bool has_byte(uint64_t word, char wanted) {
    uint64_t differences = word ^ EACH_BYTE((unsigned char)wanted);
    return ((differences - EACH_BYTE(1)) & ~differences & EACH_BYTE(0x80)) != 0;
}

// True if all bytes of the word are printable ASCII. One that is not, 0x7f, or above, or below a
// blank, sets bit 7 of itself in one of the three; what it carries or borrows is above it.
static bool is_plain(uint64_t word) {
    return ((word | (word + EACH_BYTE(1)) | (word - EACH_BYTE(' '))) & EACH_BYTE(0x80)) == 0;
}

// Offset of the first `wanted`, or the length of the text.
static uint64_t find(struct config_text text, char wanted) {
    uint64_t at = 0;
    while (text.bytes - at >= sizeof(uint64_t) && !has_byte(word_at(text, at), wanted))
        at += sizeof(uint64_t);
    while (at < text.bytes && text.text[at] != wanted)
        at++;
    return at;
}

// Bytes of printable ASCII that the text begins with, or some less.
static uint64_t count_plain(struct config_text text) {
    uint64_t at = 0;
    while (text.bytes - at >= sizeof(uint64_t) && is_plain(word_at(text, at)))
        at += sizeof(uint64_t);
    return at;
}

// ---- Lines

static enum config_status fail(struct parser *parser, enum config_status status) {
    parser->error.status = status;
    return status;
}

// The same, at a place in the line.
static enum config_status fail_at(struct parser *parser, enum config_status status,
                                  const char *place) {
    parser->error.column = (uint32_t)(place - parser->line) + 1;
    return fail(parser, status);
}

// The same, for what is wrong with `text`.
static enum config_status fail_text(struct parser *parser, enum config_status status,
                                    struct config_text text) {
    parser->error.text = text;
    return fail_at(parser, status, text.text);
}

// First of all: from here on a line is valid UTF-8, so it can go into a message.
static enum config_status check_line(struct parser *parser, struct config_text line) {
    uint64_t plain = count_plain(line);
    uint64_t valid = plain + utf8_find_invalid(line.text + plain, line.bytes - plain);
    for (uint64_t at = plain; at < line.bytes; at++) {
        unsigned char byte = (unsigned char)line.text[at];
        bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        if (at != valid && !control)
            continue;
        parser->error.number = byte;
        return fail_at(parser, at == valid ? CONFIG_ERR_UTF8 : CONFIG_ERR_CONTROL, line.text + at);
    }
    return CONFIG_OK;
}

// The index of the value among the words.
static enum config_status choose(struct parser *parser, const struct choices *choices,
                                 struct config_text value, unsigned *ret_choice) {
    for (unsigned i = 0; i < choices->count; i++) {
        if (text_is(value, choices->words[i])) {
            *ret_choice = i;
            return CONFIG_OK;
        }
    }
    parser->error.choices = choices->text;
    return fail_text(parser, CONFIG_ERR_CHOICE, value);
}

static bool is_quoted(struct config_text text) {
    return text.bytes != 0 && text.text[0] == '"';
}

// Cuts `text`, which begins with a quote, into what stands between that and the next one and the
// rest, which a blank separates from it.
static enum config_status cut_quoted(struct parser *parser, struct config_text text,
                                     struct config_text *ret_inner, struct config_text *ret_rest) {
    ASSERT(is_quoted(text));
    struct config_text inner = cut(text, 1, text.bytes);
    uint64_t end = find(inner, '"');
    if (end == inner.bytes)
        return fail_text(parser, CONFIG_ERR_NO_QUOTE, text);
    struct config_text rest = cut(inner, end + 1, inner.bytes);
    parser->error.text = text;
    if (rest.bytes != 0 && !is_blank(rest.text[0]))
        return fail_at(parser, CONFIG_ERR_AFTER_QUOTE, rest.text);
    *ret_inner = cut(inner, 0, end);
    *ret_rest = trim(rest);
    return CONFIG_OK;
}

// A text that may be in quotes, to its end.
static enum config_status unquote(struct parser *parser, struct config_text *text) {
    struct config_text whole = *text;
    struct config_text rest;
    if (!is_quoted(whole))
        return CONFIG_OK;
    enum config_status status = cut_quoted(parser, whole, text, &rest);
    return status == CONFIG_OK && rest.bytes != 0
               ? fail_at(parser, CONFIG_ERR_AFTER_QUOTE, rest.text)
               : status;
}

// A path, in quotes or up to the first blank, and what follows it.
static enum config_status cut_path(struct parser *parser, struct config_text value,
                                   struct config_text *ret_path, struct config_text *ret_rest) {
    if (is_quoted(value))
        return cut_quoted(parser, value, ret_path, ret_rest);
    uint64_t end = min_u64(find(value, ' '), find(value, '\t'));
    *ret_path = cut(value, 0, end);
    *ret_rest = trim(cut(value, end, value.bytes));
    return CONFIG_OK;
}

static void add_module(struct parser *parser, struct config_text path, struct config_text cmdline) {
    struct config *config = &parser->config;
    ASSERT(config->module_count < parser->module_bound);
    struct config_module *module = &parser->modules[config->module_count++];
    *module = (struct config_module){.path = path, .cmdline = cmdline, .line = parser->error.line};
    parser->digest = &module->digest;
}

// A decimal number of 1 to SIZE_MAX_PIXELS, and nothing else. 0: it is none.
static uint32_t parse_pixels(struct config_text text) {
    uint32_t pixels = 0;
    for (uint64_t at = 0; at < text.bytes; at++) {
        unsigned digit = (unsigned)(unsigned char)text.text[at] - '0';
        if (digit > 9)
            return 0;
        pixels = pixels * 10 + digit;
        if (pixels > SIZE_MAX_PIXELS)
            return 0;
    }
    return pixels;
}

static enum config_status set_resolution(struct parser *parser, struct config_text value) {
    struct config *config = &parser->config;
    uint64_t cross = find(value, 'x');
    if (cross != value.bytes) {
        config->width = parse_pixels(cut(value, 0, cross));
        config->height = parse_pixels(cut(value, cross + 1, value.bytes));
        config->resolution = CONFIG_RESOLUTION_SIZE;
        if (config->width != 0 && config->height != 0)
            return CONFIG_OK;
    }
    unsigned choice;
    enum config_status status = choose(parser, &resolution_choices, value, &choice);
    if (status == CONFIG_OK)
        config->resolution = (enum config_resolution)choice;
    return status;
}

// The value of a hexadecimal digit, or 16.
static unsigned hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static enum config_status set_sha256(struct parser *parser, struct config_text value) {
    struct config_digest *digest = parser->digest;
    bool is_digest = value.bytes == 2 * sizeof(digest->bytes);
    for (uint64_t at = 0; is_digest && at < value.bytes; at++) {
        unsigned digit = hex_digit(value.text[at]);
        is_digest = digit < 16;
        digest->bytes[at / 2] = (uint8_t)((unsigned)digest->bytes[at / 2] << 4 | digit);
    }
    digest->line = parser->error.line;
    parser->error.choices = "64 hexadecimal digits";
    return is_digest ? CONFIG_OK : fail_text(parser, CONFIG_ERR_CHOICE, value);
}

// Sets what `key` stands for. `text` follows a module's path.
static enum config_status set(struct parser *parser, enum key key, struct config_text value,
                              struct config_text text) {
    struct config *config = &parser->config;
    enum config_status status = CONFIG_OK;
    unsigned choice;
    switch (key) {
    case KEY_KERNEL:
        config->kernel = value;
        config->kernel_line = parser->error.line;
        parser->digest = &config->kernel_digest;
        break;
    case KEY_CMDLINE:
        config->cmdline = value;
        break;
    case KEY_LOG:
        status = choose(parser, &log_choices, value, &choice);
        if (status == CONFIG_OK)
            config->log = (enum config_log)choice;
        break;
    case KEY_MODULE:
        add_module(parser, value, text);
        break;
    case KEY_DIGEST:
        status = choose(parser, &digest_choices, value, &choice);
        if (status == CONFIG_OK)
            config->wants_digests = choice == DIGEST_SHA256;
        break;
    case KEY_SHA256:
        status = set_sha256(parser, value);
        break;
    case KEY_PAGING:
        status = choose(parser, &paging_choices, value, &choice);
        if (status == CONFIG_OK)
            config->paging = (enum config_paging)choice;
        break;
    case KEY_RESOLUTION:
        status = set_resolution(parser, value);
        break;
    case KEY_CLEAR:
        status = choose(parser, &switch_choices, value, &choice);
        if (status == CONFIG_OK)
            config->keeps_screen = choice == SWITCH_OFF;
        break;
    case KEY_PROTOCOL:
        status = choose(parser, &protocol_choices, value, &choice);
        if (status == CONFIG_OK)
            config->protocol = (enum config_protocol)choice;
        break;
    case KEY_STRICT:
        status = choose(parser, &switch_choices, value, &choice);
        if (status == CONFIG_OK)
            config->is_lax = choice == SWITCH_OFF;
        break;
    case KEYS:
        break;
    }
    return status;
}

// KEYS: there is no such key.
static enum key find_key(struct config_text name) {
    unsigned key = 0;
    while (key < KEYS && !text_is(name, key_names[key]))
        key++;
    return (enum key)key;
}

// The key's value, which may be in quotes, and for a module a text behind it. Only of a command
// line nothing, in quotes, is something.
static enum config_status parse_value(struct parser *parser, enum key key, struct config_text name,
                                      struct config_text value) {
    struct config_text text = {value.text, 0};
    bool may_be_empty = key == KEY_CMDLINE && is_quoted(value);
    enum config_status status =
        key == KEY_MODULE ? cut_path(parser, value, &value, &text) : unquote(parser, &value);
    if (status == CONFIG_OK)
        status = unquote(parser, &text);
    if (status != CONFIG_OK)
        return status;
    if (value.bytes == 0 && !may_be_empty)
        return fail_text(parser, CONFIG_ERR_NO_VALUE, name);
    return set(parser, key, value, text);
}

// A line with something in it. The key is judged before the value, so that a misspelt one is named
// whatever stands behind it.
static enum config_status parse_assignment(struct parser *parser, struct config_text line) {
    uint64_t equals = find(line, '=');
    if (equals == line.bytes)
        return fail_text(parser, CONFIG_ERR_NO_EQUALS, line);
    struct config_text name = trim(cut(line, 0, equals));
    struct config_text value = trim(cut(line, equals + 1, line.bytes));
    if (name.bytes == 0)
        return fail_text(parser, CONFIG_ERR_NO_KEY, line);
    enum key key = find_key(name);
    if (key == KEYS)
        return fail_text(parser, CONFIG_ERR_UNKNOWN_KEY, name);
    if (key == KEY_SHA256 && parser->digest == NULL)
        return fail_text(parser, CONFIG_ERR_NO_FILE, name);
    // A digest may be set once for each file.
    uint32_t first_line = key == KEY_SHA256 ? parser->digest->line : parser->seen[key];
    if (first_line != 0 && key != KEY_MODULE) {
        parser->error.first_line = first_line;
        return fail_text(parser, CONFIG_ERR_DUPLICATE, name);
    }
    parser->seen[key] = parser->error.line;
    return parse_value(parser, key, name, value);
}

// Comments are checked, too: a file that is not text is refused at its first line.
static enum config_status parse_line(struct parser *parser, struct config_text line) {
    parser->line = line.text;
    enum config_status status = check_line(parser, line);
    if (status != CONFIG_OK)
        return status;
    line = trim(line);
    if (line.bytes == 0 || line.text[0] == '#')
        return CONFIG_OK;
    return parse_assignment(parser, line);
}

// Cuts the file into lines, whose endings are no part of them; the last one needs none.
static enum config_status parse_file(struct parser *parser, struct config_text rest) {
    if (rest.bytes > CONFIG_FILE_MAX_BYTES) {
        parser->error.number = rest.bytes;
        return fail(parser, CONFIG_ERR_FILE_SIZE);
    }
    if (rest.bytes >= 3 && memcmp(rest.text, "\xef\xbb\xbf", 3) == 0)
        rest = cut(rest, 3, rest.bytes);
    while (rest.bytes != 0) {
        parser->error.line++;
        struct config_text line = cut(rest, 0, find(rest, '\n'));
        rest = cut(rest, min_u64(line.bytes + 1, rest.bytes), rest.bytes);
        if (line.bytes != 0 && line.text[line.bytes - 1] == '\r')
            line.bytes--;
        enum config_status status = parse_line(parser, line);
        if (status != CONFIG_OK)
            return status;
    }
    return CONFIG_OK;
}

struct config config_default(void) {
    return (struct config){.kernel = text_of("\\kernel.elf"),
                           .cmdline = text_of(""),
                           .paging = CONFIG_PAGING_UNSET,
                           .protocol = CONFIG_PROTOCOL_UNSET};
}

// `module=x` is the shortest line of one, and the last line needs no ending.
uint64_t config_module_bound(uint64_t bytes) {
    return (bytes + 1) / (sizeof("module=x\n") - 1);
}

enum config_status config_parse(const char *text, uint64_t bytes, struct config_module *modules,
                                struct config *ret_config, struct config_error *ret_error) {
    struct parser parser = {
        .config = config_default(), .modules = modules, .module_bound = config_module_bound(bytes)};
    parser.config.modules = modules;
    enum config_status status = parse_file(&parser, (struct config_text){text, bytes});
    if (status == CONFIG_OK)
        *ret_config = parser.config;
    else
        *ret_error = parser.error;
    return status;
}

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
