// Random operations on spaces that share their upper half, against a model that has one record for
// each page. SEED=n replays a run; a failure is shrunk to the shortest list of operations that
// still fails, and printed. Built without sanitizers, for its million operations
// (tests/unit/unit.mk).
#include "tests/unit/support/random.h"
#include "tests/unit/support/shrink.h"
#include "tests/unit/support/test.h"
#include "tests/unit/support/vmem_world.h"

enum {
    EPISODE = 2048,      // operations that begin with an empty space, so that a failure is short
    FRAMES_LIMIT = 24,   // more tables in use than this: something is unmapped
    FULL_CHECK = 512,    // operations from one comparison of all pages to the next
    OPERATIONS = 1 << 18 // for each kind of CPU; OPERATIONS=n in the environment
};

// ---- What must hold after each operation

static enum vmem_claim claim(void *context, paddr_t table) {
    return vmem_memory_claim(context, table);
}

static void report(void *context, const struct vmem_violation *violation) {
    (void)context;
    if (violation->kind != VMEM_BAD_WRITE_EXECUTE) // which the operations ask for at times
        abort();
}

static uint64_t audited_tables(struct world *world, const struct vmem *space) {
    uint8_t claimed[WORLD_FRAMES] = {0};
    struct vmem_memory_claims claims = {&world->memory, claimed};
    struct vmem_auditor auditor = {claim, report, &claims};
    return vmem_audit(space, &auditor).tables;
}

// Tables below entries [from, to) of a table, by the manual's bits.
static uint64_t count_tables(const struct world *world, uint64_t table, unsigned level,
                             unsigned from, unsigned to) {
    uint32_t frame = vmem_memory_frame(&world->memory, paddr(table));
    uint64_t tables = 0;
    for (unsigned i = from; level > 1 && i < to; i++) {
        uint64_t entry = world->memory.frames[frame][i];
        if ((entry & 1) != 0 && !vmem_tlb_is_leaf(entry, level))
            tables += 1 + count_tables(world, entry & VMEM_TLB_ADDRESS, level - 1, 0, 512);
    }
    return tables;
}

static bool tables_match(struct world *world, unsigned audited) {
    uint64_t root = world->space[audited].root.value;
    unsigned levels = world->model->levels;
    uint64_t upper = count_tables(world, root, levels, 256, 512);
    uint64_t used = upper;
    for (unsigned i = 0; i < PAGES_SPACES; i++) {
        if (!world->model->is_live[i])
            continue;
        uint64_t lower = count_tables(world, world->space[i].root.value, levels, 0, 256);
        used += 1 + lower;
        if (i == audited && audited_tables(world, &world->space[i]) != 1 + lower + upper)
            return false;
    }
    return used == world->memory.used_count && world->memory.bad_frees == 0;
}

// The page and both sides of the boundaries at and around it.
static bool boundaries_match(struct world *world, unsigned space, unsigned index, uint64_t at) {
    const struct pages_window *window = pages_window(world->model, space, index);
    const uint64_t probes[] = {at - 1,
                               at,
                               (at & ~UINT64_C(0x1ff)) - 1,
                               at & ~UINT64_C(0x1ff),
                               at | 0x1ff,
                               (at | 0x1ff) + 1,
                               at & ~UINT64_C(0x3ffff),
                               at | 0x3ffff};
    for (unsigned i = 0; i < 8; i++)
        if (probes[i] < PAGES_WINDOW && !pages_matches(&world->space[space], window, probes[i]))
            return false;
    return true;
}

struct full_check {
    struct world *world;
    unsigned space;
    uint64_t pages;
};

static bool visit(void *argument, const struct vmem_run *walked) {
    struct full_check *check = argument;
    check->pages += walked->bytes >> 12;
    for (unsigned i = 0; i < PAGES_WINDOWS; i++)
        if (pages_have_run(pages_window(check->world->model, check->space, i), walked))
            return true;
    return false;
}

// Whether all pages of the space are as the model has them, and no others.
static bool all_pages_match(struct world *world, unsigned space) {
    struct full_check check = {world, space, 0};
    if (vmem_walk(&world->space[space], vaddr(0), 0, visit, &check) != VMEM_OK)
        return false;
    for (unsigned i = 0; i < PAGES_WINDOWS; i++) {
        const struct pages_window *window = pages_window(world->model, space, i);
        check.pages -= pages_count(window, 0, PAGES_WINDOW);
    }
    return check.pages == 0;
}

// Whether no page in the range is smaller, after a merge, or larger, after a split, than it may be.
static bool sizes_match(struct world *world, const struct operation *o) {
    const struct pages_window *window = pages_window(world->model, o->space, o->window);
    struct vmem_translation got;
    if (vmem_translate(&world->space[o->space], o->mapping.virt, &got) != VMEM_OK)
        return true;
    if (o->kind == SPLIT)
        return got.page <= o->page;
    uint64_t at = (o->at + 0x1ff) & ~UINT64_C(0x1ff); // the first whole 2 MiB of the range
    uint64_t record = window->record[at & (PAGES_WINDOW - 1)];
    if (at + 512 > o->at + o->count || o->page == VMEM_4K || (record & 0x1ff) != 0 || record == 0)
        return true;
    for (unsigned i = 0; i < 512; i++)
        if (window->record[at + i] != record + i)
            return true;
    return vmem_translate(&world->space[o->space], vaddr((window->first + at) << 12), &got) ==
               VMEM_OK &&
           got.page >= VMEM_2M;
}

