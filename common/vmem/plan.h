// Counts, before anything is allocated, the tables and leaves that a list of mappings will need in
// an empty address space. The planner and vmem_map choose leaves by one rule (the same function),
// so the count is exact.
#pragma once

#include "common/vmem/vmem.h"

struct vmem_plan {
    struct vmem_cpu cpu;
    uint8_t levels;
    uint64_t next_page;     // pages (address >> 12) below are taken already
    uint64_t next_table[5]; // [n]: number of the last level-n table counted, + 1
    uint64_t tables;        // root included
    uint64_t leaves[VMEM_PAGE_SIZES];
};

// Starts a plan with a root alone. Errors: VMEM_ERR_LEVELS, VMEM_ERR_PADDR_WIDTH (as vmem_new).
[[nodiscard]] enum vmem_status vmem_plan_begin(struct vmem_plan *plan, struct vmem_cpu cpu,
                                               unsigned levels);

// Adds a mapping. Mappings come in rising virtual order and must not overlap (VMEM_ERR_MAPPED
// otherwise); other errors as vmem_map. The plan is untouched on failure. Constant time, whatever
// the length.
[[nodiscard]] enum vmem_status vmem_plan_add(struct vmem_plan *plan,
                                             const struct vmem_mapping *mapping);
