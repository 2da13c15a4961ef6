// Between the hand-over's records and the memory map normaliser: what the loader claims, and where
// there is room before there is an allocator. Pure: host tests run the same file.
#pragma once

#include "common/boot/slipway_boot.h"
#include "common/memmap/memmap.h"

#include <stdbool.h>
#include <stdint.h>

// Fills `claims` (room for ranges->count) with what the loader's ranges mean for the memory map:
// page tables, kernel and modules are allocated, the loader's own is reclaimable, demoted memory
// and any purpose that this kernel does not know is reserved.
void regions_claim(const struct slipway_array *ranges, struct memmap_claim *claims);

// Finds `bytes` bytes (a multiple of 4 KiB) of usable memory at or above 1 MiB, mapped in the
// direct map, in the records of boot_info; the highest such place, because what comes later is
// placed from below. False if there is none; *ret_phys is then untouched.
bool regions_find_room(const struct slipway_array *memory, uint64_t bytes, uint64_t *ret_phys);

// How many of the kernel's regions differ in range or kind from the loader's records, a region or
// record without a counterpart included. 0: both made the same of the same map.
uint64_t regions_count_differences(const struct memmap_region *regions, uint64_t count,
                                   const struct slipway_array *memory);
