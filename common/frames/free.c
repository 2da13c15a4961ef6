// Frames that are freed, and frames that are allocated by address: both turn all bits of a run,
// after a look at all of them. A run may lie in several arenas, which are locked together, so that
// a call that is refused has changed nothing.
#include "common/frames/change.h"

static enum frames_status check_run(const struct frames *frames, paddr_t first, uint64_t count) {
    if (!is_aligned(first.value, FRAME_BYTES))
        return FRAMES_ERR_ALIGN;
    frame_t frame = frame_of(first);
    if (count == 0 || count > UINT64_MAX / FRAME_BYTES - frame.value)
        return FRAMES_ERR_COUNT;
    if (run_has_metadata(frames, frame, count) || !frames_have_slots(frames, frame, count))
        return FRAMES_ERR_FOREIGN;
    return FRAMES_OK;
}

// What must be true of every part before any is changed.
struct check {
    enum bit wanted; // that all bits have
    enum frames_status otherwise;
    enum frames_status status;
};

// Checked for all parts before their bits are: a run that is not managed is foreign, whatever its
// bits say.
static bool check_managed(struct frames *frames, struct frames_arena *arena,
                          const struct part *part, void *argument) {
    (void)argument;
    return part_is_managed(frames, arena, part);
}

static bool check_bits(struct frames *frames, struct frames_arena *arena, const struct part *part,
                       void *argument) {
    (void)frames;
    const struct check *check = argument;
    return !line_has(arena_line(arena, part->block), part,
                     check->wanted == BIT_SET ? BIT_CLEAR : BIT_SET);
}

static bool flip_bits(struct frames *frames, struct frames_arena *arena, const struct part *part,
                      void *argument) {
    const struct check *check = argument;
    frames_write_part(frames, arena, part, check->wanted == BIT_SET ? BIT_CLEAR : BIT_SET);
    return true;
}

// Frees a run that is used, or allocates one that is free; all of it or nothing.
static enum frames_status flip_run(struct frames *frames, frame_t first, uint64_t count,
                                   struct check *check) {
    ASSERT(count != 0 && frames_have_slots(frames, first, count));
    frames_lock_run(frames, first, count);
    enum frames_status status = FRAMES_OK;
    if (!frames_for_parts(frames, first, count, check_managed, NULL))
        status = FRAMES_ERR_FOREIGN;
    else if (!frames_for_parts(frames, first, count, check_bits, check))
        status = check->otherwise;
    else
        (void)frames_for_parts(frames, first, count, flip_bits, check);
    frames_unlock_run(frames, first, count);
    return status;
}

enum frames_status frames_free_run(struct frames *frames, unsigned cpu, paddr_t first,
                                   uint64_t count) {
    enum frames_status status = check_run(frames, first, count);
    if (frames->arena_count == 0)
        return status;
    ASSERT(cpu < frames->cpu_count);
    struct check check = {.wanted = BIT_CLEAR, .otherwise = FRAMES_ERR_FREE};
    if (status == FRAMES_OK)
        status = flip_run(frames, frame_of(first), count, &check);
    struct frames_cpu *state = &frames->cpus[cpu];
    if (status != FRAMES_OK)
        return count_refusal(state, status);
    slot_t slot = frames_slot_at_or_above(frames, frame_of(first));
    state->long_slot =
        slot_at(min_u64(state->long_slot.value, slot.value)); // a long run may begin there again
    return count_free(frames, state, count);
}

bool frames_try_alloc_run(struct frames *frames, frame_t first, uint64_t count) {
    struct check check = {.wanted = BIT_SET, .otherwise = FRAMES_ERR_USED};
    return flip_run(frames, first, count, &check) == FRAMES_OK;
}

enum frames_status frames_alloc_at(struct frames *frames, unsigned cpu, paddr_t first,
                                   uint64_t count) {
    enum frames_status status = check_run(frames, first, count);
    if (frames->arena_count == 0)
        return status;
    ASSERT(cpu < frames->cpu_count);
    struct check check = {.wanted = BIT_SET, .otherwise = FRAMES_ERR_USED};
    if (status == FRAMES_OK)
        status = flip_run(frames, frame_of(first), count, &check);
    struct frames_cpu *state = &frames->cpus[cpu];
    return status == FRAMES_OK ? count_alloc(frames, state, count) : count_refusal(state, status);
}

// What frames_free leaves to do when the frame cannot be freed as fast, or not at all:
// frames_free_run finds out which, from the start.
[[gnu::noinline]] static enum frames_status free_general(struct frames *frames, unsigned cpu,
                                                         slot_t slot) {
    frame_t frame = frame_add(frames->main.first_frame, slot.value - frames->main.first_slot.value);
    return frames_free_run(frames, cpu, frame_address(frame), 1);
}

// What frames_free leaves to do when the block has become whole, or the arena had no partly used
// block before: then masks and sets change. The arena is locked, and unlocked here.
[[gnu::noinline]] static enum frames_status finish_free(struct frames *frames,
                                                        struct frames_cpu *cpu,
                                                        struct frames_arena *arena, slot_t slot) {
    ASSERT(arena_is_locked(frames, arena));
    frames_block_changed(frames, arena, block_in_arena(block_of_slot(slot)));
    arena_unlock(arena);
    return count_free(frames, cpu, 1);
}

// The fast path: a used frame of the main span, in a block that is_freeable. Addresses are computed
// before the lock is taken, so that it stays locked a short time.
enum frames_status frames_free(struct frames *frames, unsigned cpu, paddr_t frame) {
    // A rotation: the low bits of an address that is not aligned come to the top, and make an index
    // that no frame has. One comparison with the span then refuses both.
    uint64_t index = frame.value >> FRAME_SHIFT | frame.value << (64 - FRAME_SHIFT);
    uint64_t in_span = index - frames->main.first_frame.value;
    if (in_span >= frames->main.frames)
        return frames_free_run(frames, cpu, frame, 1);
    ASSERT(cpu < frames->cpu_count);
    slot_t slot = slot_add(frames->main.first_slot, in_span);
    struct frames_arena *arena = arena_of_slot(frames, slot);
    uint64_t *word_at = &arena->lines[word_in_arena(slot)];
    struct frames_block *block = &arena->blocks[slot.value / BLOCK_FRAMES % ARENA_BLOCKS];
    if (!arena_try_lock(frames, arena))
        return free_general(frames, cpu, slot);
    uint64_t word = *word_at;
    if (__builtin_expect((word >> slot.value % 64 & 1) != 0 || !block->is_freeable, 0)) {
        arena_unlock(arena);
        return free_general(frames, cpu, slot);
    }
    word_store(word_at, word | UINT64_C(1) << slot.value % 64);
    word_store(&arena->some, arena->some | UINT64_C(1) << slot.value / BLOCK_FRAMES % ARENA_BLOCKS);
    unsigned free = change_free(block, 1);
    forget_run_limits(arena);
    struct frames_cpu *state = &frames->cpus[cpu];
    if (arena->is_fast && !arena_is_anothers(arena, cpu)) {
        state->fast = arena;
        state->fast_word = word_in_arena(slot);
    }
    if (__builtin_expect(free == BLOCK_FRAMES || (arena->sets & IN_PARTIAL) == 0, 0))
        return finish_free(frames, state, arena, slot);
    arena_unlock(arena);
    return count_free(frames, state, 1);
}
