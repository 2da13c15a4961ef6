// What every change works with: table frames that are set aside before anything changes, the split
// of a large leaf, and the flush record that the caller gets.
#pragma once

#include "common/vmem/runs.h"
#include "common/vmem/window.h"

// ---- The flush record

// Adds `count` leaves of `level` from page `page` on.
void vmem_flush_add_leaves(struct vmem_flush *flush, uint64_t page, uint64_t count, unsigned level,
                           bool global);

// Adds a table to which nothing leads any more. Overwrites its entry 0; nobody needs its entries.
void vmem_flush_add_table(const struct vmem *space, struct vmem_flush *flush, paddr_t table);

// Adds memory that is mapped no more; its leaves have been added. May flush.
void vmem_flush_add_run(const struct vmem *space, struct vmem_flush *flush,
                        const struct vmem_run *run);

// ---- The change

// Table frames that were allocated before a change begins, so that nothing in it can fail. Each
// holds the address of the next in its first entry.
struct vmem_reserve {
    paddr_t next;
};

struct vmem_change {
    const struct vmem *space;
    struct vmem_flush *flush;
    uint64_t tables; // that it takes, as far as counted
    struct vmem_reserve reserve;
    struct vmem_join gone; // memory that is mapped no more
};

void vmem_change_begin(struct vmem_change *change, const struct vmem *space,
                       struct vmem_flush *flush);

// Allocates as many frames as were counted. Errors: VMEM_ERR_NO_MEMORY, with none allocated.
[[nodiscard]] enum vmem_status vmem_reserve_alloc(struct vmem_change *change);

// One of the frames that were allocated, with any contents. Their number was computed: if there is
// none left, an invariant is broken, and the function traps in every build.
uint64_t *vmem_reserve_next(struct vmem_change *change, paddr_t *ret_table);

// Ends the change: passes on the last run that is gone, frees the frames that were not needed.
void vmem_change_end(struct vmem_change *change);

// Replaces the large leaf at `cell` of a `level` table, which holds `page`, by a table of 512
// leaves that translate the same, with the same rights, cache type, key, accessed, dirty, global
// and software bits. Returns the new table.
uint64_t *vmem_split_leaf(struct vmem_change *change, uint64_t *cell, unsigned level,
                          uint64_t page);
