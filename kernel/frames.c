#include "kernel/frames.h"

#include "common/base/arith.h"
#include "kernel/frames_line.h"

#define FRAME_1M UINT64_C(0x100) // frame numbers where the zones begin
#define FRAME_4G UINT64_C(0x100000)

#define NO_SLOT UINT64_MAX

// Consecutive blocks: block number i of the bitmap is physical block i - first_index + first_block.
struct frames_span {
    uint64_t first_block;
    uint64_t first_index;
    uint64_t blocks;
};

#define KIND_MIXED 0 // frames_block.kind

#define MANAGED_AT_FIRST                                                                           \
    (1u << SLIPWAY_MEM_USABLE | 1u << SLIPWAY_MEM_MODULE | 1u << SLIPWAY_MEM_KERNEL |              \
     1u << SLIPWAY_MEM_PAGE_TABLES)

const char *frames_status_text(enum frames_status status) {
    static const char texts[][32] = {
        [FRAMES_OK] = "done",
        [FRAMES_ERR_NO_MEMORY] = "no free frames",
        [FRAMES_ERR_COUNT] = "no frames, or too many",
        [FRAMES_ERR_ALIGN] = "not aligned",
        [FRAMES_ERR_FOREIGN] = "not a managed frame",
        [FRAMES_ERR_FREE] = "free already",
        [FRAMES_ERR_METADATA] = "no memory for metadata",
        [FRAMES_ERR_MAP] = "bad memory regions",
    };
    return (unsigned)status < ARRAY_LEN(texts) ? texts[status] : "unknown";
}

// Kinds that are managed or may become so.
static bool is_tracked(uint32_t kind) {
    return kind >= SLIPWAY_MEM_USABLE && kind <= SLIPWAY_MEM_PAGE_TABLES;
}

// --- What the regions need ---

static bool regions_are_sound(const struct memmap_region *regions, uint64_t count) {
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

// A region in frame and block numbers.
struct extent {
    uint64_t first, end;             // frames
    uint64_t first_block, end_block; // every block it has a frame in
};

static struct extent extent_of(const struct memmap_region *region) {
    uint64_t first = region->start / FRAME_BYTES, end = region->end / FRAME_BYTES;
    return (struct extent){first, end, first / BLOCK_FRAMES, (end - 1) / BLOCK_FRAMES + 1};
}

static bool covers_block(const struct extent *extent, uint64_t block) {
    return extent->first <= block * BLOCK_FRAMES && extent->end >= (block + 1) * BLOCK_FRAMES;
}

// How many parts of each kind the metadata has, and where they lie, in bytes from its start, in the
// order of their alignment.
struct layout {
    uint64_t spans, blocks, mixed;
    uint64_t lines_at, mixed_lines_at, mixed_at, some_free_at, all_free_at, spans_at, blocks_at;
    uint64_t bytes;
};

static void count_parts(const struct memmap_region *regions, uint64_t count,
                        struct layout *layout) {
    uint64_t blocks_end = 0, mixed_end = 0; // blocks below are counted
    for (uint64_t i = 0; i < count; i++) {
        if (!is_tracked(regions[i].kind))
            continue;
        struct extent extent = extent_of(&regions[i]);
        layout->spans += layout->spans == 0 || extent.first_block > blocks_end;
        layout->blocks += extent.end_block - max_u64(extent.first_block, blocks_end);
        blocks_end = extent.end_block;
        const uint64_t edges[] = {extent.first_block, extent.end_block - 1};
        for (unsigned edge = 0; edge < ARRAY_LEN(edges); edge++) {
            if (edges[edge] < mixed_end || covers_block(&extent, edges[edge]))
                continue;
            layout->mixed++;
            mixed_end = edges[edge] + 1;
        }
    }
}

static struct layout layout_of_regions(const struct memmap_region *regions, uint64_t count) {
    struct layout layout = {0};
    if (!regions_are_sound(regions, count))
        return layout;
    count_parts(regions, count, &layout);
    if (layout.blocks == 0)
        return layout;
    uint64_t tree_bytes = bit_tree_words(layout.blocks) * sizeof(uint64_t);
    layout.mixed_lines_at = layout.lines_at + layout.blocks * LINE_BYTES;
    layout.mixed_at = layout.mixed_lines_at + layout.mixed * LINE_BYTES;
    layout.some_free_at = layout.mixed_at + layout.mixed * sizeof(uint64_t);
    layout.all_free_at = layout.some_free_at + tree_bytes;
    layout.spans_at = layout.all_free_at + tree_bytes;
    layout.blocks_at = layout.spans_at + layout.spans * sizeof(struct frames_span);
    layout.bytes = layout.blocks_at + layout.blocks * sizeof(struct frames_block);
    return layout;
}

uint64_t frames_metadata_bytes(const struct memmap_region *regions, uint64_t count) {
    return layout_of_regions(regions, count).bytes;
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
    paddr_t place = smallest_fit(regions, count, bytes, FRAME_1M * FRAME_BYTES);
    if (paddr_is_none(place))
        place = smallest_fit(regions, count, bytes, 0);
    if (paddr_is_none(place))
        return FRAMES_ERR_METADATA;
    *ret_phys = place;
    return FRAMES_OK;
}

// --- Frame numbers, slots, kinds ---

// The last span that starts at or below physical block `block`; null if there is none.
static const struct frames_span *span_at_block(const struct frames *frames, uint64_t block) {
    uint64_t low = 0, high = frames->span_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (frames->spans[middle].first_block <= block)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &frames->spans[low - 1];
}

// The span that holds `slot`, which is a slot of the bitmap.
static const struct frames_span *span_of_slot(const struct frames *frames, uint64_t slot) {
    uint64_t low = 0, high = frames->span_count;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (frames->spans[middle].first_index <= slot / BLOCK_FRAMES)
            low = middle;
        else
            high = middle;
    }
    return &frames->spans[low];
}

