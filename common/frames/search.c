// Runs of frames wherever they may lie, across blocks, arenas and zones. The search locks nothing.
// It reads counters and words that other CPUs may change meanwhile, and allocates what it finds
// only if that is still free under the locks of its arenas; if not, it goes on behind. A run that
// is free throughout the search is found, because every step skips only what had a used frame when
// it was read.
#include "common/frames/change.h"

// The first block from `block` on that is in the mask of its arena; NO_BLOCK if there is none. The
// arenas that have any are `set`.
static block_t find_block(const struct frames *frames, block_t block, enum bit whole) {
    const struct bit_tree *set = whole == BIT_SET ? &frames->whole : &frames->some;
    for (;;) {
        uint64_t index = bit_tree_scan(set, block.value / ARENA_BLOCKS, UINT64_MAX);
        if (index == BIT_TREE_NONE)
            return NO_BLOCK;
        const struct frames_arena *arena = &frames->arenas[index];
        block = block_at(max_u64(block.value, index * ARENA_BLOCKS));
        uint64_t mask = word_load(whole == BIT_SET ? &arena->whole : &arena->some);
        uint64_t rest = mask >> block_in_arena(block);
        if (rest != 0)
            return block_at(block.value + (uint64_t)__builtin_ctzll(rest));
        block = block_at((index + 1) * ARENA_BLOCKS);
    }
}

// The words of a line that stand for frames: half of them in the block that 1 MiB cuts (core.h).
static unsigned words_of(const struct frames_arena *arena) {
    return (arena->zone == FRAMES_BELOW_1M ? FRAMES_TO_1M : BLOCK_FRAMES) / 64;
}

// The first bit of a line at or after `offset` at which a run of `count` ones may begin, assuming
// that what lies beyond the line is free: the first 64 ones of the run are there, or all up to the
// end of the line. BLOCK_FRAMES if there is none.
static uint64_t find_beginning(const uint64_t *line, unsigned words, uint64_t offset,
                               uint64_t count) {
    ASSERT(count != 0 && words <= BLOCK_WORDS);
    uint64_t above = UINT64_MAX << offset % 64;
    for (unsigned i = (unsigned)(offset / 64); i < words; i++, above = UINT64_MAX) {
        uint64_t word = word_load(&line[i]) & above;
        bool reaches_next = word >> 63 != 0;
        if (word == 0 || (count >= FULL_BYTES_RUN && !reaches_next && word_full_bytes(word) == 0))
            continue;
        uint64_t next = i + 1 < words ? word_load(&line[i + 1]) : UINT64_MAX;
        uint64_t starts = word_run_starts(word, next, min_u64(count, 64));
        if (starts != 0)
            return i * UINT64_C(64) + (uint64_t)__builtin_ctzll(starts);
    }
    return BLOCK_FRAMES;
}

// The first slot from `from` on at which a run that has a wholly free block in it may begin;
// NO_SLOT if there is none.
static slot_t find_before_whole(const struct frames *frames, slot_t from) {
    block_t block = find_block(frames, block_of_slot(slot_add(from, BLOCK_FRAMES - 1)), BIT_SET);
    if (block_is_none(block))
        return NO_SLOT;
    // The run may begin in the block before, which may be the last one of the arena before.
    uint64_t arena = block.value / ARENA_BLOCKS;
    if (block_in_arena(block) == 0 && arena != 0)
        block = block_at((arena - 1) * ARENA_BLOCKS + frames->arenas[arena - 1].block_count);
    if (block.value == 0)
        return from;
    return slot_at(max_u64(from.value, (block.value - 1) * BLOCK_FRAMES + 1));
}

