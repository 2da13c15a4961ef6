// How long a run is, and how runs that continue each other become one.
#include "common/vmem/runs.h"

#include "common/vmem/entries.h"

// How many of the `count` entries from `cell` on continue the first, which is a leaf and counts.
static uint64_t count_leaves(const struct vmem *space, const uint64_t *cell, unsigned level,
                             uint64_t count) {
    uint64_t step = level_bytes(level);
    uint64_t expected = entry_load(cell);
    uint64_t width_end = UINT64_C(1) << space->cpu.paddr_bits;
    uint64_t within_width = (width_end - entry_leaf_address(expected, level).value) / step;
    count = min_u64(count, within_width);
    uint64_t leaves = 0;
    for (; count - leaves >= ENTRY_GROUP; leaves += ENTRY_GROUP) {
        uint64_t leaf = expected;
        uint64_t different = 0;
#pragma GCC unroll 16
        for (unsigned i = 0; i < ENTRY_GROUP; i++, leaf += step)
            different |= entry_load(&cell[leaves + i]) ^ leaf;
        if (entry_meaning(different) != 0)
            break;
        expected = leaf;
    }
    for (; leaves < count; leaves++, expected += step)
        if (entry_meaning(entry_load(&cell[leaves]) ^ expected) != 0)
            break;
    return leaves;
}

struct vmem_run vmem_run_at(const struct vmem *space, const uint64_t *cell, unsigned level,
                            uint64_t grants, struct vmem_pages pages, uint64_t *ret_next) {
    uint64_t at = pages.first;
    uint64_t entry = entry_load(cell);
    uint64_t leaves = count_leaves(space, cell, level, level_entries(at, pages.end, level));
    ASSERT(leaves != 0 && entry_is_leaf(&space->rules, level, entry));
    uint64_t start = align_down(at, level_pages(level));
    *ret_next = min_u64(pages.end, start + (leaves << level_shift(level)));
    struct vmem_run run = {
        .virt = page_address(at),
        .phys = paddr_add(entry_leaf_address(entry, level), (at - start) << FRAME_SHIFT),
        .bytes = (*ret_next - at) << FRAME_SHIFT,
        .rights = entry_grants_rights(grants & entry_grants(entry)),
        .cache = entry_cache(entry, level),
        .global = entry_is_global(entry),
    };
    run.leaves[level - 1] = leaves;
    return run;
}

static bool run_continues(const struct vmem_run *run, const struct vmem_run *next) {
    return run->bytes != 0 && run->virt.value + run->bytes == next->virt.value &&
           run->phys.value + run->bytes == next->phys.value && run->rights == next->rights &&
           run->cache == next->cache && run->global == next->global;
}

bool vmem_join_end(struct vmem_join *join) {
    if (join->run.bytes == 0)
        return true;
    bool go_on = join->visit(join->argument, &join->run);
    join->run.bytes = 0;
    return go_on;
}

bool vmem_join_add(struct vmem_join *join, const struct vmem_run *next) {
    ASSERT(next->bytes != 0);
    struct vmem_run *run = &join->run;
    if (!run_continues(run, next)) {
        bool go_on = vmem_join_end(join);
        *run = *next;
        return go_on;
    }
    run->bytes += next->bytes;
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        run->leaves[page] += next->leaves[page];
    return true;
}
