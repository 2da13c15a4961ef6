// Measures the frame allocator: the time of each workload, nine times, or under callgrind its
// instructions. See scripts/bench-frames.
//
// usage: bench_frames time|count GIB CPUS [WORKLOAD]; an arena of one region, CPUs declared
#include "common/base/arith.h"
#include "common/frames/frames.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <valgrind/callgrind.h>

enum { RUNS = 9, BATCH = 1024, FAILS = 20 };

#define BASE GIB(4) // one zone

struct bench {
    struct frames frames;
    struct memmap_region region;
    void *metadata;
    uint64_t metadata_bytes;
    unsigned cpus;
    uint64_t frame_count;
    uint64_t *list; // addresses that are allocated
    uint64_t allocated;
    uint64_t random;
};

// What one measured run did.
struct sample {
    uint64_t operations;
    uint64_t ns;
};

static bool counts; // instructions, not time
static const char *counted_name;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t begin(void) {
    if (!counts)
        return now_ns();
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    return 0;
}

static struct sample end(uint64_t start, uint64_t operations) {
    if (!counts)
        return (struct sample){operations, now_ns() - start};
    CALLGRIND_DUMP_STATS_AT(counted_name);
    CALLGRIND_STOP_INSTRUMENTATION;
    printf("%s\t%llu\n", counted_name, (unsigned long long)operations);
    return (struct sample){operations, 0};
}

static void expect(bool holds) {
    if (!holds)
        abort();
}

static uint64_t draw(struct bench *bench) { // xorshift64
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return bench->random;
}

static void start(struct bench *bench) {
    paddr_t place;
    expect(frames_place_metadata(&bench->region, 1, bench->metadata_bytes, &place) == FRAMES_OK);
    expect(frames_init(&bench->frames, &bench->region, 1, bench->cpus, bench->metadata,
                       bench->metadata_bytes, place) == FRAMES_OK);
    bench->allocated = 0;
}

static void alloc_all(struct bench *bench) {
    paddr_t frame;
    while (frames_alloc(&bench->frames, 0, FRAMES_ANY, &frame) == FRAMES_OK)
        bench->list[bench->allocated++] = frame.value;
}

static void shuffle(struct bench *bench) {
    for (uint64_t i = bench->allocated; i > 1; i--) {
        uint64_t j = draw(bench) % i;
        uint64_t swapped = bench->list[i - 1];
        bench->list[i - 1] = bench->list[j];
        bench->list[j] = swapped;
    }
}

static void free_last(struct bench *bench, uint64_t count) {
    for (; count != 0; count--)
        expect(frames_free(&bench->frames, 0, paddr(bench->list[--bench->allocated])) == FRAMES_OK);
}

// All allocated, then a random subset freed.
static void fill(struct bench *bench, double used) {
    start(bench);
    alloc_all(bench);
    shuffle(bench);
    free_last(bench, bench->allocated - (uint64_t)((double)bench->allocated * used));
}

// --- Workloads

static struct sample init(struct bench *bench) {
    uint64_t start_ns = begin();
    start(bench);
    return end(start_ns, bench->frame_count);
}

static struct sample alloc_every(struct bench *bench) {
    start(bench);
    uint64_t start_ns = begin();
    alloc_all(bench);
    return end(start_ns, bench->allocated);
}

static struct sample free_every(struct bench *bench) {
    uint64_t allocated = bench->allocated;
    uint64_t start_ns = begin();
    for (uint64_t i = 0; i < allocated; i++)
        expect(frames_free(&bench->frames, 0, paddr(bench->list[i])) == FRAMES_OK);
    return end(start_ns, allocated);
}

static struct sample free_in_order(struct bench *bench) {
    start(bench);
    alloc_all(bench);
    return free_every(bench);
}

static struct sample free_at_random(struct bench *bench) {
    start(bench);
    alloc_all(bench);
    shuffle(bench);
    return free_every(bench);
}

