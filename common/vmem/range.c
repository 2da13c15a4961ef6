// The checks of input, and the counts that map and the planner share.
#include "common/vmem/range.h"

struct vmem_pages vmem_pages_lower(unsigned levels) {
    return (struct vmem_pages){0, UINT64_C(1) << (VMEM_INDEX_BITS * levels - 1)};
}

struct vmem_pages vmem_pages_upper(unsigned levels) {
    uint64_t end = UINT64_C(1) << (64 - FRAME_SHIFT);
    return (struct vmem_pages){end - (UINT64_C(1) << (VMEM_INDEX_BITS * levels - 1)), end};
}

enum vmem_status vmem_check_cpu(struct vmem_cpu cpu, unsigned levels) {
    if (levels != 4 && levels != 5)
        return VMEM_ERR_LEVELS;
    if (cpu.paddr_bits < 32 || cpu.paddr_bits > 52)
        return VMEM_ERR_PADDR_WIDTH;
    return VMEM_OK;
}

enum vmem_status vmem_check_range(unsigned levels, vaddr_t virt, uint64_t bytes,
                                  struct vmem_pages *ret_pages) {
    if (!is_aligned(virt.value | bytes, FRAME_BYTES))
        return VMEM_ERR_UNALIGNED;
    if (bytes == 0)
        return VMEM_ERR_EMPTY;
    uint64_t last;
    if (add_overflows(virt.value, bytes - 1, &last))
        return VMEM_ERR_WRAPS;
    // The last address is in the same half if the bit that is sign-extended, and those above,
    // agree.
    bool one_half = (virt.value ^ last) >> (FRAME_SHIFT + VMEM_INDEX_BITS * levels - 1) == 0;
    if (!one_half || !vmem_is_canonical(virt, levels))
        return VMEM_ERR_NONCANONICAL;
    *ret_pages = (struct vmem_pages){virt.value >> FRAME_SHIFT, (last >> FRAME_SHIFT) + 1};
    return VMEM_OK;
}

enum vmem_status vmem_check_rights(struct vmem_cpu cpu, unsigned rights) {
    unsigned known = VMEM_READ | VMEM_WRITE | VMEM_EXECUTE | VMEM_USER;
    if ((rights & VMEM_READ) == 0 || (rights & ~known) != 0)
        return VMEM_ERR_RIGHTS;
    if ((rights & VMEM_EXECUTE) == 0 && !cpu.has_nx)
        return VMEM_ERR_NO_NX;
    return VMEM_OK;
}

enum vmem_status vmem_check_mapping(struct vmem_cpu cpu, unsigned levels,
                                    const struct vmem_mapping *mapping,
                                    struct vmem_pages *ret_pages) {
    if (!is_aligned(mapping->phys.value, FRAME_BYTES))
        return VMEM_ERR_UNALIGNED;
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(levels, mapping->virt, mapping->bytes, &pages);
    if (status != VMEM_OK)
        return status;
    uint64_t last;
    if (add_overflows(mapping->phys.value, mapping->bytes - 1, &last) ||
        last >> cpu.paddr_bits != 0)
        return VMEM_ERR_PADDR_WIDTH;
    status = vmem_check_rights(cpu, mapping->rights);
    if (status != VMEM_OK)
        return status;
    if ((unsigned)mapping->cache > VMEM_CACHE_WC)
        return VMEM_ERR_CACHE;
    if ((unsigned)mapping->largest > (cpu.has_1g ? VMEM_1G : VMEM_2M))
        return VMEM_ERR_PAGE_SIZE;
    *ret_pages = pages;
    return VMEM_OK;
}

uint64_t vmem_count_tables(struct vmem_pages pages, unsigned level, unsigned leaf_level) {
    ASSERT(pages.first < pages.end && leaf_level >= 1);
    unsigned above = level + 1;
    uint64_t touched = level_entries(pages.first, pages.end, above);
    if (above > leaf_level)
        return touched;
    // Entries inside the range are leaves; only one that an edge cuts is a table.
    bool first_is_cut = !is_aligned(pages.first, level_pages(above));
    bool last_is_cut = !is_aligned(pages.end, level_pages(above));
    return min_u64(touched, (uint64_t)first_is_cut + last_is_cut);
}

uint64_t vmem_count_tables_below(struct vmem_pages within, unsigned level, unsigned leaf_level) {
    uint64_t tables = 0;
    for (unsigned below = 1; below < level; below++)
        tables += vmem_count_tables(within, below, leaf_level);
    return tables;
}

// Entries of `level` that the pages cover whole.
static uint64_t count_whole(struct vmem_pages pages, unsigned level) {
    uint64_t first = align_up(pages.first, level_pages(level)) >> level_shift(level);
    uint64_t end = pages.end >> level_shift(level);
    return end > first ? end - first : 0;
}

uint64_t vmem_count_leaves(struct vmem_pages pages, unsigned level, unsigned leaf_level) {
    ASSERT(pages.first < pages.end && leaf_level >= 1 && leaf_level <= VMEM_PAGE_SIZES);
    if (level > leaf_level)
        return 0;
    uint64_t in_larger = level == leaf_level ? 0 : count_whole(pages, level + 1) * ENTRY_COUNT;
    return count_whole(pages, level) - in_larger;
}