static uint64_t frame_of_slot(const struct frames_span *span, uint64_t slot) {
    return slot + (span->first_block - span->first_index) * BLOCK_FRAMES;
}

// The slot of `frame`, or, where it has none, of the first frame above it that has one: the end of
// the bitmap if there is none.
static uint64_t slot_at_or_above(const struct frames *frames, uint64_t frame) {
    const struct frames_span *span = span_at_block(frames, frame / BLOCK_FRAMES);
    if (span == NULL)
        return 0;
    uint64_t offset = frame - span->first_block * BLOCK_FRAMES;
    return span->first_index * BLOCK_FRAMES + min_u64(offset, span->blocks * BLOCK_FRAMES);
}

// The managed line of a mixed block; null if the block is not mixed.
static uint64_t *mixed_line(const struct frames *frames, uint64_t block) {
    if (frames->blocks[block].kind != KIND_MIXED)
        return NULL;
    uint64_t low = 0, high = frames->mixed_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (frames->mixed[middle] < block)
            low = middle + 1;
        else
            high = middle;
    }
    return frames->mixed_lines + low * BLOCK_WORDS;
}

static bool kind_is_managed(const struct frames *frames, uint32_t kind) {
    return (frames->managed >> kind & 1) != 0;
}

// True if all the frames have slots, which then follow each other from *ret_slot on.
static bool find_slots(const struct frames *frames, uint64_t first, uint64_t count,
                       uint64_t *ret_slot) {
    const struct frames_span *span = span_at_block(frames, first / BLOCK_FRAMES);
    if (span == NULL)
        return false;
    uint64_t offset = first - span->first_block * BLOCK_FRAMES;
    uint64_t frames_of_span = span->blocks * BLOCK_FRAMES;
    if (offset >= frames_of_span || frames_of_span - offset < count)
        return false;
    *ret_slot = span->first_index * BLOCK_FRAMES + offset;
    return true;
}

// --- The bitmap and its counters ---

static uint64_t *line_of(const struct frames *frames, uint64_t block) {
    return frames->lines + block * BLOCK_WORDS;
}

