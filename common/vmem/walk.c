// vmem_walk: all runs of a range. Leaves that continue each other are counted in one tight loop per
// table; only the resulting pieces are compared with the run before them.
#include "common/vmem/tables.h"

struct walker {
    const struct vmem *space;
    struct entry_rules rules;
    vmem_visit_run visit;
    void *argument;
    struct vmem_run run;               // not visited yet; bytes == 0: none
    paddr_t way[ENTRY_LEVELS_MAX + 1]; // [n]: the level-n table that the walk is in
};

static enum vmem_status visit_run(struct walker *walker) {
    if (walker->run.bytes == 0)
        return VMEM_OK;
    bool go_on = walker->visit(walker->argument, &walker->run);
    walker->run.bytes = 0;
    return go_on ? VMEM_OK : VMEM_ERR_STOPPED;
}

static bool run_continues(const struct vmem_run *run, const struct vmem_run *next) {
    return run->bytes != 0 && run->virt.value + run->bytes == next->virt.value &&
           run->phys.value + run->bytes == next->phys.value && run->rights == next->rights &&
           run->cache == next->cache && run->global == next->global;
}

static enum vmem_status append_run(struct walker *walker, const struct vmem_run *next) {
    struct vmem_run *run = &walker->run;
    if (!run_continues(run, next)) {
        enum vmem_status status = visit_run(walker);
        *run = *next;
        return status;
    }
    run->bytes += next->bytes;
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        run->leaves[page] += next->leaves[page];
    return VMEM_OK;
}

// How many of the `count` entries from `slot` on, the first of which is a leaf, continue it.
static uint64_t count_leaves(const struct vmem *space, const uint64_t *slot, unsigned level,
                             uint64_t count) {
    uint64_t step = level_pages(level) << FRAME_SHIFT;
    uint64_t expected = entry_meaning(entry_load(slot));
    uint64_t width_end = UINT64_C(1) << space->cpu.paddr_bits;
    uint64_t within_width = (width_end - entry_leaf_address(expected, level).value) / step;
    count = min_u64(count, within_width);
    uint64_t leaves = 1;
    for (; leaves < count; leaves++) {
        expected += step;
        if (entry_meaning(entry_load(&slot[leaves])) != expected)
            break;
    }
    return leaves;
}

// Adds the leaf at `slot` and those that continue it; *at moves past them.
static enum vmem_status append_leaves(struct walker *walker, const uint64_t *slot, unsigned level,
                                      uint64_t grants, uint64_t *at, uint64_t end) {
    uint64_t entry = entry_load(slot);
    uint64_t leaves = count_leaves(walker->space, slot, level, level_entries(*at, end, level));
    uint64_t start = align_down(*at, level_pages(level));
    uint64_t next = min_u64(end, start + (leaves << level_shift(level)));
    uint64_t offset = (*at - start) << FRAME_SHIFT;
    struct vmem_run run = {
        .virt = page_address(*at),
        .phys = paddr_add(entry_leaf_address(entry, level), offset),
        .bytes = (next - *at) << FRAME_SHIFT,
        .rights = entry_grants_rights(grants & entry_grants(entry)),
        .cache = entry_cache(entry, level),
        .global = entry_is_global(entry),
    };
    run.leaves[level - 1] = leaves;
    *at = next;
    return append_run(walker, &run);
}

// Whether the table that the walk is about to enter at `level` holds the walk already.
static bool is_cycle(const struct walker *walker, unsigned level, paddr_t table) {
    for (unsigned above = level + 1; above <= walker->space->levels; above++)
        if (walker->way[above].value == table.value)
            return true;
    return false;
}

static enum vmem_status walk_table(struct walker *walker, paddr_t table, unsigned level,
                                   uint64_t grants, struct vmem_pages pages) {
    const uint64_t *entries = vmem_table(walker->space, table);
    if (entries == NULL || is_cycle(walker, level, table))
        return VMEM_ERR_CORRUPT;
    walker->way[level] = table;
    uint64_t at = pages.first;
    while (at < pages.end) {
        const uint64_t *slot = &entries[level_index(at, level)];
        uint64_t absent = entry_count_absent(slot, level_entries(at, pages.end, level));
        if (absent != 0) {
            at = align_down(at, level_pages(level)) + (absent << level_shift(level));
            continue;
        }
        uint64_t entry = entry_load(slot);
        uint64_t next = level_piece_end(at, pages.end, level);
        enum vmem_status status = VMEM_OK;
        switch (entry_kind(walker->rules, level, entry)) {
        case ENTRY_IS_ABSENT:
            break;
        case ENTRY_IS_TABLE:
            status = walk_table(walker, entry_table_address(entry), level - 1,
                                grants & entry_grants(entry), (struct vmem_pages){at, next});
            break;
        case ENTRY_IS_LEAF:
            next = at;
            status = append_leaves(walker, slot, level, grants, &next, pages.end);
            break;
        case ENTRY_IS_BAD:
            return VMEM_ERR_CORRUPT;
        }
        if (status != VMEM_OK)
            return status;
        at = next;
    }
    return VMEM_OK;
}

static enum vmem_status walk_pages(struct walker *walker, struct vmem_pages pages) {
    const struct vmem *space = walker->space;
    enum vmem_status status =
        walk_table(walker, space->root, space->levels, ENTRY_GRANTS_ALL, pages);
    if (status == VMEM_ERR_STOPPED)
        return status;
    enum vmem_status visited = visit_run(walker);
    return visited != VMEM_OK ? visited : status;
}

enum vmem_status vmem_walk(const struct vmem *space, vaddr_t virt, uint64_t bytes,
                           vmem_visit_run visit, void *argument) {
    struct walker walker = {
        .space = space,
        .rules = entry_rules(space->cpu),
        .visit = visit,
        .argument = argument,
    };
    if (virt.value == 0 && bytes == 0) {
        enum vmem_status status = walk_pages(&walker, vmem_pages_lower(space->levels));
        return status == VMEM_OK ? walk_pages(&walker, vmem_pages_upper(space->levels)) : status;
    }
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    return status == VMEM_OK ? walk_pages(&walker, pages) : status;
}
