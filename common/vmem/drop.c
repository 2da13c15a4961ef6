// The end of what is mapped: leaves and tables are recorded, then freed by whoever ends the flush.
#include "common/vmem/drop.h"

// A leaf that the range cuts is split.
enum vmem_status vmem_drop_prepare_leaf(struct vmem_change *change, uint64_t leaf, unsigned level,
                                        struct vmem_pages within) {
    (void)leaf;
    ASSERT(!level_is_whole(within.first, within.end, level));
    change->tables += vmem_count_tables_below(within, level, level);
    return VMEM_OK;
}

void vmem_drop_run(struct vmem_change *change, const struct vmem_run *run, unsigned level) {
    ASSERT(level >= 1 && level <= VMEM_PAGE_SIZES && run->leaves[level - 1] != 0);
    vmem_flush_add_leaves(change->flush, run->virt.value >> FRAME_SHIFT, run->leaves[level - 1],
                          level, run->global);
    (void)vmem_join_add(&change->gone, run);
}

void vmem_drop_table(struct vmem_change *change, uint64_t entry, unsigned level, uint64_t page) {
    const struct vmem *space = change->space;
    uint64_t *table = vmem_table(space, entry_table_address(entry));
    ASSERT(entry_is_table(&space->rules, level + 1, entry));
    ASSERT(is_aligned(page, level_pages(level + 1)));
    struct vmem_pages rest = {page, page + level_pages(level + 1)};
    while (rest.first != rest.end) {
        uint64_t *cell = &table[level_index(rest.first, level)];
        uint64_t next = level_entry_end(rest.first, rest.end, level);
        uint64_t below = entry_load(cell);
        enum entry_kind kind = entry_kind(&change->space->rules, level, below);
        if (kind == ENTRY_IS_LEAF) {
            struct vmem_run run = vmem_run_at(space, cell, level, ENTRY_GRANTS_ALL, rest, &next);
            vmem_drop_run(change, &run, level);
        } else if (kind == ENTRY_IS_TABLE) {
            if (!entry_is_owned(entry) && entry_is_owned(below))
                entry_store(cell, 0); // the table stays, the table below it is freed
            vmem_drop_table(change, below, level - 1, rest.first);
        }
        rest.first = next;
    }
    if (entry_is_owned(entry))
        vmem_flush_add_table(space, change->flush, entry_table_address(entry));
}
