// vmem_unmap: counts the tables that splitting takes, sets them aside, then clears. A table that
// goes is first unreachable and then freed.
#include "common/vmem/tables.h"

struct unmap_job {
    const struct vmem *space;
    struct entry_rules rules;
    uint64_t tables; // needed
    struct vmem_reserve reserve;
};

// Tables directly below the root in the upper half stay for good: other address spaces share them.
static bool stays(const struct vmem *space, unsigned level, uint64_t page) {
    return level == space->levels && level_index(page, level) >= ENTRY_COUNT / 2;
}

static enum vmem_status check_table(struct unmap_job *job, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages);

static enum vmem_status check_entry(struct unmap_job *job, uint64_t entry, unsigned level,
                                    struct vmem_pages piece) {
    uint64_t *table;
    enum vmem_status status;
    switch (entry_kind(job->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        return VMEM_OK;
    case ENTRY_IS_TABLE:
        status = vmem_enter(job->space, entry, 0, &table);
        return status == VMEM_OK ? check_table(job, table, level - 1, piece) : status;
    case ENTRY_IS_LEAF:
        job->tables += vmem_count_tables_below(piece, level, level);
        return VMEM_OK;
    case ENTRY_IS_BAD:
        break;
    }
    return VMEM_ERR_CORRUPT;
}

static enum vmem_status check_table(struct unmap_job *job, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages) {
    if (level == 1) // whatever stands there can be cleared
        return VMEM_OK;
    uint64_t at = pages.first;
    while (at < pages.end) {
        const uint64_t *slot = &table[level_index(at, level)];
        uint64_t whole = level_whole_entries(at, pages.end, level);
        uint64_t leaves = entry_count_leaves(job->rules, level, slot, whole);
        if (leaves != 0) {
            at += leaves << level_shift(level);
            continue;
        }
        uint64_t next = level_piece_end(at, pages.end, level);
        struct vmem_pages piece = {at, next};
        enum vmem_status status = check_entry(job, entry_load(slot), level, piece);
        if (status != VMEM_OK)
            return status;
        at = next;
    }
    return VMEM_OK;
}

// Frees a table that nothing points to any more, and all tables below it.
static void free_tables(const struct unmap_job *job, paddr_t address, unsigned level) {
    if (level > 1) {
        const uint64_t *table = vmem_table(job->space, address);
        for (unsigned i = 0; i < ENTRY_COUNT; i++) {
            uint64_t entry = entry_load(&table[i]);
            if (entry_kind(job->rules, level, entry) == ENTRY_IS_TABLE)
                free_tables(job, entry_table_address(entry), level - 1);
        }
    }
    job->space->ops->table_free(job->space->context, address);
}

static void detach_table(const struct unmap_job *job, uint64_t *slot, unsigned level) {
    paddr_t address = entry_table_address(entry_load(slot));
    entry_store(slot, 0);
    free_tables(job, address, level - 1);
}

static void commit_table(struct unmap_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages);

// Clears what a table, or a leaf that the piece cuts, translates of the piece.
static void commit_entry(struct unmap_job *job, uint64_t *slot, unsigned level,
                         struct vmem_pages piece) {
    const struct vmem *space = job->space;
    uint64_t entry = entry_load(slot);
    if (entry_kind(job->rules, level, entry) == ENTRY_IS_LEAF) {
        uint64_t *parts = vmem_split_leaf(space, &job->reserve, slot, level);
        commit_table(job, parts, level - 1, piece);
        return;
    }
    bool table_stays = stays(space, level, piece.first);
    if (level_is_whole(piece.first, piece.end, level) && !table_stays) {
        detach_table(job, slot, level);
        return;
    }
    uint64_t *below = vmem_table(space, entry_table_address(entry));
    commit_table(job, below, level - 1, piece);
    if (!table_stays && entry_count_absent(below, ENTRY_COUNT) == ENTRY_COUNT)
        detach_table(job, slot, level);
}

static void commit_table(struct unmap_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *slot = &table[level_index(at, level)];
        uint64_t leaves = level_whole_entries(at, pages.end, level);
        if (level > 1)
            leaves = entry_count_leaves(job->rules, level, slot, leaves);
        if (leaves != 0) {
            entry_clear(slot, leaves);
            at += leaves << level_shift(level);
            continue;
        }
        struct vmem_pages piece = {at, level_piece_end(at, pages.end, level)};
        if (entry_is_present(entry_load(slot)))
            commit_entry(job, slot, level, piece);
        at = piece.end;
    }
}

// Frees the tables on the way to the range that hold nothing any more, lowest first.
static void prune_path(const struct unmap_job *job, const struct vmem_path *path, uint64_t page) {
    const struct vmem *space = job->space;
    const uint64_t *table = path->table;
    for (unsigned level = path->level + 1; level <= space->levels; level++) {
        uint64_t *slot = path->slot[level];
        if (stays(space, level, page) || entry_count_absent(table, ENTRY_COUNT) != ENTRY_COUNT)
            return;
        detach_table(job, slot, level);
        table = slot - level_index(page, level);
    }
}

enum vmem_status vmem_unmap(struct vmem *space, vaddr_t virt, uint64_t bytes) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    if (status != VMEM_OK)
        return status;
    struct unmap_job job = {.space = space, .rules = entry_rules(space->cpu)};
    struct vmem_path path;
    status = vmem_descend(space, pages, 0, &path);
    if (status == VMEM_OK)
        status = check_table(&job, path.table, path.level, pages);
    if (status == VMEM_OK)
        status = vmem_reserve_take(space, job.tables, &job.reserve);
    if (status != VMEM_OK)
        return status;
    commit_table(&job, path.table, path.level, pages);
    prune_path(&job, &path, pages.first);
    return VMEM_OK;
}