// Writes bits of one block, none of which is `bit` already, and what counts them.
static void mark_part(struct frames *frames, const struct part *part, enum bit bit) {
    struct frames_block *block = &frames->blocks[part->block];
    line_write(line_of(frames, part->block), part, bit);
    uint64_t now_free = bit == BIT_SET ? block->free + part->count : block->free - part->count;
    block->free = (uint16_t)now_free;
    if (now_free == 0)
        bit_tree_remove(&frames->some_free, part->block);
    else
        bit_tree_insert(&frames->some_free, part->block);
    if (now_free == BLOCK_FRAMES)
        bit_tree_insert(&frames->all_free, part->block);
    else
        bit_tree_remove(&frames->all_free, part->block);
}

// Marks frames of one span from `first`, which has `slot`; none of them is in that state already.
static void mark_frames(struct frames *frames, uint64_t first, uint64_t slot, uint64_t count,
                        enum bit bit) {
    uint64_t low = first < FRAME_1M ? min_u64(count, FRAME_1M - first) : 0;
    frames->free = bit == BIT_SET ? frames->free + count : frames->free - count;
    frames->low_free = bit == BIT_SET ? frames->low_free + low : frames->low_free - low;
    for (uint64_t end = slot + count; slot < end;) {
        struct part part = first_part(slot, end);
        mark_part(frames, &part, bit);
        slot += part.count;
    }
}

// The first free slot in [from, end); NO_SLOT if there is none.
static uint64_t find_free(const struct frames *frames, uint64_t from, uint64_t end) {
    while (from < end) {
        uint64_t block = bit_tree_next(&frames->some_free, from / BLOCK_FRAMES);
        if (block == BIT_TREE_NONE)
            return NO_SLOT;
        uint64_t offset = block == from / BLOCK_FRAMES ? from % BLOCK_FRAMES : 0;
        offset = line_find(line_of(frames, block), offset, BIT_SET);
        from = block * BLOCK_FRAMES + offset;
        if (offset < BLOCK_FRAMES)
            return from < end ? from : NO_SLOT;
    }
    return NO_SLOT;
}

// The first slot in [from, end) that is not free; `end` if there is none.
static uint64_t find_used(const struct frames *frames, uint64_t from, uint64_t end) {
    while (from < end) {
        uint64_t block = from / BLOCK_FRAMES;
        uint64_t offset = BLOCK_FRAMES;
        if (frames->blocks[block].free != BLOCK_FRAMES)
            offset = line_find(line_of(frames, block), from % BLOCK_FRAMES, BIT_CLEAR);
        from = block * BLOCK_FRAMES + offset;
        if (offset < BLOCK_FRAMES)
            return min_u64(from, end);
    }
    return end;
}

// --- Which frames are managed ---

// True if all the slots are those of managed frames.
static bool slots_are_managed(const struct frames *frames, uint64_t slot, uint64_t count) {
    for (uint64_t end = slot + count; slot < end;) {
        struct part part = first_part(slot, end);
        const uint64_t *line = mixed_line(frames, part.block);
        if (line == NULL ? !kind_is_managed(frames, frames->blocks[part.block].kind)
                         : line_has(line, &part, BIT_CLEAR))
            return false;
        slot += part.count;
    }
    return true;
}

// Makes the frames of a region managed, as far as mixed blocks are concerned.
static void manage_region(struct frames *frames, uint64_t slot, uint64_t count) {
    for (uint64_t end = slot + count; slot < end;) {
        struct part part = first_part(slot, end);
        uint64_t *line = mixed_line(frames, part.block);
        if (line != NULL)
            line_write(line, &part, BIT_SET);
        slot += part.count;
    }
}

static bool is_metadata(const struct frames *frames, uint64_t first, uint64_t count) {
    return first < frames->metadata_first + frames->metadata_frames &&
           frames->metadata_first < first + count;
}

// --- Starting ---

