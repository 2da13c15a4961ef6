// Room for something large in the firmware's memory map. Pure.
#pragma once

#include "common/memmap/descriptor.h"

#include <stdint.h>

struct room {
    uint64_t start;         // the highest that is aligned and not below the floor; 0: there is none
    uint64_t largest_bytes; // of all free runs, wherever they lie
};

// Looks for `bytes` bytes, whole pages and not 0, at a multiple of `align`, from `floor` on, in
// memory that is free for any use: EfiConventionalMemory that can be write-back and is not for a
// special purpose. Descriptors that follow each other are not put together.
struct room room_find(const struct memmap_efi *map, uint64_t bytes, uint64_t align, uint64_t floor);
