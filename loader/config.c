// The lines of slipway.conf. See config.h.
#include "loader/config.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/bls.h"
#include "loader/config_parser.h"
#include "loader/config_text.h"
#include "loader/utf.h"

enum config_status config_fail(struct config_parser *parser, enum config_status status) {
    parser->error.status = status;
    return status;
}

uint32_t config_column(const struct config_parser *parser, const char *place) {
    const struct config_text before = {parser->line, (uint64_t)(place - parser->line)};
    return (uint32_t)utf8_count(before.text, before.bytes) + 1;
}

enum config_status config_fail_at(struct config_parser *parser, enum config_status status,
                                  const char *place) {
    parser->error.column = config_column(parser, place);
    return config_fail(parser, status);
}

enum config_status config_fail_text(struct config_parser *parser, enum config_status status,
                                    struct config_text text) {
    parser->error.text = text;
    return config_fail_at(parser, status, text.text);
}

// First of all: from here on a line is valid UTF-8, so it can go into a message.
static enum config_status check_line(struct config_parser *parser, struct config_text line) {
    uint64_t plain = config_count_plain(line);
    uint64_t valid = plain + utf8_find_invalid(line.text + plain, line.bytes - plain);
    for (uint64_t at = plain; at < line.bytes; at++) {
        unsigned char byte = (unsigned char)line.text[at];
        bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        if (at != valid && !control)
            continue;
        parser->error.number = byte;
        return config_fail_at(parser, at == valid ? CONFIG_ERR_UTF8 : CONFIG_ERR_CONTROL,
                              line.text + at);
    }
    return CONFIG_OK;
}

// A line with something in it. The key is judged before the value, so that a misspelt one is named
// whatever stands behind it.
static enum config_status parse_assignment(struct config_parser *parser, struct config_text line) {
    uint64_t equals = config_find(line, '=');
    if (equals == line.bytes)
        return config_fail_text(parser, CONFIG_ERR_NO_EQUALS, line);
    struct config_text name = config_trim(config_cut(line, 0, equals));
    struct config_text value = config_trim(config_cut(line, equals + 1, line.bytes));
    if (name.bytes == 0)
        return config_fail_text(parser, CONFIG_ERR_NO_KEY, line);
    enum config_key key = config_find_key(name);
    parser->error.is_in_entry = parser->entry != NULL;
    if (key == CONFIG_KEYS)
        return config_fail_text(parser, CONFIG_ERR_UNKNOWN_KEY, name);
    if (config_key_place(key) == CONFIG_PLACE_ENTRY && parser->entry == NULL)
        return config_fail_text(parser, CONFIG_ERR_ONLY_IN_ENTRY, name);
    if (config_key_place(key) == CONFIG_PLACE_ABOVE && parser->entry != NULL)
        return config_fail_text(parser, CONFIG_ERR_ONLY_ABOVE, name);
    if (key == CONFIG_KEY_SHA256 && parser->digest == NULL)
        return config_fail_text(parser, CONFIG_ERR_NO_FILE, name);
    // A digest may be set once for each file.
    uint32_t first_line = key == CONFIG_KEY_SHA256 ? parser->digest->line : parser->seen[key];
    if (first_line != 0 && key != CONFIG_KEY_MODULE) {
        parser->error.first_line = first_line;
        return config_fail_text(parser, CONFIG_ERR_DUPLICATE, name);
    }
    parser->seen[key] = parser->error.line;
    return config_parse_value(parser, key, name, value);
}

// ---- Sections

static bool is_name_byte(char c) {
    return c != ' ' && c != '\t' && c != '"' && c != '[' && c != ']' && c != '=';
}

// A section that ends has set something.
static enum config_status end_section(struct config_parser *parser) {
    const struct config_entry *entry = parser->entry;
    for (unsigned key = 0; key < CONFIG_KEYS; key++) {
        if (entry == NULL || parser->seen[key] != 0)
            return CONFIG_OK;
    }
    parser->error.line = entry->line;
    parser->error.column = entry->column;
    parser->error.text = entry->name;
    return config_fail(parser, CONFIG_ERR_EMPTY_ENTRY);
}

// Between the brackets of a section's line.
static enum config_status cut_name(struct config_parser *parser, struct config_text line,
                                   struct config_text *ret_name) {
    uint64_t end = config_find(line, ']');
    if (end == line.bytes)
        return config_fail_text(parser, CONFIG_ERR_NO_BRACKET, line);
    struct config_text name = config_cut(line, 1, end);
    for (uint64_t at = 0; at < name.bytes; at++) {
        if (!is_name_byte(name.text[at])) {
            parser->error.text = name;
            return config_fail_at(parser, CONFIG_ERR_NAME, name.text + at);
        }
    }
    if (name.bytes == 0)
        return config_fail_text(parser, CONFIG_ERR_NAME, name);
    parser->error.text = line;
    if (end + 1 != line.bytes)
        return config_fail_at(parser, CONFIG_ERR_AFTER_BRACKET, line.text + end + 1);
    *ret_name = name;
    return CONFIG_OK;
}

// What stands above the first section is the beginning of every entry: config_of_entry() takes it.
static void begin_entry(struct config_parser *parser, struct config_text name) {
    struct config_file *file = &parser->file;
    ASSERT(file->entry_count < parser->entry_bound);
    if (parser->entry == NULL)
        file->config = parser->config;
    parser->entry = &parser->room.entries[file->entry_count++];
    *parser->entry = (struct config_entry){
        .name = name,
        .title = name,
        .line = parser->error.line,
        .column = config_column(parser, name.text),
    };
    parser->digest = NULL;
    memset(parser->seen, 0, sizeof(parser->seen));
}

