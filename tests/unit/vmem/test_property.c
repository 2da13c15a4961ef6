#include "tests/unit/support/test.h"
#include "tests/unit/support/vmem_model.h"

#include <time.h>
#include <unistd.h>

enum { OPERATIONS = 25000, FRAMES = 256, FRAMES_LIMIT = 96 };

static uint64_t next_random(uint64_t *state) { // xorshift64*
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

// SEED=n in the environment, or one of its own; printed, so that a failure can be had again.
static uint64_t choose_seed(void) {
    const char *wanted = getenv("SEED");
    uint64_t seed = wanted != NULL ? strtoull(wanted, NULL, 0)
                                   : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    print_message("SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void fail_at(unsigned step, const struct vmem_operation *operation, const char *what) {
    const struct vmem_mapping *m = &operation->mapping;
    fail_msg("step %u: %s: kind %d virt %llx phys %llx bytes %llx rights %x cache %d largest %d "
             "global %d may_alloc %d",
             step, what, (int)operation->kind, (unsigned long long)m->virt.value,
             (unsigned long long)m->phys.value, (unsigned long long)m->bytes, m->rights,
             (int)m->cache, (int)m->largest, m->global, (int)operation->may_alloc);
}

// Empties one half, so that tables do not pile up.
static struct vmem_operation empty_half(const struct vmem *space, unsigned half) {
    uint64_t bytes = UINT64_C(1) << (12 + 9 * space->levels - 1);
    return (struct vmem_operation){
        .kind = VMEM_OPERATION_UNMAP,
        .mapping = {.virt = vaddr(half ? UINT64_C(0) - bytes : 0), .bytes = bytes},
        .may_alloc = -1,
    };
}

static void run_random(struct vmem_cpu cpu, unsigned levels) {
    uint64_t state = choose_seed() | 1;
    struct vmem_memory memory = vmem_memory_make(FRAMES);
    memory.direct = FRAMES / 2;
    struct vmem space;
    assert_int_equal(vmem_new(&space, &vmem_memory_ops, &memory, cpu, levels), VMEM_OK);
    struct vmem_model *model = calloc(1, sizeof(*model));
    unsigned done = 0;
    for (unsigned step = 0; step < OPERATIONS; step++) {
        uint64_t random[2] = {next_random(&state), next_random(&state)};
        struct vmem_operation operation =
            vmem_operation_decode((const uint8_t *)random, levels, cpu);
        if (memory.used_count > FRAMES_LIMIT)
            operation = empty_half(&space, step % 2);
        unsigned runs = model->count;
        const char *wrong = vmem_model_step(model, &space, &memory, &operation);
        if (wrong == NULL && step % 8 == 0 && !vmem_model_matches(model, &space))
            wrong = "the space is not as the model";
        if (wrong == NULL && step % 64 == 0 && !vmem_model_tables_match(&space, &memory))
            wrong = "the frames in use are not the tables";
        if (wrong != NULL)
            fail_at(step, &operation, wrong);
        done += model->count != runs;
    }
    assert_in_range(done, OPERATIONS / 8, OPERATIONS); // else the test tests little
    vmem_memory_destroy(&memory);
    free(model);
}

TEST("vmem: random operations do what a naive model does (4 levels)") {
    run_random((struct vmem_cpu){.paddr_bits = 46, .has_nx = true, .has_1g = true}, 4);
}

TEST("vmem: random operations do what a naive model does (5 levels)") {
    run_random((struct vmem_cpu){.paddr_bits = 46, .has_nx = true, .has_1g = true}, 5);
}

TEST("vmem: random operations do what a naive model does (4 levels, no 1 GiB pages)") {
    run_random((struct vmem_cpu){.paddr_bits = 46, .has_nx = true}, 4);
}

TEST("vmem: random operations do what a naive model does (5 levels, no 1 GiB pages)") {
    run_random((struct vmem_cpu){.paddr_bits = 46, .has_nx = true}, 5);
}
