// Frames with several owners (common/frames/owners.h), for memory that address spaces share.
//
// A block is a 2 MiB run that was allocated as a whole and not split since: one count for all of
// it. Whoever owns some of a block owns all of it, and maps all of it by one large leaf.
//
// On every CPU at once, with interrupts on or off; after memory_start. A range is a multiple of
// 4 KiB, every frame of which the caller owns; a block lies in it whole or not at all.
#pragma once

#include "kernel/memory/memory.h"

#include <stdbool.h>

#define BLOCK_BYTES (FRAMES_PER_2M * FRAME_BYTES)

// Allocates a zeroed frame, or a zeroed block, with one owner. Error: FRAMES_ERR_NO_MEMORY.
#define counted_alloc_zeroed(...)       counted_alloc_zeroed_from(FRAMES_HERE, __VA_ARGS__)
#define counted_alloc_block_zeroed(...) counted_alloc_block_zeroed_from(FRAMES_HERE, __VA_ARGS__)
[[nodiscard]] enum frames_status counted_alloc_zeroed_from(struct frames_place *place,
                                                           paddr_t *ret_frame);
[[nodiscard]] enum frames_status counted_alloc_block_zeroed_from(struct frames_place *place,
                                                                 paddr_t *ret_block);

// Allocates a frame, with one owner, that has the contents of another.
#define counted_alloc_copy(...) counted_alloc_copy_from(FRAMES_HERE, __VA_ARGS__)
[[nodiscard]] enum frames_status counted_alloc_copy_from(struct frames_place *place, paddr_t source,
                                                         paddr_t *ret_frame);

// Adds an owner to every frame of a range. False, with nothing changed, if one of them has as many
// as can be counted.
[[nodiscard]] bool counted_get(paddr_t first, uint64_t bytes);

// Takes an owner away from every frame of a range. The last put frees a frame, or a block.
void counted_put(paddr_t first, uint64_t bytes);

// Makes a block frames that are counted one by one; whoever owned the block owns each of them. What
// is no block stays as it is.
void counted_split(paddr_t block);

// How many bytes at the start of a range are alike: owned by the caller alone, or shared.
// *ret_alone says which. Who shares them may put them meanwhile; nobody else can begin to share
// what the caller owns alone.
uint64_t counted_alike(paddr_t first, uint64_t bytes, bool *ret_alone);
