// Tables from a manifest: see plan.h.
#include "common/mtrr/mtrr_map.h"
#include "loader/plan.h"

static struct vmem_mapping to_vmem(const struct slipway_mapping *mapping, struct vmem_cpu cpu) {
    return (struct vmem_mapping){
        .virt = vaddr(mapping->virt),
        .phys = paddr(mapping->phys),
        .bytes = mapping->bytes,
        .rights = VMEM_READ | (mapping->rights & SLIPWAY_RIGHT_WRITE ? VMEM_WRITE : 0U) |
                  (mapping->rights & SLIPWAY_RIGHT_EXECUTE ? VMEM_EXECUTE : 0U),
        .cache = (enum vmem_cache)mapping->cache,
        .largest = cpu.has_1g ? VMEM_1G : VMEM_2M,
    };
}

enum vmem_status plan_count_tables(const struct slipway_mapping *mappings, uint64_t count,
                                   struct vmem_cpu cpu, unsigned levels, struct vmem_plan *ret_plan,
                                   uint64_t *ret_index) {
    *ret_index = 0;
    enum vmem_status status = vmem_plan_begin(ret_plan, cpu, levels);
    for (uint64_t i = 0; status == VMEM_OK && i < count; i++) {
        struct vmem_mapping mapping = to_vmem(&mappings[i], cpu);
        *ret_index = i;
        status = vmem_plan_add(ret_plan, &mapping);
    }
    return status;
}

enum vmem_status plan_build_tables(struct vmem *space, const struct space_rules *rules,
                                   const struct slipway_mapping *mappings, uint64_t count,
                                   uint64_t *ret_index) {
    enum vmem_status status = VMEM_OK;
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    *ret_index = 0;
    for (uint64_t i = 0; status == VMEM_OK && i < count; i++) {
        struct vmem_mapping mapping = to_vmem(&mappings[i], space->cpu);
        mapping.global = !rules->has_no_global;
        *ret_index = i;
        status = vmem_map(space, &mapping, &flush);
    }
    vmem_flush_finish(space, &flush);
    return status;
}