static const char *check(struct world *world, const struct operation *o, const uint8_t *b) {
    unsigned space = world->model->is_live[o->space] ? o->space : free_space(world);
    while (!world->model->is_live[space])
        space = (space + 1) % PAGES_SPACES;
    if (!boundaries_match(world, space, o->window, o->at) ||
        !boundaries_match(world, space, o->window, o->at + o->count - 1))
        return "a page at a boundary is not as it should be";
    for (unsigned i = 0; i < PAGES_SPACES; i++) {
        uint64_t sample = ((uint64_t)b[15 - i] << 11 | b[i]) & (PAGES_WINDOW - 1);
        for (unsigned j = 0; world->model->is_live[i] && j < PAGES_WINDOWS; j++)
            if (!pages_matches(&world->space[i], pages_window(world->model, i, j), sample))
                return "a sampled page is not as it should be";
        if (world->model->is_live[i] && !vmem_tlb_is_fresh(&world->tlb[i]))
            return "a CPU remembers what is not so any more";
        if (world->tlb[i].strays != 0)
            return "a CPU has walked into memory that is no table";
    }
    if (!tables_match(world, space))
        return "the frames in use are not the tables";
    if (world->steps % FULL_CHECK == 0 && !all_pages_match(world, space))
        return "the space is not as the model";
    return NULL;
}

// ---- Runs

// CPUs use pages around the range before it changes.
static void use_pages(struct world *world, const struct operation *o, const uint8_t *b) {
    uint64_t virt = o->mapping.virt.value;
    struct vmem_tlb *tlb = &world->tlb[b[2] % PAGES_SPACES];
    if (!world->model->is_live[b[2] % PAGES_SPACES])
        return;
    (void)vmem_tlb_access(tlb, virt, b[3] % 2);
    (void)vmem_tlb_access(tlb, virt + o->mapping.bytes - 1, b[3] / 2 % 2);
    (void)vmem_tlb_access(tlb, virt - 4096 * (uint64_t)(b[4] % 4), b[3] / 4 % 2);
    (void)vmem_tlb_access(tlb, virt + (o->mapping.bytes >> 1), b[3] / 8 % 2);
}

static const char *refusal(enum vmem_status status, enum vmem_status want, bool is_limited) {
    if (status == want || (status == VMEM_ERR_NO_MEMORY && want == VMEM_OK && is_limited))
        return NULL;
    return status == VMEM_OK ? "done what should be refused" : "refused for the wrong reason";
}

// Does one operation to both; null if all is as it should be, else what is not.
static const char *step(struct world *world, const struct shrink_operation *coded) {
    struct operation o = decode(world, coded->bytes);
    while (!world->model->is_live[o.space])
        o.space = (o.space + 1) % PAGES_SPACES;
    if (world->memory.used_count > FRAMES_LIMIT && o.kind != DESTROY) { // empty a window
        const struct pages_window *window = pages_window(world->model, o.space, o.window);
        uint64_t first = window->low < window->high ? window->low : 0;
        o.kind = UNMAP;
        o.mapping.virt = vaddr((window->first + first) << 12);
        o.at = first;
        o.count = window->low < window->high ? window->high - first : PAGES_WINDOW;
        o.mapping.bytes = o.count << 12;
        o.may_alloc = -1;
    }
    use_pages(world, &o, coded->bytes);
    world->operation = &o;
    world->released = 0;
    world->wrong = NULL;
    bool is_limited = o.may_alloc >= 0;
    struct vmem_memory before = {0};
    if (is_limited)
        before = vmem_memory_copy(&world->memory);
    enum vmem_status want = expected(world, &o);
    uint64_t gone = pages_gone(world, &o);
    world->memory.may_alloc = o.may_alloc;
    enum vmem_status status = run(world, &o);
    world->memory.may_alloc = -1;
    bool is_unchanged = !is_limited || vmem_memory_equal(&world->memory, &before);
    if (is_limited)
        vmem_memory_destroy(&before);
    world->steps++;
    const char *wrong = refusal(status, want, is_limited);
    if (wrong != NULL || world->wrong != NULL)
        return wrong != NULL ? wrong : world->wrong;
    if (status != VMEM_OK)
        return is_unchanged && world->released == 0 ? NULL : "a refusal changed the tables";
    world->done[o.kind]++;
    if (world->released != gone)
        return "not all memory was released";
    apply(world, &o);
    if ((o.kind == SPLIT || o.kind == MERGE) && !sizes_match(world, &o))
        return "a page is not as large as it should be";
    return check(world, &o, coded->bytes);
}

