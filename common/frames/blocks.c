#include "common/frames/blocks.h"

#include "common/frames/core.h"

void frames_visit_blocks(const struct frames *frames, frames_see_block see, void *context) {
    for (uint64_t i = 0; i < frames->arena_count; i++) {
        const struct frames_arena *arena = &frames->arenas[i];
        for (unsigned block = 0; block < arena->block_count; block++) {
            // By its last slot: the upper half of the block that 1 MiB cuts has no frame for its
            // first.
            slot_t last = slot_in_block(frames, arena, block, FRAMES_PER_2M - 1);
            uint64_t frame = align_down(frame_of_slot(frames, last).value, FRAMES_PER_2M);
            unsigned free = __atomic_load_n(&arena->blocks[block].free, __ATOMIC_RELAXED);
            see(context, paddr(frame << FRAME_SHIFT), free);
        }
    }
}
