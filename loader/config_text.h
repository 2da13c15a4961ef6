// Counted texts: cutting, comparing and searching them. For the files that read slipway.conf.
#pragma once

#include "loader/config.h"

#include <stdbool.h>
#include <stdint.h>

// Bytes that a message quotes of a key or a value: the cause comes after them.
#define CONFIG_QUOTED_MAX_BYTES 80

struct config_text config_text_of(const char *literal);
bool config_text_is(struct config_text text, const char *literal);
bool config_is_same(struct config_text one, struct config_text other);

// Bytes [start, end) of it, which it has.
struct config_text config_cut(struct config_text text, uint64_t start, uint64_t end);

// The characters at its start that have room in `most` bytes; it is valid UTF-8.
struct config_text config_fit(struct config_text text, uint64_t most);

// Space or tab.
bool config_is_blank(char c);

// Without the blanks at both ends.
struct config_text config_trim(struct config_text text);

// Offset of the first `wanted`, or the length of the text.
uint64_t config_find(struct config_text text, char wanted);

// Bytes of printable ASCII that the text begins with, or some less.
uint64_t config_count_plain(struct config_text text);
