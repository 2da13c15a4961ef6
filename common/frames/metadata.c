// What metadata the regions need, and where it goes. frames_init goes through the same ranges with
// the same frames_index_blocks to fill the metadata, so that both come to the same blocks.
#include "common/frames/metadata.h"

bool frames_regions_are_sound(const struct memmap_region *regions, uint64_t count) {
    uint64_t last_end = 0;
    for (uint64_t i = 0; i < count; i++) {
        const struct memmap_region *region = &regions[i];
        if (region->start < last_end || region->end <= region->start ||
            !is_aligned(region->start | region->end, FRAME_BYTES) || region->kind == 0 ||
            region->kind >= SLIPWAY_MEM_KINDS)
            return false;
        last_end = region->end;
    }
    return true;
}

bool frames_next_range(struct ranges *ranges, struct range *ret_range) {
    while (ranges->next < ranges->count && !is_manageable(ranges->regions[ranges->next].kind))
        ranges->next++;
    if (ranges->next == ranges->count)
        return false;
    const struct memmap_region *region = &ranges->regions[ranges->next];
    uint64_t end = region->end / FRAME_BYTES;
    frame_t first = frame_at(max_u64(region->start / FRAME_BYTES, ranges->frame.value));
    ASSERT(first.value < end);
    enum frames_zone zone = frames_zone_of(first);
    uint64_t stop = min_u64(end, frames_zone_end(zone).value);
    *ret_range = (struct range){zone,
                                first,
                                frame_at(stop),
                                first.value / BLOCK_FRAMES,
                                (stop - 1) / BLOCK_FRAMES + 1,
                                region->kind};
    ranges->frame = frame_at(stop);
    ranges->next += stop == end;
    return true;
}

void frames_index_blocks(struct indexing *indexing, const struct range *range) {
    const struct range *last = &indexing->last;
    ASSERT(range->first.value < range->end.value && range->first_block < range->end_block);
    ASSERT(!indexing->has_last || last->end.value <= range->first.value);
    bool same_zone = indexing->has_last && last->zone == range->zone;
    if (!same_zone) { // a zone begins with an arena of its own, and shares no block with another
        indexing->next_block = block_at(align_up(indexing->next_block.value, ARENA_BLOCKS));
        indexing->mixed_below = 0;
    }
    uint64_t have = same_zone ? last->end_block : 0;
    indexing->new_blocks = range->end_block - max_u64(range->first_block, have);
    indexing->is_new_span = !same_zone || range->first_block > have;
    indexing->spans += indexing->is_new_span;
    indexing->lines += indexing->new_blocks;
    indexing->next_block.value += indexing->new_blocks;
    // Between its edges a range covers its blocks, so that these are of one kind. A block at an
    // edge counts once, though several ranges may have frames in it.
    const uint64_t edges[] = {range->first_block, range->end_block - 1};
    for (unsigned edge = 0; edge < ARRAY_LEN(edges); edge++) {
        if (edges[edge] < indexing->mixed_below || covers_block(range, edges[edge]))
            continue;
        indexing->mixed++;
        indexing->mixed_below = edges[edge] + 1;
    }
    indexing->last = *range;
    indexing->has_last = true;
}

// --- What the metadata consists of

struct layout frames_layout_of(const struct memmap_region *regions, uint64_t count, unsigned cpus) {
    struct layout layout = {0};
    if (!frames_regions_are_sound(regions, count))
        return layout;
    struct indexing indexing = {0};
    struct ranges ranges = {.regions = regions, .count = count};
    struct range range;
    while (frames_next_range(&ranges, &range))
        frames_index_blocks(&indexing, &range);
    if (indexing.lines == 0)
        return layout;
    layout.spans = indexing.spans;
    layout.lines = indexing.lines;
    layout.mixed = indexing.mixed;
    layout.arenas = align_up(indexing.next_block.value, ARENA_BLOCKS) / ARENA_BLOCKS;
    uint64_t set_bytes = bit_tree_words(layout.arenas) * sizeof(uint64_t);
    layout.cpus_at = layout.arenas_at + layout.arenas * sizeof(struct frames_arena);
    layout.lines_at = layout.cpus_at + cpus * sizeof(struct frames_cpu);
    layout.mixed_lines_at = layout.lines_at + layout.lines * LINE_BYTES;
    layout.mixed_at = layout.mixed_lines_at + layout.mixed * LINE_BYTES;
    layout.sets_at = layout.mixed_at + layout.mixed * sizeof(block_t);
    layout.spans_at = layout.sets_at + 3 * set_bytes;
    layout.blocks_at = layout.spans_at + layout.spans * sizeof(struct frames_span);
    layout.bytes = layout.blocks_at + layout.lines * sizeof(struct frames_block);
    return layout;
}

uint64_t frames_metadata_bytes(const struct memmap_region *regions, uint64_t count, unsigned cpus) {
    return frames_layout_of(regions, count, cpus).bytes;
}

// The start of the smallest usable region at or above `floor` that has room for `bytes`.
static paddr_t smallest_fit(const struct memmap_region *regions, uint64_t count, uint64_t bytes,
                            uint64_t floor) {
    paddr_t best = PADDR_NONE;
    uint64_t best_bytes = UINT64_MAX;
    for (uint64_t i = 0; i < count; i++) {
        const struct memmap_region *region = &regions[i];
        uint64_t start = max_u64(region->start, floor);
        if (region->kind != SLIPWAY_MEM_USABLE || !region->direct || region->end <= start ||
            region->end - start < bytes || region->end - start >= best_bytes)
            continue;
        best = paddr(start);
        best_bytes = region->end - start;
    }
    return best;
}

enum frames_status frames_place_metadata(const struct memmap_region *regions, uint64_t count,
                                         uint64_t bytes, paddr_t *ret_phys) {
    if (bytes == 0) {
        *ret_phys = PADDR_NONE;
        return FRAMES_OK;
    }
    paddr_t place = smallest_fit(regions, count, bytes, frames_zones[FRAMES_BELOW_1M].end);
    if (paddr_is_none(place))
        place = smallest_fit(regions, count, bytes, 0);
    if (paddr_is_none(place))
        return FRAMES_ERR_METADATA;
    *ret_phys = place;
    return FRAMES_OK;
}
