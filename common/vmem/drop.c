// What unmap, replace and destroy have in common: the end of what is mapped.
#include "common/vmem/tables.h"

static enum vmem_status check_entry(struct vmem_change *change, uint64_t entry, unsigned level,
                                    struct vmem_pages within) {
    uint64_t *table;
    enum vmem_status status;
    switch (entry_kind(&change->space->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        return VMEM_OK;
    case ENTRY_IS_TABLE:
        status = vmem_enter(change->space, entry, 0, &table);
        return status == VMEM_OK ? vmem_prepare_drop(change, table, level - 1, within) : status;
    case ENTRY_IS_LEAF:
        change->tables += vmem_count_tables_below(within, level, level);
        return VMEM_OK;
    case ENTRY_IS_BAD:
        break;
    }
    return VMEM_ERR_CORRUPT;
}

enum vmem_status vmem_prepare_drop(struct vmem_change *change, const uint64_t *table,
                                   unsigned level, struct vmem_pages pages) {
    if (level == 1) // whatever stands there can be cleared
        return VMEM_OK;
    uint64_t at = pages.first;
    while (at < pages.end) {
        const uint64_t *slot = &table[level_index(at, level)];
        uint64_t whole = level_whole_entries(at, pages.end, level);
        struct entry_summary seen = {0};
        uint64_t leaves = entry_count_leaves(&change->space->rules, level, slot, whole, &seen);
        if (leaves != 0) {
            at += leaves << level_shift(level);
            continue;
        }
        uint64_t absent = entry_count_absent(slot, level_entries(at, pages.end, level));
        if (absent != 0) {
            at = level_skip(at, pages.end, level, absent);
            continue;
        }
        uint64_t next = level_entry_end(at, pages.end, level);
        struct vmem_pages within = {at, next};
        enum vmem_status status = check_entry(change, entry_load(slot), level, within);
        if (status != VMEM_OK)
            return status;
        at = next;
    }
    return VMEM_OK;
}

void vmem_drop_run(struct vmem_change *change, const struct vmem_run *run, unsigned level) {
    vmem_flush_add_leaves(change->flush, run->virt.value >> FRAME_SHIFT, run->leaves[level - 1],
                          level, run->global);
    (void)vmem_join_add(&change->gone, run);
}

void vmem_drop_table(struct vmem_change *change, uint64_t entry, unsigned level, uint64_t page) {
    const struct vmem *space = change->space;
    uint64_t *table = vmem_table(space, entry_table_address(entry));
    struct vmem_pages rest = {page, page + level_pages(level + 1)};
    while (rest.first != rest.end) {
        uint64_t *slot = &table[level_index(rest.first, level)];
        uint64_t next = level_entry_end(rest.first, rest.end, level);
        uint64_t below = entry_load(slot);
        enum entry_kind kind = entry_kind(&change->space->rules, level, below);
        if (kind == ENTRY_IS_LEAF) {
            struct vmem_run run = vmem_run_at(space, slot, level, ENTRY_GRANTS_ALL, rest, &next);
            vmem_drop_run(change, &run, level);
        } else if (kind == ENTRY_IS_TABLE) {
            if (!entry_is_owned(entry) && entry_is_owned(below))
                entry_store(slot, 0); // the table lives on, what it leads to does not
            vmem_drop_table(change, below, level - 1, rest.first);
        }
        rest.first = next;
    }
    if (entry_is_owned(entry))
        vmem_flush_add_table(space, change->flush, entry_table_address(entry));
}