static void carve_metadata(struct frames *frames, const struct layout *layout, void *metadata) {
    unsigned char *base = metadata;
    frames->lines = (void *)(base + layout->lines_at);
    frames->mixed_lines = (void *)(base + layout->mixed_lines_at);
    frames->mixed = (void *)(base + layout->mixed_at);
    frames->spans = (void *)(base + layout->spans_at);
    frames->blocks = (void *)(base + layout->blocks_at);
    frames->block_count = layout->blocks;
    for (uint64_t i = 0; i < (layout->blocks + layout->mixed) * BLOCK_WORDS; i++)
        frames->lines[i] = 0; // the managed lines as well, which follow
    bit_tree_init(&frames->some_free, layout->blocks, (void *)(base + layout->some_free_at));
    bit_tree_init(&frames->all_free, layout->blocks, (void *)(base + layout->all_free_at));
}

// Adds the blocks of a region that are not there yet, and finds those that are of this kind alone.
static void add_blocks(struct frames *frames, const struct extent *extent, uint32_t kind) {
    struct frames_span *span = frames->spans + frames->span_count;
    uint64_t index = 0; // the first block's number that is not taken
    if (frames->span_count > 0)
        index = span[-1].first_index + span[-1].blocks;
    if (frames->span_count == 0 || extent->first_block > span[-1].first_block + span[-1].blocks) {
        *span = (struct frames_span){extent->first_block, index, 0};
        frames->span_count++;
    } else {
        span--;
    }
    for (uint64_t block = span->first_block + span->blocks; block < extent->end_block; block++) {
        bool is_mixed = !covers_block(extent, block);
        if (is_mixed)
            frames->mixed[frames->mixed_count++] = index;
        frames->blocks[index++] = (struct frames_block){0, is_mixed ? KIND_MIXED : (uint16_t)kind};
    }
    span->blocks = extent->end_block - span->first_block;
}

// Adds a region: its blocks, its frames to the counts, and if it is managed, as what it is.
static void add_region(struct frames *frames, const struct memmap_region *region) {
    struct extent extent = extent_of(region);
    uint64_t count = extent.end - extent.first;
    add_blocks(frames, &extent, region->kind);
    if (memmap_is_reclaimable(region->kind)) {
        frames->reclaimable[region->kind] += count;
        return;
    }
    uint64_t slot = slot_at_or_above(frames, extent.first);
    frames->total += count;
    manage_region(frames, slot, count);
    if (region->kind == SLIPWAY_MEM_USABLE)
        mark_frames(frames, extent.first, slot, count, BIT_SET);
}

