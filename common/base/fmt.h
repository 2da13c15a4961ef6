// Formatted text into a sink, without memory of its own, for loader, kernel and host alike.
//
// Directives are a subset of printf's: %s %.*s %c %% and %d %u %x with l, z, width, '-' and '0'.
// Anything else in a format is a programming error: the compiler's format check finds some, the
// unit test the rest.
#pragma once

#include "common/base/sink.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

// Writes formatted text to `sink`, in several writes. Allocates nothing.
[[gnu::format(printf, 2, 3)]] void fmt_print(const struct sink *sink, const char *format, ...);

// The same, from a va_list.
[[gnu::format(printf, 2, 0)]] void fmt_vprint(const struct sink *sink, const char *format,
                                              va_list arguments);

// Writes `template` to `sink`, but for each $x in it what `print` writes for the character x of
// `context`.
void fmt_template(const struct sink *sink, const char *template,
                  void (*print)(const struct sink *sink, char what, const void *context),
                  const void *context);

// A sink over a fixed buffer. The text is always NUL-terminated when capacity > 0.
struct fmt_buffer {
    char *text;
    size_t capacity; // bytes, terminator included
    size_t used;     // bytes of text kept, terminator excluded
    size_t dropped;  // bytes that did not fit
};

// Starts an empty text in `storage` (`capacity` bytes, owned by the caller).
struct fmt_buffer fmt_buffer_make(char *storage, size_t capacity);

// The sink that appends to `buffer`, which must outlive it.
struct sink fmt_buffer_sink(struct fmt_buffer *buffer);
