// UTF-8, strictly (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), and file
// paths for the firmware, which are UCS-2 with '\' between names. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Decodes the code point at `text`, of which `bytes` bytes may be read. Returns its length in
// bytes, 1 to 4, or 0 if there is no valid one.
unsigned utf8_decode(const char *text, uint64_t bytes, uint32_t *ret_code_point);

// Encodes a code point. Returns its length in bytes, 1 to 4, or 0 if it is none: a surrogate, or
// above U+10FFFF. Then *ret_text, which has room for 4, is untouched.
unsigned utf8_encode(uint32_t code_point, char *ret_text);

// Offset of the first byte that does not belong to valid UTF-8; `bytes` if all do.
uint64_t utf8_find_invalid(const char *text, uint64_t bytes);

// Whether a byte of valid UTF-8 belongs to the character that an earlier one has begun.
static inline bool utf8_is_inside(char byte) {
    return ((uint8_t)byte & 0xc0) == 0x80;
}

// Characters of `bytes` bytes of valid UTF-8.
uint64_t utf8_count(const char *text, uint64_t bytes);

enum utf_status {
    UTF_OK,
    UTF_ERR_INVALID, // not UTF-8, or NUL
    UTF_ERR_RANGE,   // a code point above U+FFFF: the firmware's file names cannot have it
    UTF_ERR_LONG,    // more than `capacity` units
};

// Converts a UTF-8 path of `bytes` bytes into the firmware's form: '/' becomes '\', several in a
// row become one, and the path begins with one. `ret_path` has room for `capacity` units, the
// terminating NUL included; its contents are unspecified on failure. "." and ".." are left to the
// firmware.
[[nodiscard]] enum utf_status utf_path_convert(const char *path, uint64_t bytes, uint16_t *ret_path,
                                               uint64_t capacity);

// Index of the first of `units` units of UTF-16, at any address, that is a surrogate without its
// other half; `units` if none is.
uint64_t utf16_find_invalid(const void *text, uint64_t units);

// Converts `units` units of UTF-16, or those before the first NUL, at any address, into UTF-8 with
// a NUL. A surrogate without its other half becomes U+FFFD. `ret_text` has room for 3 bytes a unit
// and 1 more. Returns the bytes without the NUL.
uint64_t utf8_from_utf16(const void *text, uint64_t units, char *ret_text);

// Converts `bytes` bytes of valid UTF-8 into UTF-16 without a NUL. `ret_units` has room for a unit
// a byte. Returns the units.
uint64_t utf16_from_utf8(const char *text, uint64_t bytes, uint16_t *ret_units);

// What a failure means, for people; static text.
const char *utf_status_text(enum utf_status status);