// One frame freed and one allocated. Which are freed is drawn before the clock runs: what is
// measured is the allocator, not the list.
static struct sample exchange(struct bench *bench, double used) {
    fill(bench, used);
    uint64_t batches = counts ? 8 : 512;
    struct sample sum = {0, 0};
    uint64_t chosen[BATCH], frame[BATCH];
    for (uint64_t batch = 0; batch < batches; batch++) {
        uint64_t first = draw(bench) % (bench->allocated - BATCH);
        for (unsigned i = 0; i < BATCH; i++) { // of the list, which is in random order
            chosen[i] = first + i;
            frame[i] = bench->list[chosen[i]];
        }
        bool is_last = !counts || batch == batches - 1;
        uint64_t start_ns = is_last ? begin() : 0;
        for (unsigned i = 0; i < BATCH; i++) {
            paddr_t next;
            expect(frames_free(&bench->frames, 0, paddr(frame[i])) == FRAMES_OK);
            expect(frames_alloc(&bench->frames, 0, FRAMES_ANY, &next) == FRAMES_OK);
            frame[i] = next.value;
        }
        struct sample sample = is_last ? end(start_ns, BATCH) : (struct sample){0, 0};
        sum.operations += sample.operations;
        sum.ns += sample.ns;
        for (unsigned i = 0; i < BATCH; i++)
            bench->list[chosen[i]] = frame[i];
    }
    return sum;
}

static struct sample exchange_50(struct bench *bench) {
    return exchange(bench, 0.5);
}

static struct sample exchange_95(struct bench *bench) {
    return exchange(bench, 0.95);
}

static struct sample exchange_999(struct bench *bench) {
    return exchange(bench, 0.999);
}

static uint64_t alloc_runs(struct bench *bench, uint64_t count, uint64_t align) {
    struct frames_request request = {.count = count, .align = align};
    paddr_t first;
    uint64_t runs = 0;
    while (frames_alloc_run(&bench->frames, 0, &request, &first) == FRAMES_OK)
        bench->list[bench->allocated + runs++] = first.value;
    return runs;
}

static struct sample runs_from_empty(struct bench *bench, uint64_t count, uint64_t align) {
    start(bench);
    uint64_t start_ns = begin();
    uint64_t runs = alloc_runs(bench, count, align);
    return end(start_ns, runs);
}

static struct sample blocks(struct bench *bench) {
    return runs_from_empty(bench, FRAMES_PER_2M, FRAMES_PER_2M);
}

static struct sample runs_3(struct bench *bench) {
    return runs_from_empty(bench, 3, 1);
}

static struct sample runs_16(struct bench *bench) {
    return runs_from_empty(bench, 16, 1);
}

static struct sample runs_64(struct bench *bench) {
    return runs_from_empty(bench, 64, 1);
}

// So few calls are over before caches know them: one goes ahead that is not measured, as the others
// do in the workloads of millions.
static struct sample fail_blocks(struct bench *bench) {
    struct frames_request request = {.count = FRAMES_PER_2M, .align = FRAMES_PER_2M};
    paddr_t first;
    expect(frames_alloc_run(&bench->frames, 0, &request, &first) == FRAMES_ERR_NO_MEMORY);
    uint64_t start_ns = begin();
    for (unsigned i = 0; i < FAILS; i++)
        expect(frames_alloc_run(&bench->frames, 0, &request, &first) == FRAMES_ERR_NO_MEMORY);
    return end(start_ns, FAILS);
}

static struct sample fail_full(struct bench *bench) {
    start(bench);
    alloc_all(bench);
    return fail_blocks(bench);
}

// All free but one frame in each block.
static struct sample fail_fragmented(struct bench *bench) {
    start(bench);
    alloc_all(bench);
    for (uint64_t i = 0; i < bench->allocated; i++)
        if (bench->list[i] / FRAME_BYTES % FRAMES_PER_2M != 77)
            expect(frames_free(&bench->frames, 0, paddr(bench->list[i])) == FRAMES_OK);
    return fail_blocks(bench);
}

