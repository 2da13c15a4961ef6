// The end of what is mapped: what unmap, merge, destroy and a replacing map have in common.
#pragma once

#include "common/vmem/visit.h"

// Finds out whether pages can be unmapped, and counts the tables that splitting leaves at the edges
// takes. The change may stand alone.
static inline uint64_t vmem_drop_skip(struct vmem_change *change, const uint64_t *cell,
                                      unsigned level, struct vmem_pages pages) {
    uint64_t touched = level_entries(pages.first, pages.end, level);
    if (level == 1) // whatever stands there can be cleared
        return touched;
    struct entry_summary seen = {0};
    uint64_t whole = level_whole_entries(pages.first, pages.end, level);
    uint64_t leaves = entry_count_leaves(&change->space->rules, level, cell, whole, &seen);
    return leaves != 0 ? leaves : entry_count_absent(cell, touched);
}

enum vmem_status vmem_drop_prepare_leaf(struct vmem_change *change, uint64_t leaf, unsigned level,
                                        struct vmem_pages within);
static const struct vmem_visitor vmem_drop_visitor = {.skip = vmem_drop_skip,
                                                      .leaf = vmem_drop_prepare_leaf};

// Adds leaves of `level`, a run that has no entries any more, to what is gone and to the flush.
void vmem_drop_run(struct vmem_change *change, const struct vmem_run *run, unsigned level);

// Adds all that a table maps to what is gone and to the flush. Nothing leads to the table any more:
// `entry` pointed to it, its level is `level`, and its first page is `page`. The table, and those
// below it, are freed as far as the space owns them.
void vmem_drop_table(struct vmem_change *change, uint64_t entry, unsigned level, uint64_t page);
