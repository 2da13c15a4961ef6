// What is drawn on a display, read back.
#pragma once

#include <stdint.h>

// Adds a display whose framebuffer is there: host memory at `base`, as the firmware's identity
// mapping has it. The address sanitizer leaves addresses below 2 GiB to others. Give it back with
// picture_unmap.
uint32_t *picture_map(uint64_t base, uint32_t width, uint32_t height);
void picture_unmap(uint32_t *pixels, uint32_t width, uint32_t height);

// The character that is drawn in a cell of a picture; 0: none is.
char picture_read(const uint32_t *pixels, uint32_t width, uint32_t column, uint32_t row);
