// vmem_translate: the walk of one address, as the CPU does it.
#include "common/vmem/tables.h"

enum vmem_status vmem_translate(const struct vmem *space, vaddr_t virt,
                                struct vmem_translation *ret_translation) {
    if (!vmem_is_canonical(virt, space->levels))
        return VMEM_ERR_NONCANONICAL;
    struct entry_rules rules = entry_rules(space->cpu);
    unsigned level = space->levels;
    paddr_t table = space->root;
    uint64_t grants = ENTRY_GRANTS_ALL;
    uint64_t entry;
    enum entry_kind kind;
    for (;; level--) {
        const uint64_t *entries = vmem_table(space, table);
        if (entries == NULL)
            return VMEM_ERR_CORRUPT;
        entry = entry_load(&entries[level_index(virt.value >> FRAME_SHIFT, level)]);
        grants &= entry_grants(entry);
        kind = entry_kind(rules, level, entry);
        if (kind != ENTRY_IS_TABLE)
            break;
        table = entry_table_address(entry);
    }
    if (kind != ENTRY_IS_LEAF)
        return kind == ENTRY_IS_ABSENT ? VMEM_ERR_NOT_MAPPED : VMEM_ERR_CORRUPT;

    uint64_t offset = virt.value & (vmem_page_bytes((enum vmem_page)(level - 1)) - 1);
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
    return VMEM_OK;
}
