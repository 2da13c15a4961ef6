// What the allocator counts for others. Locks nothing: each counter is right by itself, while sums
// may miss what other CPUs do meanwhile.
#include "common/frames/core.h"

struct longest {
    uint64_t run;     // length of the free run that ends where the scan is
    uint64_t longest; // so far
    uint64_t next;    // frame that would continue the run
    uint64_t
        blocks; // whole blocks, from a 1 GiB boundary on without a gap, that end where the scan is
    uint64_t free_2m, free_1g;
};

static void add_free(struct longest *longest, uint64_t first, uint64_t count) {
    longest->run = first == longest->next ? longest->run + count : count;
    longest->next = first + count;
    longest->longest = max_u64(longest->longest, longest->run);
}

// Adds the free runs of a block whose first slot belongs to `frame`. A bit that another CPU clears
// between the two looks at it makes a run of 0 frames, which adds nothing.
static void add_line(struct longest *longest, const uint64_t *line, uint64_t frame) {
    for (uint64_t at = 0; (at = line_find(line, at, BIT_SET)) < BLOCK_FRAMES;) {
        uint64_t end = line_find(line, at, BIT_CLEAR);
        add_free(longest, frame + at, end - at);
        at = end;
    }
}

// Returns the free frames of the block.
static unsigned add_block(struct longest *longest, const struct frames_arena *arena, unsigned block,
                          uint64_t frame) {
    unsigned free = __atomic_load_n(&arena->blocks[block].free, __ATOMIC_RELAXED);
    bool starts_1g = is_aligned(frame, FRAMES_PER_1G);
    bool continues = !starts_1g && longest->blocks != 0 && frame == longest->next;
    if (free != BLOCK_FRAMES) {
        longest->blocks = 0;
        if (free != 0)
            add_line(longest, arena_line(arena, block), frame);
        return free;
    }
    add_free(longest, frame, BLOCK_FRAMES);
    longest->free_2m++;
    longest->blocks = starts_1g ? 1 : continues ? longest->blocks + 1 : 0;
    longest->free_1g += longest->blocks == FRAMES_PER_1G / FRAMES_PER_2M;
    return free;
}

// With several CPUs the peak is as exact as their reports. With one, what it has not reported
// counts.
static uint64_t find_peak(const struct frames *frames) {
    int64_t used = __atomic_load_n(&frames->used, __ATOMIC_RELAXED);
    int64_t peak = __atomic_load_n(&frames->peak, __ATOMIC_RELAXED);
    if (frames->cpu_count == 1 &&
        used + __atomic_load_n(&frames->cpus[0].high, __ATOMIC_RELAXED) > peak)
        peak = used + __atomic_load_n(&frames->cpus[0].high, __ATOMIC_RELAXED);
    return (uint64_t)peak;
}

void frames_get_statistics(const struct frames *frames, struct frames_statistics *ret_statistics) {
    *ret_statistics = (struct frames_statistics){
        .total_frames = word_load(&frames->total),
        .reserved_frames = frames->reserved,
        .metadata_bytes = frames->metadata_bytes,
        .metadata_frames = frames->metadata_frames,
    };
    struct longest longest = {.next = UINT64_MAX};
    for (uint64_t i = 0; i < frames->arena_count; i++) {
        const struct frames_arena *arena = &frames->arenas[i];
        uint64_t free = 0;
        for (unsigned block = 0; block < arena->block_count; block++) {
            // By its last slot: the upper half of the block that 1 MiB cuts has no frame for its
            // first.
            slot_t last = slot_in_block(frames, arena, block, FRAMES_PER_2M - 1);
            uint64_t first = frame_of_slot(frames, last).value - (FRAMES_PER_2M - 1);
            free += add_block(&longest, arena, block, first);
        }
        ret_statistics->zone[arena->zone].free_frames += free;
        ret_statistics->free_frames += free;
    }
    for (unsigned i = 0; i < frames->cpu_count; i++) {
        const struct frames_cpu *cpu = &frames->cpus[i];
        ret_statistics->refusals += __atomic_load_n(&cpu->refusals, __ATOMIC_RELAXED);
    }
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
        ret_statistics->zone[zone].total_frames = word_load(&frames->zone_total[zone]);
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++)
        ret_statistics->reclaimable_frames[kind] = word_load(&frames->reclaimable[kind]);
    ret_statistics->used_frames = ret_statistics->total_frames - ret_statistics->free_frames;
    ret_statistics->peak_used_frames = max_u64(find_peak(frames), ret_statistics->used_frames);
    ret_statistics->free_2m = longest.free_2m;
    ret_statistics->free_1g = longest.free_1g;
    ret_statistics->largest_run_frames = longest.longest;
}
