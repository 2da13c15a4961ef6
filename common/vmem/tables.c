#include "common/vmem/tables.h"

enum vmem_status vmem_descend(const struct vmem *space, struct vmem_pages pages, unsigned rights,
                              struct vmem_path *ret_path) {
    uint64_t apart = pages.first ^ (pages.end - 1);
    struct entry_rules rules = entry_rules(space->cpu);
    unsigned level = space->levels;
    uint64_t *table = vmem_table(space, space->root);
    uint64_t grants = ENTRY_GRANTS_ALL;
    while (table != NULL && level > 1 && apart >> level_shift(level) == 0) {
        uint64_t *slot = &table[level_index(pages.first, level)];
        uint64_t entry = entry_load(slot);
        if (entry_kind(rules, level, entry) != ENTRY_IS_TABLE)
            break;
        ret_path->slot[level--] = slot;
        grants &= entry_grants(entry);
        table = vmem_table(space, entry_table_address(entry));
    }
    if (table == NULL)
        return VMEM_ERR_CORRUPT;
    unsigned denied = entry_grants_deny(grants, rights);
    if ((denied & ~(unsigned)VMEM_USER) != 0)
        return VMEM_ERR_RIGHTS;
    ret_path->table = table;
    ret_path->level = level;
    ret_path->denies_user = denied != 0;
    return VMEM_OK;
}

enum vmem_status vmem_enter(const struct vmem *space, uint64_t entry, unsigned rights,
                            uint64_t **ret_table) {
    if ((entry_grants_deny(entry_grants(entry), rights) & ~(unsigned)VMEM_USER) != 0)
        return VMEM_ERR_RIGHTS;
    *ret_table = vmem_table(space, entry_table_address(entry));
    return *ret_table != NULL ? VMEM_OK : VMEM_ERR_CORRUPT;
}

void vmem_path_allow(const struct vmem *space, const struct vmem_path *path) {
    for (unsigned level = space->levels; path->denies_user && level > path->level; level--)
        entry_allow_user(path->slot[level]);
}

static void reserve_return(const struct vmem *space, struct vmem_reserve *reserve) {
    while (!paddr_is_none(reserve->next)) {
        paddr_t table;
        (void)vmem_reserve_next(space, reserve, &table);
        space->ops->table_free(space->context, table);
    }
}

enum vmem_status vmem_reserve_take(const struct vmem *space, uint64_t count,
                                   struct vmem_reserve *ret_reserve) {
    struct vmem_reserve reserve = {PADDR_NONE};
    for (; count != 0; count--) {
        paddr_t table = space->ops->table_alloc(space->context);
        if (paddr_is_none(table)) {
            reserve_return(space, &reserve);
            return VMEM_ERR_NO_MEMORY;
        }
        *vmem_table(space, table) = reserve.next.value;
        reserve.next = table;
    }
    *ret_reserve = reserve;
    return VMEM_OK;
}

uint64_t *vmem_reserve_next(const struct vmem *space, struct vmem_reserve *reserve,
                            paddr_t *ret_table) {
    if (paddr_is_none(reserve->next))
        __builtin_trap();
    uint64_t *table = vmem_table(space, reserve->next);
    *ret_table = reserve->next;
    reserve->next = paddr(table[0]);
    table[0] = 0;
    return table;
}

uint64_t *vmem_split_leaf(const struct vmem *space, struct vmem_reserve *reserve, uint64_t *slot,
                          unsigned level) {
    paddr_t address;
    uint64_t *table = vmem_reserve_next(space, reserve, &address);
    uint64_t leaf = entry_load(slot);
    uint64_t parent;
    // Published with one store once it is full; again from the start if a CPU has marked the leaf
    // accessed or dirty since it was read.
    do {
        uint64_t part = entry_first_part(leaf, level);
        for (unsigned i = 0; i < ENTRY_COUNT; i++) {
            entry_store(&table[i], part);
            part += level_pages(level - 1) << FRAME_SHIFT;
        }
        parent = entry_make_table(address, entry_grants_rights(entry_grants(leaf)));
    } while (!entry_exchange(slot, &leaf, parent));
    return table;
}
