// Runs of frames. A short run is one that a word and the next can show: up to 64 frames, aligned to
// 64 at most. It is looked for in partly used blocks first, beginning where the last one was, under
// the lock of one arena after the other; then in whole blocks; then across the border of two
// blocks. Longer runs are looked for wherever they may lie (search.c).
#include "common/frames/change.h"

// Runs that one word, and the next, can show.
static bool is_short(const struct search *search) {
    return search->count <= 64 && search->align <= 64;
}

// --- Short runs, within one block

// Clears `count` bits from `bit` on in a word and, if they reach that far, the next.
static inline void clear_bits(uint64_t *words, uint64_t bit, uint64_t count) {
    ASSERT(bit < 64 && count != 0 && count <= 64);
    uint64_t ones = UINT64_MAX >> (64 - count);
    word_store(&words[0], words[0] & ~(ones << bit));
    if (bit + count > 64)
        word_store(&words[1], words[1] & ~(ones >> (64 - bit)));
}

// Where the next search begins after a run that began in this word: here, or in the next word of
// the block if nothing is left of this one.
static inline uint32_t next_word(uint32_t index, uint64_t left) {
    return index + (left == 0 && index % BLOCK_WORDS != BLOCK_WORDS - 1);
}

// Allocates a run in one of the blocks; its first slot, or NO_SLOT. Looks from word `first_word` of
// the arena on. The arena is locked.
static slot_t alloc_run_in_blocks(struct frames *frames, struct frames_arena *arena,
                                  uint64_t blocks, unsigned first_word, const struct search *search,
                                  uint32_t *ret_word) {
    ASSERT(arena_is_locked(frames, arena) && is_short(search));
    unsigned first_block = first_word / BLOCK_WORDS;
    blocks &= UINT64_MAX << first_block;
    for (; blocks != 0; blocks &= blocks - 1) {
        unsigned block = (unsigned)__builtin_ctzll(blocks);
        if (arena->blocks[block].free < search->count)
            continue;
        unsigned from = block == first_block ? first_word % BLOCK_WORDS : 0;
        uint64_t bit = line_find_run(arena_line(arena, block), from, search->count, search->align);
        if (bit == BLOCK_FRAMES)
            continue;
        uint32_t index = block * BLOCK_WORDS + (uint32_t)(bit / 64);
        clear_bits(&arena->lines[index], bit % 64, search->count);
        *ret_word = next_word(index, arena->lines[index]);
        unsigned free = change_free(&arena->blocks[block], -(int)search->count);
        if (!is_partial(free) || !is_partial(free + (unsigned)search->count))
            frames_block_changed(frames, arena, block);
        return slot_in_block(frames, arena, block, bit);
    }
    return NO_SLOT;
}

// Whether an earlier search of the arena's partly used blocks found no such run, and none can have
// come since.
static bool is_known_to_fail(const struct frames_arena *arena, const struct search *search) {
    return search->count >= run_limit(arena, search->align);
}

// The blocks of an arena to look at. It is locked.
static uint64_t mask_of(const struct frames_arena *arena, enum choice choice,
                        const struct search *search) {
    ASSERT(is_short(search));
    if (choice == PARTIAL_BLOCKS)
        return arena_partial(arena);
    return choice == WHOLE_BLOCKS || is_known_to_fail(arena, search) ? arena->whole : arena->some;
}

// Allocates a run in one arena; the CPU's next search begins there. NO_SLOT if the arena has none.
static slot_t try_arena(struct frames *frames, struct frames_cpu *cpu, struct frames_arena *arena,
                        enum choice choice, unsigned first_word, const struct search *search) {
    uint32_t word = 0;
    arena_lock(frames, arena);
    uint64_t mask = mask_of(arena, choice, search);
    slot_t slot = alloc_run_in_blocks(frames, arena, mask, first_word, search, &word);
    if (slot_is_none(slot) && choice == PARTIAL_BLOCKS && first_word == 0)
        note_run_limit(arena, search->count, search->align);
    arena_unlock(arena);
    if (!slot_is_none(slot)) {
        cpu->run_arena = arena;
        cpu->run_word = word;
    }
    return slot;
}

// Allocates a run in the first of the arenas [from, end) that has one.
static slot_t try_arenas(struct frames *frames, struct frames_cpu *cpu, uint64_t from, uint64_t end,
                         enum choice choice, const struct search *search) {
    for (uint64_t index = from;; index++) {
        index = next_arena(frames, choice, index, end);
        if (index >= end)
            return NO_SLOT;
        struct frames_arena *arena = &frames->arenas[index];
        if (choice == PARTIAL_BLOCKS && is_known_to_fail(arena, search))
            continue;
        slot_t slot = try_arena(frames, cpu, arena, choice, 0, search);
        if (!slot_is_none(slot))
            return slot;
    }
}

