// Measures the kernel's heap beside the C library's: for each workload the time of nine runs, or
// under callgrind the instructions. The heap stands on the frame allocator, as in the kernel. See
// scripts/bench-heap.
//
// usage: bench_heap time|count [DIVISOR]; so many times fewer operations
#include "common/base/arith.h"
#include "common/frames/frames.h"
#include "kernel/memory/slabs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <valgrind/callgrind.h>

enum {
    RUNS = 9,
    CPUS = 8,
    AT_ONCE = 128,
    HELD = 4000,
    MIXED_MAX = 2000,
    FRAMES_IN_USE = 100,
    DIVISOR_MAX = 256
};

#define BASE         GIB(4) // where the frames are said to be: one zone
#define MEMORY_BYTES MIB(256)

// One operation is an allocation and a free.
struct allocator {
    const char *name;
    void *(*alloc)(uint64_t bytes);
    void (*free)(void *object);
};

static struct slabs slabs;
static struct frames frames;
static uint8_t *memory;
static uint64_t divisor = 1;

static void expect(bool holds) {
    if (!holds)
        abort();
}

// ---- The two

static void *alloc_frames(void *context, uint64_t count) {
    (void)context;
    struct frames_request request = {.count = count};
    paddr_t first;
    enum frames_status status = count == 1 ? frames_alloc(&frames, 0, FRAMES_ANY, &first)
                                           : frames_alloc_run(&frames, 0, &request, &first);
    return status == FRAMES_OK ? memory + (first.value - BASE) : NULL;
}

static void free_frames(void *context, void *first, uint64_t count) {
    (void)context;
    paddr_t frame = paddr((uint64_t)((uint8_t *)first - memory) + BASE);
    expect((count == 1 ? frames_free(&frames, 0, frame)
                       : frames_free_run(&frames, 0, frame, count)) == FRAMES_OK);
}

static void *ours_alloc(uint64_t bytes) {
    return slabs_alloc(&slabs, 0, bytes);
}

static void ours_free(void *object) {
    expect(slabs_free(&slabs, 0, object) == SLABS_OK);
}

static void *theirs_alloc(uint64_t bytes) {
    return malloc(bytes);
}

static void theirs_free(void *object) {
    free(object);
}

static const struct allocator allocators[] = {
    {"ours", ours_alloc, ours_free},
    {"glibc", theirs_alloc, theirs_free},
};

static void start_ours(void) {
    static uint8_t metadata[1 << 20];
    struct memmap_region region = {BASE, BASE + MEMORY_BYTES, SLIPWAY_MEM_USABLE, true};
    paddr_t place;
    expect(frames_place_metadata(&region, 1, sizeof(metadata), &place) == FRAMES_OK);
    expect(frames_init(&frames, &region, 1, CPUS, metadata, sizeof(metadata), place) == FRAMES_OK);
    memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(memory != MAP_FAILED);
    expect(alloc_frames(NULL, FRAMES_IN_USE) != NULL); // as in a kernel: some are used
    struct slabs_ops ops = {alloc_frames, free_frames, NULL};
    slabs_init(&slabs, &ops, (uintptr_t)memory, MEMORY_BYTES);
}

// A second thread, so that the C library, too, works for several.
static void *sleep_for_good(void *barrier) {
    pthread_barrier_wait(barrier);
    return NULL;
}

// ---- Workloads

static void *object[HELD];
static uint64_t size[HELD];
static unsigned chosen[HELD];

static void in_turn(const struct allocator *with, uint64_t operations) {
    for (uint64_t i = 0; i < operations; i++)
        with->free(with->alloc(size[0]));
}

static void many_at_once(const struct allocator *with, uint64_t operations) {
    for (uint64_t i = 0; i < operations; i += AT_ONCE) {
        for (unsigned j = 0; j < AT_ONCE; j++)
            object[j] = with->alloc(size[0]);
        for (unsigned j = 0; j < AT_ONCE; j++)
            with->free(object[j]);
    }
}

