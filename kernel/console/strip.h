// Where the memory map's regions go in a horizontal strip of pixels. Pure: host tests run the same
// file. Draws nothing (picture.c).
//
// RAM is as wide as the square root of its size says, so that 64 GiB and 640 KiB fit in one
// picture; what is not RAM, and holes, which may be a thousand times larger than all RAM, get the
// smallest width that can be seen. Neighbours of one kind are one band.
#pragma once

#include "common/memmap/memmap.h"

#include <stdbool.h>
#include <stdint.h>

// The kind of a band that no region covers.
#define STRIP_HOLE 0

struct strip_band {
    uint64_t start; // physical
    uint64_t end;
    uint32_t kind; // SLIPWAY_MEM_... or STRIP_HOLE
    uint32_t x;    // first pixel
    uint32_t width;
};

// An iteration over the bands, in rising order. The fields are strip.c's own.
struct strip {
    const struct memmap_region *regions;
    uint64_t count;
    uint32_t width;
    uint64_t least; // weight that every band gets
    uint64_t total;
    uint64_t passed;
    uint64_t next; // region
    uint64_t at;   // address
};

// Starts over `count` sorted, disjoint regions and a strip of `width` pixels.
struct strip strip_make(const struct memmap_region *regions, uint64_t count, uint32_t width);

// The next band; false at the end. The bands tile [0, width) without gaps; with more bands than
// pixels some have width 0.
bool strip_next(struct strip *strip, struct strip_band *ret_band);
