#include "common/vmem/tables.h"

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
    const struct vmem *space = change->space;
    for (uint64_t count = change->tables; count != 0; count--) {
        paddr_t table = space->ops->table_alloc(space->context);
        if (paddr_is_none(table)) {
            reserve_free(change);
            return VMEM_ERR_NO_MEMORY;
        }
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

// Compiled once for each number of levels, and unrolled: every level has its own constants.
[[gnu::always_inline]] static inline enum vmem_status
descend(const struct vmem *space, unsigned levels, struct vmem_pages pages, unsigned rights,
        unsigned lowest, struct vmem_path *ret_path) {
    uint64_t apart = pages.first ^ (pages.end - 1);
    uint64_t *table = vmem_table(space, space->root);
    if (table == NULL)
        return VMEM_ERR_CORRUPT;
    uint64_t grants = ENTRY_GRANTS_ALL;
    unsigned level = levels;
#pragma GCC unroll 5
    for (; level > 1; level--) {
        if (level <= lowest || apart >> level_shift(level) != 0)
            break;
        uint64_t *slot = &table[level_index(pages.first, level)];
        uint64_t entry = entry_load(slot);
        uint64_t *below = vmem_below(space, level, entry);
        if (below == NULL) {
            if (entry_is_table(&space->rules, level, entry))
                return VMEM_ERR_CORRUPT;
            break;
        }
        ret_path->slot[level] = slot;
        grants &= entry_grants(entry);
        table = below;
    }
    unsigned denied = entry_missing_rights(grants, rights);
    if ((denied & ~(unsigned)VMEM_USER) != 0)
        return VMEM_ERR_RIGHTS;
    ret_path->table = table;
    ret_path->level = level;
    ret_path->denies_user = denied != 0;
    return VMEM_OK;
}

enum vmem_status vmem_descend(const struct vmem *space, struct vmem_pages pages, unsigned rights,
                              unsigned lowest, struct vmem_path *ret_path) {
    return space->levels == 5 ? descend(space, 5, pages, rights, lowest, ret_path)
                              : descend(space, 4, pages, rights, lowest, ret_path);
}

enum vmem_status vmem_enter(const struct vmem *space, uint64_t entry, unsigned rights,
                            uint64_t **ret_table) {
    if ((entry_missing_rights(entry_grants(entry), rights) & ~(unsigned)VMEM_USER) != 0)
        return VMEM_ERR_RIGHTS;
    *ret_table = vmem_table(space, entry_table_address(entry));
    return *ret_table != NULL ? VMEM_OK : VMEM_ERR_CORRUPT;
}

void vmem_path_allow_user(struct vmem_change *change, const struct vmem_path *path, uint64_t page) {
    for (unsigned level = change->space->levels; level > path->level; level--)
        vmem_allow_user(change, path->slot[level], level, page);
}

// The next space of the ring whose root has to follow; null after the last.
static const struct vmem *next_sharer(const struct vmem *space, const struct vmem *at) {
    return at->next == space ? NULL : at->next;
}

void vmem_attach_table(const struct vmem *space, uint64_t *slot, unsigned level, uint64_t page,
                       uint64_t entry) {
    entry_store(slot, entry);
    if (!level_is_shared(space, level, page))
        return;
    for (const struct vmem *at = space; (at = next_sharer(space, at)) != NULL;)
        entry_store(&vmem_table(at, at->root)[level_index(page, level)], entry);
}

void vmem_allow_user(struct vmem_change *change, uint64_t *slot, unsigned level, uint64_t page) {
    const struct vmem *space = change->space;
    if ((entry_load(slot) & ENTRY_USER) != 0)
        return;
    entry_set_live(slot, ENTRY_USER);
    change->flush->structures = true; // a CPU that remembers the entry would deny user mode
    if (!level_is_shared(space, level, page))
        return;
    for (const struct vmem *at = space; (at = next_sharer(space, at)) != NULL;)
        entry_set_live(&vmem_table(at, at->root)[level_index(page, level)], ENTRY_USER);
}

uint64_t *vmem_split_leaf(struct vmem_change *change, uint64_t *slot, unsigned level,
                          uint64_t page) {
    paddr_t address;
    uint64_t *table = vmem_reserve_next(change, &address);
    uint64_t leaf = entry_load(slot);
    uint64_t parent;
    // Published with one store once it is full; again from the start if a CPU has marked the leaf
    // accessed or dirty since it was read.
    do {
        entry_fill(table, ENTRY_COUNT, entry_split_leaf(leaf, level), level_bytes(level - 1));
        parent = entry_make_table(address, entry_grants_rights(entry_grants(leaf)));
    } while (!entry_exchange(slot, &leaf, parent));
    vmem_flush_add_leaves(change->flush, align_down(page, level_pages(level)), 1, level,
                          entry_is_global(leaf));
    return table;
}
