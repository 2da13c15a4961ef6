// Tables beside the bitmap: an array with an entry for each frame that has a slot, packed as the
// lines of the bitmap are, so that holes and the ends of short arenas have none. For modules above
// the allocator, which own their arrays.
#pragma once

#include "common/frames/core.h"

#define NO_ENTRY UINT64_MAX

static inline uint64_t table_entries(const struct frames *frames) {
    return frames->line_count * BLOCK_FRAMES;
}

// The first entry of an arena.
static inline uint64_t table_of_arena(const struct frames *frames,
                                      const struct frames_arena *arena) {
    ASSERT(arena->lines >= frames->lines);
    return (uint64_t)(arena->lines - frames->lines) / BLOCK_WORDS * BLOCK_FRAMES;
}

// The entry of a frame; NO_ENTRY if it has no slot.
static inline uint64_t table_entry(const struct frames *frames, frame_t frame) {
    const struct frames_span *span = span_of_frame(frames, frame);
    if (span == NULL)
        return NO_ENTRY;
    slot_t slot = slot_in_span(span, frame);
    return table_of_arena(frames, arena_of_slot(frames, slot)) + slot.value % ARENA_FRAMES;
}

// The entry of the first frame of a part; those of the others follow.
static inline uint64_t table_entry_of_part(const struct frames *frames,
                                           const struct frames_arena *arena,
                                           const struct part *part) {
    ASSERT(part->block < arena->block_count && part->offset + part->count <= BLOCK_FRAMES);
    return table_of_arena(frames, arena) + part->block * FRAMES_PER_2M + part->offset;
}
