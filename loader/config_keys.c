// The keys of slipway.conf, and what their values may be. See config.h.
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "loader/config_parser.h"
#include "loader/config_text.h"

#define SIZE_MAX_PIXELS 65535 // of a picture, each way

static const char *const key_names[CONFIG_KEYS] = {
    [CONFIG_KEY_KERNEL] = "kernel",
    [CONFIG_KEY_CMDLINE] = "cmdline",
    [CONFIG_KEY_LOG] = "log",
    [CONFIG_KEY_MODULE] = "module",
    [CONFIG_KEY_DIGEST] = "digest",
    [CONFIG_KEY_PAGING] = "paging",
    [CONFIG_KEY_RESOLUTION] = "resolution",
    [CONFIG_KEY_CLEAR] = "clear",
    [CONFIG_KEY_SHA256] = "sha256",
    [CONFIG_KEY_PROTOCOL] = "protocol",
    [CONFIG_KEY_STRICT] = "strict",
    [CONFIG_KEY_KASLR] = "kaslr",
    [CONFIG_KEY_TITLE] = "title",
    [CONFIG_KEY_DEFAULT] = "default",
    [CONFIG_KEY_TIMEOUT] = "timeout",
    [CONFIG_KEY_BLS] = "bls",
};

enum config_place config_key_place(enum config_key key) {
    if (key == CONFIG_KEY_TITLE)
        return CONFIG_PLACE_ENTRY;
    bool is_above = key == CONFIG_KEY_DEFAULT || key == CONFIG_KEY_TIMEOUT || key == CONFIG_KEY_BLS;
    return is_above ? CONFIG_PLACE_ABOVE : CONFIG_PLACE_BOTH;
}

void config_print_keys(const struct sink *sink, bool is_in_entry) {
    enum config_place elsewhere = is_in_entry ? CONFIG_PLACE_ABOVE : CONFIG_PLACE_ENTRY;
    const char *between = "";
    for (unsigned key = 0; key < CONFIG_KEYS; key++) {
        if (config_key_place((enum config_key)key) == elsewhere)
            continue;
        fmt_print(sink, "%s%s", between, key_names[key]);
        between = ", ";
    }
}

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

// The index of the value among the words.
static enum config_status choose(struct config_parser *parser, const struct choices *choices,
                                 struct config_text value, unsigned *ret_choice) {
    for (unsigned i = 0; i < choices->count; i++) {
        if (config_text_is(value, choices->words[i])) {
            *ret_choice = i;
            return CONFIG_OK;
        }
    }
    parser->error.choices = choices->text;
    return config_fail_text(parser, CONFIG_ERR_CHOICE, value);
}

static bool is_quoted(struct config_text text) {
    return text.bytes != 0 && text.text[0] == '"';
}

// Cuts `text`, which begins with a quote, into what stands between that and the next one and the
// rest, which a blank separates from it.
static enum config_status cut_quoted(struct config_parser *parser, struct config_text text,
                                     struct config_text *ret_inner, struct config_text *ret_rest) {
    ASSERT(is_quoted(text));
    struct config_text inner = config_cut(text, 1, text.bytes);
    uint64_t end = config_find(inner, '"');
    if (end == inner.bytes)
        return config_fail_text(parser, CONFIG_ERR_NO_QUOTE, text);
    struct config_text rest = config_cut(inner, end + 1, inner.bytes);
    parser->error.text = text;
    if (rest.bytes != 0 && !config_is_blank(rest.text[0]))
        return config_fail_at(parser, CONFIG_ERR_AFTER_QUOTE, rest.text);
    *ret_inner = config_cut(inner, 0, end);
    *ret_rest = config_trim(rest);
    return CONFIG_OK;
}

// A text that may be in quotes, to its end.
static enum config_status unquote(struct config_parser *parser, struct config_text *text) {
    struct config_text whole = *text;
    struct config_text rest;
    if (!is_quoted(whole))
        return CONFIG_OK;
    enum config_status status = cut_quoted(parser, whole, text, &rest);
    return status == CONFIG_OK && rest.bytes != 0
               ? config_fail_at(parser, CONFIG_ERR_AFTER_QUOTE, rest.text)
               : status;
}

