// The count, with the functions of range.h by which vmem_map chooses leaves, too.
#include "common/vmem/plan.h"

#include "common/vmem/range.h"

enum vmem_status vmem_plan_begin(struct vmem_plan *plan, struct vmem_cpu cpu, unsigned levels) {
    enum vmem_status status = vmem_check_cpu(cpu, levels);
    if (status != VMEM_OK)
        return status;
    *plan = (struct vmem_plan){.cpu = cpu, .levels = (uint8_t)levels, .tables = 1};
    return VMEM_OK;
}

// Tables of `level` that the pages need and no earlier mapping does. Mappings come in rising order:
// only the first of these tables can be shared, and only with the mapping just before.
static uint64_t count_new_tables(struct vmem_plan *plan, struct vmem_pages pages, unsigned level,
                                 unsigned leaf_level) {
    ASSERT(level < plan->levels);
    uint64_t first = pages.first >> level_shift(level + 1);
    uint64_t last = (pages.end - 1) >> level_shift(level + 1);
    bool first_is_shared = plan->next_table[level] == first + 1;
    plan->next_table[level] = last + 1;
    return vmem_count_tables(pages, level, leaf_level) - first_is_shared;
}

enum vmem_status vmem_plan_add(struct vmem_plan *plan, const struct vmem_mapping *mapping) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_mapping(plan->cpu, plan->levels, mapping, &pages);
    if (status != VMEM_OK)
        return status;
    if (pages.first < plan->next_page)
        return VMEM_ERR_MAPPED;
    plan->next_page = pages.end;
    unsigned leaf_level = vmem_leaf_level(mapping);
    for (unsigned level = 1; level < plan->levels; level++)
        plan->tables += count_new_tables(plan, pages, level, leaf_level);
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        plan->leaves[page] += vmem_count_leaves(pages, page + 1, leaf_level);
    return VMEM_OK;
}
