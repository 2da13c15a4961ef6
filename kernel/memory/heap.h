// Objects of any size for the kernel, in the direct map: so never executable. On every CPU, in
// interrupts and with interrupts off; not in an NMI or a machine check. slabs.h says how.
//
// With the build option DEBUG=1 each object has redzones around it, free memory is watched, and who
// allocated and freed what is known (guarded.h): misuse ends in a panic that names the object, its
// size and these places. Without it a free of what is no object, or is free already, is a panic
// where that can be seen by a few instructions.
#pragma once

#include "common/base/sink.h"
#include "kernel/memory/heap_place.h"

#include <stdint.h>

// After memory_start, before the first object.
void heap_start(void);

// An object of so many bytes, 0 too, aligned to 16. Its contents do not matter; heap_alloc_zeroed:
// all its bytes are 0. Null: there is no memory, and nothing has changed.
#define heap_alloc(bytes)        heap_alloc_from(HEAP_HERE, bytes)
#define heap_alloc_zeroed(bytes) heap_alloc_zeroed_from(HEAP_HERE, bytes)
[[nodiscard]] void *heap_alloc_from(struct heap_place *place, uint64_t bytes);
[[nodiscard]] void *heap_alloc_zeroed_from(struct heap_place *place, uint64_t bytes);

// Takes an object back, whichever CPU allocated it. Null is fine.
#define heap_free(object) heap_free_from(HEAP_HERE, object)
void heap_free_from(struct heap_place *place, void *object);

// Gives back the frames that this CPU keeps for objects to come. What others keep stays theirs.
void heap_trim(void);

struct heap_statistics {
    uint64_t objects; // that are allocated
    uint64_t bytes;   // that they have room for, with DEBUG=1 their redzones included
    uint64_t frames;  // that the heap has
};

// Exact while no other CPU allocates or frees.
struct heap_statistics heap_statistics(void);

#ifdef SLIPWAY_DEBUG
// From now on only what is allocated later is a leak; and how many leaks there are, each place a
// line to `sink`, unless that is null.
void heap_mark(void);
uint64_t heap_leaks(const struct sink *sink);
#endif