// Allocates a short run in the arenas [start, end): from where the last one was to the end, then
// from the start to there, then in the CPU's own arena, which is not in the set `partial`.
static slot_t find_short_run(struct frames *frames, struct frames_cpu *cpu, uint64_t start,
                             uint64_t end, const struct search *search) {
    ASSERT(start <= end && end <= frames->arena_count);
    struct frames_arena *last = cpu->run_arena, *own = cpu->own;
    uint64_t last_index = last == NULL ? UINT64_MAX : arena_index(frames, last);
    uint64_t own_index = own == NULL ? UINT64_MAX : arena_index(frames, own);
    uint64_t behind = start;
    slot_t slot = NO_SLOT;
    if (last_index >= start && last_index < end) {
        behind = last_index + 1;
        slot = try_arena(frames, cpu, last, PARTIAL_BLOCKS, cpu->run_word, search);
    }
    if (slot_is_none(slot))
        slot = try_arenas(frames, cpu, behind, end, PARTIAL_BLOCKS, search);
    if (slot_is_none(slot))
        slot = try_arenas(frames, cpu, start, behind, PARTIAL_BLOCKS, search);
    if (slot_is_none(slot) && own_index >= start && own_index < end &&
        !is_known_to_fail(own, search))
        slot = try_arena(frames, cpu, own, PARTIAL_BLOCKS, 0, search);
    if (slot_is_none(slot))
        slot = try_arenas(frames, cpu, start, end, WHOLE_BLOCKS, search);
    // None of the searches so far is enough for a refusal. A block may have been whole while partly
    // used blocks were searched and partly used while whole ones were; the levels of a set may lag
    // behind; and arenas that other CPUs own are not in the set. This search misses nothing.
    if (slot_is_none(slot) && frames->cpu_count != 1)
        slot = try_arenas(frames, cpu, start, end, ALL_BLOCKS, search);
    return slot;
}

// --- Requests

// One past the last arena of the zone that lies wholly below the limit.
static uint64_t arenas_below_limit(const struct frames *frames, enum frames_zone zone,
                                   const struct search *search) {
    ASSERT(zone < FRAMES_ZONES);
    uint64_t end = frames->zone_arena[zone + 1];
    if (search->end.value >= frames_zone_end(zone).value)
        return end;
    slot_t slot = frames_slot_at_or_above(frames, search->end);
    return slot_is_none(slot) ? end : min_u64(end, slot.value / ARENA_FRAMES);
}

static frame_t alloc_in_zone(struct frames *frames, struct frames_cpu *cpu, enum frames_zone zone,
                             const struct search *search) {
    uint64_t start = frames->zone_arena[zone], end = frames->zone_arena[zone + 1];
    if (start == end)
        return NO_FRAME;
    if (!is_short(search))
        return frames_alloc_long(frames, cpu, zone, search);
    uint64_t below = arenas_below_limit(frames, zone, search);
    slot_t slot = find_short_run(frames, cpu, start, below, search);
    if (!slot_is_none(slot))
        return frame_of_slot(frames, slot);
    frame_t first = frames_alloc_crossing(frames, zone, search);
    if (!frame_is_none(first) || below == end)
        return first;
    return frames_alloc_between(frames, slot_of_arena(below), slot_of_arena(below + 1), search);
}

static enum frames_status alloc_run(struct frames *frames, struct frames_cpu *cpu,
                                    const struct search *search, paddr_t *ret_first) {
    frame_t frame = NO_FRAME;
    for (unsigned next = search->zone + 1U; next != 0 && frame_is_none(frame); next--)
        frame = alloc_in_zone(frames, cpu, (enum frames_zone)(next - 1), search);
    if (frame_is_none(frame))
        return FRAMES_ERR_NO_MEMORY;
    *ret_first = frame_address(frame);
    return FRAMES_OK;
}

static enum frames_status check_request(const struct frames_request *request) {
    if (request->count == 0 || request->count > UINT64_MAX / FRAME_BYTES)
        return FRAMES_ERR_COUNT;
    if (request->align != 0 && !is_power_of_two(request->align))
        return FRAMES_ERR_ALIGN;
    return FRAMES_OK;
}

// Whether the request's limit excludes any frame.
static inline bool is_limited(const struct frames *frames, const struct frames_request *request) {
    return request->below - 1 < frames->end_address - 1; // 0 is no limit
}

[[gnu::noinline]] static enum frames_status alloc_run_general(struct frames *frames,
                                                              struct frames_cpu *cpu,
                                                              const struct frames_request *request,
                                                              paddr_t *ret_first) {
    enum frames_status status = check_request(request);
    struct search search = {.count = request->count, .align = max_u64(request->align, 1)};
    search.end = is_limited(frames, request) ? frame_of(paddr(request->below)) : NO_FRAME;
    search.zone = frames_zone_of(frame_at(max_u64(search.end.value, 1) - 1));
    if (status == FRAMES_OK)
        status = alloc_run(frames, cpu, &search, ret_first);
    return status == FRAMES_OK ? count_alloc(frames, cpu, request->count)
                               : count_refusal(cpu, status);
}