// The first slot from `from` on at which a run of this search may begin: none before it does.
// NO_SLOT if there is none.
static slot_t find_candidate(const struct frames *frames, slot_t from,
                             const struct search *search) {
    ASSERT(search->count != 0 && is_power_of_two(search->align));
    bool has_whole = search->count >= 2 * BLOCK_FRAMES - 1 ||
                     (search->count >= BLOCK_FRAMES && search->align >= BLOCK_FRAMES);
    // The shortcut is wrong around 1 MiB, where a run of 1023 frames need not have a whole block in
    // it: the block that is cut is never whole. So it is used from 16 MiB on.
    if (has_whole && from.value >= slot_of_arena(frames->zone_arena[FRAMES_BELOW_4G]).value)
        from = find_before_whole(frames, from);
    while (!slot_is_none(from)) {
        block_t block = find_block(frames, block_of_slot(from), BIT_CLEAR);
        if (block_is_none(block))
            break;
        slot_t start = first_slot_of(block);
        uint64_t offset = from.value > start.value ? from.value - start.value : 0;
        const struct frames_arena *arena = arena_of_block(frames, block);
        const uint64_t *line = arena_line(arena, block_in_arena(block));
        offset = find_beginning(line, words_of(arena), offset, search->count);
        if (offset < BLOCK_FRAMES)
            return slot_add(start, offset);
        from = slot_add(start, BLOCK_FRAMES);
    }
    return NO_SLOT;
}

// The first slot in [slot, end), of one span, that is not free; `end` if there is none.
static slot_t find_used_slot(const struct frames *frames, slot_t slot, slot_t end) {
    while (slot.value < end.value) {
        const struct frames_arena *arena = arena_of_slot(frames, slot);
        unsigned block = block_in_arena(block_of_slot(slot));
        uint64_t bit = BLOCK_FRAMES;
        if (__atomic_load_n(&arena->blocks[block].free, __ATOMIC_RELAXED) != BLOCK_FRAMES)
            bit = line_find(arena_line(arena, block), slot.value % BLOCK_FRAMES, BIT_CLEAR);
        slot = slot_add(first_slot_of(block_of_slot(slot)), bit);
        if (bit < BLOCK_FRAMES)
            return slot_at(min_u64(slot.value, end.value));
    }
    return end;
}

// The first frame in [from, end) that is not free; `end` if there is none.
static frame_t find_used(const struct frames *frames, frame_t from, frame_t end) {
    while (from.value < end.value) {
        const struct frames_span *span = span_of_frame(frames, from);
        if (span == NULL)
            return from;
        slot_t slot = slot_in_span(span, from);
        uint64_t here = min_u64(end.value - from.value, span_frames_from(span, from));
        uint64_t free = find_used_slot(frames, slot, slot_add(slot, here)).value - slot.value;
        from = frame_add(from, free);
        if (free != here)
            return from;
    }
    return end;
}

// The first frame of a free run of this search that begins at a slot in [*from, end); NO_FRAME if
// there is none. *from moves to where the search goes on if the run has gone by the time it is to
// be allocated.
static frame_t find_run(const struct frames *frames, slot_t *from, slot_t end,
                        const struct search *search) {
    while (from->value < end.value) {
        *from = find_candidate(frames, *from, search);
        if (from->value >= end.value)
            return NO_FRAME;
        frame_t first = frame_at(align_up(frame_of_slot(frames, *from).value, search->align));
        if (first.value >= search->end.value || search->end.value - first.value < search->count)
            return NO_FRAME;
        frame_t behind = frame_add(first, search->count);
        frame_t used = find_used(frames, first, behind);
        if (used.value == behind.value)
            return first;
        *from = frames_slot_at_or_above(frames, frame_add(used, 1));
    }
    return NO_FRAME;
}

frame_t frames_alloc_between(struct frames *frames, slot_t from, slot_t end,
                             const struct search *search) {
    ASSERT(end.value <= slot_of_arena(frames->arena_count).value);
    frame_t first;
    while (!frame_is_none(first = find_run(frames, &from, end, search)))
        if (frames_try_alloc_run(frames, first, search->count))
            break;
    return first;
}

