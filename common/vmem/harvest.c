// vmem_harvest: reads and clears the marks that CPUs leave in leaves.
#include "common/base/arith.h"
#include "common/vmem/edit.h"

#include <stddef.h>

struct harvest_job {
    struct vmem_edit edit; // first: see job_of
    uint64_t clear;        // bits of an entry
    vmem_visit_marks visit;
    void *argument;
    struct vmem_pages pages; // with equal marks, not visited yet; empty: none
    unsigned marks;
};

static struct harvest_job *job_of(struct vmem_edit *edit) {
    _Static_assert(offsetof(struct harvest_job, edit) == 0);
    return (struct harvest_job *)edit;
}

static void visit_pages(struct harvest_job *job) {
    uint64_t bytes = (job->pages.end - job->pages.first) << FRAME_SHIFT;
    if (bytes != 0 && job->marks != 0)
        job->visit(job->argument, page_address(job->pages.first), bytes, job->marks);
}

static void add_pages(struct harvest_job *job, struct vmem_pages pages, unsigned marks) {
    ASSERT(pages.first < pages.end && job->pages.end <= pages.first);
    if (job->pages.end == pages.first && job->marks == marks) {
        job->pages.end = pages.end;
        return;
    }
    visit_pages(job);
    job->pages = pages;
    job->marks = marks;
}

// The leaf has no marks to clear. Those that a CPU sets from now on are for the next harvest.
static void keep_leaf(struct vmem_edit *edit, uint64_t leaf, struct vmem_pages pages) {
    struct harvest_job *job = job_of(edit);
    add_pages(job, pages, entry_marks(leaf));
}

static void harvest_leaves(struct vmem_edit *edit, uint64_t *cell, unsigned level, uint64_t at,
                           uint64_t count) {
    struct harvest_job *job = job_of(edit);
    for (uint64_t *end = cell + count; cell != end; cell++) {
        uint64_t leaf = entry_load(cell);
        if ((leaf & job->clear) != 0) {
            leaf = entry_clear_live(cell, job->clear);
            vmem_flush_add_leaves(edit->change.flush, at, 1, level, entry_is_global(leaf));
        }
        uint64_t next = at + level_pages(level);
        add_pages(job, (struct vmem_pages){at, next}, entry_marks(leaf));
        at = next;
    }
}

enum vmem_status vmem_harvest(struct vmem *space, vaddr_t virt, uint64_t bytes, unsigned clear,
                              vmem_visit_marks visit, void *argument, struct vmem_flush *flush) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    if (status != VMEM_OK)
        return status;
    if ((clear & ~(unsigned)(VMEM_ACCESSED | VMEM_DIRTY)) != 0)
        return VMEM_ERR_RIGHTS;
    struct harvest_job job = {
        .edit = {.skips_holes = true, .apply = harvest_leaves, .keep = keep_leaf},
        .clear = entry_marks_bits(clear),
        .visit = visit,
        .argument = argument,
    };
    vmem_change_begin(&job.edit.change, space, flush);
    for (unsigned level = 1; level <= VMEM_PAGE_SIZES; level++)
        job.edit.bits[level].clear = job.clear;
    status = vmem_edit_pages(&job.edit, pages);
    if (status == VMEM_OK)
        visit_pages(&job);
    return status;
}
