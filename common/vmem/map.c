// vmem_map. Prepares: the range must be free, or may be replaced, and the tables that it takes are
// set aside. Commits: fills new tables before the one store that makes them reachable, so that a
// CPU sees the old mapping or the new one.
#include "common/vmem/drop.h"
#include "common/vmem/fast.h"

#include <stddef.h>

struct map_job {
    struct vmem_change change;
    const struct vmem_mapping *mapping;
    unsigned leaf_level;
};

// How many entries of a `level` table, the first of which is for page `at`, can be leaves of this
// mapping.
static uint64_t leaves_from(const struct map_job *job, unsigned level, uint64_t at, uint64_t end) {
    return level <= job->leaf_level ? level_whole_entries(at, end, level) : 0;
}

// Whether leaves of this mapping replace the table that `entry` points to.
static bool replaces_table(const struct map_job *job, uint64_t entry, unsigned level,
                           struct vmem_pages within) {
    return job->mapping->replace && leaves_from(job, level, within.first, within.end) != 0 &&
           vmem_may_detach(job->change.space, entry, level, within.first);
}

// The job whose first member the change is.
static struct map_job *job_of(struct vmem_change *change) {
    _Static_assert(offsetof(struct map_job, change) == 0);
    return (struct map_job *)change;
}

static uint64_t skip_absent(struct vmem_change *change, const uint64_t *cell, unsigned level,
                            struct vmem_pages pages) {
    return entry_count_absent(cell, leaves_from(job_of(change), level, pages.first, pages.end));
}

static enum vmem_status prepare_absent(struct vmem_change *change, unsigned level,
                                       struct vmem_pages within) {
    change->tables += vmem_count_tables_below(within, level, job_of(change)->leaf_level);
    return VMEM_OK;
}

// With `replace` a leaf counts as absent: what sticks out of the range is split into the tables
// that the mapping takes anyway.
static enum vmem_status prepare_leaf(struct vmem_change *change, uint64_t leaf, unsigned level,
                                     struct vmem_pages within) {
    (void)leaf;
    return job_of(change)->mapping->replace ? prepare_absent(change, level, within)
                                            : VMEM_ERR_MAPPED;
}

static enum vmem_status prepare_table(struct vmem_change *change, uint64_t entry, unsigned level,
                                      struct vmem_pages within);

static const struct vmem_visitor map_visitor = {
    .skip = skip_absent,
    .absent = prepare_absent,
    .leaf = prepare_leaf,
    .table = prepare_table,
};

static enum vmem_status prepare_table(struct vmem_change *change, uint64_t entry, unsigned level,
                                      struct vmem_pages within) {
    const struct map_job *job = job_of(change);
    return replaces_table(job, entry, level, within)
               ? vmem_visit_below(change, &vmem_drop_visitor, 0, entry, level, within)
               : vmem_visit_below(change, &map_visitor, job->mapping->rights, entry, level, within);
}

// The leaf of `level` that maps page `at`.
static uint64_t make_leaf(const struct map_job *job, unsigned level, uint64_t at) {
    const struct vmem_mapping *mapping = job->mapping;
    uint64_t offset = page_address(at).value - mapping->virt.value;
    paddr_t phys = paddr_add(mapping->phys, offset);
    ASSERT(level <= job->leaf_level && is_aligned(phys.value, level_bytes(level)));
    return entry_make_leaf(level, phys, mapping->rights, mapping->cache, mapping->global);
}

// Fills `count` entries from `cell` on with leaves. The first one maps page `at`.
static void fill_leaves(const struct map_job *job, uint64_t *cell, unsigned level, uint64_t at,
                        uint64_t count) {
    entry_fill(cell, count, make_leaf(job, level, at), level_bytes(level));
}

// Makes a table of `level` for the pages, and the tables below it. Returns the entry for it. No CPU
// sees any of them until that entry is stored.
static uint64_t make_table_entry(struct map_job *job, unsigned level, struct vmem_pages pages) {
    ASSERT(level_is_one_table(pages.first, pages.end, level));
    paddr_t address;
    uint64_t *table = vmem_reserve_next(&job->change, &address);
    unsigned first = level_index(pages.first, level);
    unsigned end = level_index(pages.end - 1, level) + 1;
    entry_clear_unseen(table, first);
    entry_clear_unseen(&table[end], ENTRY_COUNT - end);
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *cell = &table[level_index(at, level)];
        uint64_t leaves = leaves_from(job, level, at, pages.end);
        uint64_t next = at + (leaves << level_shift(level));
        if (leaves != 0) {
            fill_leaves(job, cell, level, at, leaves);
        } else {
            next = level_entry_end(at, pages.end, level);
            entry_store(cell, make_table_entry(job, level - 1, (struct vmem_pages){at, next}));
        }
        at = next;
    }
    return entry_make_table(address, job->mapping->rights);
}

