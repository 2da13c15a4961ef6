// What the files of the frame allocator share to change arenas: bits, counters, masks and sets,
// what searches remember, which frames are managed, and what CPUs count. The allocator's own.
#pragma once

#include "common/frames/core.h"

// --- Changes of an arena, which is locked

static inline uint64_t arena_partial(const struct frames_arena *arena) {
    return arena->some & ~arena->whole;
}

// Adds `change`, which may be negative, to the free frames of a block; returns how many are free
// now.
static inline unsigned change_free(struct frames_block *block, int change) {
    ASSERT(block->free + change >= 0 && block->free + change <= BLOCK_FRAMES);
    unsigned free = (unsigned)(block->free + change);
    __atomic_store_n(&block->free, (uint16_t)free, __ATOMIC_RELAXED);
    return free;
}

// Whether a block with so many free frames is partly used.
static inline bool is_partial(unsigned free) {
    ASSERT(free <= BLOCK_FRAMES);
    return free - 1 < BLOCK_FRAMES - 1;
}

static inline void forget_run_limits(struct frames_arena *arena) {
    if (arena->run_limits != RUN_LIMITS_NONE) // mostly equal: the line stays clean
        word_store(&arena->run_limits, RUN_LIMITS_NONE);
}

// From how many frames on no partly used block has a run that is so aligned. Without the lock this
// may be out of date.
static inline uint64_t run_limit(const struct frames_arena *arena, uint64_t align) {
    ASSERT(is_power_of_two(align) && align <= 64);
    return word_load(&arena->run_limits) >> 8 * (unsigned)__builtin_ctzll(align) & UINT8_MAX;
}

// Remembers that no partly used block has such a run. Then none has one that is more aligned.
static inline void note_run_limit(struct frames_arena *arena, uint64_t count, uint64_t align) {
    ASSERT(count != 0 && count <= 64 && is_power_of_two(align) && align <= 64);
    uint64_t limits = arena->run_limits;
    for (unsigned n = (unsigned)__builtin_ctzll(align); n < RUN_ALIGNS; n++)
        if (count < (limits >> 8 * n & UINT8_MAX))
            limits = (limits & ~((uint64_t)UINT8_MAX << 8 * n)) | count << 8 * n;
    word_store(&arena->run_limits, limits);
}

// Brings masks and sets up to date after the count of a block's free frames has changed. Needed
// only when the count reaches or leaves 0 or 512.
void frames_block_changed(struct frames *frames, struct frames_arena *arena, unsigned block);

// Writes `bit` to bits of one block, all of which were the other one, and updates what counts them.
void frames_write_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                       enum bit bit);

// --- Runs of frames

// Locks, unlocks, all arenas of a run, in the order of their indices: two CPUs that need the same
// arenas cannot wait for each other.
void frames_lock_run(struct frames *frames, frame_t first, uint64_t count);
void frames_unlock_run(struct frames *frames, frame_t first, uint64_t count);

// Allocates a run if all of it is managed and free. Every frame of it has a slot.
[[nodiscard]] bool frames_try_alloc_run(struct frames *frames, frame_t first, uint64_t count);

// What a run has to be, in frames.
struct search {
    uint64_t count, align;
    frame_t end;           // at which the run must have ended
    enum frames_zone zone; // the highest that it may begin in
};

// The three searches below allocate a run and return its first frame. NO_FRAME: no run that fits
// was free throughout the call.

// A run that begins at a slot in [from, end).
frame_t frames_alloc_between(struct frames *frames, slot_t from, slot_t end,
                             const struct search *search);
// A run that begins in the zone.
frame_t frames_alloc_long(struct frames *frames, struct frames_cpu *cpu, enum frames_zone zone,
                          const struct search *search);
// A run of at most 64 frames that begins in one block of the zone and ends in the next block.
frame_t frames_alloc_crossing(struct frames *frames, enum frames_zone zone,
                              const struct search *search);

// Allocates a wholly free block of the highest zone that has any.
[[nodiscard]] enum frames_status frames_alloc_block(struct frames *frames, struct frames_cpu *cpu,
                                                    paddr_t *ret_first);

// --- Managed frames

static inline bool kind_is_managed(const struct frames *frames, uint32_t kind) {
    ASSERT(kind < SLIPWAY_MEM_KINDS);
    return (__atomic_load_n(&frames->managed, __ATOMIC_RELAXED) >> kind & 1) != 0;
}

// A line that has a bit for each managed frame of a block of mixed kinds; null if all frames of the
// block are of one kind.
uint64_t *frames_mixed_line(const struct frames *frames, const struct frames_arena *arena,
                            unsigned block);

static inline bool part_is_managed(const struct frames *frames, const struct frames_arena *arena,
                                   const struct part *part) {
    ASSERT(part->block < arena->block_count);
    const struct frames_block *block = &arena->blocks[part->block];
    if (block->kind != KIND_MIXED)
        return kind_is_managed(frames, block->kind);
    return !line_has(frames_mixed_line(frames, arena, part->block), part, BIT_CLEAR);
}

struct managing {
    uint64_t freed; // frames that were not free before
    bool makes_free;
};

// Makes the frames of a part managed, and free if `managing`, a struct managing, says so.
bool frames_manage_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                        void *managing);

static inline bool run_has_metadata(const struct frames *frames, frame_t first, uint64_t count) {
    return first.value < frames->metadata_first.value + frames->metadata_frames &&
           frames->metadata_first.value < first.value + count;
}

// --- Counts of a CPU, which that CPU alone writes and others read

// Adds what a CPU has allocated to frames->used, and raises the peak. Returns FRAMES_OK.
enum frames_status frames_report_used(struct frames *frames, struct frames_cpu *cpu,
                                      int64_t allocated);

// Counts frames as allocated. FRAMES_OK, as of the two below, so that callers end with the count: a
// jump, not a call.
static inline enum frames_status count_alloc(struct frames *frames, struct frames_cpu *cpu,
                                             uint64_t count) {
    ASSERT(count != 0);
    int64_t unreported = cpu->unreported + (int64_t)count;
    if (__builtin_expect(unreported > frames->report_at, 0))
        return frames_report_used(frames, cpu, unreported);
    __atomic_store_n(&cpu->unreported, unreported, __ATOMIC_RELAXED);
    return FRAMES_OK;
}

// Counts frames as freed: the moment before may have been a peak.
static inline enum frames_status count_free(struct frames *frames, struct frames_cpu *cpu,
                                            uint64_t count) {
    ASSERT(count != 0);
    int64_t unreported = cpu->unreported;
    if (__builtin_expect(unreported > cpu->high, 0))
        __atomic_store_n(&cpu->high, unreported, __ATOMIC_RELAXED);
    unreported -= (int64_t)count;
    if (__builtin_expect(unreported < -frames->report_at, 0))
        return frames_report_used(frames, cpu, unreported);
    __atomic_store_n(&cpu->unreported, unreported, __ATOMIC_RELAXED);
    return FRAMES_OK;
}

// Counts a call that is refused, and returns why it is.
static inline enum frames_status count_refusal(struct frames_cpu *cpu, enum frames_status status) {
    ASSERT(status != FRAMES_OK);
    __atomic_store_n(&cpu->refusals, cpu->refusals + 1, __ATOMIC_RELAXED);
    return status;
}
