// A sink is where text goes: a UART, a screen, a log buffer, a test's string.
#pragma once

#include <stddef.h>

struct sink {
    // Takes `bytes` bytes of text; never fails: a full buffer drops, and counts, what does not fit.
    void (*write)(void *context, const char *text, size_t bytes);
    void *context;
};
