// What every change of the tables is made of: the way down to where a range branches, table frames
// set aside before anything changes, the split of a large leaf, and the end of what is mapped.
#pragma once

#include "common/vmem/runs.h"

// Whether the entry is a fast one that points to a table seen directly ...
static inline bool vmem_is_direct(const struct vmem *space, uint64_t entry) {
    uint64_t frame = entry_number(entry) - space->direct_first;
    return __builtin_expect(frame < space->direct_frames, 1);
}

// ... and where that is seen.
static inline uint64_t *vmem_direct_table(const struct vmem *space, uint64_t entry) {
    uint64_t *table = (uint64_t *)(space->direct_origin + entry_table_address(entry).value);
    if (table == NULL)
        __builtin_unreachable();
    return table;
}

// The pointer to a table, null if its address is none of the space's tables.
static inline uint64_t *vmem_table(const struct vmem *space, paddr_t table) {
    uint64_t entry = entry_fast(table);
    return vmem_is_direct(space, entry) ? vmem_direct_table(space, entry)
                                        : space->ops->table_pointer(space->context, table);
}

// The table that an entry of a table of `level` points to; null if it points to none, or to none of
// the space's.
static inline uint64_t *vmem_below(const struct vmem *space, unsigned level, uint64_t entry) {
    if (vmem_is_direct(space, entry))
        return vmem_direct_table(space, entry);
    return entry_is_table(&space->rules, level, entry)
               ? vmem_table(space, entry_table_address(entry))
               : NULL;
}

// How far the path of one page leads over fast entries and tables that are seen directly.
struct vmem_fast_path {
    uint64_t *slot; // of the entry where it ends; null if the root is not seen directly
    unsigned level; // of the table that holds it
    uint64_t entry; // as it was read
    uint64_t all;   // bits that all entries above it have
};

// Compiled for each number of levels, and unrolled: every level has its own constants. Calls
// nothing, so that who needs no more does not either.
[[gnu::always_inline]] static inline struct vmem_fast_path
vmem_fast_follow(const struct vmem *space, unsigned levels, uint64_t page) {
    struct vmem_fast_path path = {.slot = NULL, .all = UINT64_MAX};
    uint64_t *table = space->direct_root;
    if (table == NULL)
        return path;
#pragma GCC unroll 5
    for (path.level = levels; path.level != 0; path.level--) {
        path.slot = &table[level_index(page, path.level)];
        path.entry = entry_load(path.slot);
        if (path.level == 1 || !vmem_is_direct(space, path.entry))
            break;
        path.all &= path.entry;
        table = vmem_direct_table(space, path.entry);
    }
    return path;
}

// ---- Flush

// Adds `count` leaves of `level` from page `page` on.
void vmem_flush_add_leaves(struct vmem_flush *flush, uint64_t page, uint64_t count, unsigned level,
                           bool global);

// Adds a table to which nothing leads any more. Its entries are not needed any more either.
void vmem_flush_add_table(const struct vmem *space, struct vmem_flush *flush, paddr_t table);

// Adds memory that is mapped no more; its leaves have been added. May flush.
void vmem_flush_add_run(const struct vmem *space, struct vmem_flush *flush,
                        const struct vmem_run *run);

// ---- Change

// Table frames taken before a change begins, so that nothing in it can fail. Chained through their
// first entry.
struct vmem_reserve {
    paddr_t next;
};

// What one change works with.
struct vmem_change {
    const struct vmem *space;
    struct vmem_flush *flush;
    uint64_t tables; // needed, as far as counted
    struct vmem_reserve reserve;
    struct vmem_join gone; // memory that is mapped no more
};

void vmem_change_begin(struct vmem_change *change, const struct vmem *space,
                       struct vmem_flush *flush);

// Takes the frames that were counted, or none: VMEM_ERR_NO_MEMORY.
[[nodiscard]] enum vmem_status vmem_reserve_alloc(struct vmem_change *change);

