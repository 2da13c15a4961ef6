// A naive model of an address space, a list of runs in page numbers, and the comparison of the real
// thing with it, operation by operation. What an operation is to be is decoded from a few bytes,
// random ones in the property test, the fuzzer's in the fuzz target.
//
// Header only, so that the fuzz target, which links no test framework, can use it too.
#pragma once

#include "tests/unit/support/vmem_memory.h"

#define VMEM_MODEL_RUNS 4096

// Pages [first, end) of one kind.
struct vmem_model_run {
    uint64_t first, end;
    uint64_t phys; // page
    unsigned rights;
    enum vmem_cache cache;
    bool global;
};

struct vmem_model {
    struct vmem_model_run run[VMEM_MODEL_RUNS]; // rising, disjoint
    unsigned count;
};

enum vmem_operation_kind {
    VMEM_OPERATION_MAP,
    VMEM_OPERATION_UNMAP,
    VMEM_OPERATION_PROTECT,
    VMEM_OPERATION_REPLACE,
    VMEM_OPERATION_CACHE,
    VMEM_OPERATION_SPLIT,
    VMEM_OPERATION_MERGE,
    VMEM_OPERATION_HARVEST,
    VMEM_OPERATION_CLONE, // and the end of the clone, after a change through it
};

struct vmem_operation {
    enum vmem_operation_kind kind;
    struct vmem_mapping mapping; // of which others than map use virt, bytes and what they change
    enum vmem_page page;         // split, merge
    int64_t may_alloc;           // negative: as many as there are
};

#define VMEM_OPERATION_BYTES 12

static const uint8_t vmem_operation_kinds[] = {
    VMEM_OPERATION_MAP,     VMEM_OPERATION_UNMAP, VMEM_OPERATION_PROTECT, VMEM_OPERATION_MAP,
    VMEM_OPERATION_REPLACE, VMEM_OPERATION_CACHE, VMEM_OPERATION_SPLIT,   VMEM_OPERATION_MERGE,
    VMEM_OPERATION_HARVEST, VMEM_OPERATION_CLONE,
};

// Decodes an operation: near a boundary of some level, of any size, at times slightly wrong.
static inline struct vmem_operation vmem_operation_decode(const uint8_t bytes[VMEM_OPERATION_BYTES],
                                                          unsigned levels, struct vmem_cpu cpu) {
    const uint64_t half = UINT64_C(1) << (9 * levels - 1);
    const uint64_t top = UINT64_C(1) << 52;
    const uint64_t anchors[] = {0x400, 0x40000, 0x8000000, half, top - half, top, top - 0x80000};
    static const unsigned shifts[] = {0, 0, 9, 18};
    unsigned shift = shifts[bytes[4] % 4];
    uint64_t offset = (uint64_t)((int64_t)(int8_t)bytes[2] / 8 * 4) << shifts[bytes[3] % 4];
    uint64_t page = anchors[bytes[1] % 7] + offset + (bytes[3] < 32 ? bytes[3] % 4 : 0);
    uint64_t pages = (uint64_t)(bytes[5] % (bytes[4] < 16 ? 256 : 16)) * 4 << shift;
    static const uint64_t skews[] = {0, 0, 0, 0, 0x200, 0x40000, 1, 0x80};
    uint64_t skew = skews[bytes[7] % 8];
    if ((skew & 0x1ff) != 0 && pages > 2048)
        pages %= 2048; // 4 KiB leaves alone
    struct vmem_operation operation = {
        .kind =
            (enum vmem_operation_kind)vmem_operation_kinds[bytes[0] % sizeof(vmem_operation_kinds)],
        .page = (enum vmem_page)(bytes[8] % 4),
        .mapping =
            {
                .virt = vaddr(page << FRAME_SHIFT),
                .phys = paddr(((page + skew) & 0x3ffffff) << FRAME_SHIFT),
                .bytes = (pages + (bytes[6] < 64 ? bytes[6] % 4 : 0)) << FRAME_SHIFT,
                .rights = VMEM_READ | (bytes[8] < 128 ? VMEM_WRITE : bytes[8] & 14U),
                .cache = (enum vmem_cache)(bytes[9] < 192 ? 0 : bytes[9] % 6),
                .largest = cpu.has_1g ? VMEM_1G : VMEM_2M,
                .global = bytes[9] >= 128 && bytes[9] < 192,
            },
        .may_alloc = bytes[11] < 16 ? bytes[11] % 4 : -1,
    };
    operation.mapping.replace = operation.kind == VMEM_OPERATION_REPLACE;
    if (operation.kind == VMEM_OPERATION_SPLIT && operation.page == VMEM_4K)
        operation.mapping.bytes &= 0x7fffff; // few tables
    if (operation.kind == VMEM_OPERATION_SPLIT)
        operation.mapping.bytes &= 0xffffffffff;
    if (pages <= 2048)
        operation.mapping.largest = (enum vmem_page)(bytes[8] >> 4 & 3);
    switch (bytes[10]) { // something wrong
    case 0:
        operation.mapping.virt.value ^= 1;
        break;
    case 1:
        operation.mapping.bytes ^= 0x800;
        break;
    case 2:
        operation.mapping.phys.value |= UINT64_C(1) << 46;
        break;
    case 3:
        operation.mapping.rights = bytes[8];
        break;
    case 4:
        operation.mapping.cache = (enum vmem_cache)(bytes[9]);
        break;
    default:
        break;
    }
    return operation;
}

