// Changes of areas. What may fail comes first: the range, room for areas, and the split of large
// leaves that stick out of the range. From there on nothing needs memory.
#include "common/base/arith.h"
#include "kernel/base/panic.h"
#include "kernel/process/space_state.h"

#include <stddef.h>

// ---- Cutting and joining

static void cut_at(struct user_space *space, uint64_t address) {
    const struct area *second = areas_cut(&space->areas, address);
    if (second != NULL)
        shared_get(second->shared);
}

// Makes the areas at `index` and behind it one, if they are alike.
static void join_at(struct user_space *space, uint32_t index) {
    struct shared *shared = index < space->areas.count ? space->areas.list[index].shared : NULL;
    if (areas_join(&space->areas, index))
        shared_put(shared);
}

// ---- New areas

static enum user_space_status add_area(struct user_space *space, const struct area *area) {
    if (!areas_are_absent(&space->areas, area->start, area->end))
        return USER_SPACE_ERR_TAKEN;
    if (!space_make_room(space, 1))
        return USER_SPACE_ERR_NO_MEMORY;
    areas_insert(&space->areas, area);
    uint32_t index = areas_from(&space->areas, area->start);
    join_at(space, index);
    if (index != 0)
        join_at(space, index - 1);
    return USER_SPACE_OK;
}

static enum user_space_status add(struct user_space *space, vaddr_t start, uint64_t bytes,
                                  struct area area) {
    enum user_space_status status = space_check_range(space, start, bytes);
    if (status == USER_SPACE_OK)
        status = space_check_rights(area.rights);
    if (status != USER_SPACE_OK)
        return status;
    area.start = start.value;
    area.end = start.value + bytes;
    struct vmem_flush flush;
    space_change_begin(space, &flush);
    status = add_area(space, &area);
    space_change_end(space, &flush);
    return status;
}

enum user_space_status user_space_map(struct user_space *space, vaddr_t start, uint64_t bytes,
                                      unsigned rights, enum user_area_kind kind) {
    if (kind != USER_AREA_ANONYMOUS && kind != USER_AREA_GUARD)
        return USER_SPACE_ERR_RIGHTS;
    return add(space, start, bytes, (struct area){.kind = kind, .rights = rights});
}

enum user_space_status user_space_share(struct user_space *space, vaddr_t start, uint64_t bytes,
                                        unsigned rights, struct shared *shared) {
    if (bytes > shared_bytes(shared))
        return USER_SPACE_ERR_RANGE;
    shared_get(shared);
    struct area area = {.kind = USER_AREA_SHARED, .rights = rights, .shared = shared};
    enum user_space_status status = add(space, start, bytes, area);
    if (status != USER_SPACE_OK)
        shared_put(shared);
    return status;
}

// ---- Ranges of areas

static bool split_at(struct user_space *space, uint64_t address, struct vmem_flush *flush) {
    return is_aligned(address, BLOCK_BYTES) || space_split_leaf(space, address, flush);
}

static bool is_cut(const struct user_space *space, uint64_t address) {
    const struct area *area = areas_find(&space->areas, address);
    return area != NULL && area->start != address;
}

// A range that cuts no area adds none: it can always be unmapped. False: no memory.
static bool prepare(struct user_space *space, uint64_t start, uint64_t end,
                    struct vmem_flush *flush) {
    uint32_t cuts = (uint32_t)is_cut(space, start) + (uint32_t)is_cut(space, end);
    return space_make_room(space, cuts) && split_at(space, start, flush) &&
           split_at(space, end, flush);
}

static void remove_areas(struct user_space *space, uint64_t start, uint64_t end) {
    struct areas *areas = &space->areas;
    cut_at(space, start);
    cut_at(space, end);
    uint32_t first = areas_from(areas, start);
    uint32_t count = 0;
    while (first + count < areas->count && areas->list[first + count].start < end)
        shared_put(areas->list[first + count++].shared);
    areas_remove(areas, first, count);
}

