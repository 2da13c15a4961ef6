// Runs: leaves that continue each other. Within a table one tight loop counts them; from table to
// table whole runs are compared and joined.
#pragma once

#include "common/vmem/range.h"

// The run that begins with the first of the pages, in the sound leaf at `cell` of a `level` table.
// It goes on as long as the next entries of the table continue it, and ends with the pages at the
// latest. `grants`: of the entries above. *ret_next: the page after the run.
struct vmem_run vmem_run_at(const struct vmem *space, const uint64_t *cell, unsigned level,
                            uint64_t grants, struct vmem_pages pages, uint64_t *ret_next);

// Joins runs that continue each other.
struct vmem_join {
    vmem_visit_run visit;
    void *argument;
    struct vmem_run run; // not visited yet; bytes == 0: none
};

// Adds the next run. If it does not continue the run before, that one is visited. False if the
// visitor said so.
[[nodiscard]] bool vmem_join_add(struct vmem_join *join, const struct vmem_run *next);

// Visits the last run.
[[nodiscard]] bool vmem_join_end(struct vmem_join *join);
