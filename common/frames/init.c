// How the frame allocator starts: metadata.c says how much of everything there will be, and the
// same walk over the regions fills it here. Whole blocks are written as they are; only blocks at
// the edges of a region, which may have frames of other regions too, go by the bits.
#include "common/frames/change.h"
#include "common/frames/metadata.h"

#define MANAGED_AT_FIRST                                                                           \
    (1u << SLIPWAY_MEM_USABLE | 1u << SLIPWAY_MEM_MODULE | 1u << SLIPWAY_MEM_KERNEL |              \
     1u << SLIPWAY_MEM_PAGE_TABLES)

static void carve_metadata(struct frames *frames, const struct layout *layout, unsigned cpus,
                           void *metadata) {
    unsigned char *base = metadata;
    frames->arenas = (void *)(base + layout->arenas_at);
    frames->cpus = (void *)(base + layout->cpus_at);
    frames->lines = (void *)(base + layout->lines_at);
    frames->mixed_lines = (void *)(base + layout->mixed_lines_at);
    frames->mixed = (void *)(base + layout->mixed_at);
    frames->spans = (void *)(base + layout->spans_at);
    frames->arena_count = layout->arenas;
    frames->line_count = layout->lines;
    frames->cpu_count = 1; // there are no others yet, and no locks, before frames_init is done
    uint64_t *sets = (void *)(base + layout->sets_at);
    uint64_t set_words = bit_tree_words(layout->arenas);
    bit_tree_init(&frames->some, layout->arenas, sets);
    bit_tree_init(&frames->partial, layout->arenas, sets + set_words);
    bit_tree_init(&frames->whole, layout->arenas, sets + 2 * set_words);
    for (uint64_t i = 0; i < layout->arenas; i++)
        frames->arenas[i] = (struct frames_arena){.run_limits = RUN_LIMITS_NONE};
    for (unsigned i = 0; i < cpus; i++)
        frames->cpus[i] = (struct frames_cpu){.own = NULL};
    for (uint64_t i = 0; i < layout->mixed * BLOCK_WORDS; i++)
        frames->mixed_lines[i] = 0;
}

// The allocator that is being filled.
struct filling {
    struct frames *frames;
    struct indexing indexing;
    struct frames_block *blocks; // of all arenas, packed as the lines are
};

// Begins the arena of `block`, whose line is the next.
static void begin_arena(struct filling *filling, block_t block, uint64_t line,
                        enum frames_zone zone, uint64_t physical) {
    struct frames *frames = filling->frames;
    ASSERT(block_in_arena(block) == 0 && line < frames->line_count);
    struct frames_arena *arena = arena_of_block(frames, block);
    arena->lines = frames->lines + line * BLOCK_WORDS;
    arena->blocks = filling->blocks + line;
    arena->zone = (uint8_t)zone;
    arena->has_one_span = true;
    arena->first_frame = frame_at(physical * BLOCK_FRAMES);
}

// Adds one block to its arena: free if it is usable as a whole, else with no free frame.
static void add_block(struct filling *filling, block_t index, const struct range *range,
                      uint64_t physical) {
    struct frames *frames = filling->frames;
    struct frames_arena *arena = arena_of_block(frames, index);
    unsigned block = block_in_arena(index);
    ASSERT(block == arena->block_count);
    bool is_mixed = !covers_block(range, physical);
    bool is_free = !is_mixed && range->kind == SLIPWAY_MEM_USABLE;
    arena->has_one_span &= arena->first_frame.value == (physical - block) * BLOCK_FRAMES;
    arena->block_count++;
    if (is_mixed)
        frames->mixed[frames->mixed_count++] = index;
    uint32_t kind = is_mixed ? KIND_MIXED : range->kind;
    arena->blocks[block] = (struct frames_block){.free = is_free ? BLOCK_FRAMES : 0,
                                                 .kind = (uint8_t)kind,
                                                 .is_freeable = kind_is_managed(frames, kind)};
    uint64_t *line = arena_line(arena, block);
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        line[i] = is_free ? UINT64_MAX : 0;
    if (is_free) {
        arena->some |= UINT64_C(1) << block;
        arena->whole |= UINT64_C(1) << block;
    }
}

// Adds the blocks of a range that are not there yet, and the span that they begin or extend.
static void add_blocks(struct filling *filling, const struct range *range) {
    struct frames *frames = filling->frames;
    struct indexing *indexing = &filling->indexing;
    frames_index_blocks(indexing, range);
    block_t block = block_at(indexing->next_block.value - indexing->new_blocks);
    uint64_t line = indexing->lines - indexing->new_blocks;
    uint64_t physical = range->end_block - indexing->new_blocks;
    if (indexing->is_new_span) {
        // The block that 1 MiB cuts: the frames below belong to the zone below (core.h).
        uint64_t skipped = physical == 0 && range->zone != FRAMES_BELOW_1M ? FRAMES_TO_1M : 0;
        frames->spans[frames->span_count++] =
            (struct frames_span){.first_frame = frame_at(physical * BLOCK_FRAMES + skipped),
                                 .first_slot = slot_add(first_slot_of(block), skipped)};
    }
    for (; physical < range->end_block; physical++, block.value++, line++) {
        if (block_in_arena(block) == 0)
            begin_arena(filling, block, line, range->zone, physical);
        add_block(filling, block, range, physical);
    }
    struct frames_span *span = &frames->spans[frames->span_count - 1];
    uint64_t end = range->end_block * BLOCK_FRAMES;
    if (range->zone == FRAMES_BELOW_1M)
        end = FRAMES_TO_1M;
    span->frames = end - span->first_frame.value;
    if (span->frames > frames->main.frames)
        frames->main = *span;
}