// What alloc_run_fast leaves to do when the run does not lie in that word: looks in the rest of the
// block, also for runs that cross two words. The arena is locked, and unlocked here.
[[gnu::noinline]] static enum frames_status alloc_run_nearby(struct frames *frames,
                                                             struct frames_cpu *cpu,
                                                             const struct frames_request *request,
                                                             paddr_t *ret_first) {
    struct frames_arena *arena = cpu->run_arena;
    ASSERT(arena->is_fast && arena_is_locked(frames, arena));
    struct search search = {.count = request->count, .align = max_u64(request->align, 1)};
    uint64_t block = UINT64_C(1) << cpu->run_word / BLOCK_WORDS;
    slot_t slot = alloc_run_in_blocks(frames, arena, arena_partial(arena) & block, cpu->run_word,
                                      &search, &cpu->run_word);
    arena_unlock(arena);
    if (slot_is_none(slot))
        return alloc_run_general(frames, cpu, request, ret_first);
    *ret_first = frame_address(frame_add(arena->first_frame, slot.value % ARENA_FRAMES));
    return count_alloc(frames, cpu, search.count);
}

// What alloc_run_fast leaves to do when the run has used up its block: masks and sets change. The
// arena is locked, and unlocked here.
[[gnu::noinline]] static enum frames_status finish_run(struct frames *frames,
                                                       struct frames_cpu *cpu,
                                                       struct frames_arena *arena, unsigned block,
                                                       uint64_t count) {
    ASSERT(arena_is_locked(frames, arena) && arena->blocks[block].free == 0);
    frames_block_changed(frames, arena, block);
    arena_unlock(arena);
    return count_alloc(frames, cpu, count);
}

// The fast path of short runs: in the word where the last one was, at the first free frame or the
// next that is aligned, if the run lies in that word and the block is partly used. `skipped` is a
// mask, align
// - 1 or 0, that rounds the bit up.
[[gnu::noinline]] static enum frames_status alloc_run_fast(struct frames *frames,
                                                           struct frames_cpu *cpu,
                                                           const struct frames_request *request,
                                                           paddr_t *ret_first) {
    ASSERT(request->count != 0 && request->count <= 64);
    struct frames_arena *arena = cpu->run_arena;
    if (arena == NULL || !arena->is_fast || !arena_try_lock(frames, arena))
        return alloc_run_general(frames, cpu, request, ret_first);
    uint32_t index = cpu->run_word;
    uint64_t word = arena->lines[index];
    uint64_t skipped = request->align - (request->align != 0);
    uint64_t bit = word == 0 ? 64 : ((uint64_t)__builtin_ctzll(word) + skipped) & ~skipped;
    uint64_t ones = UINT64_MAX >> (64 - request->count);
    if (__builtin_expect(bit >= 64 || (word >> bit & ones) != ones, 0))
        return alloc_run_nearby(frames, cpu, request, ret_first);
    struct frames_block *block = &arena->blocks[index / BLOCK_WORDS];
    unsigned free = block->free;
    if (__builtin_expect(!is_partial(free), 0))
        return alloc_run_nearby(frames, cpu, request, ret_first);
    word &= ~(ones << bit);
    word_store(&arena->lines[index], word);
    cpu->run_word = next_word(index, word);
    free -= (unsigned)request->count;
    __atomic_store_n(&block->free, (uint16_t)free, __ATOMIC_RELAXED);
    *ret_first = frame_address(frame_add(arena->first_frame, index * UINT64_C(64) + bit));
    if (__builtin_expect(free == 0, 0))
        return finish_run(frames, cpu, arena, index / BLOCK_WORDS, request->count);
    arena_unlock(arena);
    return count_alloc(frames, cpu, request->count);
}

enum frames_status frames_alloc_run(struct frames *frames, unsigned cpu,
                                    const struct frames_request *request, paddr_t *ret_first) {
    uint64_t count = request->count, align = request->align;
    if (frames->arena_count == 0) {
        enum frames_status status = check_request(request);
        return status != FRAMES_OK ? status : FRAMES_ERR_NO_MEMORY;
    }
    ASSERT(cpu < frames->cpu_count);
    struct frames_cpu *state = &frames->cpus[cpu];
    if (is_limited(frames, request))
        return alloc_run_general(frames, state, request, ret_first);
    if (count == BLOCK_FRAMES && align == BLOCK_FRAMES)
        return frames_alloc_block(frames, state, ret_first);
    if (count - 1 < 64 && align <= 64 && (align & (align - 1)) == 0)
        return alloc_run_fast(frames, state, request, ret_first);
    return alloc_run_general(frames, state, request, ret_first);
}
