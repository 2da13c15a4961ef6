// How a change looks at every entry that its range touches, before it changes one. Its visitor says
// what each kind of entry is to it.
#pragma once

#include "common/vmem/path.h"

// In each function `change` is the first member of what the operation works with. `level` is that
// of the table that holds the entry. `within` are the pages of the range that the entry translates.
struct vmem_visitor {
    // How many of the entries from `cell` on, which translate `pages`, need no look at each. 0: the
    // first one does.
    uint64_t (*skip)(struct vmem_change *change, const uint64_t *cell, unsigned level,
                     struct vmem_pages pages);
    // An absent entry. Null: the change has nothing to do there.
    enum vmem_status (*absent)(struct vmem_change *change, unsigned level,
                               struct vmem_pages within);
    enum vmem_status (*leaf)(struct vmem_change *change, uint64_t leaf, unsigned level,
                             struct vmem_pages within);
    // The entry of a table. Null: the entries below are visited, and none of their rights changes.
    enum vmem_status (*table)(struct vmem_change *change, uint64_t entry, unsigned level,
                              struct vmem_pages within);
};

// Visits one entry and those below it. Errors: what the visitor answers, at once; VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_visit_entry(struct vmem_change *change,
                                                const struct vmem_visitor *visitor, uint64_t entry,
                                                unsigned level, struct vmem_pages within);

// Visits the entries below the table entry `entry` of a table of `level`. `rights` and errors as
// vmem_enter.
[[nodiscard]] enum vmem_status vmem_visit_below(struct vmem_change *change,
                                                const struct vmem_visitor *visitor, unsigned rights,
                                                uint64_t entry, unsigned level,
                                                struct vmem_pages within);

// Visits the entries of a table of `level` that translate the pages, and those below them, in
// rising order. Changes no entry. Errors as vmem_visit_entry. Inline, so that where the visitor is
// a constant its skip is inline too: most ranges end in the table where they begin.
[[nodiscard, gnu::always_inline]] static inline enum vmem_status
vmem_visit(struct vmem_change *change, const struct vmem_visitor *visitor, const uint64_t *table,
           unsigned level, struct vmem_pages pages) {
    ASSERT(level >= 1 && level <= change->space->levels);
    ASSERT(level_is_one_table(pages.first, pages.end, level));
    uint64_t at = pages.first;
    while (at < pages.end) {
        const uint64_t *cell = &table[level_index(at, level)];
        uint64_t skipped = visitor->skip(change, cell, level, (struct vmem_pages){at, pages.end});
        if (skipped != 0) {
            at = level_skip(at, pages.end, level, skipped);
            continue;
        }
        struct vmem_pages within = {at, level_entry_end(at, pages.end, level)};
        enum vmem_status status =
            vmem_visit_entry(change, visitor, entry_load(cell), level, within);
        if (status != VMEM_OK)
            return status;
        at = within.end;
    }
    return VMEM_OK;
}

// The half of a change that can fail: visits all entries below the end of the path that the pages
// touch, then sets aside the table frames that the visitor counted in change->tables. On failure
// nothing has changed. Errors: those of vmem_visit; VMEM_ERR_NO_MEMORY.
[[nodiscard, gnu::always_inline]] static inline enum vmem_status
vmem_prepare(struct vmem_change *change, const struct vmem_visitor *visitor,
             const struct vmem_path *path, struct vmem_pages pages) {
    enum vmem_status status = vmem_visit(change, visitor, path->table, path->level, pages);
    return status == VMEM_OK ? vmem_reserve_alloc(change) : status;
}
