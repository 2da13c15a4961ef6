// Small inputs for large structures: an input is a list of patches, 11 bytes each, that a fuzz
// target applies to something that is in order. A fuzzer that starts there need not invent it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PATCH_BYTES = 11 }; // 2 of offset, 1 of length (1 to 8), 8 of value

// Applies the patches in `input` to the `bytes` bytes at `base`.
static inline void patch_apply(const uint8_t *input, size_t input_bytes, void *base, size_t bytes) {
    for (; input_bytes >= PATCH_BYTES; input += PATCH_BYTES, input_bytes -= PATCH_BYTES) {
        uint16_t offset;
        memcpy(&offset, input, sizeof(offset));
        size_t at = offset % bytes;
        size_t length = 1 + input[2] % 8;
        if (length > bytes - at)
            length = bytes - at;
        memcpy((uint8_t *)base + at, input + 3, length);
    }
}