// Takes the frames of the metadata itself, which must all be free.
static enum frames_status take_metadata(struct frames *frames, paddr_t phys) {
    uint64_t first = phys.value / FRAME_BYTES;
    uint64_t count = (frames->metadata_bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    uint64_t slot;
    if (!find_slots(frames, first, count, &slot) ||
        find_used(frames, slot, slot + count) != slot + count)
        return FRAMES_ERR_METADATA;
    mark_frames(frames, first, slot, count, BIT_CLEAR);
    frames->metadata_first = first;
    frames->metadata_frames = count;
    return FRAMES_OK;
}

enum frames_status frames_init(struct frames *frames, const struct memmap_region *regions,
                               uint64_t count, void *metadata, uint64_t metadata_bytes,
                               paddr_t metadata_phys) {
    *frames = (struct frames){0};
    if (!regions_are_sound(regions, count))
        return FRAMES_ERR_MAP;
    struct layout layout = layout_of_regions(regions, count);
    if (layout.bytes == 0)
        return FRAMES_OK;
    if (metadata_bytes < layout.bytes || !is_aligned((uintptr_t)metadata, LINE_BYTES) ||
        !is_aligned(metadata_phys.value, FRAME_BYTES))
        return FRAMES_ERR_METADATA;
    carve_metadata(frames, &layout, metadata);
    frames->metadata_bytes = layout.bytes;
    frames->managed = MANAGED_AT_FIRST;
    for (uint64_t i = 0; i < count; i++) {
        if (is_tracked(regions[i].kind))
            add_region(frames, &regions[i]);
    }
    frames->slot_1m = slot_at_or_above(frames, FRAME_1M);
    frames->slot_4g = slot_at_or_above(frames, FRAME_4G);
    return take_metadata(frames, metadata_phys);
}

// --- Allocating ---

// The first slot in [from, end) where a run of `count` may begin: none before it does.
static uint64_t find_candidate(const struct frames *frames, uint64_t from, uint64_t end,
                               uint64_t count, uint64_t align) {
    // A run this long, or aligned like this, has a wholly free block in it, or is one.
    bool holds_block =
        count >= 2 * BLOCK_FRAMES - 1 || (count >= BLOCK_FRAMES && align >= BLOCK_FRAMES);
    if (!holds_block)
        return find_free(frames, from, end);
    uint64_t first_whole = from / BLOCK_FRAMES + (from % BLOCK_FRAMES != 0);
    uint64_t block = bit_tree_next(&frames->all_free, first_whole);
    if (block == BIT_TREE_NONE)
        return NO_SLOT;
    // The run may begin in the block before.
    uint64_t before = min_u64(block * BLOCK_FRAMES, BLOCK_FRAMES - 1);
    uint64_t slot = max_u64(from, block * BLOCK_FRAMES - before);
    return slot < end ? slot : NO_SLOT;
}

// The first slot of an aligned free run in [from, end), within one span; NO_SLOT if there is none.
// Each slot is looked at a bounded number of times: after a failure the search goes on behind the
// used frame that was in the way.
static uint64_t find_run(const struct frames *frames, uint64_t from, uint64_t end, uint64_t count,
                         uint64_t align) {
    uint64_t slot = from;
    while ((slot = find_candidate(frames, slot, end, count, align)) != NO_SLOT) {
        const struct frames_span *span = span_of_slot(frames, slot);
        uint64_t span_end = min_u64(end, (span->first_index + span->blocks) * BLOCK_FRAMES);
        uint64_t frame = frame_of_slot(span, slot);
        slot += align_up(frame, align) - frame;
        if (slot > span_end || span_end - slot < count) {
            slot = span_end;
            continue;
        }
        uint64_t used = find_used(frames, slot, slot + count);
        if (used == slot + count)
            return slot;
        slot = used + 1;
    }
    return NO_SLOT;
}

static uint64_t find_run_in_zone(const struct frames *frames, enum frames_zone zone, uint64_t count,
                                 uint64_t align) {
    if (frames->block_count == 0)
        return NO_SLOT;
    uint64_t end = frames->block_count * BLOCK_FRAMES;
    uint64_t slot = NO_SLOT;
    switch (zone) {
    case FRAMES_ANY:
        slot = find_run(frames, frames->slot_4g, end, count, align);
        // What is below 4 GiB is for devices that reach no further; a run may lie across.
        return slot != NO_SLOT ? slot : find_run(frames, frames->slot_1m, end, count, align);
    case FRAMES_BELOW_4G:
        return find_run(frames, frames->slot_1m, frames->slot_4g, count, align);
    case FRAMES_BELOW_1M:
        return find_run(frames, 0, frames->slot_1m, count, align);
    }
    return slot;
}

static enum frames_status alloc_run(struct frames *frames, enum frames_zone zone, uint64_t count,
                                    uint64_t align, paddr_t *ret_first) {
    if (count == 0 || count > UINT64_MAX / FRAME_BYTES)
        return FRAMES_ERR_COUNT;
    if (!is_power_of_two(align))
        return FRAMES_ERR_ALIGN;
    uint64_t slot = find_run_in_zone(frames, zone, count, align);
    if (slot == NO_SLOT)
        return FRAMES_ERR_NO_MEMORY;
    uint64_t first = frame_of_slot(span_of_slot(frames, slot), slot);
    mark_frames(frames, first, slot, count, BIT_CLEAR);
    *ret_first = paddr(first * FRAME_BYTES);
    return FRAMES_OK;
}

enum frames_status frames_alloc_run(struct frames *frames, enum frames_zone zone, uint64_t count,
                                    uint64_t align_frames, paddr_t *ret_first) {
    enum frames_status status = alloc_run(frames, zone, count, align_frames, ret_first);
    frames->allocations += status == FRAMES_OK;
    frames->refusals += status != FRAMES_OK;
    return status;
}

enum frames_status frames_alloc(struct frames *frames, enum frames_zone zone, paddr_t *ret_frame) {
    return frames_alloc_run(frames, zone, 1, 1, ret_frame);
}

// --- Freeing ---

static enum frames_status free_run(struct frames *frames, paddr_t first, uint64_t count) {
    if (!is_aligned(first.value, FRAME_BYTES))
        return FRAMES_ERR_ALIGN;
    uint64_t frame = first.value / FRAME_BYTES;
    if (count == 0 || count > UINT64_MAX / FRAME_BYTES - frame)
        return FRAMES_ERR_COUNT;
    uint64_t slot;
    if (is_metadata(frames, frame, count) || !find_slots(frames, frame, count, &slot) ||
        !slots_are_managed(frames, slot, count))
        return FRAMES_ERR_FOREIGN;
    if (find_free(frames, slot, slot + count) != NO_SLOT)
        return FRAMES_ERR_FREE;
    mark_frames(frames, frame, slot, count, BIT_SET);
    return FRAMES_OK;
}

enum frames_status frames_free_run(struct frames *frames, paddr_t first, uint64_t count) {
    enum frames_status status = free_run(frames, first, count);
    frames->frees += status == FRAMES_OK;
    frames->refusals += status != FRAMES_OK;
    return status;
}

enum frames_status frames_free(struct frames *frames, paddr_t frame) {
    return frames_free_run(frames, frame, 1);
}

// True if the region's frames, of a reclaimable kind, have slots and are not managed yet.
static bool can_be_added(const struct frames *frames, const struct memmap_region *region) {
    struct extent extent = extent_of(region);
    uint64_t slot, count = extent.end - extent.first;
    if (!find_slots(frames, extent.first, count, &slot))
        return false;
    for (uint64_t end = slot + count; slot < end;) {
        struct part part = first_part(slot, end);
        const uint64_t *line = mixed_line(frames, part.block);
        if (line == NULL ? frames->blocks[part.block].kind != region->kind
                         : line_has(line, &part, BIT_SET))
            return false;
        slot += part.count;
    }
    return true;
}

// True if the regions of `kind` are, as far as can be told, those that the allocator started with.
static bool regions_match(const struct frames *frames, const struct memmap_region *regions,
                          uint64_t count, uint32_t kind) {
    uint64_t bytes = 0;
    if (!regions_are_sound(regions, count))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (regions[i].kind != kind)
            continue;
        if (!can_be_added(frames, &regions[i]))
            return false;
        bytes += regions[i].end - regions[i].start;
    }
    return bytes / FRAME_BYTES == frames->reclaimable[kind];
}