static enum config_status parse_section(struct config_parser *parser, struct config_text line) {
    struct config_text name;
    enum config_status status = end_section(parser);
    if (status == CONFIG_OK)
        status = cut_name(parser, line, &name);
    if (status != CONFIG_OK)
        return status;
    const struct config_entry *first = config_find_entry(&parser->file, name);
    if (first != NULL) {
        parser->error.first_line = first->line;
        return config_fail_text(parser, CONFIG_ERR_SECOND_ENTRY, name);
    }
    begin_entry(parser, name);
    return CONFIG_OK;
}

// ---- Files

// Comments are checked, too: a file that is not text is refused at its first line.
static enum config_status parse_line(struct config_parser *parser, struct config_text line) {
    parser->line = line.text;
    enum config_status status = check_line(parser, line);
    if (status != CONFIG_OK)
        return status;
    line = config_trim(line);
    if (line.bytes == 0 || line.text[0] == '#')
        return CONFIG_OK;
    return line.text[0] == '[' ? parse_section(parser, line) : parse_assignment(parser, line);
}

// Cuts the text into lines, whose endings are no part of them; the last one needs none.
static enum config_status parse_lines(struct config_parser *parser, struct config_text rest) {
    while (rest.bytes != 0) {
        parser->error.line++;
        struct config_text line = config_cut(rest, 0, config_find(rest, '\n'));
        rest = config_cut(rest, min_u64(line.bytes + 1, rest.bytes), rest.bytes);
        if (line.bytes != 0 && line.text[line.bytes - 1] == '\r')
            line.bytes--;
        struct config_entry *before = parser->entry;
        enum config_status status = parse_line(parser, line);
        if (status != CONFIG_OK)
            return status;
        if (parser->entry != before)
            parser->entry->text = config_cut(rest, 0, 0);
        else if (before != NULL)
            before->text.bytes = (uint64_t)(rest.text - before->text.text);
    }
    return end_section(parser);
}

// The default's name may be that of any section, or of what is found on the volume.
static enum config_status find_default(struct config_parser *parser) {
    struct config_file *file = &parser->file;
    if (parser->default_name.text == NULL)
        return CONFIG_OK;
    const struct config_entry *entry = config_find_entry(file, parser->default_name);
    if (entry != NULL) {
        file->default_entry = (uint32_t)(entry - file->entries);
        return CONFIG_OK;
    }
    if (file->has_bls) {
        file->default_name = parser->default_name;
        return CONFIG_OK;
    }
    parser->error = parser->default_error;
    parser->error.entries = file->entries;
    parser->error.entry_count = file->entry_count;
    return config_fail(parser, CONFIG_ERR_NO_ENTRY);
}

static enum config_status parse_file(struct config_parser *parser, struct config_text text) {
    if (text.bytes > CONFIG_FILE_MAX_BYTES) {
        parser->error.number = text.bytes;
        return config_fail(parser, CONFIG_ERR_FILE_SIZE);
    }
    if (text.bytes >= 3 && memcmp(text.text, "\xef\xbb\xbf", 3) == 0)
        text = config_cut(text, 3, text.bytes);
    enum config_status status = parse_lines(parser, text);
    if (status == CONFIG_OK && parser->entry == NULL)
        parser->file.config = parser->config;
    return status == CONFIG_OK ? find_default(parser) : status;
}

struct config config_default(void) {
    return (struct config){.kernel = config_text_of("\\kernel.elf"),
                           .cmdline = config_text_of(""),
                           .paging = CONFIG_PAGING_UNSET,
                           .protocol = CONFIG_PROTOCOL_UNSET,
                           .kaslr = CONFIG_KASLR_UNSET};
}

// `module=x` is the shortest line of one, and the last line needs no ending.
uint64_t config_module_bound(uint64_t bytes) {
    return (bytes + 1) / (sizeof("module=x\n") - 1);
}

// With the shortest line that there is below it.
uint64_t config_entry_bound(uint64_t bytes) {
    return (bytes + 1) / (sizeof("[x]\ntitle=x\n") - 1) + 1;
}

static struct config_parser parser_make(struct config_room room, uint64_t bytes) {
    struct config_parser parser = {
        .config = config_default(),
        .room = room,
        .module_bound = config_module_bound(bytes),
        .entry_bound = config_entry_bound(bytes),
        .file = {.timeout = CONFIG_TIMEOUT_DEFAULT, .entries = room.entries},
    };
    parser.config.modules = room.modules;
    return parser;
}

enum config_status config_parse(const char *text, uint64_t bytes, struct config_room room,
                                struct config_file *ret_file, struct config_error *ret_error) {
    struct config_parser parser = parser_make(room, bytes);
    enum config_status status = parse_file(&parser, (struct config_text){text, bytes});
    if (status == CONFIG_OK)
        *ret_file = parser.file;
    else
        *ret_error = parser.error;
    return status;
}

const struct config_entry *config_find_entry(const struct config_file *file,
                                             struct config_text name) {
    for (uint32_t i = 0; i < file->entry_count; i++) {
        if (config_is_same(file->entries[i].name, name))
            return &file->entries[i];
    }
    return NULL;
}

struct config config_of_entry(const struct config_file *file, const struct config_entry *entry,
                              struct config_room room) {
    if (file->entry_count == 0)
        return file->config;
    if (entry->bls != NULL)
        return bls_config(entry->bls, &file->config);
    struct config_entry ignored = *entry; // its title is set once more
    struct config_parser parser = parser_make(room, CONFIG_FILE_MAX_BYTES);
    parser.entry = &ignored;
    parser.config = file->config;
    parser.error.line = entry->line;
    enum config_status status = parse_lines(&parser, entry->text);
    ASSERT(status == CONFIG_OK);
    (void)status;
    return parser.config;
}
