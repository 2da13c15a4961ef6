// What metadata memory regions need: their blocks, how they are numbered, and where the parts of
// the metadata lie. The allocator's own.
#pragma once

#include "common/frames/core.h"

// Kinds that are managed or may become so.
static inline bool is_manageable(uint32_t kind) {
    return kind >= SLIPWAY_MEM_USABLE && kind <= SLIPWAY_MEM_PAGE_TABLES;
}

// Sorted, disjoint, frame aligned, of known kinds.
bool frames_regions_are_sound(const struct memmap_region *regions, uint64_t count);

// A region in frame and block numbers, cut where zones begin.
struct range {
    enum frames_zone zone;
    frame_t first, end;
    uint64_t first_block, end_block; // every block it has a frame in
    uint32_t kind;
};

// Goes through the extents of all tracked regions in rising order.
struct ranges {
    const struct memmap_region *regions;
    uint64_t count;
    uint64_t next; // region
    frame_t frame; // where its rest begins
};

// The next one; false after the last.
bool frames_next_range(struct ranges *ranges, struct range *ret_range);

static inline bool covers_block(const struct range *range, uint64_t block) {
    return range->first.value <= block * BLOCK_FRAMES &&
           range->end.value >= (block + 1) * BLOCK_FRAMES;
}

// What numbering the blocks of successive extents comes to.
struct indexing {
    bool has_last;
    struct range last;
    block_t next_block;
    uint64_t spans, lines; // so far
    uint64_t mixed;        // blocks that are not of one kind
    uint64_t mixed_below;  // blocks of this zone below are counted, as far as mixed
    uint64_t new_blocks;   // that the extent added last has brought
    bool is_new_span;      // with which a span begins
};

// Numbers the blocks of the next extent.
void frames_index_blocks(struct indexing *indexing, const struct range *range);

// Where the parts lie, in bytes from its start, in the order of their alignment.
struct layout {
    uint64_t spans, lines, mixed, arenas;
    uint64_t arenas_at, cpus_at, lines_at, mixed_lines_at, mixed_at, sets_at, spans_at, blocks_at;
    uint64_t bytes;
};

// All 0 if nothing is tracked, or the regions are not sound.
struct layout frames_layout_of(const struct memmap_region *regions, uint64_t count, unsigned cpus);
