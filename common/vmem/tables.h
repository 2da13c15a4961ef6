// What every change of the tables is made of: the way down to where a range branches, table frames
// set aside before anything changes, and the split of a large leaf.
#pragma once

#include "common/vmem/range.h"

// The pointer to a table, null if its address is none of the space's tables.
static inline uint64_t *vmem_table(const struct vmem *space, paddr_t table) {
    return space->ops->table_pointer(space->context, table);
}

// The lowest table of which one holds all entries for a range, and the way to it.
struct vmem_path {
    uint64_t *slot[ENTRY_LEVELS_MAX + 1]; // [n]: the entry, of a level-n table, that leads down
    uint64_t *table;
    unsigned level;
    bool denies_user; // an entry on the way must let user mode through
};

// Goes down from the root while one entry holds the whole range and is a table. `rights` and errors
// as vmem_enter.
[[nodiscard]] enum vmem_status vmem_descend(const struct vmem *space, struct vmem_pages pages,
                                            unsigned rights, struct vmem_path *ret_path);

// The table that the table entry `entry` points to, below which a leaf is to have `rights`; 0 if
// none is to change. Errors: VMEM_ERR_CORRUPT; VMEM_ERR_RIGHTS if the entry forbids one of them
// other than VMEM_USER. Entries of this library forbid none, and to change another's would change
// what else lies below.
[[nodiscard]] enum vmem_status vmem_enter(const struct vmem *space, uint64_t entry, unsigned rights,
                                          uint64_t **ret_table);

// Lets user mode through all entries of the way, if the rights asked for need it.
void vmem_path_allow(const struct vmem *space, const struct vmem_path *path);

// Table frames taken before a change begins, so that nothing in it can fail. Chained through their
// first entry; else zero.
struct vmem_reserve {
    paddr_t next;
};

// Takes `count` frames, or none: VMEM_ERR_NO_MEMORY.
[[nodiscard]] enum vmem_status vmem_reserve_take(const struct vmem *space, uint64_t count,
                                                 struct vmem_reserve *ret_reserve);

// Hands out one of the reserved frames, all zero. Their number was computed: to ask for one too
// many is a broken invariant and stops the machine.
uint64_t *vmem_reserve_next(const struct vmem *space, struct vmem_reserve *reserve,
                            paddr_t *ret_table);

// Replaces a large leaf of a `level` table by a table of 512 leaves that translate the same, with
// the same rights, cache type, accessed, dirty, global and software bits. Returns the new table.
uint64_t *vmem_split_leaf(const struct vmem *space, struct vmem_reserve *reserve, uint64_t *slot,
                          unsigned level);
