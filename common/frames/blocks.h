// How full each 2 MiB block is, for a picture of the allocator. Locks nothing, as
// frames_get_statistics does: each number is right by itself.
#pragma once

#include "common/frames/frames.h"

// `block`: its first byte. `free_frames`: of its 512 those that could be allocated. The block that
// 1 MiB cuts has two calls, one for each half.
typedef void (*frames_see_block)(void *context, paddr_t block, unsigned free_frames);

// Calls `see` for every block that has a frame of the allocator's, in rising order. Does not
// allocate; `see` may.
void frames_visit_blocks(const struct frames *frames, frames_see_block see, void *context);