enum user_space_status user_space_unmap(struct user_space *space, vaddr_t start, uint64_t bytes) {
    enum user_space_status status = space_check_range(space, start, bytes);
    if (status != USER_SPACE_OK)
        return status;
    struct vmem_flush flush;
    uint64_t end = start.value + bytes;
    space_change_begin(space, &flush);
    if (!prepare(space, start.value, end, &flush) ||
        vmem_unmap(&space->tables, start, bytes, &flush) != VMEM_OK)
        status = USER_SPACE_ERR_NO_MEMORY;
    else
        remove_areas(space, start.value, end);
    space_change_end(space, &flush);
    return status;
}

// ---- Rights

// Gives back the right to write, leaf by leaf: what has several owners is copied when it is
// written.
static void allow_writes(struct user_space *space, const struct area *area, uint64_t from,
                         uint64_t end, struct vmem_flush *flush) {
    for (uint64_t at = from; at < end;) {
        struct vmem_translation leaf;
        if (vmem_translate(&space->tables, vaddr(at), &leaf) != VMEM_OK)
            panic("user memory 0x%lx was mapped a moment ago", at);
        uint64_t bytes = vmem_page_bytes(leaf.page);
        bool is_alone;
        is_alone = counted_alike(leaf.phys, bytes, &is_alone) == bytes && is_alone;
        space_set_rights(space, at, bytes, space_leaf_rights(area, is_alone), flush);
        at += bytes;
    }
}

static void protect_run(struct user_space *space, const struct area *area,
                        const struct vmem_run *run, struct vmem_flush *flush) {
    bool is_write = (area->rights & VMEM_WRITE) != 0;
    uint64_t end = run->virt.value + run->bytes;
    if (is_write && area->kind == USER_AREA_ANONYMOUS)
        allow_writes(space, area, run->virt.value, end, flush);
    else
        space_set_rights(space, run->virt.value, run->bytes, space_leaf_rights(area, true), flush);
}

// Changes the rights of areas that lie in the range whole.
static void protect_areas(struct user_space *space, uint64_t start, uint64_t end, unsigned rights,
                          struct vmem_flush *flush) {
    struct areas *areas = &space->areas;
    uint32_t first = areas_from(areas, start);
    uint32_t i = first;
    for (; i < areas->count && areas->list[i].start < end; i++) {
        struct area *area = &areas->list[i];
        area->rights = rights;
        struct vmem_run run;
        for (uint64_t at = area->start; space_find_run(space, at, area->end, &run);
             at = run.virt.value + run.bytes)
            protect_run(space, area, &run, flush);
    }
    for (; i != first; i--)
        join_at(space, i - 1);
    if (first != 0)
        join_at(space, first - 1);
}

// Flushed before the end: a clone made by another CPU rests on no CPU writing what it finds
// read-only.
enum user_space_status user_space_protect(struct user_space *space, vaddr_t start, uint64_t bytes,
                                          unsigned rights) {
    enum user_space_status status = space_check_range(space, start, bytes);
    if (status == USER_SPACE_OK)
        status = space_check_rights(rights);
    if (status != USER_SPACE_OK)
        return status;
    struct vmem_flush flush;
    uint64_t end = start.value + bytes;
    space_change_begin(space, &flush);
    if (!areas_are_whole(&space->areas, start.value, end)) {
        status = USER_SPACE_ERR_NONE;
    } else if (!prepare(space, start.value, end, &flush)) {
        status = USER_SPACE_ERR_NO_MEMORY;
    } else {
        cut_at(space, start.value);
        cut_at(space, end);
        protect_areas(space, start.value, end, rights, &flush);
        space_flush(space, &flush);
        for (uint32_t i = areas_from(&space->areas, start.value);
             i < space->areas.count && space->areas.list[i].start < end; i++)
            space_merge_parts(space, &space->areas.list[i], start.value, end, &flush);
    }
    space_change_end(space, &flush);
    return status;
}
