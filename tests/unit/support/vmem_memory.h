// Fake physical memory for page tables: a frame's physical address has nothing to do with where it
// stands on the host, frames that are not in use have no pointer, freed frames are overwritten, and
// allocation can be made to fail after any number of successes.
//
// Header only, so that the fuzz targets, which link no test framework, can use it too.
#pragma once

#include "common/vmem/vmem.h"

#include <stdlib.h>
#include <string.h>

#define VMEM_MEMORY_BASE UINT64_C(0x00000a9876543000)
#define VMEM_MEMORY_FREE 0xdb // fills frames that are free
#define VMEM_MEMORY_NEW  0xa7 // and those that were just given

struct vmem_memory {
    uint64_t (*frames)[512];
    uint8_t *used;
    uint32_t count;
    uint32_t used_count;
    uint32_t touched;     // frames below may have been in use at some time
    uint32_t next;        // where the search for a free frame starts
    uint32_t direct;      // the first frames are seen directly, in use or not
    int64_t may_alloc;    // allocations that still succeed; negative: any number
    uint64_t bad_frees;   // frees of what was not allocated
    struct vmem_tlb *tlb; // the CPUs that may walk the tables, or null
};

// Whether none of the CPUs remembers the way to a table (vmem_tlb.h).
static inline bool vmem_tlb_is_unused(const struct vmem_tlb *tlb, paddr_t table);

static inline struct vmem_memory vmem_memory_make(uint32_t count) {
    struct vmem_memory memory = {.count = count, .may_alloc = -1};
    memory.frames = calloc(count, sizeof(*memory.frames));
    memory.used = calloc(count, 1);
    if (memory.frames == NULL || memory.used == NULL)
        abort();
    return memory;
}

static inline void vmem_memory_destroy(struct vmem_memory *memory) {
    free(memory->frames);
    free(memory->used);
}

static inline paddr_t vmem_memory_address(uint32_t frame) {
    return paddr(VMEM_MEMORY_BASE + frame * FRAME_BYTES);
}

// Index of a frame in use; count if there is none at this address.
static inline uint32_t vmem_memory_frame(const struct vmem_memory *memory, paddr_t table) {
    uint64_t offset = table.value - VMEM_MEMORY_BASE;
    uint64_t frame = offset / FRAME_BYTES;
    if (offset % FRAME_BYTES != 0 || frame >= memory->count || !memory->used[frame])
        return memory->count;
    return (uint32_t)frame;
}

static inline paddr_t vmem_memory_alloc(void *context) {
    struct vmem_memory *memory = context;
    if (memory->may_alloc == 0 || memory->used_count == memory->count)
        return PADDR_NONE;
    memory->may_alloc -= memory->may_alloc > 0;
    while (memory->used[memory->next])
        memory->next = (memory->next + 1) % memory->count;
    memory->used[memory->next] = 1;
    memory->used_count++;
    if (memory->touched <= memory->next)
        memory->touched = memory->next + 1;
    memset(memory->frames[memory->next], VMEM_MEMORY_NEW, sizeof(memory->frames[0]));
    return vmem_memory_address(memory->next);
}

static inline void vmem_memory_free(void *context, paddr_t table) {
    struct vmem_memory *memory = context;
    uint32_t frame = vmem_memory_frame(memory, table);
    if (frame == memory->count) {
        memory->bad_frees++;
        return;
    }
    memory->bad_frees += !vmem_tlb_is_unused(memory->tlb, table);
    memory->used[frame] = 0;
    memory->used_count--;
    memset(memory->frames[frame], VMEM_MEMORY_FREE, sizeof(memory->frames[0]));
}

static inline uint64_t *vmem_memory_pointer(void *context, paddr_t table) {
    struct vmem_memory *memory = context;
    uint32_t frame = vmem_memory_frame(memory, table);
    return frame == memory->count ? NULL : memory->frames[frame];
}

static inline struct vmem_direct vmem_memory_direct(void *context) {
    const struct vmem_memory *memory = context;
    return (struct vmem_direct){paddr(VMEM_MEMORY_BASE), memory->direct * FRAME_BYTES,
                                (unsigned char *)memory->frames};
}

static const struct vmem_ops vmem_memory_ops = {
    .table_alloc = vmem_memory_alloc,
    .table_free = vmem_memory_free,
    .table_pointer = vmem_memory_pointer,
    .direct = vmem_memory_direct,
};

// All that a change could alter: which frames are in use, and every bit in them.
static inline struct vmem_memory vmem_memory_copy(const struct vmem_memory *memory) {
    struct vmem_memory copy = vmem_memory_make(memory->count);
    for (uint32_t frame = 0; frame < memory->touched; frame++)
        if (memory->used[frame])
            memcpy(copy.frames[frame], memory->frames[frame], FRAME_BYTES);
    memcpy(copy.used, memory->used, memory->count);
    copy.used_count = memory->used_count;
    copy.bad_frees = memory->bad_frees;
    return copy;
}

static inline bool vmem_memory_equal(const struct vmem_memory *a, const struct vmem_memory *b) {
    if (a->count != b->count || a->used_count != b->used_count || a->bad_frees != b->bad_frees ||
        memcmp(a->used, b->used, a->count) != 0)
        return false;
    for (uint32_t frame = 0; frame < a->touched; frame++)
        if (a->used[frame] && memcmp(a->frames[frame], b->frames[frame], FRAME_BYTES) != 0)
            return false;
    return true;
}

// An auditor's memory of which frames it has claimed.
struct vmem_memory_claims {
    struct vmem_memory *memory;
    uint8_t *claimed;
};

static inline enum vmem_claim vmem_memory_claim(struct vmem_memory_claims *claims, paddr_t table) {
    uint32_t frame = vmem_memory_frame(claims->memory, table);
    if (frame == claims->memory->count)
        return VMEM_CLAIM_FOREIGN;
    if (claims->claimed[frame])
        return VMEM_CLAIM_TWICE;
    claims->claimed[frame] = 1;
    return VMEM_CLAIM_OK;
}

#include "tests/unit/support/vmem_tlb.h"