// Hands out one of the reserved frames, with any contents. Their number was computed: to ask for
// one too many is a broken invariant and stops the machine.
uint64_t *vmem_reserve_next(struct vmem_change *change, paddr_t *ret_table);

// Ends the change: passes on the last run that is gone, gives frames back that were not needed.
void vmem_change_end(struct vmem_change *change);

// ---- The way down

// The lowest table of which one holds all entries for a range, and the way to it.
struct vmem_path {
    uint64_t *slot[VMEM_LEVELS_MAX + 1]; // [n]: the entry, of a level-n table, that leads down
    uint64_t *table;
    unsigned level;
    bool denies_user; // an entry on the way must let user mode through
};

// Goes down from the root while one entry holds the whole range and is a table, to a table of level
// `lowest` at most. `rights` and errors as vmem_enter.
[[nodiscard]] enum vmem_status vmem_descend(const struct vmem *space, struct vmem_pages pages,
                                            unsigned rights, unsigned lowest,
                                            struct vmem_path *ret_path);

// The table that the table entry `entry` points to, below which a leaf is to have `rights`; 0 if
// none is to change. Errors: VMEM_ERR_CORRUPT; VMEM_ERR_RIGHTS if the entry forbids one of them
// other than VMEM_USER. Entries of this library forbid none, and to change another's would change
// what else lies below.
[[nodiscard]] enum vmem_status vmem_enter(const struct vmem *space, uint64_t entry, unsigned rights,
                                          uint64_t **ret_table);

// Lets user mode through all entries of the way to `page`.
void vmem_path_allow_user(struct vmem_change *change, const struct vmem_path *path, uint64_t page);

// The same, if the rights asked for need it.
static inline void vmem_path_allow(struct vmem_change *change, const struct vmem_path *path,
                                   uint64_t page) {
    if (path->denies_user)
        vmem_path_allow_user(change, path, page);
}

// ---- Entries that point to tables. One in the upper half of the root is the same in all spaces
// that share it, and stays for good.

static inline bool level_is_shared(const struct vmem *space, unsigned level, uint64_t page) {
    return level == space->levels && level_index(page, level) >= ENTRY_COUNT / 2;
}

// Whether the table that `entry`, of a `level` table, points to may be detached and freed.
static inline bool vmem_may_detach(const struct vmem *space, uint64_t entry, unsigned level,
                                   uint64_t page) {
    return entry_is_owned(entry) && !level_is_shared(space, level, page);
}

// Stores the entry for a new table into an absent slot of a `level` table.
void vmem_attach_table(const struct vmem *space, uint64_t *slot, unsigned level, uint64_t page,
                       uint64_t entry);

// Lets user mode through a table entry.
void vmem_allow_user(struct vmem_change *change, uint64_t *slot, unsigned level, uint64_t page);

// Replaces the large leaf at `slot` of a `level` table, which holds `page`, by a table of 512
// leaves that translate the same, with the same rights, cache type, key, accessed, dirty, global
// and software bits. Returns the new table.
uint64_t *vmem_split_leaf(struct vmem_change *change, uint64_t *slot, unsigned level,
                          uint64_t page);

// ---- The end of what is mapped

// Checks that the pages of a `level` table can be unmapped, and counts the tables that splitting
// leaves at the edges takes. Errors: VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_prepare_drop(struct vmem_change *change, const uint64_t *table,
                                                 unsigned level, struct vmem_pages pages);

// Records that leaves of `level`, a run of which there is no entry any more, are gone.
void vmem_drop_run(struct vmem_change *change, const struct vmem_run *run, unsigned level);

// Records all that the table at `entry`, of `level`, maps from page `page` on, as gone, and frees
// it and the tables below as far as the space owns them. Nothing leads to it any more.
void vmem_drop_table(struct vmem_change *change, uint64_t entry, unsigned level, uint64_t page);
