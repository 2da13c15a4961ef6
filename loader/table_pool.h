// Frames for page tables: one run that the firmware gave, handed out from its start. All frames are
// reached through the firmware's identity mapping.
#pragma once

#include "common/vmem/vmem.h"

#include <stdint.h>

struct table_pool {
    uint64_t start; // physical address
    uint64_t frames;
    uint64_t used;
};

// For address spaces whose context is a struct table_pool.
extern const struct vmem_ops table_pool_ops;
