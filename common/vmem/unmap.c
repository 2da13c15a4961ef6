// vmem_unmap. Prepares: counts the tables that splitting takes and sets them aside. Commits:
// clears. A table that goes is made unreachable first and recorded to be freed then.
#include "common/vmem/drop.h"

static bool is_empty(const uint64_t *table) {
    return entry_count_absent(table, ENTRY_COUNT) == ENTRY_COUNT;
}

static void detach_empty(struct vmem_change *change, uint64_t *cell) {
    paddr_t table = entry_table_address(entry_load(cell));
    entry_store(cell, 0);
    vmem_flush_add_table(change->space, change->flush, table);
}

// Clears the pages in a table. False if nothing was there: then no table has become empty either.
static bool commit_table(struct vmem_change *change, uint64_t *table, unsigned level,
                         struct vmem_pages pages);

// Clears the pages below an entry: a table, or a leaf that the range cuts.
static bool commit_entry(struct vmem_change *change, uint64_t *cell, unsigned level,
                         struct vmem_pages within) {
    ASSERT(level > 1);
    const struct vmem *space = change->space;
    uint64_t entry = entry_load(cell);
    if (entry_kind(&change->space->rules, level, entry) == ENTRY_IS_LEAF) {
        uint64_t *parts = vmem_split_leaf(change, cell, level, within.first);
        return commit_table(change, parts, level - 1, within);
    }
    bool may_detach = vmem_may_detach(space, entry, level, within.first);
    if (may_detach && level_is_whole(within.first, within.end, level)) {
        entry_store(cell, 0);
        vmem_drop_table(change, entry, level - 1, within.first);
        return true;
    }
    uint64_t *below = vmem_table(space, entry_table_address(entry));
    bool cleared = commit_table(change, below, level - 1, within);
    if (cleared && may_detach && is_empty(below))
        detach_empty(change, cell);
    return cleared;
}

// Clears the leaf at `cell` and those that continue it; returns the page after them.
static uint64_t clear_run(struct vmem_change *change, uint64_t *cell, unsigned level,
                          struct vmem_pages pages) {
    uint64_t next;
    struct vmem_run run = vmem_run_at(change->space, cell, level, ENTRY_GRANTS_ALL, pages, &next);
    entry_clear(cell, run.leaves[level - 1]);
    vmem_drop_run(change, &run, level);
    return next;
}

static bool commit_table(struct vmem_change *change, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    ASSERT(level_is_one_table(pages.first, pages.end, level));
    bool cleared = false;
    struct vmem_pages rest = pages;
    while (rest.first < rest.end) {
        uint64_t *cell = &table[level_index(rest.first, level)];
        uint64_t absent = entry_count_absent(cell, level_entries(rest.first, rest.end, level));
        if (absent != 0) {
            rest.first = level_skip(rest.first, rest.end, level, absent);
            continue;
        }
        uint64_t whole = level_whole_entries(rest.first, rest.end, level);
        struct vmem_pages within = {rest.first, level_entry_end(rest.first, rest.end, level)};
        uint64_t entry = entry_load(cell);
        enum entry_kind kind = entry_kind(&change->space->rules, level, entry);
        if (kind == ENTRY_IS_LEAF && whole != 0) {
            within.end = rest.first + (whole << level_shift(level));
            within.end = clear_run(change, cell, level, within);
            cleared = true;
        } else if (kind == ENTRY_IS_BAD) {
            entry_store(cell, 0);
            cleared = true;
        } else {
            cleared |= commit_entry(change, cell, level, within);
        }
        rest.first = within.end;
    }
    return cleared;
}

// Frees the tables of the path that hold nothing any more, the lowest first.
static void prune_path(struct vmem_change *change, const struct vmem_path *path, uint64_t page) {
    const struct vmem *space = change->space;
    ASSERT(path->level >= 1 && path->level <= space->levels);
    const uint64_t *table = path->table;
    for (unsigned level = path->level + 1; level <= space->levels; level++) {
        uint64_t *cell = path->cell[level];
        if (!vmem_may_detach(space, entry_load(cell), level, page) || !is_empty(table))
            return;
        detach_empty(change, cell);
        table = cell - level_index(page, level);
    }
}

enum vmem_status vmem_unmap(struct vmem *space, vaddr_t virt, uint64_t bytes,
                            struct vmem_flush *flush) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    if (status != VMEM_OK)
        return status;
    struct vmem_change change;
    vmem_change_begin(&change, space, flush);
    struct vmem_path path;
    status = vmem_descend(space, pages, 0, 1, &path);
    if (status == VMEM_OK)
        status = vmem_prepare(&change, &vmem_drop_visitor, &path, pages);
    if (status != VMEM_OK)
        return status;
    if (commit_table(&change, path.table, path.level, pages))
        prune_path(&change, &path, pages.first);
    vmem_change_end(&change);
    return VMEM_OK;
}
