// vmem_translate: the walk of one address, as the CPU does it.
#include "common/vmem/fast.h"

// Over any tables.
[[gnu::noinline]] static enum vmem_status translate_general(const struct vmem *space, vaddr_t virt,
                                                            struct vmem_translation *ret) {
    const uint64_t *table = vmem_table(space, space->root);
    uint64_t grants = ENTRY_GRANTS_ALL;
    for (unsigned level = space->levels; table != NULL; level--) {
        ASSERT(level != 0); // no entry of level 1 points to a table
        uint64_t entry = entry_load(&table[level_index(virt.value >> FRAME_SHIFT, level)]);
        grants &= entry_grants(entry);
        if (!entry_is_present(entry))
            return VMEM_ERR_NOT_MAPPED;
        if (entry_is_leaf(&space->rules, level, entry)) {
            vmem_fill_translation(virt, level, entry, entry_grants_rights(grants), ret);
            return VMEM_OK;
        }
        table = vmem_below(space, level, entry);
    }
    return VMEM_ERR_CORRUPT;
}

[[gnu::always_inline]] static inline enum vmem_status
translate(const struct vmem *space, vaddr_t virt, unsigned levels, struct vmem_translation *ret) {
    if (!vmem_is_canonical(virt, levels))
        return VMEM_ERR_NONCANONICAL;
    return vmem_fast_translate(space, levels, virt, ret) ? VMEM_OK
                                                         : translate_general(space, virt, ret);
}

enum vmem_status vmem_translate(const struct vmem *space, vaddr_t virt,
                                struct vmem_translation *ret_translation) {
    return space->levels == 5 ? translate(space, virt, 5, ret_translation)
                              : translate(space, virt, 4, ret_translation);
}

enum vmem_cache vmem_translation_cache(const struct vmem_translation *translation) {
    return entry_cache(translation->entry, (unsigned)translation->page + 1);
}

bool vmem_translation_is_global(const struct vmem_translation *translation) {
    return entry_is_global(translation->entry);
}

unsigned vmem_translation_marks(const struct vmem_translation *translation) {
    return entry_marks(translation->entry);
}
