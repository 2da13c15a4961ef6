// vmem_split. Prepares: counts the tables and sets them aside. Commits: splits from the top down.
#include "common/vmem/visit.h"

#include <stddef.h>

struct split_job {
    struct vmem_change change;
    unsigned target; // highest level at which a leaf may stay
};

static struct split_job *job_of(struct vmem_change *change) {
    _Static_assert(offsetof(struct split_job, change) == 0);
    return (struct split_job *)change;
}

// Leaves of the target and below are small enough.
static uint64_t skip_small(struct vmem_change *change, const uint64_t *cell, unsigned level,
                           struct vmem_pages pages) {
    (void)cell;
    return level <= job_of(change)->target ? level_entries(pages.first, pages.end, level) : 0;
}

// Every entry of the leaf above the target becomes a table.
static enum vmem_status prepare_leaf(struct vmem_change *change, uint64_t leaf, unsigned level,
                                     struct vmem_pages within) {
    (void)leaf;
    ASSERT(level > job_of(change)->target);
    for (unsigned above = level; above > job_of(change)->target; above--)
        change->tables += level_entries(within.first, within.end, above);
    return VMEM_OK;
}

static const struct vmem_visitor split_visitor = {.skip = skip_small, .leaf = prepare_leaf};

static void commit_table(struct split_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (level > job->target && at < pages.end) {
        uint64_t *cell = &table[level_index(at, level)];
        struct vmem_pages within = {at, level_entry_end(at, pages.end, level)};
        uint64_t entry = entry_load(cell);
        uint64_t *below = NULL;
        if (entry_kind(&job->change.space->rules, level, entry) == ENTRY_IS_LEAF)
            below = vmem_split_leaf(&job->change, cell, level, at);
        else if (entry_is_present(entry))
            below = vmem_table(job->change.space, entry_table_address(entry));
        if (below != NULL)
            commit_table(job, below, level - 1, within);
        at = within.end;
    }
}

enum vmem_status vmem_split(struct vmem *space, vaddr_t virt, uint64_t bytes, enum vmem_page page,
                            struct vmem_flush *flush) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    if (status != VMEM_OK)
        return status;
    if ((unsigned)page > VMEM_1G)
        return VMEM_ERR_PAGE_SIZE;
    struct split_job job = {.target = (unsigned)page + 1};
    vmem_change_begin(&job.change, space, flush);
    struct vmem_path path;
    status = vmem_descend(space, pages, 0, 1, &path);
    if (status == VMEM_OK)
        status = vmem_prepare(&job.change, &split_visitor, &path, pages);
    if (status != VMEM_OK)
        return status;
    commit_table(&job, path.table, path.level, pages);
    vmem_change_end(&job.change);
    return VMEM_OK;
}
