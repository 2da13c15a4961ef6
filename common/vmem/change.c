// Table frames that are set aside, the split of a leaf, and memory that a change leaves unmapped.
#include "common/vmem/change.h"

static bool add_gone(void *argument, const struct vmem_run *run) {
    struct vmem_change *change = argument;
    vmem_flush_add_run(change->space, change->flush, run);
    return true;
}

void vmem_change_begin(struct vmem_change *change, const struct vmem *space,
                       struct vmem_flush *flush) {
    change->space = space;
    change->flush = flush;
    change->tables = 0;
    change->reserve.next = PADDR_NONE;
    change->gone.visit = add_gone;
    change->gone.argument = change;
    change->gone.run.bytes = 0;
}

static void reserve_free(struct vmem_change *change) {
    const struct vmem *space = change->space;
    while (!paddr_is_none(change->reserve.next)) {
        paddr_t table;
        (void)vmem_reserve_next(change, &table);
        space->ops->table_free(space->context, table);
    }
}

enum vmem_status vmem_reserve_alloc(struct vmem_change *change) {
    ASSERT(paddr_is_none(change->reserve.next));
    const struct vmem *space = change->space;
    for (uint64_t count = change->tables; count != 0; count--) {
        paddr_t table = space->ops->table_alloc(space->context);
        if (paddr_is_none(table)) {
            reserve_free(change);
            return VMEM_ERR_NO_MEMORY;
        }
        ASSERT(is_aligned(table.value, FRAME_BYTES));
        *vmem_table(space, table) = change->reserve.next.value;
        change->reserve.next = table;
    }
    return VMEM_OK;
}

uint64_t *vmem_reserve_next(struct vmem_change *change, paddr_t *ret_table) {
    if (paddr_is_none(change->reserve.next))
        __builtin_trap();
    uint64_t *table = vmem_table(change->space, change->reserve.next);
    *ret_table = change->reserve.next;
    change->reserve.next = paddr(table[0]);
    return table;
}

void vmem_change_end(struct vmem_change *change) {
    (void)vmem_join_end(&change->gone);
    reserve_free(change);
}

uint64_t *vmem_split_leaf(struct vmem_change *change, uint64_t *cell, unsigned level,
                          uint64_t page) {
    paddr_t address;
    uint64_t *table = vmem_reserve_next(change, &address);
    uint64_t leaf = entry_load(cell);
    uint64_t parent;
    ASSERT(entry_is_leaf(&change->space->rules, level, leaf));
    // One store makes the table reachable, once it is full. If a CPU has marked the leaf accessed
    // or dirty since it was read, the exchange fails and the parts are made again, with the mark.
    do {
        entry_fill(table, ENTRY_COUNT, entry_split_leaf(leaf, level), level_bytes(level - 1));
        parent = entry_make_table(address, entry_grants_rights(entry_grants(leaf)));
    } while (!entry_exchange(cell, &leaf, parent));
    vmem_flush_add_leaves(change->flush, align_down(page, level_pages(level)), 1, level,
                          entry_is_global(leaf));
    return table;
}
