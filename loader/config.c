// The lines of slipway.conf. See config.h.
#include "loader/config.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/config_parser.h"
#include "loader/config_text.h"
#include "loader/utf.h"

enum config_status config_fail(struct config_parser *parser, enum config_status status) {
    parser->error.status = status;
    return status;
}

enum config_status config_fail_at(struct config_parser *parser, enum config_status status,
                                  const char *place) {
    parser->error.column = (uint32_t)(place - parser->line) + 1;
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
    if (key == CONFIG_KEYS)
        return config_fail_text(parser, CONFIG_ERR_UNKNOWN_KEY, name);
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

// Comments are checked, too: a file that is not text is refused at its first line.
static enum config_status parse_line(struct config_parser *parser, struct config_text line) {
    parser->line = line.text;
    enum config_status status = check_line(parser, line);
    if (status != CONFIG_OK)
        return status;
    line = config_trim(line);
    if (line.bytes == 0 || line.text[0] == '#')
        return CONFIG_OK;
    return parse_assignment(parser, line);
}

// Cuts the file into lines, whose endings are no part of them; the last one needs none.
static enum config_status parse_file(struct config_parser *parser, struct config_text rest) {
    if (rest.bytes > CONFIG_FILE_MAX_BYTES) {
        parser->error.number = rest.bytes;
        return config_fail(parser, CONFIG_ERR_FILE_SIZE);
    }
    if (rest.bytes >= 3 && memcmp(rest.text, "\xef\xbb\xbf", 3) == 0)
        rest = config_cut(rest, 3, rest.bytes);
    while (rest.bytes != 0) {
        parser->error.line++;
        struct config_text line = config_cut(rest, 0, config_find(rest, '\n'));
        rest = config_cut(rest, min_u64(line.bytes + 1, rest.bytes), rest.bytes);
        if (line.bytes != 0 && line.text[line.bytes - 1] == '\r')
            line.bytes--;
        enum config_status status = parse_line(parser, line);
        if (status != CONFIG_OK)
            return status;
    }
    return CONFIG_OK;
}

struct config config_default(void) {
    return (struct config){.kernel = config_text_of("\\kernel.elf"),
                           .cmdline = config_text_of(""),
                           .paging = CONFIG_PAGING_UNSET,
                           .protocol = CONFIG_PROTOCOL_UNSET};
}

// `module=x` is the shortest line of one, and the last line needs no ending.
uint64_t config_module_bound(uint64_t bytes) {
    return (bytes + 1) / (sizeof("module=x\n") - 1);
}

enum config_status config_parse(const char *text, uint64_t bytes, struct config_module *modules,
                                struct config *ret_config, struct config_error *ret_error) {
    struct config_parser parser = {
        .config = config_default(), .modules = modules, .module_bound = config_module_bound(bytes)};
    parser.config.modules = modules;
    enum config_status status = parse_file(&parser, (struct config_text){text, bytes});
    if (status == CONFIG_OK)
        *ret_config = parser.config;
    else
        *ret_error = parser.error;
    return status;
}
