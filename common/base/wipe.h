// Forgets what was secret.
#pragma once

#include <stdint.h>

// Zeroes `bytes` bytes at `memory`, though nobody reads them any more: a compiler may leave out a
// memset whose result is not used.
static inline void wipe(void *memory, uint64_t bytes) {
    volatile uint8_t *at = memory;
    while (bytes-- != 0)
        *at++ = 0;
}
