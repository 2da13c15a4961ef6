// The path to a range: the table entries from the root down to where the range branches, and what a
// change may do with such an entry.
//
// Spaces can share the upper half of their roots. An entry there is the same in all of them and,
// once it is present, stays.
#pragma once

#include "common/vmem/change.h"

// The path to a range. It ends at the lowest table that alone holds all entries for the range.
struct vmem_path {
    uint64_t *cell[VMEM_LEVELS_MAX + 1]; // [n]: the path's entry in its table of level n
    uint64_t *table;                     // where it ends
    unsigned level;                      // of that table: cell[level + 1] and above are valid
    bool denies_user;                    // an entry of the path must let user mode through
};

// Finds the path from the root, which goes on while one entry holds the whole range and is a table,
// to a table of level `lowest` at most. `rights` and errors as vmem_enter.
[[nodiscard]] enum vmem_status vmem_descend(const struct vmem *space, struct vmem_pages pages,
                                            unsigned rights, unsigned lowest,
                                            struct vmem_path *ret_path);

// The table that the table entry `entry` points to, below which a leaf is to have `rights`; 0 if
// none is to change. Errors: VMEM_ERR_CORRUPT; VMEM_ERR_RIGHTS if the entry forbids one of them
// other than VMEM_USER. Entries of this library forbid none. An entry of somebody else is not
// changed, because that would change what else lies below it.
[[nodiscard]] enum vmem_status vmem_enter(const struct vmem *space, uint64_t entry, unsigned rights,
                                          uint64_t **ret_table);

// Lets user mode through all entries of the path to `page`.
void vmem_path_allow_user(struct vmem_change *change, const struct vmem_path *path, uint64_t page);

// The same, if the rights asked for need it.
static inline void vmem_path_allow(struct vmem_change *change, const struct vmem_path *path,
                                   uint64_t page) {
    if (path->denies_user)
        vmem_path_allow_user(change, path, page);
}

// Whether the entry for `page`, in a table of `level`, is one that spaces share.
static inline bool level_is_shared(const struct vmem *space, unsigned level, uint64_t page) {
    return level == space->levels && level_index(page, level) >= ENTRY_COUNT / 2;
}

// Whether the table that `entry`, of a `level` table, points to may be detached and freed.
static inline bool vmem_may_detach(const struct vmem *space, uint64_t entry, unsigned level,
                                   uint64_t page) {
    ASSERT(entry_is_table(&space->rules, level, entry));
    return entry_is_owned(entry) && !level_is_shared(space, level, page);
}

// Stores the entry for a new table into an absent cell of a `level` table.
void vmem_attach_table(const struct vmem *space, uint64_t *cell, unsigned level, uint64_t page,
                       uint64_t entry);

// Lets user mode through a table entry.
void vmem_allow_user(struct vmem_change *change, uint64_t *cell, unsigned level, uint64_t page);
