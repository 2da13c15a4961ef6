// vmem_split: counts the tables, sets them aside, then splits from the top down.
#include "common/vmem/tables.h"

struct split_job {
    struct vmem_change change;
    unsigned target; // highest level at which a leaf may stay
};

static enum vmem_status check_table(struct split_job *job, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages);

static enum vmem_status check_entry(struct split_job *job, uint64_t entry, unsigned level,
                                    struct vmem_pages within) {
    uint64_t *table;
    enum vmem_status status;
    switch (entry_kind(&job->change.space->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        return VMEM_OK;
    case ENTRY_IS_TABLE:
        status = vmem_enter(job->change.space, entry, 0, &table);
        return status == VMEM_OK ? check_table(job, table, level - 1, within) : status;
    case ENTRY_IS_LEAF: // every entry above the target becomes a table
        for (unsigned above = level; above > job->target; above--)
            job->change.tables += level_entries(within.first, within.end, above);
        return VMEM_OK;
    case ENTRY_IS_BAD:
        break;
    }
    return VMEM_ERR_CORRUPT;
}

static enum vmem_status check_table(struct split_job *job, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (level > job->target && at < pages.end) {
        const uint64_t *slot = &table[level_index(at, level)];
        struct vmem_pages within = {at, level_entry_end(at, pages.end, level)};
        enum vmem_status status = check_entry(job, entry_load(slot), level, within);
        if (status != VMEM_OK)
            return status;
        at = within.end;
    }
    return VMEM_OK;
}

static void commit_table(struct split_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (level > job->target && at < pages.end) {
        uint64_t *slot = &table[level_index(at, level)];
        struct vmem_pages within = {at, level_entry_end(at, pages.end, level)};
        uint64_t entry = entry_load(slot);
        uint64_t *below = NULL;
        if (entry_kind(&job->change.space->rules, level, entry) == ENTRY_IS_LEAF)
            below = vmem_split_leaf(&job->change, slot, level, at);
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
        status = check_table(&job, path.table, path.level, pages);
    if (status == VMEM_OK)
        status = vmem_reserve_alloc(&job.change);
    if (status != VMEM_OK)
        return status;
    commit_table(&job, path.table, path.level, pages);
    vmem_change_end(&job.change);
    return VMEM_OK;
}
