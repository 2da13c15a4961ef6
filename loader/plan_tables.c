// Tables from a manifest: see plan.h.
#include "common/mtrr/mtrr_map.h"
#include "loader/plan.h"

// ---- What is mapped at a time

// A list that is read in order: mapping `index` from its byte `done` on comes next.
struct reader {
    const struct plan_list *list;
    uint64_t index;
    uint64_t done;
};

// Bytes of one type from `phys` on, by the registers.
static uint64_t bytes_of_type(const struct mtrr_map *mtrrs, uint64_t phys) {
    for (uint32_t i = 0; i < mtrrs->count; i++) {
        if (phys < mtrrs->runs[i].end)
            return mtrrs->runs[i].end - phys;
    }
    return UINT64_MAX;
}

// True if nothing but their purposes tells the two apart.
static bool is_continued(const struct slipway_mapping *mapping,
                         const struct slipway_mapping *next) {
    return next->virt - mapping->virt == mapping->bytes &&
           next->phys - mapping->phys == mapping->bytes && next->rights == mapping->rights &&
           next->cache == mapping->cache;
}

// Adds mappings that continue `joined`, as far as there is room.
static void join(struct reader *reader, struct slipway_mapping *joined, uint64_t room) {
    const struct plan_list *list = reader->list;
    while (reader->index < list->count && joined->bytes < room &&
           is_continued(joined, &list->mappings[reader->index])) {
        uint64_t bytes = list->mappings[reader->index].bytes;
        joined->bytes += bytes;
        reader->index++;
    }
    if (joined->bytes <= room)
        return;
    reader->index--; // the rest of it comes next
    reader->done = list->mappings[reader->index].bytes - (joined->bytes - room);
    joined->bytes = room;
}

static struct slipway_mapping read_next(struct reader *reader) {
    struct slipway_mapping mapping = reader->list->mappings[reader->index++];
    mapping.virt += reader->done;
    mapping.phys += reader->done;
    mapping.bytes -= reader->done;
    reader->done = 0;
    if (reader->list->mtrrs != NULL)
        join(reader, &mapping, bytes_of_type(reader->list->mtrrs, mapping.phys));
    return mapping;
}

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

// ---- Counted, and built

enum vmem_status plan_count_tables(const struct plan_list *list, struct vmem_cpu cpu,
                                   unsigned levels, struct vmem_plan *ret_plan,
                                   uint64_t *ret_index) {
    struct reader reader = {.list = list};
    *ret_index = 0;
    enum vmem_status status = vmem_plan_begin(ret_plan, cpu, levels);
    while (status == VMEM_OK && reader.index < list->count) {
        *ret_index = reader.index;
        const struct slipway_mapping next = read_next(&reader);
        const struct vmem_mapping mapping = to_vmem(&next, cpu);
        status = vmem_plan_add(ret_plan, &mapping);
    }
    return status;
}

enum vmem_status plan_build_tables(struct vmem *space, const struct plan_list *list,
                                   uint64_t *ret_index) {
    struct reader reader = {.list = list};
    enum vmem_status status = VMEM_OK;
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    *ret_index = 0;
    while (status == VMEM_OK && reader.index < list->count) {
        *ret_index = reader.index;
        const struct slipway_mapping next = read_next(&reader);
        struct vmem_mapping mapping = to_vmem(&next, space->cpu);
        mapping.global = !list->has_no_global;
        status = vmem_map(space, &mapping, &flush);
    }
    vmem_flush_finish(space, &flush);
    return status;
}
