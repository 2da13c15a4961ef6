// vmem_protect: checks that the whole range is mapped and counts the tables that splitting takes,
// sets them aside, then changes the leaves in place.
#include "common/vmem/tables.h"

struct protect_job {
    const struct vmem *space;
    struct entry_rules rules;
    unsigned rights;
    uint64_t tables; // needed
    struct vmem_reserve reserve;
};

// A leaf that has the rights already stays whole, even where the range cuts it.
static bool leaf_changes(const struct protect_job *job, uint64_t leaf) {
    return entry_with_rights(leaf, job->rights) != leaf;
}

static enum vmem_status check_table(struct protect_job *job, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages);

static enum vmem_status check_entry(struct protect_job *job, uint64_t entry, unsigned level,
                                    struct vmem_pages piece) {
    uint64_t *table;
    enum vmem_status status;
    switch (entry_kind(job->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        return VMEM_ERR_NOT_MAPPED;
    case ENTRY_IS_TABLE:
        status = vmem_enter(job->space, entry, job->rights, &table);
        return status == VMEM_OK ? check_table(job, table, level - 1, piece) : status;
    case ENTRY_IS_LEAF:
        if (leaf_changes(job, entry))
            job->tables += vmem_count_tables_below(piece, level, level);
        return VMEM_OK;
    case ENTRY_IS_BAD:
        break;
    }
    return VMEM_ERR_CORRUPT;
}

static enum vmem_status check_table(struct protect_job *job, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages) {
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

static void commit_table(struct protect_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages);

// Changes what a table, or a leaf that the piece cuts, translates of the piece.
static void commit_entry(struct protect_job *job, uint64_t *slot, unsigned level,
                         struct vmem_pages piece) {
    const struct vmem *space = job->space;
    uint64_t entry = entry_load(slot);
    uint64_t *below;
    if (entry_kind(job->rules, level, entry) == ENTRY_IS_LEAF) {
        if (!leaf_changes(job, entry))
            return;
        below = vmem_split_leaf(space, &job->reserve, slot, level);
    } else {
        below = vmem_table(space, entry_table_address(entry));
    }
    if (job->rights & VMEM_USER)
        entry_allow_user(slot);
    commit_table(job, below, level - 1, piece);
}

static void commit_table(struct protect_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *slot = &table[level_index(at, level)];
        uint64_t leaves = level_whole_entries(at, pages.end, level);
        if (level > 1)
            leaves = entry_count_leaves(job->rules, level, slot, leaves);
        if (leaves != 0) {
            entry_change_rights(slot, leaves, job->rights);
            at += leaves << level_shift(level);
            continue;
        }
        struct vmem_pages piece = {at, level_piece_end(at, pages.end, level)};
        commit_entry(job, slot, level, piece);
        at = piece.end;
    }
}

enum vmem_status vmem_protect(struct vmem *space, vaddr_t virt, uint64_t bytes, unsigned rights) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    if (status == VMEM_OK)
        status = vmem_check_rights(space->cpu, rights);
    if (status != VMEM_OK)
        return status;
    struct protect_job job = {.space = space, .rules = entry_rules(space->cpu), .rights = rights};
    struct vmem_path path;
    status = vmem_descend(space, pages, rights, &path);
    if (status == VMEM_OK)
        status = check_table(&job, path.table, path.level, pages);
    if (status == VMEM_OK)
        status = vmem_reserve_take(space, job.tables, &job.reserve);
    if (status != VMEM_OK)
        return status;
    vmem_path_allow(space, &path);
    commit_table(&job, path.table, path.level, pages);
    return VMEM_OK;
}
