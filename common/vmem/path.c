// How a path is found, and what all spaces that share an upper half see of a change to it.
#include "common/vmem/path.h"

// Compiled once for each number of levels, and unrolled: every level has its own constants.
[[gnu::always_inline]] static inline enum vmem_status
descend(const struct vmem *space, unsigned levels, struct vmem_pages pages, unsigned rights,
        unsigned lowest, struct vmem_path *ret_path) {
    ASSERT(levels == space->levels && lowest >= 1 && pages.first < pages.end);
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
        uint64_t *cell = &table[level_index(pages.first, level)];
        uint64_t entry = entry_load(cell);
        uint64_t *below = vmem_below(space, level, entry);
        if (below == NULL) {
            if (entry_is_table(&space->rules, level, entry))
                return VMEM_ERR_CORRUPT;
            break;
        }
        ret_path->cell[level] = cell;
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
    ASSERT(entry_is_present(entry));
    if ((entry_missing_rights(entry_grants(entry), rights) & ~(unsigned)VMEM_USER) != 0)
        return VMEM_ERR_RIGHTS;
    *ret_table = vmem_table(space, entry_table_address(entry));
    return *ret_table != NULL ? VMEM_OK : VMEM_ERR_CORRUPT;
}

void vmem_path_allow_user(struct vmem_change *change, const struct vmem_path *path, uint64_t page) {
    ASSERT(path->level <= change->space->levels);
    for (unsigned level = change->space->levels; level > path->level; level--)
        vmem_allow_user(change, path->cell[level], level, page);
}

// The next space of the ring, whose root gets the same entry; null after the last.
static const struct vmem *next_sharer(const struct vmem *space, const struct vmem *at) {
    return at->next == space ? NULL : at->next;
}

void vmem_attach_table(const struct vmem *space, uint64_t *cell, unsigned level, uint64_t page,
                       uint64_t entry) {
    ASSERT(entry_is_table(&space->rules, level, entry));
    entry_store(cell, entry);
    if (!level_is_shared(space, level, page))
        return;
    for (const struct vmem *at = space; (at = next_sharer(space, at)) != NULL;)
        entry_store(&vmem_table(at, at->root)[level_index(page, level)], entry);
}

void vmem_allow_user(struct vmem_change *change, uint64_t *cell, unsigned level, uint64_t page) {
    const struct vmem *space = change->space;
    ASSERT(level >= 2 && level <= space->levels); // a leaf's rights are not this function's
    if ((entry_load(cell) & ENTRY_USER) != 0)
        return;
    entry_set_live(cell, ENTRY_USER);
    change->flush->structures = true; // a CPU that remembers the entry would deny user mode
    if (!level_is_shared(space, level, page))
        return;
    for (const struct vmem *at = space; (at = next_sharer(space, at)) != NULL;)
        entry_set_live(&vmem_table(at, at->root)[level_index(page, level)], ENTRY_USER);
}
