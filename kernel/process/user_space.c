// Spaces as such: making and ending them, the lock, and what the other files need of the tables.
#include "kernel/process/user_space.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/panic.h"
#include "kernel/memory/heap.h"
#include "kernel/process/space_state.h"
#include "kernel/process/supply.h"

#include <stddef.h>

enum { AREAS_MIN = 8 }; // a power of two
_Static_assert(USER_AREAS_MAX % AREAS_MIN == 0, "a list that has doubled often enough is as long");

static struct user_space *spaces; // all there are, the newest first

const char *user_space_status_text(enum user_space_status status) {
    switch (status) {
    case USER_SPACE_OK:
        return "ok";
    case USER_SPACE_ERR_RANGE:
        return "not a range of user memory";
    case USER_SPACE_ERR_TAKEN:
        return "there is an area already";
    case USER_SPACE_ERR_NONE:
        return "there is no area";
    case USER_SPACE_ERR_GUARD:
        return "a guard area";
    case USER_SPACE_ERR_RIGHTS:
        return "forbidden by the area's rights";
    case USER_SPACE_ERR_NO_MEMORY:
        return "out of memory";
    }
    return "unknown";
}

// ---- Tables, and the lock

static paddr_t table_alloc(void *context) {
    struct user_space *space = context;
    paddr_t table = supply_table();
    space->table_count += !paddr_is_none(table);
    return table;
}

static void table_free(void *context, paddr_t table) {
    struct user_space *space = context;
    space->table_count--;
    supply_free_table(table);
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    return is_aligned(table.value, FRAME_BYTES) ? space_pointer(table, FRAME_BYTES) : NULL;
}

static const struct vmem_ops table_ops = {
    .table_alloc = table_alloc,
    .table_free = table_free,
    .table_pointer = table_pointer,
};

// An op of vmem_flush_ops. It may take long, and other CPUs may wait for this one.
static void release(void *context, const struct vmem_run *run) {
    (void)context;
    counted_put(run->phys, run->bytes);
    shootdown_serve();
}

static const struct vmem_flush_ops flush_ops = {.execute = shootdown_execute, .release = release};

void space_change_begin(struct user_space *space, struct vmem_flush *flush) {
    (void)space_begin(flush);
    vmem_flush_begin(flush, &flush_ops, &space->tlb);
}

struct user_space *space_change_begin_from(uint64_t id, struct vmem_flush *flush) {
    const struct vmem *kernel = space_begin(flush);
    struct user_space *first = NULL;
    for (struct user_space *space = spaces; space != NULL; space = space->next) {
        if (space->tlb.id >= id && (first == NULL || space->tlb.id < first->tlb.id))
            first = space;
    }
    if (first == NULL)
        space_end(kernel, flush);
    else
        vmem_flush_begin(flush, &flush_ops, &first->tlb);
    return first;
}

void space_change_end(struct user_space *space, struct vmem_flush *flush) {
    space_end(&space->tables, flush);
}

// ---- Making and ending

// The tables share the kernel half. A table that they need later is one of the space's.
static enum vmem_status clone_kernel(struct user_space *space) {
    struct vmem_flush flush;
    struct vmem *kernel = space_begin(&flush);
    enum vmem_status status = VMEM_ERR_NO_MEMORY;
    if (!supply_refuses())
        status = vmem_clone(kernel, &space->tables);
    if (status == VMEM_OK) {
        space->tables.ops = &table_ops;
        space->tables.context = space;
        space->tlb = tlb_space_make(space->tables.root);
        space->next = spaces;
        spaces = space;
    }
    space_end(kernel, &flush);
    return status;
}

enum user_space_status user_space_create(struct user_space **ret_space) {
    struct user_space *space = supply_object(sizeof(*space));
    if (space == NULL)
        return USER_SPACE_ERR_NO_MEMORY;
    *space = (struct user_space){.table_count = 1};
    if (clone_kernel(space) != VMEM_OK) {
        heap_free(space);
        return USER_SPACE_ERR_NO_MEMORY;
    }
    *ret_space = space;
    return USER_SPACE_OK;
}

static void leave_list(const struct user_space *space) {
    struct user_space **link = &spaces;
    while (*link != space)
        link = &(*link)->next;
    *link = space->next;
}

void user_space_destroy(struct user_space *space) {
    if (space == NULL)
        return;
    struct vmem_flush flush;
    space_change_begin(space, &flush);
    if (space->tlb.cpus != 0)
        panic("a space is destroyed in which CPUs 0x%lx run", space->tlb.cpus);
    leave_list(space);
    for (uint32_t i = 0; i < space->areas.count; i++)
        shared_put(space->areas.list[i].shared);
    enum vmem_status status = vmem_destroy(&space->tables, &flush);
    if (status != VMEM_OK)
        panic("a space cannot be destroyed: %s", vmem_status_text(status));
    space_end(space_kernel(), &flush);
    heap_free(space->areas.list);
    heap_free(space);
}

void user_space_load(struct user_space *space) {
    shootdown_switch(space == NULL ? NULL : &space->tlb);
}

uint64_t user_space_id(const struct user_space *space) {
    return space->tlb.id;
}

// ---- For the other files

enum user_space_status space_check_range(const struct user_space *space, vaddr_t start,
                                         uint64_t bytes) {
    uint64_t half = UINT64_C(1) << (FRAME_SHIFT + VMEM_INDEX_BITS * space->tables.levels - 1);
    uint64_t end;
    bool is_range = bytes != 0 && is_aligned(start.value | bytes, FRAME_BYTES) &&
                    !add_overflows(start.value, bytes, &end) && start.value >= FRAME_BYTES &&
                    end <= half - FRAME_BYTES;
    return is_range ? USER_SPACE_OK : USER_SPACE_ERR_RANGE;
}

