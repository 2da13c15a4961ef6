// The world of the random test: spaces that share their upper half, CPUs that use them, the model
// of each page; and what random bytes are as an operation, on the spaces and on the model.
#pragma once

#include "tests/unit/support/test.h"
#include "tests/unit/support/vmem_pages.h"

enum { WORLD_FRAMES = 160 };

enum kind { MAP, REPLACE, UNMAP, PROTECT, CACHE, SPLIT, MERGE, HARVEST, CLONE, DESTROY };

static const char *const kind_text[] = {"map",   "replace", "unmap",   "protect", "set_cache",
                                        "split", "merge",   "harvest", "clone",   "destroy"};

struct operation {
    enum kind kind;
    unsigned space, window;
    uint64_t at, count; // pages of the window
    struct vmem_mapping mapping;
    enum vmem_page page;
    unsigned clear;
    int64_t may_alloc;
};

struct world {
    struct vmem_cpu cpu;
    uint32_t direct; // frames that are seen directly
    struct vmem_memory memory;
    struct vmem space[PAGES_SPACES];
    struct vmem_tlb tlb[PAGES_SPACES];
    struct pages_model *model;
    const struct operation *operation;
    uint64_t released; // pages
    const char *wrong;
    uint64_t steps, done[DESTROY + 1];
};

// ---- From bytes to operations

static inline enum kind decode_kind(uint8_t byte) {
    static const uint8_t weight[] = {70, 24, 52, 30, 12, 22, 24, 12, 5, 5};
    unsigned kind = 0;
    while (byte >= weight[kind])
        byte = (uint8_t)(byte - weight[kind++]);
    return (enum kind)kind;
}

// A range near a boundary of pages of some size, cut to the window.
static inline void decode_range(struct operation *operation, const uint8_t *b) {
    unsigned shift = b[2] < 150 ? 0 : b[2] < 254 ? 9 : 18;
    uint64_t count = (uint64_t)(1 + b[3] % (shift == 18 ? 2 : 8)) << shift;
    uint64_t at = ((uint64_t)b[4] << 11 | (uint64_t)b[5] << 3) & (PAGES_WINDOW - 1);
    if (b[6] < 200) // near the middle of the window, where much meets
        at = PAGES_WINDOW / 2 + at % 2048 - 1024;
    at &= ~((UINT64_C(1) << shift) - 1);
    at += b[7] < 64 ? b[7] % 8 : 0;
    count += b[8] < 48 ? b[8] % 4 : 0;
    at = at < PAGES_WINDOW ? at : PAGES_WINDOW - 1;
    operation->at = at;
    operation->count = count < PAGES_WINDOW - at ? count : PAGES_WINDOW - at;
}

static inline struct operation decode(const struct world *world, const uint8_t *b) {
    static const uint64_t skews[] = {0, 0, 0, 0, 0x200, 0x40000, 0x40200, 1};
    struct operation operation = {
        .kind = decode_kind(b[0]),
        .space = b[1] % PAGES_SPACES,
        .window = b[1] / 16 % PAGES_WINDOWS,
        .page = (enum vmem_page)(b[9] % 3),
        .clear = b[9] / 4 % 4,
        .may_alloc = b[10] < 12 ? b[10] % 4 : -1,
    };
    if (operation.page == VMEM_1G && !world->cpu.has_1g)
        operation.page = VMEM_2M;
    decode_range(&operation, b);
    bool is_huge = operation.count > 4096; // not in 4 KiB pages: that would take too many tables
    if (is_huge && operation.page == VMEM_4K)
        operation.page = VMEM_2M;
    const struct pages_window *window = pages_window(world->model, 0, operation.window);
    uint64_t page = window->first + operation.at;
    operation.mapping = (struct vmem_mapping){
        .virt = vaddr(page << 12),
        .phys = paddr(((page + skews[b[11] % (is_huge ? 7 : 8)]) & 0x1ffffff) << 12),
        .bytes = operation.count << 12,
        .rights = VMEM_READ | (b[12] < 200 ? VMEM_WRITE : b[12] & 14U),
        .cache = (enum vmem_cache)(b[13] < 200 ? 0 : b[13] % 6),
        .largest = operation.page,
        .global = b[14] % 4 == 0,
        .replace = operation.kind == REPLACE,
    };
    return operation;
}

static inline void print_operation(const struct operation *o) {
    print_message("  %-9s space %u window %u pages [%llx, +%llx) phys %llx rights %x cache %d "
                  "largest %d global %d page %d clear %u may_alloc %d\n",
                  kind_text[o->kind], o->space, o->window, (unsigned long long)o->at,
                  (unsigned long long)o->count, (unsigned long long)o->mapping.phys.value,
                  o->mapping.rights, (int)o->mapping.cache, (int)o->mapping.largest,
                  (int)o->mapping.global, (int)o->page, o->clear, (int)o->may_alloc);
}

// ---- What an operation does to the space ...

static inline void execute(void *context, const struct vmem_flush *flush) {
    struct world *world = context;
    vmem_tlb_execute(&world->tlb[0], flush);
}

static inline void release(void *context, const struct vmem_run *run) {
    struct world *world = context;
    const struct operation *o = world->operation;
    bool was_there = false;
    for (unsigned i = 0; i < PAGES_WINDOWS; i++)
        was_there |= pages_have_run(pages_window(world->model, o->space, i), run);
    if (!was_there)
        world->wrong = "memory was released that was not mapped";
    if (!vmem_tlb_is_released(&world->tlb[0], run))
        world->wrong = "memory was released that a CPU could still reach";
    world->released += run->bytes >> 12;
}