enum frames_status frames_reclaim(struct frames *frames, const struct memmap_region *regions,
                                  uint64_t count, uint32_t kind, uint64_t *ret_frames) {
    if (!memmap_is_reclaimable(kind))
        return FRAMES_ERR_MAP;
    if (kind_is_managed(frames, kind)) {
        *ret_frames = 0;
        return FRAMES_OK;
    }
    if (!regions_match(frames, regions, count, kind))
        return FRAMES_ERR_MAP;
    frames->managed |= UINT32_C(1) << kind;
    for (uint64_t i = 0; i < count; i++) {
        if (regions[i].kind != kind)
            continue;
        struct extent extent = extent_of(&regions[i]);
        uint64_t slot = slot_at_or_above(frames, extent.first);
        manage_region(frames, slot, extent.end - extent.first);
        mark_frames(frames, extent.first, slot, extent.end - extent.first, BIT_SET);
    }
    *ret_frames = frames->reclaimable[kind];
    frames->total += frames->reclaimable[kind];
    frames->reclaimable[kind] = 0;
    return FRAMES_OK;
}

// --- Counting ---

// The longest run of free frames at or above 1 MiB.
static uint64_t largest_run(const struct frames *frames) {
    uint64_t longest = 0;
    for (uint64_t i = 0; i < frames->span_count; i++) {
        const struct frames_span *span = &frames->spans[i];
        uint64_t start = span->first_index * BLOCK_FRAMES;
        uint64_t end = start + span->blocks * BLOCK_FRAMES;
        uint64_t slot = max_u64(start, frames->slot_1m);
        while ((slot = find_free(frames, slot, end)) != NO_SLOT) {
            uint64_t used = find_used(frames, slot, end);
            longest = max_u64(longest, used - slot);
            slot = used;
        }
    }
    return longest;
}

