// Frames given back, and frames asked for by address.
#include "kernel/frames_core.h"

static enum frames_status check_run(const struct frames *frames, paddr_t first, uint64_t count) {
    if (!is_aligned(first.value, FRAME_BYTES))
        return FRAMES_ERR_ALIGN;
    uint64_t frame = first.value / FRAME_BYTES;
    if (count == 0 || count > UINT64_MAX / FRAME_BYTES - frame)
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

// First of all parts whether they are managed: a run that is not is foreign, whatever else it is.
static bool check_managed(struct frames *frames, struct frames_arena *arena,
                          const struct part *part, void *argument) {
    (void)argument;
    return part_is_managed(frames, arena, part);
}

static bool check_bits(struct frames *frames, struct frames_arena *arena, const struct part *part,
                       void *argument) {
    (void)frames;
    const struct check *check = argument;
    return !line_has(arena_line(arena, (unsigned)part->block), part,
                     check->wanted == BIT_SET ? BIT_CLEAR : BIT_SET);
}

static bool flip_bits(struct frames *frames, struct frames_arena *arena, const struct part *part,
                      void *argument) {
    const struct check *check = argument;
    frames_mark_part(frames, arena, part, check->wanted == BIT_SET ? BIT_CLEAR : BIT_SET);
    return true;
}

// Frees a run that is used, or takes one that is free; all of it or nothing.
static enum frames_status flip_run(struct frames *frames, uint64_t first, uint64_t count,
                                   struct check *check) {
    frames_lock_run(frames, first, count);
    enum frames_status status = FRAMES_OK;
    if (!frames_for_pieces(frames, first, count, check_managed, NULL))
        status = FRAMES_ERR_FOREIGN;
    else if (!frames_for_pieces(frames, first, count, check_bits, check))
        status = check->otherwise;
    else
        (void)frames_for_pieces(frames, first, count, flip_bits, check);
    frames_unlock_run(frames, first, count);
    return status;
}

enum frames_status frames_free_run(struct frames *frames, unsigned cpu, paddr_t first,
                                   uint64_t count) {
    enum frames_status status = check_run(frames, first, count);
    if (frames->arena_count == 0)
        return status;
    struct check check = {.wanted = BIT_CLEAR, .otherwise = FRAMES_ERR_FREE};
    if (status == FRAMES_OK)
        status = flip_run(frames, first.value / FRAME_BYTES, count, &check);
    struct frames_cpu *state = &frames->cpus[cpu];
    return status == FRAMES_OK ? count_given(frames, state, count) : count_refusal(state, status);
}

bool frames_take_run(struct frames *frames, uint64_t first, uint64_t count) {
    struct check check = {.wanted = BIT_SET, .otherwise = FRAMES_ERR_USED};
    return flip_run(frames, first, count, &check) == FRAMES_OK;
}

enum frames_status frames_alloc_at(struct frames *frames, unsigned cpu, paddr_t first,
                                   uint64_t count) {
    enum frames_status status = check_run(frames, first, count);
    if (frames->arena_count == 0)
        return status;
    struct check check = {.wanted = BIT_SET, .otherwise = FRAMES_ERR_USED};
    if (status == FRAMES_OK)
        status = flip_run(frames, first.value / FRAME_BYTES, count, &check);
    struct frames_cpu *state = &frames->cpus[cpu];
    return status == FRAMES_OK ? count_taken(frames, state, count) : count_refusal(state, status);
}

// What is left to do when a block has become partly used, or whole.
[[gnu::noinline]] static enum frames_status
finish_free(struct frames *frames, unsigned cpu, struct frames_arena *arena, unsigned block) {
    frames_block_changed(frames, arena, block);
    arena_unlock(frames, arena);
    return count_given(frames, &frames->cpus[cpu], 1);
}

// A frame of the main span, in a block of one kind, goes straight on. frames_free_run finds out
// what any other is.
enum frames_status frames_free(struct frames *frames, unsigned cpu, paddr_t frame) {
    uint64_t number = frame.value / FRAME_BYTES;
    const struct frames_span *span = frames->main_span;
    if (span == NULL || number - span->first_frame >= span->frames ||
        !is_aligned(frame.value, FRAME_BYTES) ||
        number - frames->metadata_first < frames->metadata_frames)
        return frames_free_run(frames, cpu, frame, 1);
    uint64_t slot = slot_in_span(span, number);
    struct frames_arena *arena = arena_of_slot(frames, slot);
    if (!arena_try_lock(frames, arena))
        return frames_free_run(frames, cpu, frame, 1);
    uint64_t *slot_word = &arena->lines[slot / 64 % (ARENA_FRAMES / 64)];
    uint64_t word = *slot_word;
    uint64_t bit = UINT64_C(1) << slot % 64;
    unsigned number_in_arena = slot / BLOCK_FRAMES % ARENA_BLOCKS;
    struct frames_block *block = &arena->blocks[number_in_arena];
    unsigned free = block->free;
    if (__builtin_expect((word & bit) != 0 || !kind_is_managed(frames, block->kind), 0)) {
        arena_unlock(frames, arena);
        return frames_free_run(frames, cpu, frame, 1);
    }
    word_store(slot_word, word | bit);
    forget_run_limit(arena);
    __atomic_store_n(&block->free, (uint16_t)(free + 1), __ATOMIC_RELAXED);
    struct frames_cpu *state = &frames->cpus[cpu];
    if (arena->is_quick && !arena_is_anothers(arena, cpu)) {
        state->quick = arena;
        state->quick_word = slot / 64 % (ARENA_FRAMES / 64);
    }
    if (__builtin_expect(!is_partial(free) || !is_partial(free + 1), 0))
        return finish_free(frames, cpu, arena, number_in_arena);
    arena_unlock(frames, arena);
    return count_given(frames, state, 1);
}