static inline void ignore_marks(void *argument, vaddr_t virt, uint64_t bytes, unsigned marks) {
    (void)argument, (void)virt, (void)bytes, (void)marks;
}

static inline unsigned free_space(const struct world *world) {
    unsigned space = 0;
    while (space < PAGES_SPACES && world->model->is_live[space])
        space++;
    return space;
}

static inline bool is_last(const struct world *world) {
    unsigned live = 0;
    for (unsigned i = 0; i < PAGES_SPACES; i++)
        live += world->model->is_live[i];
    return live == 1;
}

// CPUs share every flush: those of live spaces form one list, which begins with that of space 0.
static inline void link_cpus(struct world *world) {
    struct vmem_tlb *last = &world->tlb[0];
    for (unsigned i = 1; i < PAGES_SPACES; i++)
        if (world->model->is_live[i]) {
            last->next = &world->tlb[i];
            last = last->next;
        }
    last->next = NULL;
}

static inline enum vmem_status run_clone(struct world *world, struct vmem *source) {
    unsigned to = free_space(world);
    if (to == PAGES_SPACES)
        return VMEM_ERR_MAPPED;
    enum vmem_status status = vmem_clone(source, &world->space[to]);
    if (status != VMEM_OK)
        return status;
    world->model->is_live[to] = true;
    vmem_tlb_make(&world->tlb[to], &world->memory, &world->space[to]);
    world->tlb[to].sets_marks = true;
    link_cpus(world);
    return VMEM_OK;
}

static inline enum vmem_status run_destroy(struct world *world, unsigned space,
                                           struct vmem_flush *flush) {
    if (is_last(world))
        return VMEM_ERR_MAPPED;
    vmem_tlb_reset(&world->tlb[space]); // no CPU uses it any more
    enum vmem_status status = vmem_destroy(&world->space[space], flush);
    world->model->is_live[space] = false;
    vmem_tlb_make(&world->tlb[space], &world->memory, &world->space[space]);
    link_cpus(world);
    return status;
}

static inline enum vmem_status run(struct world *world, const struct operation *o) {
    static const struct vmem_flush_ops ops = {execute, release};
    struct vmem *space = &world->space[o->space];
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &ops, world);
    vaddr_t virt = o->mapping.virt;
    uint64_t bytes = o->mapping.bytes;
    enum vmem_status status = VMEM_OK;
    switch (o->kind) {
    case MAP:
    case REPLACE:
        status = vmem_map(space, &o->mapping, &flush);
        break;
    case UNMAP:
        status = vmem_unmap(space, virt, bytes, &flush);
        break;
    case PROTECT:
        status = vmem_protect(space, virt, bytes, o->mapping.rights, &flush);
        break;
    case CACHE:
        status = vmem_set_cache(space, virt, bytes, o->mapping.cache, &flush);
        break;
    case SPLIT:
        status = vmem_split(space, virt, bytes, o->page, &flush);
        break;
    case MERGE:
        status = vmem_merge(space, virt, bytes, o->page, &flush);
        break;
    case HARVEST:
        status = vmem_harvest(space, virt, bytes, o->clear, ignore_marks, NULL, &flush);
        break;
    case CLONE:
        return run_clone(world, space);
    case DESTROY:
        return run_destroy(world, o->space, &flush);
    }
    vmem_flush_finish(space, &flush);
    return status;
}

// ---- ... and to the model

// The status that is right, if all allocations succeed.
static inline enum vmem_status expected(struct world *world, const struct operation *o) {
    const struct pages_window *window = pages_window(world->model, o->space, o->window);
    switch (o->kind) {
    case MAP:
        return pages_count(window, o->at, o->count) == 0 ? VMEM_OK : VMEM_ERR_MAPPED;
    case PROTECT:
    case CACHE:
        return pages_count(window, o->at, o->count) == o->count ? VMEM_OK : VMEM_ERR_NOT_MAPPED;
    case CLONE:
        return free_space(world) != PAGES_SPACES ? VMEM_OK : VMEM_ERR_MAPPED;
    case DESTROY:
        return is_last(world) ? VMEM_ERR_MAPPED : VMEM_OK;
    case REPLACE:
    case UNMAP:
    case SPLIT:
    case MERGE:
    case HARVEST:
        break;
    }
    return VMEM_OK;
}

// Pages that the operation is to release.
static inline uint64_t pages_gone(struct world *world, const struct operation *o) {
    uint64_t gone = 0;
    if (o->kind == REPLACE || o->kind == UNMAP)
        gone = pages_count(pages_window(world->model, o->space, o->window), o->at, o->count);
    for (unsigned i = 0; o->kind == DESTROY && i < 2; i++) {
        const struct pages_window *window = pages_window(world->model, o->space, i);
        gone += pages_count(window, 0, PAGES_WINDOW);
    }
    return gone;
}

static inline void apply(struct world *world, const struct operation *o) {
    struct pages_window *window = pages_window(world->model, o->space, o->window);
    if (o->kind == MAP || o->kind == REPLACE)
        pages_map(window, o->at, o->count, pages_make_record(&o->mapping));
    if (o->kind == UNMAP)
        pages_unmap(window, o->at, o->count);
    if (o->kind == PROTECT)
        pages_edit(window, o->at, o->count, PAGES_RIGHTS_MASK,
                   (uint64_t)o->mapping.rights << PAGES_RIGHTS_AT);
    if (o->kind == CACHE)
        pages_edit(window, o->at, o->count, PAGES_CACHE_MASK,
                   (uint64_t)o->mapping.cache << PAGES_CACHE_AT);
    for (unsigned i = 0; o->kind == DESTROY && i < 2; i++)
        pages_clear(pages_window(world->model, o->space, i));
}
