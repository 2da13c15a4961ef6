#include "kernel/process/supply.h"

#include "kernel/base/panic.h"
#include "kernel/memory/counted.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/memory.h"

#include <stddef.h>

// How many requests are answered before one is refused.
static uint64_t answered = UINT64_MAX;

bool supply_refuses(void) {
    if (__builtin_expect(__atomic_load_n(&answered, __ATOMIC_RELAXED) == UINT64_MAX, 1))
        return false;
    return __atomic_fetch_sub(&answered, 1, __ATOMIC_RELAXED) == 0;
}

void supply_refuse(uint64_t count) {
    __atomic_store_n(&answered, count, __ATOMIC_RELAXED);
}

bool supply_has_refused(void) {
    return __atomic_load_n(&answered, __ATOMIC_RELAXED) == UINT64_MAX;
}

void *supply_object(uint64_t bytes) {
    return supply_refuses() ? NULL : heap_alloc(bytes);
}

paddr_t supply_frame(void) {
    paddr_t frame;
    return !supply_refuses() && counted_alloc_zeroed(&frame) == FRAMES_OK ? frame : PADDR_NONE;
}

paddr_t supply_copy(paddr_t source) {
    paddr_t frame;
    return !supply_refuses() && counted_alloc_copy(source, &frame) == FRAMES_OK ? frame
                                                                                : PADDR_NONE;
}

paddr_t supply_block(void) {
    paddr_t block;
    return !supply_refuses() && counted_alloc_block_zeroed(&block) == FRAMES_OK ? block
                                                                                : PADDR_NONE;
}

paddr_t supply_table(void) {
    paddr_t table;
    return !supply_refuses() && memory_alloc(FRAMES_ANY, &table) == FRAMES_OK ? table : PADDR_NONE;
}

void supply_free_table(paddr_t table) {
    enum frames_status status = memory_free(table);
    if (status != FRAMES_OK)
        panic("page table 0x%lx cannot be freed: %s", table.value, frames_status_text(status));
}
