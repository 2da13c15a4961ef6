// What people type. Pure: host tests run the same file.
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool text_is(const char *text, const char *expected);

// A hexadecimal number with or without 0x; a decimal one. False, with
// *ret_value untouched, if all of the text is no such number, or the number does not fit.
bool text_parse_hex(const char *text, uint64_t *ret_value);
bool text_parse_decimal(const char *text, uint64_t *ret_value);
