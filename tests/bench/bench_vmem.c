// What the operations of common/vmem cost. `bench_vmem time [n]` runs each seven times on warm
// memory and prints a line: name, units of work of one run, entries a unit touches, nanoseconds of
// each run; all tab separated. `bench_vmem count [n]`, under callgrind, dumps the instructions of
// each twice, for two numbers of units, so that the difference of the two is free of what a run
// costs once. n divides the number of units, for a quick look. scripts/bench-vmem makes a table of
// both.
//
// Tables come from a bump allocator that zeroes them, and are reached as a kernel reaches them:
// through a window on physical memory.
#include "common/base/arith.h"
#include "tests/bench/bench_space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>

enum { RUNS = 7 };

// One operation: `prepare` builds, outside of what is measured, what `run` needs to do it `units`
// times. Spans are told by `bytes`.
struct operation {
    const char *name;
    void (*prepare)(struct bench_space *bench, const struct operation *operation, uint64_t units);
    void (*run)(struct bench_space *bench, const struct operation *operation, uint64_t units);
    uint64_t units;
    uint64_t base_units; // the smaller number, for the difference
    uint64_t entries;    // that a unit touches
    uint64_t bytes;
};

#define VIRT  UINT64_C(0x0000400000000000) // 64 TiB: the start of a root entry
#define PHYS  UINT64_C(0)
#define RW    (VMEM_READ | VMEM_WRITE)
#define FIRST vaddr(VIRT)

static void prepare_nothing(struct bench_space *bench, const struct operation *operation,
                            uint64_t units) {
    (void)operation;
    (void)units;
    bench_space_make(bench, BENCH_LOADED);
}

// `units` 4 KiB leaves from FIRST on.
static void prepare_pages(struct bench_space *bench, const struct operation *operation,
                          uint64_t units) {
    (void)operation;
    bench_space_make(bench, BENCH_LOADED);
    if (units != 0)
        bench_map(bench, FIRST, paddr(PHYS), units * FRAME_BYTES, VMEM_4K);
}

static void prepare_used_pages(struct bench_space *bench, const struct operation *operation,
                               uint64_t units) {
    prepare_pages(bench, operation, units);
    bench_use_pages(bench);
}

static void prepare_unloaded_pages(struct bench_space *bench, const struct operation *operation,
                                   uint64_t units) {
    (void)operation;
    bench_space_make(bench, BENCH_UNLOADED);
    bench_map(bench, FIRST, paddr(PHYS), units * FRAME_BYTES, VMEM_4K);
}

static void run_map_range(struct bench_space *bench, const struct operation *operation,
                          uint64_t units) {
    bool small = operation->bytes == FRAME_BYTES;
    bench_map(bench, FIRST, paddr(PHYS), units * operation->bytes, small ? VMEM_4K : VMEM_2M);
}

static void run_map_singly(struct bench_space *bench, const struct operation *operation,
                           uint64_t units) {
    (void)operation;
    for (uint64_t offset = 0; offset < units * FRAME_BYTES; offset += FRAME_BYTES) {
        struct vmem_mapping mapping = {
            .virt = vaddr_add(FIRST, offset),
            .phys = paddr(PHYS + offset),
            .bytes = FRAME_BYTES,
            .rights = RW,
        };
        bench_expect_ok(vmem_map(&bench->space, &mapping, &bench->flush));
    }
}

static void run_unmap(struct bench_space *bench, const struct operation *operation,
                      uint64_t units) {
    bench_unmap(bench, FIRST, units * operation->bytes);
    bench_finish(bench);
}

static void run_protect(struct bench_space *bench, const struct operation *operation,
                        uint64_t units) {
    bench_protect(bench, FIRST, units * operation->bytes, VMEM_READ);
    bench_finish(bench);
}

// The addresses are drawn beforehand: what is measured is the walk.
static uint64_t drawn[1 << 16];