// Begins where the last long run was found, if this one is at least as long and as aligned.
// Everything before that was unsuitable then and still is, unless frames were freed: this CPU's
// frames_free_run moves long_slot back, and the second search covers all other frees.
frame_t frames_alloc_long(struct frames *frames, struct frames_cpu *cpu, enum frames_zone zone,
                          const struct search *search) {
    ASSERT(zone < FRAMES_ZONES);
    slot_t start = slot_of_arena(frames->zone_arena[zone]);
    slot_t end = slot_of_arena(frames->zone_arena[zone + 1]);
    bool goes_on = cpu->long_slot.value > start.value && cpu->long_slot.value < end.value &&
                   search->count >= cpu->long_count && search->align >= cpu->long_align;
    slot_t from = goes_on ? cpu->long_slot : start;
    frame_t first = frames_alloc_between(frames, from, end, search);
    if (frame_is_none(first) && goes_on)
        first = frames_alloc_between(frames, start, from, search);
    if (frame_is_none(first))
        return NO_FRAME;
    cpu->long_slot = frames_slot_at_or_above(frames, first);
    cpu->long_count = search->count;
    cpu->long_align = search->align;
    return first;
}

// --- Short runs that begin in one block and end in the next

// Allocates such a run that begins in `block`; its first frame, NO_FRAME if there is none.
static frame_t try_crossing_run(struct frames *frames, block_t block, const struct search *search) {
    ASSERT(search->count > search->align && search->count <= 64);
    const struct frames_arena *arena = arena_of_block(frames, block);
    unsigned words = words_of(arena);
    slot_t last = slot_add(first_slot_of(block), words * 64 - 1);
    frame_t border = frame_add(frame_of_slot(frames, last), 1);
    for (;;) {
        uint64_t word = word_load(&arena_line(arena, block_in_arena(block))[words - 1]);
        uint64_t tail = word == UINT64_MAX ? 64 : (uint64_t)__builtin_clzll(~word);
        tail = align_down(min_u64(tail, search->count - 1), search->align);
        frame_t first = frame_at(border.value - tail), end = frame_add(first, search->count);
        if (tail == 0 || end.value > search->end.value ||
            find_used(frames, border, end).value != end.value)
            return NO_FRAME;
        if (frames_try_alloc_run(frames, first, search->count))
            return first;
        // Another CPU has allocated a part of it meanwhile. A shorter tail may still do.
    }
}

// False if the words on both sides of the block's end show that no such run crosses it. True where
// that takes a closer look.
static bool may_cross(const struct frames_arena *arena, unsigned block, uint64_t count) {
    ASSERT(block < arena->block_count && count <= 64);
    if (block + 1 >= arena->block_count)
        return true;
    const uint64_t *next = arena_line(arena, block + 1);
    uint64_t used_before = ~word_load(next - 1), used_behind = ~word_load(next);
    if (used_before == 0 || used_behind == 0) // all 64 frames of a word were freed just now
        return true;
    return (unsigned)__builtin_clzll(used_before) + (unsigned)__builtin_ctzll(used_behind) >= count;
}

frame_t frames_alloc_crossing(struct frames *frames, enum frames_zone zone,
                              const struct search *search) {
    if (search->count <= search->align) // a run so aligned cannot cross the start of a block
        return NO_FRAME;
    uint64_t index = frames->zone_arena[zone], end = frames->zone_arena[zone + 1];
    for (; (index = bit_tree_scan(&frames->some, index, end)) != BIT_TREE_NONE; index++) {
        const struct frames_arena *arena = &frames->arenas[index];
        for (uint64_t rest = word_load(&arena->some); rest != 0; rest &= rest - 1) {
            unsigned block = (unsigned)__builtin_ctzll(rest);
            if (!may_cross(arena, block, search->count))
                continue;
            block_t beginning = block_at(index * ARENA_BLOCKS + block);
            frame_t first = try_crossing_run(frames, beginning, search);
            if (!frame_is_none(first))
                return first;
        }
    }
    return NO_FRAME;
}
