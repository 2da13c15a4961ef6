// The kernel's own image, by the link script.
#pragma once

#include <stdint.h>

extern char link_image_start[], link_text_end[], link_rodata_start[], link_rodata_end[],
    link_relro_start[], link_relro_end[], link_image_end[];
extern char _start[];

// One stretch of the image with rights of its own.
struct image_part {
    const char *name;
    uint64_t start, end; // whole pages
    uint32_t rights;     // SLIPWAY_RIGHT_...
};

enum { IMAGE_PARTS = 4 };

// text, rodata, relro, data: by rising address.
struct image_part image_part(unsigned index);