// Every tenth block free, of the others every second frame.
static struct sample some_blocks(struct bench *bench) {
    start(bench);
    alloc_all(bench);
    for (uint64_t i = 0; i < bench->allocated; i++) {
        uint64_t frame = bench->list[i] / FRAME_BYTES;
        if (frame / FRAMES_PER_2M % 10 == 3 || frame % 2 == 0)
            expect(frames_free(&bench->frames, 0, paddr(bench->list[i])) == FRAMES_OK);
    }
    bench->allocated = 0;
    struct frames_statistics before;
    frames_get_statistics(&bench->frames, &before);
    uint64_t start_ns = begin();
    uint64_t found = alloc_runs(bench, FRAMES_PER_2M, FRAMES_PER_2M);
    struct sample sample = end(start_ns, found);
    expect(found == before.free_2m && found != 0);
    return sample;
}

// Runs of 16 free frames in a list of which frames are used.
static uint64_t count_runs_of_16(const struct bench *bench, const uint8_t *used) {
    uint64_t runs = 0, length = 0;
    for (uint64_t i = 0; i < bench->frame_count; i++) {
        length = used[i] ? 0 : length + 1;
        if (length == 16) {
            runs++;
            length = 0;
        }
    }
    return runs;
}

static struct sample long_search(struct bench *bench) {
    fill(bench, 0.5);
    uint8_t *used = calloc(bench->frame_count, 1);
    for (uint64_t i = 0; i < bench->frames.metadata_frames; i++)
        used[i] = 1;
    for (uint64_t i = 0; i < bench->allocated; i++)
        used[(bench->list[i] - BASE) / FRAME_BYTES] = 1;
    uint64_t start_ns = begin();
    uint64_t found = alloc_runs(bench, 16, 1);
    struct sample sample = end(start_ns, found);
    expect(found == count_runs_of_16(bench, used));
    free(used);
    return sample;
}

// --- Two threads

struct worker {
    struct bench *bench;
    unsigned cpu;
    uint64_t *list;
    uint64_t count;
    pthread_barrier_t *barrier;
    bool frees_only;
    uint64_t start_ns, end_ns;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    struct frames *frames = &worker->bench->frames;
    pthread_barrier_wait(worker->barrier);
    worker->start_ns = now_ns();
    for (uint64_t i = 0; !worker->frees_only && i < worker->count; i++) {
        paddr_t frame;
        expect(frames_alloc(frames, worker->cpu, FRAMES_ANY, &frame) == FRAMES_OK);
        worker->list[i] = frame.value;
    }
    worker->end_ns = now_ns();
    if (!worker->frees_only)
        return NULL;
    for (uint64_t i = 0; i < worker->count; i++)
        expect(frames_free(frames, worker->cpu, paddr(worker->list[i])) == FRAMES_OK);
    worker->end_ns = now_ns();
    return NULL;
}

// Runs both; the time is that of the slower.
static uint64_t run_threads(struct worker *workers, unsigned count) {
    pthread_t thread[2];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, count);
    for (unsigned i = 0; i < count; i++) {
        workers[i].barrier = &barrier;
        pthread_create(&thread[i], NULL, work, &workers[i]);
    }
    uint64_t first = UINT64_MAX, last = 0;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(thread[i], NULL);
        first = min_u64(first, workers[i].start_ns);
        last = max_u64(last, workers[i].end_ns);
    }
    pthread_barrier_destroy(&barrier);
    return last - first;
}

// Each of `threads` allocates its share of half the memory, then frees its own or the other's.
static struct sample threads_work(struct bench *bench, unsigned threads, bool swaps) {
    start(bench);
    uint64_t share = bench->frame_count / 4;
    struct worker workers[2];
    for (unsigned i = 0; i < threads; i++)
        workers[i] = (struct worker){.bench = bench, .cpu = i, .count = share};
    for (unsigned i = 0; i < threads; i++)
        workers[i].list = bench->list + i * share;
    uint64_t alloc_ns = run_threads(workers, threads);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].frees_only = true;
        workers[i].list = bench->list + (swaps ? threads - 1 - i : i) * share;
    }
    uint64_t free_ns = run_threads(workers, threads);
    return swaps ? (struct sample){share, free_ns} : (struct sample){2 * share, alloc_ns + free_ns};
}

