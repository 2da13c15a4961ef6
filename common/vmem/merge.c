// vmem_merge: from the lowest tables up, one store replaces each table whose leaves are one large
// leaf.
//
// The hazard: a CPU that remembers the path to the old table may go on to mark its leaves until it
// has flushed. So a few tables at a time are kept until the flush, and marks that were set in them
// are carried over to the large leaf:
//
//     this CPU                       another CPU, which remembers the path
//     reads the marks of the table
//     stores the large leaf
//                                    marks a leaf of the old table
//     flush                          forgets the path
//     reads the marks again, adds them to the large leaf
//     frees the table
#include "common/vmem/drop.h"

enum { PENDING_MAX = 32 };

struct merge_job {
    struct vmem_change change;
    unsigned highest; // level of the largest leaf
    unsigned pending_count;
    struct {
        uint64_t *cell; // of the large leaf
        paddr_t table;  // that it replaced
    } pending[PENDING_MAX];
};

static uint64_t marks_of(const uint64_t *table) {
    uint64_t marks = 0;
    for (unsigned i = 0; i < ENTRY_COUNT; i++)
        marks |= entry_load(&table[i]) & ENTRY_MARKS;
    return marks;
}

// Flushes, carries over what has been marked since the merge, and frees the tables.
static void flush_pending(struct merge_job *job) {
    const struct vmem *space = job->change.space;
    if (job->pending_count == 0)
        return;
    vmem_flush_finish(space, job->change.flush);
    for (unsigned i = 0; i < job->pending_count; i++) {
        uint64_t *cell = job->pending[i].cell;
        uint64_t marks = marks_of(vmem_table(space, job->pending[i].table));
        if ((marks & ~entry_load(cell)) != 0)
            entry_set_live(cell, marks);
        space->ops->table_free(space->context, job->pending[i].table);
    }
    job->pending_count = 0;
}

// Whether the entries of a table of `level` are leaves that together are one large leaf.
static bool is_one_leaf(const struct merge_job *job, const uint64_t *table, unsigned level) {
    ASSERT(level >= 1 && level < VMEM_PAGE_SIZES);
    uint64_t first = entry_load(&table[0]);
    if (entry_kind(&job->change.space->rules, level, first) != ENTRY_IS_LEAF ||
        !is_aligned(entry_leaf_address(first, level).value >> FRAME_SHIFT, level_pages(level + 1)))
        return false;
    uint64_t expected = first & ~ENTRY_MARKS;
    for (unsigned i = 0; i < ENTRY_COUNT; i++) {
        if ((entry_load(&table[i]) & ~ENTRY_MARKS) != expected)
            return false;
        expected += level_pages(level) << FRAME_SHIFT;
    }
    return true;
}

// Merges the table that the entry at `cell` of a `level` table, for page `at`, points to, if its
// leaves are one large leaf.
static void merge_entry(struct merge_job *job, uint64_t *cell, unsigned level, uint64_t at) {
    ASSERT(level >= 2 && level <= job->highest && job->pending_count < PENDING_MAX);
    struct vmem_change *change = &job->change;
    uint64_t entry = entry_load(cell);
    paddr_t address = entry_table_address(entry);
    const uint64_t *table = vmem_table(change->space, address);
    if (!entry_is_owned(entry) || !is_one_leaf(job, table, level - 1))
        return;
    if (level > 2) // the table holds leaves whose old tables may still be marked
        flush_pending(job);
    uint64_t leaf = entry_merge_leaf(entry_load(&table[0]), level) | marks_of(table);
    entry_store(cell, entry_limit_by_parent(leaf, entry));
    vmem_flush_add_leaves(change->flush, at, ENTRY_COUNT, level - 1, entry_is_global(leaf));
    change->flush->structures = true;
    job->pending[job->pending_count].cell = cell;
    job->pending[job->pending_count++].table = address;
    if (job->pending_count == PENDING_MAX)
        flush_pending(job);
}

static void commit_table(struct merge_job *job, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (level > 1 && at < pages.end) {
        uint64_t *cell = &table[level_index(at, level)];
        struct vmem_pages within = {at, level_entry_end(at, pages.end, level)};
        uint64_t entry = entry_load(cell);
        if (entry_kind(&job->change.space->rules, level, entry) == ENTRY_IS_TABLE) {
            uint64_t *below = vmem_table(job->change.space, entry_table_address(entry));
            commit_table(job, below, level - 1, within);
            if (level <= job->highest && level_is_whole(within.first, within.end, level))
                merge_entry(job, cell, level, at);
        }
        at = within.end;
    }
}

enum vmem_status vmem_merge(struct vmem *space, vaddr_t virt, uint64_t bytes,
                            enum vmem_page largest, struct vmem_flush *flush) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    if (status != VMEM_OK)
        return status;
    if ((unsigned)largest > (space->cpu.has_1g ? VMEM_1G : VMEM_2M))
        return VMEM_ERR_PAGE_SIZE;
    struct merge_job job;
    vmem_change_begin(&job.change, space, flush);
    job.highest = (unsigned)largest + 1;
    job.pending_count = 0;
    uint64_t *root = vmem_table(space, space->root);
    if (root == NULL)
        return VMEM_ERR_CORRUPT;
    status = vmem_visit(&job.change, &vmem_drop_visitor, root, space->levels, pages);
    if (status != VMEM_OK)
        return status;
    commit_table(&job, root, space->levels, pages);
    flush_pending(&job);
    vmem_change_end(&job.change);
    return VMEM_OK;
}
