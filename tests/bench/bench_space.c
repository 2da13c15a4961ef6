#include "tests/bench/bench_space.h"

#include <stddef.h>
#include <string.h>

static paddr_t table_alloc(void *context) {
    struct bench_space *bench = context;
    if (bench->tables_used == BENCH_TABLES && bench->free_count == 0)
        return PADDR_NONE;
    uint64_t table =
        bench->free_count != 0 ? bench->free_tables[--bench->free_count] : bench->tables_used++;
    return paddr(BENCH_TABLES_BASE + table * FRAME_BYTES);
}

static void table_free(void *context, paddr_t table) {
    struct bench_space *bench = context;
    bench->free_tables[bench->free_count++] = (table.value - BENCH_TABLES_BASE) / FRAME_BYTES;
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    struct bench_space *bench = context;
    uint64_t offset = table.value - BENCH_TABLES_BASE;
    return offset < sizeof(bench->tables) ? (void *)((char *)bench->tables + offset) : NULL;
}

static struct vmem_direct direct(void *context) {
    struct bench_space *bench = context;
    return (struct vmem_direct){paddr(BENCH_TABLES_BASE), sizeof(bench->tables),
                                (unsigned char *)bench->tables};
}

static const struct vmem_ops ops = {
    .table_alloc = table_alloc,
    .table_free = table_free,
    .table_pointer = table_pointer,
    .direct = direct,
};

static void execute_flush(void *context, const struct vmem_flush *flush) {
    struct bench_space *bench = context;
    bench->flushes += flush->full ? 1 : flush->pages;
}

static void release_run(void *context, const struct vmem_run *run) {
    struct bench_space *bench = context;
    bench->runs += run->bytes != 0;
}

static const struct vmem_flush_ops flush_ops = {
    .execute = execute_flush,
    .release = release_run,
};

void bench_space_make(struct bench_space *bench, enum bench_use use) {
    // Not the tables themselves: they are warm from last time.
    memset(bench, 0, offsetof(struct bench_space, tables));
    struct vmem_cpu cpu = {.paddr_bits = 52, .has_nx = true, .has_1g = true};
    bench_expect_ok(vmem_new(&bench->space, &ops, bench, cpu, 4));
    vmem_flush_begin(&bench->flush, use == BENCH_LOADED ? &flush_ops : &vmem_unloaded, bench);
}

void bench_use_pages(struct bench_space *bench) {
    for (uint64_t table = 0; table < bench->tables_used; table++)
        for (unsigned i = 0; i < 512; i++)
            if (bench->tables[table][i] != 0)
                bench->tables[table][i] |= 0x60;
}

void bench_finish(struct bench_space *bench) {
    vmem_flush_finish(&bench->space, &bench->flush);
}

uint64_t *bench_table(struct bench_space *bench, uint64_t table) {
    return bench->tables[table];
}

void bench_map(struct bench_space *bench, vaddr_t virt, paddr_t phys, uint64_t bytes,
               enum vmem_page largest) {
    struct vmem_mapping mapping = {
        .virt = virt,
        .phys = phys,
        .bytes = bytes,
        .rights = VMEM_READ | VMEM_WRITE,
        .cache = VMEM_CACHE_WB,
        .largest = largest,
    };
    bench_expect_ok(vmem_map(&bench->space, &mapping, &bench->flush));
}

void bench_unmap(struct bench_space *bench, vaddr_t virt, uint64_t bytes) {
    bench_expect_ok(vmem_unmap(&bench->space, virt, bytes, &bench->flush));
}

void bench_protect(struct bench_space *bench, vaddr_t virt, uint64_t bytes, unsigned rights) {
    bench_expect_ok(vmem_protect(&bench->space, virt, bytes, rights, &bench->flush));
}

void bench_split(struct bench_space *bench, vaddr_t virt) {
    bench_expect_ok(vmem_split(&bench->space, virt, FRAME_BYTES, VMEM_4K, &bench->flush));
}

void bench_store_table(uint64_t *table, uint64_t first) {
    for (unsigned i = 0; i < 512; i++)
        __atomic_store_n(&table[i], first + i * FRAME_BYTES, __ATOMIC_RELAXED);
}

void bench_store_table_unrolled(uint64_t *table, uint64_t first) {
    for (uint64_t *end = table + 512; table != end; table += 8, first += 8 * FRAME_BYTES) {
        __atomic_store_n(&table[0], first, __ATOMIC_RELAXED);
        __atomic_store_n(&table[1], first + 1 * FRAME_BYTES, __ATOMIC_RELAXED);
        __atomic_store_n(&table[2], first + 2 * FRAME_BYTES, __ATOMIC_RELAXED);
        __atomic_store_n(&table[3], first + 3 * FRAME_BYTES, __ATOMIC_RELAXED);
        __atomic_store_n(&table[4], first + 4 * FRAME_BYTES, __ATOMIC_RELAXED);
        __atomic_store_n(&table[5], first + 5 * FRAME_BYTES, __ATOMIC_RELAXED);
        __atomic_store_n(&table[6], first + 6 * FRAME_BYTES, __ATOMIC_RELAXED);
        __atomic_store_n(&table[7], first + 7 * FRAME_BYTES, __ATOMIC_RELAXED);
    }
}
