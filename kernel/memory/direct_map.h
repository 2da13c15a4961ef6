// The direct map as the tables have it, by walking them.
#pragma once

#include "common/vmem/vmem.h"

#include <stdint.h>

struct direct_map_facts {
    uint64_t bytes;
    uint64_t leaves[VMEM_PAGE_SIZES];
};

// Walks the window of the direct map. Panics if the tables cannot be walked.
struct direct_map_facts direct_map_measure(void);