static void prepare_translate(struct bench_space *bench, const struct operation *operation,
                              uint64_t units) {
    prepare_pages(bench, operation, GIB(1) / FRAME_BYTES);
    (void)units;
    uint64_t state = 88172645463325252; // xorshift64
    for (size_t i = 0; i < ARRAY_LEN(drawn); i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        drawn[i] = VIRT + state % GIB(1);
    }
}

static void run_translate(struct bench_space *bench, const struct operation *operation,
                          uint64_t units) {
    (void)operation;
    struct vmem_translation translation;
    for (uint64_t i = 0; i < units; i++) {
        vaddr_t virt = vaddr(drawn[i % ARRAY_LEN(drawn)]);
        bench_expect_ok(vmem_translate(&bench->space, virt, &translation));
    }
}

// What no walk can do without: four loads, each of which needs the one before.
static void run_plain_walk(struct bench_space *bench, const struct operation *operation,
                           uint64_t units) {
    (void)operation;
    for (uint64_t i = 0; i < units; i++) {
        uint64_t virt = drawn[i % ARRAY_LEN(drawn)];
        uint64_t entry = bench->space.root.value;
        for (unsigned shift = 39; shift != 3; shift -= 9)
            entry = bench_entry(bench, entry, virt >> shift & 511);
        if (entry == 0)
            abort();
    }
}

static void prepare_split(struct bench_space *bench, const struct operation *operation,
                          uint64_t units) {
    (void)operation;
    bench_space_make(bench, BENCH_LOADED);
    bench_map(bench, FIRST, paddr(PHYS), units * GIB(1), VMEM_1G);
}

// A 1 GiB leaf around the page to 2 MiB leaves, and one of those to 4 KiB: two tables are filled.
static void run_split(struct bench_space *bench, const struct operation *operation,
                      uint64_t units) {
    (void)operation;
    for (uint64_t i = 0; i < units; i++)
        bench_split(bench, vaddr(VIRT + i * GIB(1) + MIB(6) + FRAME_BYTES));
}

static void run_stores(struct bench_space *bench, const struct operation *operation,
                       uint64_t units) {
    (void)operation;
    for (uint64_t i = 0; i < units; i++)
        bench_store_table(bench_table(bench, 0), i);
}

static void run_stores_unrolled(struct bench_space *bench, const struct operation *operation,
                                uint64_t units) {
    (void)operation;
    for (uint64_t i = 0; i < units; i++)
        bench_store_table_unrolled(bench_table(bench, 0), i);
}

static void run_unmap_absent(struct bench_space *bench, const struct operation *operation,
                             uint64_t units) {
    for (uint64_t i = 0; i < units; i++)
        bench_unmap(bench, FIRST, operation->bytes);
}

static void run_map_and_unmap(struct bench_space *bench, const struct operation *operation,
                              uint64_t units) {
    for (uint64_t i = 0; i < units; i++) {
        bench_map(bench, FIRST, paddr(PHYS), operation->bytes, VMEM_1G);
        bench_unmap(bench, FIRST, operation->bytes);
        bench_finish(bench);
    }
}

static void prepare_span(struct bench_space *bench, const struct operation *operation,
                         uint64_t units) {
    (void)units;
    bench_space_make(bench, BENCH_LOADED);
    bench_map(bench, FIRST, paddr(PHYS), operation->bytes, VMEM_1G);
    bench_use_pages(bench);
}

static void run_protect_span(struct bench_space *bench, const struct operation *operation,
                             uint64_t units) {
    for (uint64_t i = 0; i < units; i++)
        bench_protect(bench, FIRST, operation->bytes, i % 2 == 0 ? VMEM_READ : RW);
}

#define PAGES (GIB(1) / FRAME_BYTES)

// A span that the largest leaves cover, or nothing: `count` entries of its highest level.
#define SPAN(text, size, count, times)                                                             \
    {"map and unmap " text, prepare_nothing, run_map_and_unmap, times, 0, 2 * (count), size}, {    \
        "protect " text, prepare_span, run_protect_span, times, 0, count, size                     \
    }
#define ABSENT(text, size, count)                                                                  \
    { "unmap absent " text, prepare_nothing, run_unmap_absent, 1024, 0, count, size }

