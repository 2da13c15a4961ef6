// Frames for page tables: one run from the firmware, allocated from its start. All frames are
// reached through the firmware's identity mapping.
#pragma once

#include "common/vmem/vmem.h"

#include <stdint.h>

struct table_pool {
    uint64_t start; // physical address
    uint64_t frames;
    uint64_t used; // the first `used` frames are tables
};

// For address spaces whose context is a struct table_pool.
extern const struct vmem_ops table_pool_ops;
