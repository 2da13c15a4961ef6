// What the files that read slipway.conf share: config.c, which reads lines, and config_keys.c,
// which knows the keys.
#pragma once

#include "loader/config.h"

#include <stdint.h>

enum config_key {
    CONFIG_KEY_KERNEL,
    CONFIG_KEY_CMDLINE,
    CONFIG_KEY_LOG,
    CONFIG_KEY_MODULE,
    CONFIG_KEY_DIGEST,
    CONFIG_KEY_SHA256,
    CONFIG_KEY_PAGING,
    CONFIG_KEY_RESOLUTION,
    CONFIG_KEY_CLEAR,
    CONFIG_KEY_PROTOCOL,
    CONFIG_KEY_STRICT,
    CONFIG_KEY_KASLR,
    CONFIG_KEY_TITLE,
    CONFIG_KEY_DEFAULT,
    CONFIG_KEY_TIMEOUT,
    CONFIG_KEY_BLS,
    CONFIG_KEYS,
};

struct config_parser {
    struct config_file file;
    struct config config; // being set: of what holds for all, or of an entry
    struct config_room room;
    uint64_t module_bound;
    uint64_t entry_bound;
    struct config_entry *entry;        // whose lines these are; null: above the first section
    struct config_error error;         // its line is the line being parsed,
    const char *line;                  // which starts here
    uint32_t seen[CONFIG_KEYS];        // line that set a key since the section began, 0: none
    struct config_digest *digest;      // of the file named last since then; null: none was
    struct config_text default_name;   // as it is written; no text: it is not
    struct config_error default_error; // if there is no entry of this name
};

// The number of the character at this place in the line, as editors count: what is before it is
// valid UTF-8, and a tab is one.
uint32_t config_column(const struct config_parser *parser, const char *place);

// Notes why the text is refused: as a whole; at a place in the line; for what is wrong with `text`,
// a part of the line.
enum config_status config_fail(struct config_parser *parser, enum config_status status);
enum config_status config_fail_at(struct config_parser *parser, enum config_status status,
                                  const char *place);
enum config_status config_fail_text(struct config_parser *parser, enum config_status status,
                                    struct config_text text);

// Whether a key stands in an entry, above the first section, or in both.
enum config_place { CONFIG_PLACE_BOTH, CONFIG_PLACE_ENTRY, CONFIG_PLACE_ABOVE };
enum config_place config_key_place(enum config_key key);

// Prints the names of all that may stand below a section, or above the first, `a, b, c`.
void config_print_keys(const struct sink *sink, bool is_in_entry);

// CONFIG_KEYS: there is no such key.
enum config_key config_find_key(struct config_text name);

// Sets what the key stands for. `name`: as it is written in the line.
enum config_status config_parse_value(struct config_parser *parser, enum config_key key,
                                      struct config_text name, struct config_text value);