// A path, in quotes or up to the first blank, and what follows it.
static enum config_status cut_path(struct config_parser *parser, struct config_text value,
                                   struct config_text *ret_path, struct config_text *ret_rest) {
    if (is_quoted(value))
        return cut_quoted(parser, value, ret_path, ret_rest);
    uint64_t end = min_u64(config_find(value, ' '), config_find(value, '\t'));
    *ret_path = config_cut(value, 0, end);
    *ret_rest = config_trim(config_cut(value, end, value.bytes));
    return CONFIG_OK;
}

static void add_module(struct config_parser *parser, struct config_text path,
                       struct config_text cmdline) {
    struct config *config = &parser->config;
    ASSERT(config->module_count < parser->module_bound);
    struct config_module *module = &parser->room.modules[config->module_count++];
    *module = (struct config_module){.path = path, .cmdline = cmdline, .line = parser->error.line};
    parser->digest = &module->digest;
}

// Decimal digits, up to `most`, and nothing else. False: it is none.
static bool parse_number(struct config_text text, uint32_t most, uint32_t *ret_number) {
    uint32_t number = 0;
    for (uint64_t at = 0; at < text.bytes; at++) {
        unsigned digit = (unsigned)(unsigned char)text.text[at] - '0';
        if (digit > 9)
            return false;
        number = number * 10 + digit;
        if (number > most)
            return false;
    }
    *ret_number = number;
    return text.bytes != 0;
}

// 1 to SIZE_MAX_PIXELS. 0: it is no such number.
static uint32_t parse_pixels(struct config_text text) {
    uint32_t pixels = 0;
    return parse_number(text, SIZE_MAX_PIXELS, &pixels) ? pixels : 0;
}

