// vmem_map: checks that the range is free and counts the tables it takes, sets them aside, then
// builds. New tables are filled before the entry that makes them reachable is stored.
#include "common/vmem/tables.h"

struct map_job {
    const struct vmem *space;
    const struct vmem_mapping *mapping;
    struct entry_rules rules;
    unsigned leaf_level;
    uint64_t tables; // needed
    struct vmem_reserve reserve;
};

// Entries of a table, from that of page `at` on, that can be leaves of this mapping.
static uint64_t leaves_from(const struct map_job *job, unsigned level, uint64_t at, uint64_t end) {
    return level <= job->leaf_level ? level_whole_entries(at, end, level) : 0;
}

static enum vmem_status check_table(struct map_job *job, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages);

static enum vmem_status check_entry(struct map_job *job, uint64_t entry, unsigned level,
                                    struct vmem_pages piece) {
    uint64_t *table;
    enum vmem_status status;
    switch (entry_kind(job->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        job->tables += vmem_count_tables_below(piece, level, job->leaf_level);
        return VMEM_OK;
    case ENTRY_IS_TABLE:
        status = vmem_enter(job->space, entry, job->mapping->rights, &table);
        return status == VMEM_OK ? check_table(job, table, level - 1, piece) : status;
    case ENTRY_IS_LEAF:
        return VMEM_ERR_MAPPED;
    case ENTRY_IS_BAD:
        break;
    }
    return VMEM_ERR_CORRUPT;
}

static enum vmem_status check_table(struct map_job *job, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (at < pages.end) {
        const uint64_t *slot = &table[level_index(at, level)];
        uint64_t absent = entry_count_absent(slot, leaves_from(job, level, at, pages.end));
        if (absent != 0) {
            at += absent << level_shift(level);
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

// Fills `count` entries from `slot` on with leaves that map page `at` and what follows.
static void fill_leaves(const struct map_job *job, uint64_t *slot, unsigned level, uint64_t at,
                        uint64_t count) {
    const struct vmem_mapping *mapping = job->mapping;
    uint64_t step = level_pages(level) << FRAME_SHIFT;
    uint64_t offset = page_address(at).value - mapping->virt.value;
    uint64_t entry = entry_make_leaf(level, paddr_add(mapping->phys, offset), mapping->rights,
                                     mapping->cache, mapping->global);
    for (uint64_t *end = slot + count; slot != end; slot++) {
        entry_store(slot, entry);
        entry += step;
    }
}

// Makes a table of `level` for the pages and all that belongs below; returns the entry for it.
static uint64_t build_table(struct map_job *job, unsigned level, struct vmem_pages pages) {
    paddr_t address;
    uint64_t *table = vmem_reserve_next(job->space, &job->reserve, &address);
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *slot = &table[level_index(at, level)];
        uint64_t leaves = leaves_from(job, level, at, pages.end);
        uint64_t next = at + (leaves << level_shift(level));
        if (leaves != 0) {
            fill_leaves(job, slot, level, at, leaves);
        } else {
            next = level_piece_end(at, pages.end, level);
            entry_store(slot, build_table(job, level - 1, (struct vmem_pages){at, next}));
        }
        at = next;
    }
    return entry_make_table(address, job->mapping->rights);
}

// Adds the pages to a table that is in use.
static void commit_table(struct map_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *slot = &table[level_index(at, level)];
        uint64_t leaves = entry_count_absent(slot, leaves_from(job, level, at, pages.end));
        if (leaves != 0) {
            fill_leaves(job, slot, level, at, leaves);
            at += leaves << level_shift(level);
            continue;
        }
        struct vmem_pages piece = {at, level_piece_end(at, pages.end, level)};
        uint64_t entry = entry_load(slot);
        if (!entry_is_present(entry)) {
            entry_store(slot, build_table(job, level - 1, piece));
        } else {
            if (job->mapping->rights & VMEM_USER)
                entry_allow_user(slot);
            uint64_t *below = vmem_table(job->space, entry_table_address(entry));
            commit_table(job, below, level - 1, piece);
        }
        at = piece.end;
    }
}

enum vmem_status vmem_map(struct vmem *space, const struct vmem_mapping *mapping) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_mapping(space->cpu, space->levels, mapping, &pages);
    if (status != VMEM_OK)
        return status;
    struct map_job job = {
        .space = space,
        .mapping = mapping,
        .rules = entry_rules(space->cpu),
        .leaf_level = vmem_leaf_level(mapping),
    };
    struct vmem_path path;
    status = vmem_descend(space, pages, mapping->rights, &path);
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
