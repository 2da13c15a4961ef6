// What metadata memory regions need: which blocks they have, how those are indexed, and where the
// arrays of the metadata lie. The allocator's own.
#pragma once

#include "common/frames/core.h"

// Kinds that are managed or may become so.
static inline bool is_manageable(uint32_t kind) {
    return kind >= SLIPWAY_MEM_USABLE && kind <= SLIPWAY_MEM_PAGE_TABLES;
}

// Sorted, disjoint, frame aligned, of known kinds.
bool frames_regions_are_sound(const struct memmap_region *regions, uint64_t count);

// The frames of a region that lie in one zone.
struct range {
    enum frames_zone zone;
    frame_t first, end;
    uint64_t first_block, end_block; // address / 2 MiB: every block that it has a frame in
    uint32_t kind;
};

// Goes through the ranges of all manageable regions in rising order.
struct ranges {
    const struct memmap_region *regions;
    uint64_t count;
    uint64_t next; // region
    frame_t frame; // where its rest begins
};

// The next range; false after the last.
bool frames_next_range(struct ranges *ranges, struct range *ret_range);

static inline bool covers_block(const struct range *range, uint64_t block) {
    return range->first.value <= block * BLOCK_FRAMES &&
           range->end.value >= (block + 1) * BLOCK_FRAMES;
}

// The state of indexing blocks, range by range.
struct indexing {
    bool has_last;
    struct range last;
    block_t next_block;
    uint64_t spans, lines; // so far
    uint64_t mixed;        // blocks that are not of one kind, so far
    uint64_t
        mixed_below; // blocks of this zone, by address / 2 MiB, that `mixed` has counted end here
    uint64_t new_blocks; // blocks that the last range has added
    bool is_new_span;    // whether a span begins with them
};

// Assigns indices to the blocks of the next range.
void frames_index_blocks(struct indexing *indexing, const struct range *range);

// Where the arrays of the metadata lie, in bytes from its start, by falling alignment.
struct layout {
    uint64_t spans, lines, mixed, arenas;
    uint64_t arenas_at, cpus_at, lines_at, mixed_lines_at, mixed_at, sets_at, spans_at, blocks_at;
    uint64_t bytes;
};

// All 0 if nothing is manageable, or the regions are not sound.
struct layout frames_layout_of(const struct memmap_region *regions, uint64_t count, unsigned cpus);
