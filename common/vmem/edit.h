// Edits of live leaves in place: what protect, set_cache and harvest have in common.
#pragma once

#include "common/vmem/visit.h"

struct vmem_edit;

// Edits `count` leaves of a `level` table, from `cell` on. The first one holds page `at`.
typedef void (*vmem_edit_apply)(struct vmem_edit *edit, uint64_t *cell, unsigned level, uint64_t at,
                                uint64_t count);

struct vmem_edit {
    struct vmem_change change;
    struct entry_edit bits[VMEM_PAGE_SIZES + 1];    // [n]: for leaves of level n
    struct entry_summary seen[VMEM_LEVELS_MAX + 1]; // [n]: leaves of level n, when prepared
    unsigned rights;                                // that the leaves are to have; 0: no change
    bool skips_holes;                               // else every page must be mapped
    vmem_edit_apply apply;
    // Called with pages of a large leaf that the range cuts and that needs no edit. May be null.
    void (*keep)(struct vmem_edit *edit, uint64_t leaf, struct vmem_pages pages);
};

// Edits all leaves in the pages. Errors: those of vmem_protect, with nothing changed.
[[nodiscard]] enum vmem_status vmem_edit_pages(struct vmem_edit *edit, struct vmem_pages pages);

// Edits leaves by `bits` alone and records those that it changed.
void vmem_edit_apply_bits(struct vmem_edit *edit, uint64_t *cell, unsigned level, uint64_t at,
                          uint64_t count);