static inline void vmem_operation_ignore(void *argument, vaddr_t virt, uint64_t bytes,
                                         unsigned marks) {
    (void)argument, (void)virt, (void)bytes, (void)marks;
}

// Clones the space, unmaps the range through the clone and ends it.
static inline enum vmem_status vmem_operation_clone(struct vmem *space,
                                                    const struct vmem_mapping *mapping,
                                                    struct vmem_flush *flush) {
    struct vmem clone;
    enum vmem_status status = vmem_clone(space, &clone);
    if (status != VMEM_OK)
        return status;
    status = vmem_unmap(&clone, mapping->virt, mapping->bytes, flush);
    if (vmem_destroy(&clone, flush) != VMEM_OK || space->next != NULL)
        abort();
    return status;
}

static inline enum vmem_status vmem_operation_run(struct vmem *space,
                                                  const struct vmem_operation *operation) {
    const struct vmem_mapping *m = &operation->mapping;
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    enum vmem_status status = VMEM_OK;
    switch (operation->kind) {
    case VMEM_OPERATION_MAP:
    case VMEM_OPERATION_REPLACE:
        status = vmem_map(space, m, &flush);
        break;
    case VMEM_OPERATION_UNMAP:
        status = vmem_unmap(space, m->virt, m->bytes, &flush);
        break;
    case VMEM_OPERATION_PROTECT:
        status = vmem_protect(space, m->virt, m->bytes, m->rights, &flush);
        break;
    case VMEM_OPERATION_CACHE:
        status = vmem_set_cache(space, m->virt, m->bytes, m->cache, &flush);
        break;
    case VMEM_OPERATION_SPLIT:
        status = vmem_split(space, m->virt, m->bytes, operation->page, &flush);
        break;
    case VMEM_OPERATION_MERGE:
        status = vmem_merge(space, m->virt, m->bytes, operation->page, &flush);
        break;
    case VMEM_OPERATION_HARVEST:
        status = vmem_harvest(space, m->virt, m->bytes, VMEM_ACCESSED | VMEM_DIRTY,
                              vmem_operation_ignore, NULL, &flush);
        break;
    case VMEM_OPERATION_CLONE:
        status = vmem_operation_clone(space, m, &flush);
        break;
    }
    vmem_flush_finish(space, &flush);
    return status;
}

// The run that holds the page, or null.
static inline const struct vmem_model_run *vmem_model_find(const struct vmem_model *model,
                                                           uint64_t page) {
    for (unsigned i = 0; i < model->count; i++)
        if (page >= model->run[i].first && page < model->run[i].end)
            return &model->run[i];
    return NULL;
}

// How many pages of [first, end) are mapped.
static inline uint64_t vmem_model_mapped(const struct vmem_model *model, uint64_t first,
                                         uint64_t end) {
    uint64_t mapped = 0;
    for (unsigned i = 0; i < model->count; i++) {
        uint64_t from = model->run[i].first > first ? model->run[i].first : first;
        uint64_t to = model->run[i].end < end ? model->run[i].end : end;
        mapped += to > from ? to - from : 0;
    }
    return mapped;
}

