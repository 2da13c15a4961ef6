// Room for something large in the firmware's memory map. Pure.
#pragma once

#include "common/memmap/descriptor.h"

#include <stdint.h>

struct room {
    uint64_t start;         // the highest that is aligned and not below the floor; 0: there is none
    uint64_t largest_bytes; // of all free runs, wherever they lie
};

struct room_run {
    uint64_t start;
    uint64_t bytes;
};

// Looks for `bytes` bytes, whole pages and not 0, at a multiple of `align`, from `floor` on, in
// memory that is free for any use: EfiConventionalMemory that can be write-back and is not for a
// special purpose. Descriptors that follow each other are not put together.
struct room room_find(const struct memmap_efi *map, uint64_t bytes, uint64_t align, uint64_t floor);

// Room for `bytes` bytes, whole pages and not 0, in several runs of such memory from 1 MiB on: the
// largest ones, as few as can be, in rising order. Each starts at a multiple of `align`, and all
// but the one that was taken last have a multiple of it. Returns how many there are; 0: `capacity`
// runs have no room for so much. *ret_bytes: what the largest `capacity` runs have room for.
uint32_t room_split(const struct memmap_efi *map, uint64_t bytes, uint64_t align,
                    struct room_run *ret_runs, uint32_t capacity, uint64_t *ret_bytes);
