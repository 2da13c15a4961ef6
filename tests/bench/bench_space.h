// An address space to measure on, and the operations as the measurements call them: each must
// succeed.
#pragma once

#include "common/vmem/vmem.h"

#include <stdlib.h>

#define BENCH_TABLES      2048
#define BENCH_TABLES_BASE UINT64_C(0x0000012345600000) // physical address of the first table

struct bench_space {
    struct vmem space;
    struct vmem_flush flush; // one batch for all that a run does
    uint64_t flushes;        // asked for
    uint64_t runs;           // of physical memory that unmapping reported
    uint64_t tables_used;    // first use of each goes up; what was freed last is used again first
    uint64_t free_count;
    uint64_t free_tables[BENCH_TABLES];
    _Alignas(4096) uint64_t tables[BENCH_TABLES][512];
};

// Whether CPUs use the tables while they are changed.
enum bench_use { BENCH_LOADED, BENCH_UNLOADED };

// The entry of the table that `entry` points to.
static inline uint64_t bench_entry(struct bench_space *bench, uint64_t entry, uint64_t index) {
    uint64_t offset = (entry & UINT64_C(0x000ffffffffff000)) - BENCH_TABLES_BASE;
    uint64_t *table = (uint64_t *)(void *)((char *)bench->tables + offset);
    return __atomic_load_n(&table[index], __ATOMIC_RELAXED);
}

static inline void bench_expect_ok(enum vmem_status status) {
    if (status != VMEM_OK)
        abort();
}

// An empty space of 4 levels; the memory of all its tables is warm.
void bench_space_make(struct bench_space *bench, enum bench_use use);

// Marks all leaves accessed and dirty, as CPUs leave them that have used the pages.
void bench_use_pages(struct bench_space *bench);

// Executes the flush and releases memory and tables.
void bench_finish(struct bench_space *bench);

uint64_t *bench_table(struct bench_space *bench, uint64_t table);

void bench_map(struct bench_space *bench, vaddr_t virt, paddr_t phys, uint64_t bytes,
               enum vmem_page largest);
void bench_unmap(struct bench_space *bench, vaddr_t virt, uint64_t bytes);
void bench_protect(struct bench_space *bench, vaddr_t virt, uint64_t bytes, unsigned rights);
void bench_split(struct bench_space *bench, vaddr_t virt);

// 512 plain stores into a table, the scale for everything else.
void bench_store_table(uint64_t *table, uint64_t first);
void bench_store_table_unrolled(uint64_t *table, uint64_t first);
