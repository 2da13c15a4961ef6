// A region of the normalised memory map: what memmap_normalise makes and the frame allocator starts
// from. A kernel of another loader's may make them itself.
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdbool.h>
#include <stdint.h>

// Physical memory [start, end). Lists of regions are sorted, disjoint and frame aligned.
struct memmap_region {
    uint64_t start;
    uint64_t end;
    uint32_t kind; // SLIPWAY_MEM_...
    bool direct;   // belongs in the direct map
};

// True for the kinds that a kernel may reclaim.
static inline bool memmap_is_reclaimable(uint32_t kind) {
    return kind >= SLIPWAY_MEM_BOOT_SERVICES && kind <= SLIPWAY_MEM_ACPI_RECLAIM;
}
