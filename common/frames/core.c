// What the files of the frame allocator share (core.h).
#include "common/frames/change.h"

const struct frames_zone_bounds frames_zones[FRAMES_ZONES] = {
    [FRAMES_BELOW_1M] = {UINT64_C(1) << 20, "below 1 MiB"},
    [FRAMES_BELOW_16M] = {UINT64_C(1) << 24, "1 to 16 MiB"},
    [FRAMES_BELOW_4G] = {UINT64_C(1) << 32, "16 MiB to 4 GiB"},
    [FRAMES_ABOVE_4G] = {UINT64_MAX, "above 4 GiB"},
};

const char *frames_status_text(enum frames_status status) {
    static const char texts[][40] = {
        [FRAMES_OK] = "done",
        [FRAMES_ERR_NO_MEMORY] = "no free frames",
        [FRAMES_ERR_COUNT] = "no frames, or too many",
        [FRAMES_ERR_ALIGN] = "not aligned",
        [FRAMES_ERR_FOREIGN] = "not a managed frame",
        [FRAMES_ERR_FREE] = "free already",
        [FRAMES_ERR_USED] = "not free",
        [FRAMES_ERR_METADATA] = "no memory for metadata",
        [FRAMES_ERR_MAP] = "bad memory regions",
        [FRAMES_ERR_CPUS] = "no CPUs, or too many",
    };
    return (unsigned)status < ARRAY_LEN(texts) ? texts[status] : "unknown";
}

// How many of `count` values, sorted, are at most `limit`. The values are `step` words apart.
static inline uint64_t count_up_to(const uint64_t *values, uint64_t step, uint64_t count,
                                   uint64_t limit) {
    uint64_t low = 0, high = count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (values[middle * step] <= limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#define SPAN_WORDS (sizeof(struct frames_span) / sizeof(uint64_t))

const struct frames_span *frames_span_below(const struct frames *frames, frame_t frame) {
    if (frames->span_count == 0)
        return NULL;
    uint64_t count = count_up_to(&frames->spans[0].first_frame.value, SPAN_WORDS,
                                 frames->span_count, frame.value);
    return count == 0 ? NULL : &frames->spans[count - 1];
}

const struct frames_span *frames_span_of_slot(const struct frames *frames, slot_t slot) {
    uint64_t count =
        count_up_to(&frames->spans[0].first_slot.value, SPAN_WORDS, frames->span_count, slot.value);
    ASSERT(count != 0);
    return &frames->spans[count - 1];
}

slot_t frames_slot_at_or_above(const struct frames *frames, frame_t frame) {
    const struct frames_span *span = frames_span_below(frames, frame);
    if (span == NULL)
        return frames->span_count == 0 ? NO_SLOT : frames->spans[0].first_slot;
    if (span_has_frame(span, frame))
        return slot_in_span(span, frame);
    span++;
    return span == frames->spans + frames->span_count ? NO_SLOT : span->first_slot;
}

// --- Masks and sets

static void update_set(struct bit_tree *set, uint64_t member, bool is_in) {
    if (is_in)
        bit_tree_insert(set, member);
    else
        bit_tree_remove(set, member);
}

// Out of line, since it is rare: an arena changes sets once for hundreds of frames. `partial` has
// only arenas without an owner, so that arena->sets says IN_PARTIAL for an owned arena that is in
// no set. whole_arenas changes after the set: a CPU that reads 0 there and refuses a block is
// right, because an arena that had one throughout its call was counted before.
[[gnu::noinline]] static void update_sets(struct frames *frames, struct frames_arena *arena,
                                          unsigned sets) {
    ASSERT(arena_is_locked(frames, arena));
    uint64_t index = arena_index(frames, arena);
    unsigned changed = arena->sets ^ sets;
    if (changed & IN_SOME)
        update_set(&frames->some, index, (sets & IN_SOME) != 0);
    if ((changed & IN_PARTIAL) && arena->owner == 0)
        update_set(&frames->partial, index, (sets & IN_PARTIAL) != 0);
    if (changed & IN_WHOLE) {
        update_set(&frames->whole, index, (sets & IN_WHOLE) != 0);
        __atomic_fetch_add(&frames->whole_arenas, sets & IN_WHOLE ? 1 : UINT64_MAX,
                           __ATOMIC_SEQ_CST);
    }
    arena->sets = (uint8_t)sets;
}

void frames_block_changed(struct frames *frames, struct frames_arena *arena, unsigned block) {
    ASSERT(arena_is_locked(frames, arena) && block < arena->block_count);
    ASSERT(arena->blocks[block].free <= BLOCK_FRAMES);
    unsigned free = arena->blocks[block].free;
    uint64_t bit = UINT64_C(1) << block;
    uint64_t some = (arena->some & ~bit) | (uint64_t)(free != 0) << block;
    uint64_t whole = (arena->whole & ~bit) | (uint64_t)(free == BLOCK_FRAMES) << block;
    forget_run_limits(arena);
    word_store(&arena->some, some);
    word_store(&arena->whole, whole);
    unsigned sets = (some != 0 ? IN_SOME : 0U) | (some != whole ? IN_PARTIAL : 0U) |
                    (whole != 0 ? IN_WHOLE : 0U);
    if (__builtin_expect(sets != arena->sets, 0))
        update_sets(frames, arena, sets);
}

void frames_write_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                       enum bit bit) {
    ASSERT(arena_is_locked(frames, arena));
    ASSERT(!line_has(arena_line(arena, part->block), part, bit));
    line_write(arena_line(arena, part->block), part, bit);
    (void)change_free(&arena->blocks[part->block],
                      bit == BIT_SET ? (int)part->count : -(int)part->count);
    frames_block_changed(frames, arena, part->block);
}

// --- Runs

bool frames_for_parts(struct frames *frames, frame_t first, uint64_t count, frames_part_visit visit,
                      void *argument) {
    while (count != 0) {
        const struct frames_span *span = span_of_frame(frames, first);
        ASSERT(span != NULL);
        slot_t slot = slot_in_span(span, first);
        uint64_t here = min_u64(count, span_frames_from(span, first));
        for (slot_t end = slot_add(slot, here); slot.value < end.value;) {
            uint64_t offset = slot.value % BLOCK_FRAMES;
            struct part part = {block_in_arena(block_of_slot(slot)), offset,
                                min_u64(BLOCK_FRAMES - offset, end.value - slot.value)};
            if (!visit(frames, arena_of_slot(frames, slot), &part, argument))
                return false;
            slot = slot_add(slot, part.count);
        }
        first = frame_add(first, here);
        count -= here;
    }
    return true;
}

bool frames_have_slots(const struct frames *frames, frame_t first, uint64_t count) {
    while (count != 0) {
        const struct frames_span *span = span_of_frame(frames, first);
        if (span == NULL)
            return false;
        uint64_t here = min_u64(count, span_frames_from(span, first));
        first = frame_add(first, here);
        count -= here;
    }
    return true;
}

static bool lock_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                      void *last) {
    (void)part;
    struct frames_arena **locked = last;
    if (*locked != arena)
        arena_lock(frames, arena);
    *locked = arena;
    return true;
}