static const struct operation operations[] = {
    {"map 1 GiB as 4 KiB", prepare_nothing, run_map_range, PAGES, PAGES / 2, 1, FRAME_BYTES},
    {"map single pages", prepare_nothing, run_map_singly, PAGES, PAGES / 2, 1, FRAME_BYTES},
    {"map 64 GiB as 2 MiB", prepare_nothing, run_map_range, 32768, 16384, 1, MIB(2)},
    {"unmap 1 GiB of 4 KiB", prepare_pages, run_unmap, PAGES, PAGES / 2, 1, FRAME_BYTES},
    {"protect 1 GiB of 4 KiB", prepare_used_pages, run_protect, PAGES, PAGES / 2, 1, FRAME_BYTES},
    {"protect 1 GiB, not loaded", prepare_unloaded_pages, run_protect, PAGES, PAGES / 2, 1,
     FRAME_BYTES},
    {"protect 1 GiB, pages unused", prepare_pages, run_protect, PAGES, PAGES / 2, 1, FRAME_BYTES},
    {"translate random", prepare_translate, run_translate, PAGES, PAGES / 2, 1, 0},
    {"plain walk random", prepare_translate, run_plain_walk, PAGES, PAGES / 2, 1, 0},
    {"split 1 GiB to 2 MiB to 4 KiB", prepare_split, run_split, 16, 8, 1, 0},
    {"plain stores, simple", prepare_nothing, run_stores, 512, 256, 512, 0},
    {"plain stores, unrolled", prepare_nothing, run_stores_unrolled, 512, 256, 512, 0},
    SPAN("4 KiB", KIB(4), 1, 1024),
    SPAN("2 MiB", MIB(2), 1, 1024),
    SPAN("64 MiB", MIB(64), 32, 256),
    SPAN("1 GiB", GIB(1), 1, 1024),
    SPAN("512 GiB", GIB(512), 512, 32),
    SPAN("64 TiB", TIB(64), 65536, 2),
    ABSENT("4 KiB", KIB(4), 1),
    ABSENT("2 MiB", MIB(2), 1),
    ABSENT("64 MiB", MIB(64), 1),
    ABSENT("1 GiB", GIB(1), 1),
    ABSENT("512 GiB", GIB(512), 1),
    ABSENT("64 TiB", TIB(64), 128),
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void time_operation(struct bench_space *bench, const struct operation *operation,
                           uint64_t units) {
    printf("%s\t%llu\t%llu", operation->name, (unsigned long long)units,
           (unsigned long long)operation->entries);
    for (unsigned run = 0; run < RUNS; run++) {
        operation->prepare(bench, operation, units);
        uint64_t start = now_ns();
        operation->run(bench, operation, units);
        printf("\t%llu", (unsigned long long)(now_ns() - start));
    }
    printf("\n");
}

static void count_operation(struct bench_space *bench, const struct operation *operation,
                            uint64_t units) {
    char name[96];
    snprintf(name, sizeof(name), "%s\t%llu", operation->name, (unsigned long long)units);
    operation->prepare(bench, operation, units);
    CALLGRIND_ZERO_STATS;
    operation->run(bench, operation, units);
    CALLGRIND_DUMP_STATS_AT(name);
}

int main(int argc, char **argv) {
    uint64_t divisor = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    bool counts = argc > 1 && strcmp(argv[1], "count") == 0;
    if (argc < 2 || argc > 3 || divisor == 0 || (!counts && strcmp(argv[1], "time") != 0)) {
        fprintf(stderr, "usage: bench_vmem time|count [divisor]\n");
        return 2;
    }
    static struct bench_space bench;
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        const struct operation *operation = &operations[i];
        uint64_t units = max_u64(operation->units / divisor, 2);
        if (!counts) {
            time_operation(&bench, operation, units);
            continue;
        }
        count_operation(&bench, operation, operation->base_units != 0 ? units / 2 : 0);
        count_operation(&bench, operation, units);
    }
    return 0;
}
