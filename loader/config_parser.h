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
    CONFIG_KEYS,
};

struct config_parser {
    struct config config;
    struct config_module *modules;
    uint64_t module_bound;
    struct config_error error;    // its line is the line being parsed,
    const char *line;             // which starts here
    uint32_t seen[CONFIG_KEYS];   // line that set a key, 0: none
    struct config_digest *digest; // of the file named last; null: none was
};

// Notes why the text is refused: as a whole; at a place in the line; for what is wrong with `text`,
// a part of the line.
enum config_status config_fail(struct config_parser *parser, enum config_status status);
enum config_status config_fail_at(struct config_parser *parser, enum config_status status,
                                  const char *place);
enum config_status config_fail_text(struct config_parser *parser, enum config_status status,
                                    struct config_text text);

// CONFIG_KEYS: there is no such key.
enum config_key config_find_key(struct config_text name);

// Sets what the key stands for. `name`: as it is written in the line.
enum config_status config_parse_value(struct config_parser *parser, enum config_key key,
                                      struct config_text name, struct config_text value);
