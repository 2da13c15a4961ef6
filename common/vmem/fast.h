// The fast path: one page, all of whose tables are seen directly and lead to it by fast entries
// (entry_number). No function here calls another that is not inline, so that the compiler keeps all
// values in registers.
//
// Each function answers false, with nothing done, where the fast path ends. The caller then takes
// the general path, which finds out why, and does the same where both can: test_fast.c compares
// them.
#pragma once

#include "common/vmem/window.h"

// The fast path of one page.
struct vmem_fast_path {
    uint64_t *cell; // of the entry where it ends; null if the root is not seen directly
    unsigned level; // of the table that holds it
    uint64_t entry; // as it was read
    uint64_t all;   // bits that all entries above it have
};

// Follows fast entries from the root as far as they lead to `page`. Compiled for each number of
// levels, and unrolled: every level has its own constants.
[[gnu::always_inline]] static inline struct vmem_fast_path
vmem_fast_follow(const struct vmem *space, unsigned levels, uint64_t page) {
    ASSERT(levels == space->levels);
    struct vmem_fast_path path = {.cell = NULL, .all = UINT64_MAX};
    uint64_t *table = space->direct_root;
    if (table == NULL)
        return path;
#pragma GCC unroll 5
    for (path.level = levels; path.level != 0; path.level--) {
        path.cell = &table[level_index(page, path.level)];
        path.entry = entry_load(path.cell);
        if (path.level == 1 || !vmem_is_direct(space, path.entry))
            break;
        path.all &= path.entry;
        table = vmem_direct_table(space, path.entry);
    }
    return path;
}

// Maps one 4 KiB page where there is nothing yet. The mapping may be any: the conditions are those
// of vmem_check_mapping, and those under which no table and no bit above the leaf has to change.
[[gnu::always_inline]] static inline bool vmem_fast_map(const struct vmem *space, unsigned levels,
                                                        const struct vmem_mapping *mapping) {
    unsigned rights = mapping->rights;
    uint64_t leaf = entry_make_leaf(1, mapping->phys, rights, mapping->cache, mapping->global);
    bool is_fast = mapping->bytes == FRAME_BYTES && is_aligned(mapping->virt.value, FRAME_BYTES) &&
                   vmem_is_canonical(mapping->virt, levels) &&
                   (mapping->phys.value & ~ENTRY_ADDRESS) == 0 &&
                   (leaf & space->rules.reserved) == 0 && (rights & VMEM_READ) != 0 &&
                   rights <= (VMEM_READ | VMEM_WRITE | VMEM_USER | VMEM_EXECUTE) &&
                   (unsigned)mapping->cache <= VMEM_CACHE_WC &&
                   (unsigned)mapping->largest <= VMEM_2M + (unsigned)space->cpu.has_1g;
    if (!is_fast)
        return false;
    uint64_t page = mapping->virt.value >> FRAME_SHIFT;
    struct vmem_fast_path path = vmem_fast_follow(space, levels, page);
    if (path.cell == NULL || path.level != 1 || entry_is_present(path.entry) ||
        (leaf & ~path.all & ENTRY_USER) != 0)
        return false;
    entry_store(path.cell, leaf);
    return true;
}

// Fills in the translation of `virt` by a leaf of `level`.
[[gnu::always_inline]] static inline void vmem_fill_translation(vaddr_t virt, unsigned level,
                                                                uint64_t leaf, unsigned rights,
                                                                struct vmem_translation *ret) {
    ASSERT(level >= 1 && level <= VMEM_PAGE_SIZES);
    uint64_t offset = virt.value & (level_bytes(level) - 1);
    ret->phys = paddr_add(entry_leaf_address(leaf, level), offset);
    ret->entry = leaf;
    ret->page = (enum vmem_page)(level - 1);
    ret->rights = rights;
}

// Translates a canonical address to which fast entries lead, and a leaf of any size.
[[gnu::always_inline]] static inline bool vmem_fast_translate(const struct vmem *space,
                                                              unsigned levels, vaddr_t virt,
                                                              struct vmem_translation *ret) {
    ASSERT(vmem_is_canonical(virt, levels));
    struct vmem_fast_path path = vmem_fast_follow(space, levels, virt.value >> FRAME_SHIFT);
    if (path.cell == NULL || !entry_is_leaf(&space->rules, path.level, path.entry))
        return false;
    // No entry above forbids writing or executing.
    unsigned rights = entry_leaf_rights(path.entry & (path.all | ~ENTRY_USER));
    if (path.level == 1) // with constants
        vmem_fill_translation(virt, 1, path.entry, rights, ret);
    else
        vmem_fill_translation(virt, path.level, path.entry, rights, ret);
    return true;
}