enum user_space_status space_check_rights(unsigned rights) {
    bool is_none = rights == 0;
    bool is_read = rights == VMEM_READ || rights == (VMEM_READ | VMEM_WRITE) ||
                   rights == (VMEM_READ | VMEM_EXECUTE);
    return is_none || is_read ? USER_SPACE_OK : USER_SPACE_ERR_RIGHTS;
}

bool space_make_room(struct user_space *space, uint32_t more) {
    struct areas *areas = &space->areas;
    if (areas_have_room(areas, more))
        return true;
    if (more > USER_AREAS_MAX - areas->count)
        return false;
    uint32_t capacity = areas->capacity == 0 ? AREAS_MIN : 2 * areas->capacity;
    while (capacity - areas->count < more)
        capacity *= 2;
    struct area *list = supply_object(capacity * sizeof(*list));
    if (list == NULL)
        return false;
    heap_free(areas_move(areas, list, capacity));
    return true;
}

// A page that is present can always be read, by the kernel at least.
unsigned space_leaf_rights(const struct area *area, bool is_alone) {
    if (area->rights == 0)
        return VMEM_READ;
    return (area->rights & ~(is_alone ? 0 : (unsigned)VMEM_WRITE)) | VMEM_USER;
}

static bool keep_first(void *argument, const struct vmem_run *run) {
    *(struct vmem_run *)argument = *run;
    return false;
}

bool space_find_run(const struct user_space *space, uint64_t from, uint64_t end,
                    struct vmem_run *ret_run) {
    if (from >= end)
        return false;
    enum vmem_status status =
        vmem_walk(&space->tables, vaddr(from), end - from, keep_first, ret_run);
    if (status != VMEM_OK && status != VMEM_ERR_STOPPED)
        panic("user memory [0x%lx, 0x%lx): %s", from, end, vmem_status_text(status));
    return status == VMEM_ERR_STOPPED;
}

bool space_split_leaf(struct user_space *space, uint64_t address, struct vmem_flush *flush) {
    struct vmem_translation found;
    if (vmem_translate(&space->tables, vaddr(address), &found) != VMEM_OK || found.page == VMEM_4K)
        return true;
    uint64_t offset = address & (BLOCK_BYTES - 1);
    if (vmem_split(&space->tables, vaddr(address - offset), BLOCK_BYTES, VMEM_4K, flush) != VMEM_OK)
        return false;
    counted_split(paddr(found.phys.value - offset));
    return true;
}

void space_set_rights(struct user_space *space, uint64_t start, uint64_t bytes, unsigned rights,
                      struct vmem_flush *flush) {
    enum vmem_status status = vmem_protect(&space->tables, vaddr(start), bytes, rights, flush);
    if (status != VMEM_OK)
        panic("user memory [0x%lx, +0x%lx) cannot be protected: %s", start, bytes,
              vmem_status_text(status));
}

// Makes one large leaf of 512 small ones that are its parts, each owned alone.
static void merge_part(struct user_space *space, uint64_t part, struct vmem_flush *flush) {
    struct vmem_run run;
    bool is_alone;
    if (!space_find_run(space, part, part + BLOCK_BYTES, &run) || run.bytes != BLOCK_BYTES ||
        run.leaves[VMEM_2M] != 0 || !is_aligned(run.phys.value, BLOCK_BYTES) ||
        counted_alike(run.phys, run.bytes, &is_alone) != run.bytes || !is_alone)
        return;
    enum vmem_status status = vmem_merge(&space->tables, vaddr(part), BLOCK_BYTES, VMEM_2M, flush);
    if (status != VMEM_OK)
        panic("user memory 0x%lx cannot be merged: %s", part, vmem_status_text(status));
}

void space_merge_parts(struct user_space *space, const struct area *area, uint64_t start,
                       uint64_t end, struct vmem_flush *flush) {
    uint64_t from = max_u64(align_down(start, BLOCK_BYTES), align_up(area->start, BLOCK_BYTES));
    uint64_t to = min_u64(align_up(end, BLOCK_BYTES), align_down(area->end, BLOCK_BYTES));
    struct vmem_run run;
    while (space_find_run(space, from, to, &run)) {
        uint64_t part = align_down(run.virt.value, BLOCK_BYTES);
        merge_part(space, part, flush);
        from = part + BLOCK_BYTES;
    }
}

bool user_space_translate(struct user_space *space, uint64_t address,
                          struct vmem_translation *ret_translation) {
    struct vmem_flush flush;
    space_change_begin(space, &flush);
    enum vmem_status status = vmem_translate(&space->tables, vaddr(address), ret_translation);
    space_change_end(space, &flush);
    return status == VMEM_OK;
}

bool user_space_allows(struct user_space *space, uint64_t address, uint64_t bytes,
                       unsigned rights) {
    uint64_t end;
    if (add_overflows(address, bytes, &end))
        return false;
    struct vmem_flush flush;
    space_change_begin(space, &flush);
    const struct areas *areas = &space->areas;
    bool is_allowed = areas_are_whole(areas, address, end);
    for (uint32_t i = areas_from(areas, address);
         is_allowed && i < areas->count && areas->list[i].start < end; i++)
        is_allowed =
            areas->list[i].kind != USER_AREA_GUARD && (rights & ~areas->list[i].rights) == 0;
    space_change_end(space, &flush);
    return is_allowed;
}
