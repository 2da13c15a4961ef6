// Regions whose contents are no longer needed: their frames become managed and free.
#include "common/frames/change.h"
#include "common/frames/metadata.h"

// True if the part's frames, of a reclaimable kind, are not managed yet.
static bool part_can_be_added(struct frames *frames, struct frames_arena *arena,
                              const struct part *part, void *argument) {
    const uint32_t *kind = argument;
    const uint64_t *line = frames_mixed_line(frames, arena, part->block);
    return line == NULL ? arena->blocks[part->block].kind == *kind : !line_has(line, part, BIT_SET);
}

// True if the regions of `kind` can be those that the allocator started with: the same count of
// frames, all in blocks of that kind or in mixed blocks, and none managed yet.
static bool regions_match(struct frames *frames, const struct memmap_region *regions,
                          uint64_t count, uint32_t kind) {
    uint64_t frame_count = 0;
    if (!frames_regions_are_sound(regions, count))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (regions[i].kind != kind)
            continue;
        frame_t first = frame_of(paddr(regions[i].start));
        uint64_t here = (regions[i].end - regions[i].start) / FRAME_BYTES;
        if (!frames_have_slots(frames, first, here) ||
            !frames_for_parts(frames, first, here, part_can_be_added, &kind))
            return false;
        frame_count += here;
    }
    return frame_count == frames->reclaimable[kind];
}

static bool reclaim_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                         void *argument) {
    ASSERT(arena_is_locked(frames, arena) && part->block < arena->block_count);
    uint64_t *zone_total = &frames->zone_total[arena->zone];
    struct frames_block *block = &arena->blocks[part->block];
    word_store(zone_total, *zone_total + part->count);
    block->is_freeable = block->kind != KIND_MIXED;
    return frames_manage_part(frames, arena, part, argument);
}

// All arenas are locked meanwhile, so that the frames become managed and free at one moment. If
// they were managed first, a CPU could free one of them that it never allocated, and would not be
// refused.
static uint64_t add_regions(struct frames *frames, const struct memmap_region *regions,
                            uint64_t count, uint32_t kind) {
    ASSERT(memmap_is_reclaimable(kind));
    struct managing managing = {.makes_free = true};
    for (uint64_t i = 0; i < frames->arena_count; i++)
        arena_lock(frames, &frames->arenas[i]);
    __atomic_fetch_or(&frames->managed, UINT64_C(1) << kind, __ATOMIC_RELAXED);
    for (uint64_t i = 0; i < count; i++) {
        if (regions[i].kind == kind)
            (void)frames_for_parts(frames, frame_of(paddr(regions[i].start)),
                                   (regions[i].end - regions[i].start) / FRAME_BYTES, reclaim_part,
                                   &managing);
    }
    word_store(&frames->total, frames->total + managing.freed);
    word_store(&frames->reclaimable[kind], 0);
    for (uint64_t i = 0; i < frames->arena_count; i++)
        arena_unlock(&frames->arenas[i]);
    return managing.freed;
}

static enum frames_status reclaim(struct frames *frames, const struct memmap_region *regions,
                                  uint64_t count, uint32_t kind, uint64_t *ret_frames) {
    if (!memmap_is_reclaimable(kind))
        return FRAMES_ERR_MAP;
    bool is_new = !kind_is_managed(frames, kind);
    if (is_new && !regions_match(frames, regions, count, kind))
        return FRAMES_ERR_MAP;
    *ret_frames = is_new ? add_regions(frames, regions, count, kind) : 0;
    return FRAMES_OK;
}

enum frames_status frames_reclaim(struct frames *frames, const struct memmap_region *regions,
                                  uint64_t count, uint32_t kind, uint64_t *ret_frames) {
    lock_word(&frames->reclaim_lock);
    enum frames_status status = reclaim(frames, regions, count, kind, ret_frames);
    unlock_word(&frames->reclaim_lock);
    return status;
}