static enum config_status set_resolution(struct config_parser *parser, struct config_text value) {
    struct config *config = &parser->config;
    uint64_t cross = config_find(value, 'x');
    if (cross != value.bytes) {
        config->width = parse_pixels(config_cut(value, 0, cross));
        config->height = parse_pixels(config_cut(value, cross + 1, value.bytes));
        config->resolution = CONFIG_RESOLUTION_SIZE;
        if (config->width != 0 && config->height != 0)
            return CONFIG_OK;
    }
    unsigned choice = 0;
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

static enum config_status set_sha256(struct config_parser *parser, struct config_text value) {
    struct config_digest *digest = parser->digest;
    bool is_digest = value.bytes == 2 * sizeof(digest->bytes);
    for (uint64_t at = 0; is_digest && at < value.bytes; at++) {
        unsigned digit = hex_digit(value.text[at]);
        is_digest = digit < 16;
        digest->bytes[at / 2] = (uint8_t)((unsigned)digest->bytes[at / 2] << 4 | digit);
    }
    digest->line = parser->error.line;
    parser->error.choices = "64 hexadecimal digits";
    return is_digest ? CONFIG_OK : config_fail_text(parser, CONFIG_ERR_CHOICE, value);
}

// A name that may come later: it is looked for at the end, with what an error has to name.
static void set_default(struct config_parser *parser, struct config_text value) {
    parser->default_name = value;
    parser->default_error = parser->error;
    parser->default_error.text = value;
    parser->default_error.column = config_column(parser, value.text);
}

static enum config_status set_timeout(struct config_parser *parser, struct config_text value) {
    if (config_text_is(value, "none"))
        parser->file.timeout = CONFIG_TIMEOUT_NONE;
    else if (!parse_number(value, CONFIG_TIMEOUT_MAX_SECONDS, &parser->file.timeout)) {
        parser->error.choices = "a number of seconds (0 to 86400) or none";
        return config_fail_text(parser, CONFIG_ERR_CHOICE, value);
    }
    return CONFIG_OK;
}

// Of the keys whose value is one of a few words; null of the others.
static const struct choices *const key_choices[CONFIG_KEYS] = {
    [CONFIG_KEY_BLS] = &switch_choices,        [CONFIG_KEY_LOG] = &log_choices,
    [CONFIG_KEY_DIGEST] = &digest_choices,     [CONFIG_KEY_PAGING] = &paging_choices,
    [CONFIG_KEY_CLEAR] = &switch_choices,      [CONFIG_KEY_STRICT] = &switch_choices,
    [CONFIG_KEY_PROTOCOL] = &protocol_choices, [CONFIG_KEY_KASLR] = &switch_choices,
};

static enum config_status set_choice(struct config_parser *parser, enum config_key key,
                                     struct config_text value) {
    struct config *config = &parser->config;
    unsigned choice = 0;
    enum config_status status = choose(parser, key_choices[key], value, &choice);
    if (status != CONFIG_OK)
        return status;
    if (key == CONFIG_KEY_LOG)
        config->log = (enum config_log)choice;
    else if (key == CONFIG_KEY_DIGEST)
        config->wants_digests = choice == DIGEST_SHA256;
    else if (key == CONFIG_KEY_PAGING)
        config->paging = (enum config_paging)choice;
    else if (key == CONFIG_KEY_CLEAR)
        config->keeps_screen = choice == SWITCH_OFF;
    else if (key == CONFIG_KEY_STRICT)
        config->is_lax = choice == SWITCH_OFF;
    else if (key == CONFIG_KEY_PROTOCOL)
        config->protocol = (enum config_protocol)choice;
    else if (key == CONFIG_KEY_KASLR)
        config->kaslr = choice == SWITCH_ON ? CONFIG_KASLR_ON : CONFIG_KASLR_OFF;
    else if (key == CONFIG_KEY_BLS)
        parser->file.has_bls = choice == SWITCH_ON;
    return CONFIG_OK;
}

// Sets what `key` stands for. `text` follows a module's path.
static enum config_status set(struct config_parser *parser, enum config_key key,
                              struct config_text value, struct config_text text) {
    struct config *config = &parser->config;
    switch (key) {
    case CONFIG_KEY_KERNEL:
        config->kernel = value;
        config->kernel_line = parser->error.line;
        config->kernel_digest.line = 0; // that of the file which this one takes the place of
        parser->digest = &config->kernel_digest;
        break;
    case CONFIG_KEY_CMDLINE:
        config->cmdline = value;
        break;
    case CONFIG_KEY_MODULE:
        add_module(parser, value, text);
        break;
    case CONFIG_KEY_SHA256:
        return set_sha256(parser, value);
    case CONFIG_KEY_RESOLUTION:
        return set_resolution(parser, value);
    case CONFIG_KEY_TITLE:
        parser->entry->title = value;
        break;
    case CONFIG_KEY_DEFAULT:
        set_default(parser, value);
        break;
    case CONFIG_KEY_TIMEOUT:
        return set_timeout(parser, value);
    case CONFIG_KEY_LOG:
    case CONFIG_KEY_DIGEST:
    case CONFIG_KEY_PAGING:
    case CONFIG_KEY_CLEAR:
    case CONFIG_KEY_PROTOCOL:
    case CONFIG_KEY_STRICT:
    case CONFIG_KEY_KASLR:
    case CONFIG_KEY_BLS:
        return set_choice(parser, key, value);
    case CONFIG_KEYS:
        break;
    }
    return CONFIG_OK;
}

enum config_key config_find_key(struct config_text name) {
    unsigned key = 0;
    while (key < CONFIG_KEYS && !config_text_is(name, key_names[key]))
        key++;
    return (enum config_key)key;
}

// The key's value, which may be in quotes, and for a module a text behind it. Only of a command
// line nothing, in quotes, is something.
enum config_status config_parse_value(struct config_parser *parser, enum config_key key,
                                      struct config_text name, struct config_text value) {
    struct config_text text = {value.text, 0};
    bool may_be_empty = key == CONFIG_KEY_CMDLINE && is_quoted(value);
    enum config_status status =
        key == CONFIG_KEY_MODULE ? cut_path(parser, value, &value, &text) : unquote(parser, &value);
    if (status == CONFIG_OK)
        status = unquote(parser, &text);
    if (status != CONFIG_OK)
        return status;
    if (value.bytes == 0 && !may_be_empty)
        return config_fail_text(parser, CONFIG_ERR_NO_VALUE, name);
    return set(parser, key, value, text);
}