static bool unlock_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                        void *last) {
    (void)frames, (void)part;
    struct frames_arena **unlocked = last;
    if (*unlocked != arena)
        arena_unlock(arena);
    *unlocked = arena;
    return true;
}

void frames_lock_run(struct frames *frames, frame_t first, uint64_t count) {
    ASSERT(count != 0);
    struct frames_arena *last = NULL;
    if (frames->cpu_count != 1)
        (void)frames_for_parts(frames, first, count, lock_part, &last);
}

void frames_unlock_run(struct frames *frames, frame_t first, uint64_t count) {
    ASSERT(count != 0);
    struct frames_arena *last = NULL;
    if (frames->cpu_count != 1)
        (void)frames_for_parts(frames, first, count, unlock_part, &last);
}

// --- Managed frames

uint64_t *frames_mixed_line(const struct frames *frames, const struct frames_arena *arena,
                            unsigned block) {
    if (arena->blocks[block].kind != KIND_MIXED)
        return NULL;
    uint64_t index = arena_index(frames, arena) * ARENA_BLOCKS + block;
    uint64_t count = count_up_to(&frames->mixed[0].value, 1, frames->mixed_count, index);
    ASSERT(count != 0 && frames->mixed[count - 1].value == index);
    return frames->mixed_lines + (count - 1) * BLOCK_WORDS;
}

bool frames_manage_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                        void *argument) {
    ASSERT(arena_is_locked(frames, arena) && part->block < arena->block_count);
    struct managing *managing = argument;
    uint64_t *line = frames_mixed_line(frames, arena, part->block);
    if (line != NULL)
        line_write(line, part, BIT_SET);
    if (!managing->makes_free)
        return true;
    frames_write_part(frames, arena, part, BIT_SET);
    managing->freed += part->count;
    return true;
}

// --- Counts

static void raise_peak(struct frames *frames, int64_t used) {
    int64_t peak = __atomic_load_n(&frames->peak, __ATOMIC_RELAXED);
    while (used > peak && !__atomic_compare_exchange_n(&frames->peak, &peak, used, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

enum frames_status frames_report_used(struct frames *frames, struct frames_cpu *cpu,
                                      int64_t allocated) {
    int64_t used = __atomic_add_fetch(&frames->used, allocated, __ATOMIC_RELAXED);
    raise_peak(frames,
               used - allocated + cpu->high); // the exact peak so far, if this is the only CPU
    raise_peak(frames, used);
    __atomic_store_n(&cpu->unreported, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->high, 0, __ATOMIC_RELAXED);
    return FRAMES_OK;
}
