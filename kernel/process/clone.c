// A child space, whose anonymous memory is its parent's until one of them writes it.
#include "common/x86/cpu.h"
#include "kernel/process/space_state.h"
#include "kernel/process/supply.h"

#include <stddef.h>

// Tables that no CPU has loaded yet.
static enum vmem_status map_for_child(struct user_space *child, const struct vmem_run *run) {
    struct vmem_mapping mapping = {
        .virt = run->virt,
        .phys = run->phys,
        .bytes = run->bytes,
        .rights = run->rights & ~(unsigned)VMEM_WRITE,
        .cache = run->cache,
        .largest = VMEM_2M,
    };
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    enum vmem_status status = vmem_map(&child->tables, &mapping, &flush);
    vmem_flush_finish(&child->tables, &flush);
    return status;
}

// Gives a run of the parent's memory to the child, too. False: no memory.
static bool share_run(struct user_space *parent, struct user_space *child,
                      const struct vmem_run *run, struct vmem_flush *flush) {
    if (!counted_get(run->phys, run->bytes))
        return false;
    if (map_for_child(child, run) != VMEM_OK) {
        counted_put(run->phys, run->bytes);
        return false;
    }
    if (run->rights & VMEM_WRITE)
        space_set_rights(parent, run->virt.value, run->bytes, run->rights & ~(unsigned)VMEM_WRITE,
                         flush);
    return true;
}

static bool share_area(struct user_space *parent, struct user_space *child, const struct area *area,
                       struct vmem_flush *flush) {
    areas_insert(&child->areas, area);
    shared_get(area->shared);
    if (area->kind != USER_AREA_ANONYMOUS)
        return true;
    struct vmem_run run;
    for (uint64_t at = area->start; space_find_run(parent, at, area->end, &run);
         at = run.virt.value + run.bytes) {
        if (!share_run(parent, child, &run, flush))
            return false;
        shootdown_serve();
    }
    return true;
}

static bool share_all(struct user_space *parent, struct user_space *child,
                      struct vmem_flush *flush) {
    if (!space_make_room(child, parent->areas.count))
        return false;
    for (uint32_t i = 0; i < parent->areas.count; i++) {
        if (!share_area(parent, child, &parent->areas.list[i], flush))
            return false;
    }
    return true;
}

// The flush comes before the end: a CPU that still wrote what is shared now would write it into the
// child, and past a copy that another CPU makes for the parent:
//
//     this CPU                   one that runs in the parent     another one that does
//     forbids writes
//     ends the change
//                                                                faults, copies the page
//                                writes the old frame
//     flush: too late
enum user_space_status user_space_clone(struct user_space *parent, struct user_space **ret_child) {
    struct user_space *child;
    enum user_space_status status = user_space_create(&child);
    if (status != USER_SPACE_OK)
        return status;
    struct vmem_flush flush;
    space_change_begin(parent, &flush);
    bool is_done = share_all(parent, child, &flush);
    space_flush(parent, &flush);
    space_change_end(parent, &flush);
    if (!is_done) {
        user_space_destroy(child);
        return USER_SPACE_ERR_NO_MEMORY;
    }
    *ret_child = child;
    return USER_SPACE_OK;
}