// Replaces an entry that maps something else by a leaf, or by a table of leaves.
static void replace_entry(struct map_job *job, uint64_t *cell, unsigned level,
                          struct vmem_pages within) {
    ASSERT(job->mapping->replace && level_is_whole(within.first, within.end, level));
    struct vmem_change *change = &job->change;
    uint64_t old = entry_load(cell);
    bool is_leaf = entry_kind(&change->space->rules, level, old) == ENTRY_IS_LEAF;
    uint64_t next;
    struct vmem_run run = {0};
    if (is_leaf)
        run = vmem_run_at(change->space, cell, level, ENTRY_GRANTS_ALL, within, &next);
    entry_store(cell, level <= job->leaf_level ? make_leaf(job, level, within.first)
                                               : make_table_entry(job, level - 1, within));
    if (is_leaf)
        vmem_drop_run(change, &run, level);
    else
        vmem_drop_table(change, old, level - 1, within.first);
}

static void commit_table(struct map_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages);

// Maps the pages below one entry, which is or becomes a table, or replaces the entry.
static void commit_entry(struct map_job *job, uint64_t *cell, unsigned level,
                         struct vmem_pages within) {
    struct vmem_change *change = &job->change;
    uint64_t entry = entry_load(cell);
    enum entry_kind kind = entry_kind(&change->space->rules, level, entry);
    ASSERT(kind != ENTRY_IS_BAD);
    uint64_t *below;
    if (kind == ENTRY_IS_ABSENT) {
        vmem_attach_table(change->space, cell, level, within.first,
                          make_table_entry(job, level - 1, within));
        return;
    }
    if (kind == ENTRY_IS_TABLE ? replaces_table(job, entry, level, within)
                               : level_is_whole(within.first, within.end, level)) {
        replace_entry(job, cell, level, within);
        return;
    }
    if (kind == ENTRY_IS_TABLE)
        below = vmem_table(change->space, entry_table_address(entry));
    else
        below = vmem_split_leaf(change, cell, level, within.first);
    if (job->mapping->rights & VMEM_USER)
        vmem_allow_user(change, cell, level, within.first);
    commit_table(job, below, level - 1, within);
}

// Maps the pages in a table that is in use.
static void commit_table(struct map_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    ASSERT(level_is_one_table(pages.first, pages.end, level));
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *cell = &table[level_index(at, level)];
        uint64_t leaves = entry_count_absent(cell, leaves_from(job, level, at, pages.end));
        if (leaves != 0) {
            fill_leaves(job, cell, level, at, leaves);
            at += leaves << level_shift(level);
            continue;
        }
        struct vmem_pages within = {at, level_entry_end(at, pages.end, level)};
        commit_entry(job, cell, level, within);
        at = within.end;
    }
}

// If all entries for the pages are in the table where the path ends, absent, and can be leaves,
// fills them: one look at each is enough. Else false, with nothing done.
static bool commit_leaves(struct map_job *job, const struct vmem_path *path,
                          struct vmem_pages pages) {
    uint64_t *cell = &path->table[level_index(pages.first, path->level)];
    uint64_t leaves = leaves_from(job, path->level, pages.first, pages.end);
    if (leaves << level_shift(path->level) != pages.end - pages.first ||
        entry_count_absent(cell, leaves) != leaves)
        return false;
    vmem_path_allow(&job->change, path, pages.first);
    fill_leaves(job, cell, path->level, pages.first, leaves);
    return true;
}

[[gnu::noinline]] static enum vmem_status
map_general(struct vmem *space, const struct vmem_mapping *mapping, struct vmem_flush *flush) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_mapping(space->cpu, space->levels, mapping, &pages);
    if (status != VMEM_OK)
        return status;
    struct map_job job;
    vmem_change_begin(&job.change, space, flush);
    job.mapping = mapping;
    job.leaf_level = vmem_leaf_level(mapping);
    struct vmem_path path;
    // Not into a table that the mapping may replace.
    unsigned lowest = mapping->replace ? job.leaf_level : 1;
    status = vmem_descend(space, pages, mapping->rights, lowest, &path);
    if (status == VMEM_OK && commit_leaves(&job, &path, pages))
        return VMEM_OK;
    if (status == VMEM_OK)
        status = vmem_prepare(&job.change, &map_visitor, &path, pages);
    if (status != VMEM_OK)
        return status;
    vmem_path_allow(&job.change, &path, pages.first);
    commit_table(&job, path.table, path.level, pages);
    vmem_change_end(&job.change);
    return VMEM_OK;
}

enum vmem_status vmem_map(struct vmem *space, const struct vmem_mapping *mapping,
                          struct vmem_flush *flush) {
    bool is_done =
        space->levels == 5 ? vmem_fast_map(space, 5, mapping) : vmem_fast_map(space, 4, mapping);
    return is_done ? VMEM_OK : map_general(space, mapping, flush);
}
