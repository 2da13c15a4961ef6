// vmem_translate: the walk of one address, as the CPU does it.
#include "common/vmem/tables.h"

static inline void fill_translation(struct vmem_translation *ret_translation, vaddr_t virt,
                                    uint64_t entry, unsigned level, uint64_t grants) {
    uint64_t offset = virt.value & (level_bytes(level) - 1);
    *ret_translation = (struct vmem_translation){
        .phys = paddr_add(entry_leaf_address(entry, level), offset),
        .entry = entry,
        .page = (enum vmem_page)(level - 1),
        .cache = entry_cache(entry, level),
        .rights = entry_grants_rights(grants),
        .global = entry_is_global(entry),
        .accessed = entry_is_accessed(entry),
        .dirty = entry_is_dirty(entry),
    };
}

// Compiled once for each number of levels, and unrolled: every level has its own constants.
[[gnu::always_inline]] static inline enum vmem_status
translate(const struct vmem *space, vaddr_t virt, unsigned levels, struct vmem_translation *ret) {
    if (!vmem_is_canonical(virt, levels))
        return VMEM_ERR_NONCANONICAL;
    struct entry_rules rules = entry_rules(space->cpu);
    const uint64_t *table = vmem_table(space, space->root);
    uint64_t grants = ENTRY_GRANTS_ALL;
#pragma GCC unroll 5
    for (unsigned level = levels; level != 0 && table != NULL; level--) {
        uint64_t entry = entry_load(&table[level_index(virt.value >> FRAME_SHIFT, level)]);
        grants &= entry_grants(entry);
        if (entry_is_table(rules, level, entry)) {
            table = vmem_table(space, entry_table_address(entry));
            continue;
        }
        if (!entry_is_present(entry))
            return VMEM_ERR_NOT_MAPPED;
        if (entry_kind(rules, level, entry) != ENTRY_IS_LEAF)
            return VMEM_ERR_CORRUPT;
        fill_translation(ret, virt, entry, level, grants);
        return VMEM_OK;
    }
    return VMEM_ERR_CORRUPT;
}

enum vmem_status vmem_translate(const struct vmem *space, vaddr_t virt,
                                struct vmem_translation *ret_translation) {
    return space->levels == 5 ? translate(space, virt, 5, ret_translation)
                              : translate(space, virt, 4, ret_translation);
}