static struct sample one_thread(struct bench *bench) {
    return threads_work(bench, 1, false);
}

static struct sample two_threads(struct bench *bench) {
    return threads_work(bench, 2, false);
}

static struct sample two_threads_swap(struct bench *bench) {
    return threads_work(bench, 2, true);
}

// --- The scale

static struct sample compare_and_swap(struct bench *bench) {
    (void)bench;
    static uint64_t word;
    uint64_t times = counts ? 1024 : 1 << 22;
    word = 0;
    uint64_t start_ns = begin();
    for (uint64_t i = 0; i < times; i++) {
        uint64_t expected = i;
        expect(__atomic_compare_exchange_n(&word, &expected, i + 1, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST));
    }
    return end(start_ns, times);
}

static const struct workload {
    const char *name;
    struct sample (*run)(struct bench *bench);
    bool has_threads; // needs two CPUs, and is not counted
} workloads[] = {
    {"compare and swap", compare_and_swap, false},
    {"init", init, false},
    {"alloc every frame", alloc_every, false},
    {"free in order", free_in_order, false},
    {"free at random", free_at_random, false},
    {"free and alloc, 50 % full", exchange_50, false},
    {"free and alloc, 95 % full", exchange_95, false},
    {"free and alloc, 99.9 % full", exchange_999, false},
    {"2 MiB blocks", blocks, false},
    {"2 MiB, all full", fail_full, false},
    {"2 MiB, all fragmented", fail_fragmented, false},
    {"2 MiB, a tenth free", some_blocks, false},
    {"runs of 3", runs_3, false},
    {"runs of 16", runs_16, false},
    {"runs of 64", runs_64, false},
    {"runs of 16, half used", long_search, false},
    {"one thread", one_thread, true},
    {"two threads", two_threads, true},
    {"two threads, each other's", two_threads_swap, true},
};

static void *get_memory(uint64_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    expect(memory != MAP_FAILED);
    return memory;
}

static struct bench make_bench(uint64_t gib, unsigned cpus) {
    struct bench bench = {.cpus = cpus, .random = 88172645463325252};
    bench.region = (struct memmap_region){BASE, BASE + (gib << 30), SLIPWAY_MEM_USABLE, true};
    bench.frame_count = gib * FRAMES_PER_1G;
    bench.metadata_bytes = frames_metadata_bytes(&bench.region, 1, cpus);
    bench.metadata = get_memory(bench.metadata_bytes);
    memset(bench.metadata, 0xa5, bench.metadata_bytes); // warm
    bench.list = get_memory(bench.frame_count * sizeof(uint64_t));
    return bench;
}

static void measure(struct bench *bench, const struct workload *workload) {
    counted_name = workload->name;
    if (counts) {
        if (!workload->has_threads)
            (void)workload->run(bench);
        return;
    }
    if (workload->has_threads && bench->cpus < 2)
        return;
    printf("%s\t%.4f", workload->name,
           (double)bench->metadata_bytes * 8 / (double)bench->frame_count);
    for (unsigned run = 0; run < RUNS; run++) {
        struct sample sample = workload->run(bench);
        printf("\t%.4f", (double)sample.ns / (double)sample.operations);
        expect(run != 0 || frames_verify(&bench->frames, NULL) == 0);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv) {
    uint64_t gib = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    unsigned cpus = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    counts = argc > 1 && strcmp(argv[1], "count") == 0;
    if (argc < 4 || argc > 5 || gib == 0 || cpus == 0 ||
        (!counts && strcmp(argv[1], "time") != 0)) {
        fprintf(stderr, "usage: bench_frames time|count GIB CPUS [WORKLOAD]\n");
        return 2;
    }
    struct bench bench = make_bench(gib, cpus);
    for (size_t i = 0; i < ARRAY_LEN(workloads); i++)
        if (argc < 5 || strcmp(argv[4], workloads[i].name) == 0)
            measure(&bench, &workloads[i]);
    return 0;
}