// Runs a list on an empty space; *ret_count is how far it came.
static const char *run_list(struct world *world, const struct shrink_operation *list,
                            unsigned count, unsigned *ret_count) {
    const char *wrong = NULL;
    world->memory = vmem_memory_make(WORLD_FRAMES);
    world->memory.direct = world->direct;
    world->memory.tlb = &world->tlb[0];
    for (unsigned i = 0; i < PAGES_SPACES; i++) {
        world->model->is_live[i] = i == 0;
        for (unsigned j = 0; j < PAGES_WINDOWS; j++)
            pages_clear(pages_window(world->model, i, j));
    }
    if (vmem_new(&world->space[0], &vmem_memory_ops, &world->memory, world->cpu,
                 world->model->levels) != VMEM_OK)
        abort();
    for (unsigned i = 0; i < PAGES_SPACES; i++) {
        vmem_tlb_make(&world->tlb[i], &world->memory, &world->space[0]);
        world->tlb[i].sets_marks = true;
    }
    world->steps = 0;
    unsigned i = 0;
    while (i < count && wrong == NULL)
        wrong = step(world, &list[i++]);
    *ret_count = i;
    vmem_memory_destroy(&world->memory);
    return wrong;
}

static bool list_fails(void *argument, const struct shrink_operation *list, unsigned count) {
    unsigned reached;
    return run_list(argument, list, count, &reached) != NULL;
}

static void shrink_and_fail(struct world *world, struct shrink_operation *list, unsigned count,
                            const char *wrong) {
    print_message("%s; shrinking %u operations\n", wrong, count);
    count = shrink_list(list, count, list_fails, world);
    for (unsigned i = 0; i < count; i++) {
        struct operation operation = decode(world, list[i].bytes);
        print_operation(&operation);
    }
    wrong = run_list(world, list, count, &count);
    fail_msg("%s, after the %u operations above", wrong, count);
}

static void run_random(const char *name, struct vmem_cpu cpu, unsigned levels) {
    struct random random = random_start(name);
    const char *wish = getenv("OPERATIONS");
    uint64_t operations = wish != NULL ? strtoull(wish, NULL, 0) : OPERATIONS;
    struct world *world = calloc(1, sizeof(*world));
    struct shrink_operation *list = calloc(EPISODE, sizeof(*list));
    world->cpu = cpu;
    world->model = calloc(1, sizeof(*world->model));
    pages_make(world->model, levels);
    for (uint64_t at = 0; at < operations; at += EPISODE) {
        world->direct = (uint32_t)(at / EPISODE % 3 * WORLD_FRAMES / 2);
        for (unsigned i = 0; i < EPISODE; i++)
            for (unsigned j = 0; j < 16; j += 8) {
                uint64_t bytes = random_next(&random);
                memcpy(&list[i].bytes[j], &bytes, 8);
            }
        unsigned reached;
        const char *wrong = run_list(world, list, EPISODE, &reached);
        if (wrong != NULL)
            shrink_and_fail(world, list, reached, wrong);
    }
    for (unsigned kind = 0; kind <= DESTROY; kind++) // else the test tests little
        assert_true(world->done[kind] > operations / 400);
    pages_destroy(world->model);
    free(world->model);
    free(world);
    free(list);
}

TEST("vmem: a quarter of a million random operations, 4 levels") {
    run_random("4 levels", (struct vmem_cpu){.paddr_bits = 46, .has_nx = true, .has_1g = true}, 4);
}

TEST("vmem: a quarter of a million random operations, 5 levels") {
    run_random("5 levels", (struct vmem_cpu){.paddr_bits = 46, .has_nx = true, .has_1g = true}, 5);
}

TEST("vmem: a quarter of a million random operations, 4 levels, no 1 GiB pages") {
    run_random("4 levels, no 1G", (struct vmem_cpu){.paddr_bits = 46, .has_nx = true}, 4);
}

TEST("vmem: a quarter of a million random operations, 5 levels, no 1 GiB pages") {
    run_random("5 levels, no 1G", (struct vmem_cpu){.paddr_bits = 46, .has_nx = true}, 5);
}

// Fails if an operation that begins with 7 comes somewhere after one that begins with 3.
static bool seven_after_three(void *argument, const struct shrink_operation *list, unsigned count) {
    unsigned *calls = argument;
    bool three = false;
    ++*calls;
    for (unsigned i = 0; i < count; i++) {
        if (three && list[i].bytes[0] == 7)
            return true;
        three |= list[i].bytes[0] == 3;
    }
    return false;
}

TEST("vmem: a failing list of operations is shrunk to those that it takes") {
    struct shrink_operation list[EPISODE];
    memset(list, 0, sizeof(list));
    for (unsigned i = 0; i < EPISODE; i++)
        list[i].bytes[0] = (uint8_t)(8 + i % 200);
    list[100].bytes[0] = list[1999].bytes[0] = 3;
    list[50].bytes[0] = list[1500].bytes[0] = 7;
    unsigned calls = 0;
    assert_int_equal(shrink_list(list, EPISODE, seven_after_three, &calls), 2);
    assert_int_equal(list[0].bytes[0], 3);
    assert_int_equal(list[1].bytes[0], 7);
    assert_in_range(calls, 1, 200);
}
