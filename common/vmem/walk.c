// vmem_walk: all runs of a range.
#include "common/vmem/runs.h"
#include "common/vmem/window.h"

struct walker {
    const struct vmem *space;
    struct vmem_join join;
    paddr_t path[VMEM_LEVELS_MAX + 1]; // [n]: the table of level n that the walk is in
};

// Adds the leaf at `cell` and those that continue it. Moves *at past them.
static enum vmem_status append_leaves(struct walker *walker, const uint64_t *cell, unsigned level,
                                      uint64_t grants, uint64_t *at, uint64_t end) {
    struct vmem_pages pages = {*at, end};
    struct vmem_run run = vmem_run_at(walker->space, cell, level, grants, pages, at);
    return vmem_join_add(&walker->join, &run) ? VMEM_OK : VMEM_ERR_STOPPED;
}

// Whether the table, which the walk is about to enter at `level`, is on its path already.
static bool is_cycle(const struct walker *walker, unsigned level, paddr_t table) {
    for (unsigned above = level + 1; above <= walker->space->levels; above++)
        if (walker->path[above].value == table.value)
            return true;
    return false;
}

static enum vmem_status walk_table(struct walker *walker, paddr_t table, unsigned level,
                                   uint64_t grants, struct vmem_pages pages) {
    const uint64_t *entries = vmem_table(walker->space, table);
    if (entries == NULL || is_cycle(walker, level, table))
        return VMEM_ERR_CORRUPT;
    ASSERT(level_is_one_table(pages.first, pages.end, level));
    walker->path[level] = table;
    uint64_t at = pages.first;
    while (at < pages.end) {
        const uint64_t *cell = &entries[level_index(at, level)];
        uint64_t absent = entry_count_absent(cell, level_entries(at, pages.end, level));
        if (absent != 0) {
            at = level_skip(at, pages.end, level, absent);
            continue;
        }
        uint64_t entry = entry_load(cell);
        uint64_t next = level_entry_end(at, pages.end, level);
        enum vmem_status status = VMEM_OK;
        switch (entry_kind(&walker->space->rules, level, entry)) {
        case ENTRY_IS_ABSENT:
            break;
        case ENTRY_IS_TABLE:
            status = walk_table(walker, entry_table_address(entry), level - 1,
                                grants & entry_grants(entry), (struct vmem_pages){at, next});
            break;
        case ENTRY_IS_LEAF:
            next = at;
            status = append_leaves(walker, cell, level, grants, &next, pages.end);
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
    return vmem_join_end(&walker->join) ? status : VMEM_ERR_STOPPED;
}

enum vmem_status vmem_walk(const struct vmem *space, vaddr_t virt, uint64_t bytes,
                           vmem_visit_run visit, void *argument) {
    struct walker walker = {
        .space = space,
        .join = {.visit = visit, .argument = argument},
    };
    if (virt.value == 0 && bytes == 0) {
        enum vmem_status status = walk_pages(&walker, vmem_pages_lower(space->levels));
        return status == VMEM_OK ? walk_pages(&walker, vmem_pages_upper(space->levels)) : status;
    }
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    return status == VMEM_OK ? walk_pages(&walker, pages) : status;
}
