// The pages that hold the firmware's tables, as a list of ranges for the plan: collected in any
// order, then given their cache types. Pure.
#pragma once

#include "common/memmap/memmap.h"
#include "loader/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct firmware_pages {
    uint64_t limit; // end of addressable memory: no page lies above
    struct plan_firmware ranges[PLAN_FIRMWARE_MAX];
    uint32_t count;
    uint64_t bytes; // of all ranges
};

// Adds the pages that hold [phys, phys + bytes); those that touch others become one range with
// them. False, with nothing changed, if they are more than fit, or beyond the limit.
[[nodiscard]] bool firmware_pages_add(struct firmware_pages *pages, uint64_t phys, uint64_t bytes);

// What else is known of physical memory.
struct firmware_memory {
    struct memmap_efi efi;
    const struct memmap_region *regions; // of the same map, normalised
    uint64_t region_count;
    const struct slipway_framebuffer *framebuffers; // address_phys and bytes are read
    uint32_t framebuffer_count;
};

// Gives every page its cache type: write-back if a descriptor says that it can be, and none that
// touches it says that it cannot, or that it is a device's; else uncached. Pages of a framebuffer
// are taken out: they have another one. Returns how many bytes had to be left out at the end
// because there were too many ranges.
uint64_t firmware_pages_set_cache(struct firmware_pages *pages,
                                  const struct firmware_memory *memory);