// Of the objects that are held, one at random goes and another comes.
static void exchange(const struct allocator *with, uint64_t operations) {
    for (uint64_t i = 0; i < operations; i++) {
        unsigned here = chosen[i % HELD];
        with->free(object[here]);
        object[here] = with->alloc(size[i % HELD]);
    }
}

static const struct workload {
    const char *name;
    void (*run)(const struct allocator *with, uint64_t operations);
    bool holds;     // HELD objects all the while
    uint64_t bytes; // 0: from 1 to MIXED_MAX
} workloads[] = {
    {"one", in_turn, false, 16},
    {"one", in_turn, false, 64},
    {"one", in_turn, false, 256},
    {"one", in_turn, false, 1000},
    {"one", in_turn, false, 4000},
    {"one", in_turn, false, 20000},
    {"128 at once", many_at_once, false, 16},
    {"128 at once", many_at_once, false, 64},
    {"128 at once", many_at_once, false, 256},
    {"128 at once", many_at_once, false, 1000},
    {"one of 4000", exchange, true, 64},
    {"one of 4000", exchange, true, 256},
    {"one of 4000", exchange, true, 0},
};

static uint64_t draw(uint64_t *random) { // xorshift64
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void prepare(const struct workload *workload, const struct allocator *with) {
    uint64_t random = 88172645463325252;
    for (unsigned i = 0; i < HELD; i++) {
        size[i] = workload->bytes != 0 ? workload->bytes : 1 + draw(&random) % MIXED_MAX;
        chosen[i] = (unsigned)(draw(&random) % HELD);
        if (workload->holds)
            object[i] = with->alloc(size[i]);
    }
    workload->run(with, (uint64_t)4 * HELD); // before caches know it
}

static void finish(const struct workload *workload, const struct allocator *with) {
    for (unsigned i = 0; workload->holds && i < HELD; i++)
        with->free(object[i]);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// Nanoseconds for one operation.
static double time_once(const struct workload *workload, const struct allocator *with) {
    uint64_t operations = AT_ONCE * (2048 / divisor);
    prepare(workload, with);
    uint64_t start_ns = now_ns();
    workload->run(with, operations);
    double ns = (double)(now_ns() - start_ns) / (double)operations;
    finish(workload, with);
    return ns;
}

static void time_both(const struct workload *workload) {
    double ns[ARRAY_LEN(allocators)][RUNS];
    for (unsigned run = 0; run < RUNS; run++) {
        for (unsigned i = 0; i < ARRAY_LEN(allocators); i++)
            ns[i][run] = time_once(workload, &allocators[i]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(allocators); i++) {
        printf("%s\t%lu\t%s", workload->name, workload->bytes, allocators[i].name);
        for (unsigned run = 0; run < RUNS; run++)
            printf("\t%.3f", ns[i][run]);
        printf("\n");
    }
}

static void count_both(const struct workload *workload) {
    uint64_t operations = AT_ONCE * (256 / divisor);
    for (unsigned i = 0; i < ARRAY_LEN(allocators); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s\t%lu\t%s", workload->name, workload->bytes,
                       allocators[i].name);
        prepare(workload, &allocators[i]);
        CALLGRIND_START_INSTRUMENTATION;
        CALLGRIND_ZERO_STATS;
        workload->run(&allocators[i], operations);
        CALLGRIND_DUMP_STATS_AT(name);
        CALLGRIND_STOP_INSTRUMENTATION;
        printf("%s\t%lu\n", name, operations);
        finish(workload, &allocators[i]);
    }
}

int main(int argc, char **argv) {
    bool counts = argc > 1 && strcmp(argv[1], "count") == 0;
    divisor = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (argc < 2 || argc > 3 || (!counts && strcmp(argv[1], "time") != 0) ||
        divisor - 1 >= DIVISOR_MAX) {
        fprintf(stderr, "usage: bench_heap time|count [DIVISOR]\n");
        return 2;
    }
    pthread_t thread;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    expect(pthread_create(&thread, NULL, sleep_for_good, &barrier) == 0);
    start_ours();
    for (unsigned i = 0; i < ARRAY_LEN(workloads); i++)
        (counts ? count_both : time_both)(&workloads[i]);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    return 0;
}