// Every status that would be right for the operation, as a set of bits; 0: it must succeed.
static inline uint32_t vmem_model_errors(const struct vmem_model *model, const struct vmem *space,
                                         const struct vmem_operation *operation) {
    const struct vmem_mapping *m = &operation->mapping;
    enum vmem_operation_kind kind = operation->kind;
    bool is_map = kind == VMEM_OPERATION_MAP || kind == VMEM_OPERATION_REPLACE;
    bool has_rights = is_map || kind == VMEM_OPERATION_PROTECT;
    bool has_cache = is_map || kind == VMEM_OPERATION_CACHE;
    unsigned largest_page = space->cpu.has_1g ? VMEM_1G : VMEM_2M;
    uint32_t errors = 0;
    if ((m->virt.value | m->bytes) % 4096 != 0 || (is_map && m->phys.value % 4096 != 0))
        errors |= 1U << VMEM_ERR_UNALIGNED;
    if (m->bytes == 0)
        errors |= 1U << VMEM_ERR_EMPTY;
    __extension__ unsigned __int128 end = (unsigned __int128)m->virt.value + m->bytes;
    if (end >> 64 > 1 || (end >> 64 == 1 && (uint64_t)end != 0))
        errors |= 1U << VMEM_ERR_WRAPS;
    uint64_t hole = UINT64_C(1) << (12 + 9 * space->levels - 1);
    if (end > hole && m->virt.value < UINT64_C(0) - hole)
        errors |= 1U << VMEM_ERR_NONCANONICAL;
    if (is_map && (m->phys.value + m->bytes) >> space->cpu.paddr_bits != 0)
        errors |= 1U << VMEM_ERR_PADDR_WIDTH;
    if (has_rights && ((m->rights & 1) == 0 || m->rights > 15))
        errors |= 1U << VMEM_ERR_RIGHTS;
    if (has_cache && (unsigned)m->cache > 5)
        errors |= 1U << VMEM_ERR_CACHE;
    if ((is_map && (unsigned)m->largest > largest_page) ||
        (kind == VMEM_OPERATION_MERGE && (unsigned)operation->page > largest_page) ||
        (kind == VMEM_OPERATION_SPLIT && operation->page > VMEM_1G))
        errors |= 1U << VMEM_ERR_PAGE_SIZE;
    if (errors != 0)
        return errors;
    uint64_t first = m->virt.value >> 12;
    uint64_t mapped = vmem_model_mapped(model, first, first + (m->bytes >> 12));
    if (kind == VMEM_OPERATION_MAP && mapped != 0)
        errors |= 1U << VMEM_ERR_MAPPED;
    if ((kind == VMEM_OPERATION_PROTECT || kind == VMEM_OPERATION_CACHE) &&
        mapped != m->bytes >> 12)
        errors |= 1U << VMEM_ERR_NOT_MAPPED;
    return errors;
}

// Makes `page` the start of a run, if it is inside one.
static inline void vmem_model_cut(struct vmem_model *model, uint64_t page) {
    for (unsigned i = 0; i < model->count; i++) {
        struct vmem_model_run *run = &model->run[i];
        if (page <= run->first || page >= run->end)
            continue;
        memmove(run + 1, run, (model->count++ - i) * sizeof(*run));
        run[1].phys += page - run->first;
        run[1].first = page;
        run[0].end = page;
        return;
    }
}

static inline void vmem_model_insert(struct vmem_model *model, struct vmem_model_run run) {
    unsigned at = 0;
    while (at < model->count && model->run[at].first < run.first)
        at++;
    memmove(&model->run[at + 1], &model->run[at], (model->count++ - at) * sizeof(run));
    model->run[at] = run;
}

// Removes all runs inside [first, end), which no run crosses.
static inline void vmem_model_remove(struct vmem_model *model, uint64_t first, uint64_t end) {
    unsigned kept = 0;
    for (unsigned i = 0; i < model->count; i++)
        if (model->run[i].first < first || model->run[i].first >= end)
            model->run[kept++] = model->run[i];
    model->count = kept;
}

// Does what the operation does when it succeeds.
static inline void vmem_model_apply(struct vmem_model *model,
                                    const struct vmem_operation *operation) {
    const struct vmem_mapping *m = &operation->mapping;
    enum vmem_operation_kind kind = operation->kind;
    uint64_t first = m->virt.value >> 12;
    uint64_t end = first + (m->bytes >> 12);
    if (kind == VMEM_OPERATION_SPLIT || kind == VMEM_OPERATION_MERGE ||
        kind == VMEM_OPERATION_HARVEST)
        return;
    if (kind == VMEM_OPERATION_CLONE && first < UINT64_C(1) << 51)
        return; // the clone's own lower half
    vmem_model_cut(model, first);
    vmem_model_cut(model, end);
    if (kind != VMEM_OPERATION_PROTECT && kind != VMEM_OPERATION_CACHE)
        vmem_model_remove(model, first, end);
    if (kind == VMEM_OPERATION_MAP || kind == VMEM_OPERATION_REPLACE)
        vmem_model_insert(model, (struct vmem_model_run){first, end, m->phys.value >> 12, m->rights,
                                                         m->cache, m->global});
    for (unsigned i = 0; i < model->count; i++) {
        struct vmem_model_run *run = &model->run[i];
        bool is_inside = run->first >= first && run->first < end;
        if (is_inside && kind == VMEM_OPERATION_PROTECT)
            run->rights = m->rights;
        if (is_inside && kind == VMEM_OPERATION_CACHE)
            run->cache = m->cache;
    }
}

struct vmem_model_check {
    const struct vmem_model *model;
    unsigned at; // next run of the model
};