// Adds a range: its blocks, its frames to the counts, and its bits where it is managed.
static void add_range(struct filling *filling, const struct range *range) {
    struct frames *frames = filling->frames;
    uint64_t count = range->end.value - range->first.value;
    add_blocks(filling, range);
    if (memmap_is_reclaimable(range->kind)) {
        frames->reclaimable[range->kind] += count;
        return;
    }
    frames->total += count;
    frames->zone_total[range->zone] += count;
    bool is_free = range->kind == SLIPWAY_MEM_USABLE;
    frames->used += is_free ? 0 : (int64_t)count;
    struct managing managing = {.makes_free = is_free};
    // add_block has written the blocks that the range covers. Left are the first and the last
    // block, which may be one and the same: edge_end keeps its frames from being added twice.
    uint64_t edge_end = range->first.value;
    const uint64_t edges[] = {range->first_block, range->end_block - 1};
    for (unsigned edge = 0; edge < ARRAY_LEN(edges); edge++) {
        uint64_t first = max_u64(edge_end, edges[edge] * BLOCK_FRAMES);
        edge_end = min_u64(range->end.value, (edges[edge] + 1) * BLOCK_FRAMES);
        if (first < edge_end && !covers_block(range, edges[edge]))
            (void)frames_for_parts(frames, frame_at(first), edge_end - first, frames_manage_part,
                                   &managing);
    }
}

// Where each zone's arenas begin.
static void find_zones(struct frames *frames) {
    uint64_t arena = 0;
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++) {
        frames->zone_arena[zone] = arena;
        while (arena < frames->arena_count && frames->arenas[arena].zone == zone)
            arena++;
        if (arena != frames->zone_arena[zone])
            frames->top_zone = (enum frames_zone)zone;
    }
    ASSERT(arena == frames->arena_count);
    frames->zone_arena[FRAMES_ZONES] = arena;
}

static bool note_metadata(struct frames *frames, struct frames_arena *arena,
                          const struct part *part, void *argument) {
    (void)frames, (void)argument;
    arena->blocks[part->block].is_freeable = false;
    return true;
}

// Allocates the frames of the metadata itself, which must all be free, as if they had been used
// from the start: no CPU has allocated them, and the peak begins with them.
static enum frames_status alloc_metadata(struct frames *frames, paddr_t phys) {
    uint64_t count = (frames->metadata_bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    enum frames_status status = frames_alloc_at(frames, 0, phys, count);
    if (status != FRAMES_OK)
        return FRAMES_ERR_METADATA;
    frames->used += frames->cpus[0].unreported;
    frames->peak = frames->used;
    frames->cpus[0] = (struct frames_cpu){.own = NULL};
    frames->metadata_first = frame_of(phys);
    frames->metadata_frames = count;
    (void)frames_for_parts(frames, frames->metadata_first, count, note_metadata, NULL);
    return FRAMES_OK;
}

static uint64_t count_reserved(const struct memmap_region *regions, uint64_t count) {
    uint64_t reserved = 0;
    for (uint64_t i = 0; i < count; i++)
        if (!is_manageable(regions[i].kind))
            reserved += (regions[i].end - regions[i].start) / FRAME_BYTES;
    return reserved;
}

enum frames_status frames_init(struct frames *frames, const struct memmap_region *regions,
                               uint64_t count, unsigned cpus, void *metadata,
                               uint64_t metadata_bytes, paddr_t metadata_phys) {
    *frames = (struct frames){0};
    if (cpus == 0 || cpus > FRAMES_CPUS_MAX)
        return FRAMES_ERR_CPUS;
    if (!frames_regions_are_sound(regions, count))
        return FRAMES_ERR_MAP;
    frames->reserved = count_reserved(regions, count);
    struct layout layout = frames_layout_of(regions, count, cpus);
    if (layout.bytes == 0)
        return FRAMES_OK;
    if (metadata_bytes < layout.bytes || !is_aligned((uintptr_t)metadata, LINE_PAIR_BYTES) ||
        !is_aligned(metadata_phys.value, FRAME_BYTES))
        return FRAMES_ERR_METADATA;
    carve_metadata(frames, &layout, cpus, metadata);
    frames->metadata_bytes = layout.bytes;
    frames->managed = MANAGED_AT_FIRST;
    struct filling filling = {.frames = frames};
    filling.blocks = (void *)((unsigned char *)metadata + layout.blocks_at);
    struct ranges ranges = {.regions = regions, .count = count};
    struct range range;
    while (frames_next_range(&ranges, &range))
        add_range(&filling, &range);
    ASSERT(frames->span_count == layout.spans && frames->mixed_count == layout.mixed);
    ASSERT(filling.indexing.lines == layout.lines); // as metadata.c has counted
    find_zones(frames);
    const struct frames_span *last = &frames->spans[frames->span_count - 1];
    frames->end_address = frame_address(frame_add(last->first_frame, last->frames)).value;
    frames->report_at = (int64_t)max_u64(64, frames->total / 256 / cpus);
    for (uint64_t i = 0; i < frames->arena_count; i++) {
        struct frames_arena *arena = &frames->arenas[i];
        arena->is_fast = arena->zone == frames->top_zone && arena->has_one_span;
        frames_block_changed(frames, arena, 0);
    }
    enum frames_status status = alloc_metadata(frames, metadata_phys);
    frames->cpu_count = cpus;
    return status;
}
