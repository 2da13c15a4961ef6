// Counts, before anything is allocated, the tables and leaves that a list of mappings will need in
// an empty address space. The count is exact, because the planner and vmem_map choose leaves by the
// same function.
#pragma once

#include "common/vmem/vmem.h"

struct vmem_plan {
    struct vmem_cpu cpu;
    uint8_t levels;
    uint64_t next_page;     // the end of the last mapping, as a page (address >> 12)
    uint64_t next_table[5]; // [n]: index of the last level-n table counted, + 1
    uint64_t tables;        // root included
    uint64_t leaves[VMEM_PAGE_SIZES];
};

// Starts a plan with a root alone. Errors: VMEM_ERR_LEVELS, VMEM_ERR_PADDR_WIDTH (as vmem_new).
[[nodiscard]] enum vmem_status vmem_plan_begin(struct vmem_plan *plan, struct vmem_cpu cpu,
                                               unsigned levels);

// Adds a mapping. Mappings come in rising virtual order and must not overlap. The plan is untouched
// on failure. Constant time, whatever the length. Errors: VMEM_ERR_MAPPED (before the end of the
// last mapping); those of vmem_map that the mapping alone decides.
[[nodiscard]] enum vmem_status vmem_plan_add(struct vmem_plan *plan,
                                             const struct vmem_mapping *mapping);