static inline bool vmem_model_joins(const struct vmem_model_run *a,
                                    const struct vmem_model_run *b) {
    uint64_t half = UINT64_C(1) << 51;
    return a->end == b->first && a->phys + (a->end - a->first) == b->phys &&
           a->rights == b->rights && a->cache == b->cache && a->global == b->global &&
           (a->first & half) == (b->first & half);
}

static inline bool vmem_model_visit(void *argument, const struct vmem_run *run) {
    struct vmem_model_check *check = argument;
    const struct vmem_model *model = check->model;
    if (check->at == model->count)
        return false;
    struct vmem_model_run want = model->run[check->at++];
    while (check->at < model->count && vmem_model_joins(&want, &model->run[check->at]))
        want.end = model->run[check->at++].end;
    uint64_t leaf_bytes = 0;
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        leaf_bytes += run->leaves[page] * vmem_page_bytes((enum vmem_page)page);
    return run->virt.value == want.first << 12 && run->phys.value == want.phys << 12 &&
           run->bytes == (want.end - want.first) << 12 && leaf_bytes == run->bytes &&
           run->rights == want.rights && run->cache == want.cache && run->global == want.global;
}

// Whether the space maps what the model does, and nothing else.
static inline bool vmem_model_matches(const struct vmem_model *model, const struct vmem *space) {
    struct vmem_model_check check = {.model = model};
    return vmem_walk(space, vaddr(0), 0, vmem_model_visit, &check) == VMEM_OK &&
           check.at == model->count;
}

// Whether one page of the space is as the model has it.
static inline bool vmem_model_matches_page(const struct vmem_model *model, const struct vmem *space,
                                           uint64_t page) {
    struct vmem_translation got;
    enum vmem_status status = vmem_translate(space, vaddr(page << 12), &got);
    const struct vmem_model_run *run = vmem_model_find(model, page);
    if (run == NULL)
        return status == VMEM_ERR_NOT_MAPPED || status == VMEM_ERR_NONCANONICAL;
    return status == VMEM_OK && got.phys.value >> 12 == run->phys + (page - run->first) &&
           got.rights == run->rights && vmem_translation_cache(&got) == run->cache &&
           vmem_translation_is_global(&got) == run->global;
}

static inline enum vmem_claim vmem_model_claim(void *context, paddr_t table) {
    return vmem_memory_claim(context, table);
}

static inline void vmem_model_violation(void *context, const struct vmem_violation *violation) {
    (void)context;
    if (violation->kind != VMEM_BAD_WRITE_EXECUTE) // which the operations ask for at times
        abort();
}

// Whether every frame in use is a table of the space, reached once.
static inline bool vmem_model_tables_match(struct vmem *space, struct vmem_memory *memory) {
    struct vmem_memory_claims claims = {memory, calloc(memory->count, 1)};
    struct vmem_auditor auditor = {vmem_model_claim, vmem_model_violation, &claims};
    struct vmem_audit_result result = vmem_audit(space, &auditor);
    free(claims.claimed);
    return result.tables == memory->used_count && memory->bad_frees == 0;
}

// Does the operation to both; null if the space did what the model says, else what it did not.
static inline const char *vmem_model_step(struct vmem_model *model, struct vmem *space,
                                          struct vmem_memory *memory,
                                          const struct vmem_operation *operation) {
    if (model->count + 3 > VMEM_MODEL_RUNS)
        return NULL;
    uint32_t errors = vmem_model_errors(model, space, operation);
    uint32_t used_before = memory->used_count;
    bool is_limited = operation->may_alloc >= 0;
    struct vmem_memory before = {0};
    if (is_limited)
        before = vmem_memory_copy(memory);
    memory->may_alloc = operation->may_alloc;
    enum vmem_status status = vmem_operation_run(space, operation);
    memory->may_alloc = -1;
    bool is_unchanged = !is_limited || vmem_memory_equal(memory, &before);
    if (is_limited)
        vmem_memory_destroy(&before);

    if (status == VMEM_OK && errors != 0)
        return "done what should be refused";
    if (status == VMEM_OK) {
        vmem_model_apply(model, operation);
    } else {
        if (!is_unchanged || memory->used_count != used_before)
            return "a refusal changed the tables";
        bool clones = operation->kind == VMEM_OPERATION_CLONE; // before it looks at the range
        if (status == VMEM_ERR_NO_MEMORY ? errors != 0 && !clones : (errors >> status & 1) == 0)
            return "refused for the wrong reason";
    }
    uint64_t first = operation->mapping.virt.value >> 12;
    uint64_t end = first + (operation->mapping.bytes >> 12);
    const uint64_t probes[] = {first - 1, first, first + (end - first) / 2, end - 1, end};
    for (unsigned i = 0; i < 5; i++)
        if (!vmem_model_matches_page(model, space, probes[i] & ((UINT64_C(1) << 52) - 1)))
            return "a page is not as it should be";
    return NULL;
}