void frames_get_statistics(const struct frames *frames, struct frames_statistics *ret_statistics) {
    *ret_statistics = (struct frames_statistics){
        .total_frames = frames->total,
        .free_frames = frames->free,
        .used_frames = frames->total - frames->free,
        .low_free_frames = frames->low_free,
        .metadata_bytes = frames->metadata_bytes,
        .metadata_frames = frames->metadata_frames,
        .largest_run_frames = largest_run(frames),
        .allocations = frames->allocations,
        .frees = frames->frees,
        .refusals = frames->refusals,
    };
    for (uint64_t i = 0; i < frames->block_count; i++)
        ret_statistics->free_blocks += frames->blocks[i].free == BLOCK_FRAMES;
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++)
        ret_statistics->reclaimable_frames[kind] = frames->reclaimable[kind];
}

struct check {
    const struct sink *sink;
    uint64_t wrong;
    uint64_t free, managed; // of all blocks
};

[[gnu::format(printf, 2, 3)]] static void disagree(struct check *check, const char *format, ...) {
    check->wrong++;
    if (check->sink == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    fmt_vprint(check->sink, format, arguments);
    va_end(arguments);
}

// Free frames below 1 MiB, by the bitmap.
static uint64_t low_population(const struct frames *frames) {
    uint64_t set = 0;
    for (uint64_t slot = 0; slot < frames->slot_1m; slot++)
        set += frames->lines[slot / 64] >> slot % 64 & 1;
    return set;
}

// Checks block `index`, and adds what it has to the sums.
static void check_block(const struct frames *frames, uint64_t index, struct check *check) {
    const struct frames_block *block = &frames->blocks[index];
    const uint64_t *line = line_of(frames, index);
    const uint64_t *managed_line = mixed_line(frames, index);
    uint64_t set = line_population(line);
    uint64_t managed = 0, foreign = 0;
    if (managed_line == NULL) {
        managed = kind_is_managed(frames, block->kind) ? BLOCK_FRAMES : 0;
        foreign = managed == 0 ? set : 0;
    } else {
        managed = line_population(managed_line);
        for (unsigned i = 0; i < BLOCK_WORDS; i++)
            foreign += popcount(line[i] & ~managed_line[i]);
    }
    check->free += set;
    check->managed += managed;
    if (block->free != set)
        disagree(check, "frames: block %lu: counter %u, bitmap %lu\n", index, block->free, set);
    if (bit_tree_contains(&frames->some_free, index) != (set > 0) ||
        bit_tree_contains(&frames->all_free, index) != (set == BLOCK_FRAMES))
        disagree(check, "frames: block %lu: summary disagrees with %lu free\n", index, set);
    if (foreign != 0)
        disagree(check, "frames: block %lu: %lu frames are free and not managed\n", index, foreign);
}

uint64_t frames_check(const struct frames *frames, const struct sink *sink) {
    struct check check = {.sink = sink};
    if (frames->block_count == 0)
        return 0;
    for (uint64_t i = 0; i < frames->block_count; i++)
        check_block(frames, i, &check);
    if (!bit_tree_is_sound(&frames->some_free) || !bit_tree_is_sound(&frames->all_free))
        disagree(&check, "frames: the levels of a summary disagree\n");
    if (check.managed != frames->total)
        disagree(&check, "frames: total %lu, managed %lu\n", frames->total, check.managed);
    if (check.free != frames->free)
        disagree(&check, "frames: free %lu, bitmap %lu\n", frames->free, check.free);
    uint64_t low_free = low_population(frames);
    if (low_free != frames->low_free)
        disagree(&check, "frames: low free %lu, bitmap %lu\n", frames->low_free, low_free);
    uint64_t slot = slot_at_or_above(frames, frames->metadata_first);
    if (find_free(frames, slot, slot + frames->metadata_frames) != NO_SLOT)
        disagree(&check, "frames: a frame of the metadata is free\n");
    return check.wrong;
}
