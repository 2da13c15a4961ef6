// Runs of frames. Short ones are looked for in partly used blocks first, where the search left off
// last time, under the lock of one arena after the other; then in whole blocks; then, as long ones
// are at once, wherever they may lie, across blocks, arenas and zones. That search takes no lock:
// it looks at counters and words that may change meanwhile, and what it finds is taken only if it
// is still there.
#include "kernel/frames_core.h"

static enum frames_zone zone_of_frame(uint64_t frame) {
    enum frames_zone zone = FRAMES_BELOW_1M;
    while (frame >= frames_zone_end(zone))
        zone++;
    return zone;
}

// A request in frames.
struct search {
    uint64_t count, align;
    uint64_t end;          // frame number at which the run must have ended
    enum frames_zone zone; // the highest that it may begin in
};

// Runs that one word, and the next, can show.
static bool is_short(const struct search *search) {
    return search->count <= 64 && search->align <= 64;
}

// --- Short runs, within one block

// Takes `count` ones from `bit` on from a word and the next.
static inline void take_bits(uint64_t *words, uint64_t bit, uint64_t count) {
    uint64_t ones = UINT64_MAX >> (64 - count);
    word_store(&words[0], words[0] & ~(ones << bit));
    if (bit + count > 64)
        word_store(&words[1], words[1] & ~(ones >> (64 - bit)));
}

// The word to begin with next time, after a run that began in this one, of which this is left.
static inline uint32_t next_word(uint32_t index, uint64_t left) {
    return index + (left == 0 && index % BLOCK_WORDS != BLOCK_WORDS - 1);
}

// A block with a run; NO_SLOT, and none taken, if the arena has none. `first_word` is where to
// begin; blocks below it are not looked at.
static uint64_t take_short_run(struct frames *frames, struct frames_arena *arena, uint64_t blocks,
                               unsigned first_word, const struct search *search,
                               uint32_t *ret_word) {
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
        take_bits(&arena->lines[index], bit % 64, search->count);
        *ret_word = next_word(index, arena->lines[index]);
        unsigned free = change_free(&arena->blocks[block], -(int)search->count);
        if (!is_partial(free) || !is_partial(free + (unsigned)search->count))
            frames_block_changed(frames, arena, block);
        return (uint64_t)(arena - frames->arenas) * ARENA_FRAMES + block * BLOCK_FRAMES + bit;
    }
    return NO_SLOT;
}

// Which blocks of an arena are looked at.
enum blocks { PARTIAL_BLOCKS, WHOLE_BLOCKS, ALL_BLOCKS };

static const struct bit_tree *set_of(const struct frames *frames, enum blocks blocks) {
    return blocks == PARTIAL_BLOCKS ? &frames->partial
           : blocks == WHOLE_BLOCKS ? &frames->whole
                                    : &frames->some;
}

// Whether a search of the partly used blocks of an arena has failed before, and would again.
static bool is_known_to_fail(const struct frames_arena *arena, const struct search *search) {
    return search->count >= __atomic_load_n(&arena->run_limit, __ATOMIC_RELAXED);
}

// The arena is locked.
static uint64_t mask_of(const struct frames_arena *arena, enum blocks blocks,
                        const struct search *search) {
    if (blocks == PARTIAL_BLOCKS)
        return arena_partial(arena);
    return blocks == WHOLE_BLOCKS || is_known_to_fail(arena, search) ? arena->whole : arena->some;
}

// Looks in one arena, and leaves off there if it has a run.
static uint64_t try_arena(struct frames *frames, struct frames_cpu *cpu, struct frames_arena *arena,
                          enum blocks blocks, unsigned first_word, const struct search *search) {
    uint32_t word = 0;
    arena_lock(frames, arena);
    uint64_t mask = mask_of(arena, blocks, search);
    uint64_t slot = take_short_run(frames, arena, mask, first_word, search, &word);
    bool saw_all = blocks == PARTIAL_BLOCKS && first_word == 0 && search->align == 1;
    if (slot == NO_SLOT && saw_all && search->count < arena->run_limit)
        __atomic_store_n(&arena->run_limit, (uint8_t)search->count, __ATOMIC_RELAXED);
    arena_unlock(arena);
    if (slot != NO_SLOT) {
        cpu->run_arena = arena;
        cpu->run_word = word;
    }
    return slot;
}

// Looks in the arenas [from, end) that have such blocks; for all blocks, in every one of them.
static uint64_t try_arenas(struct frames *frames, struct frames_cpu *cpu, uint64_t from,
                           uint64_t end, enum blocks blocks, const struct search *search) {
    const struct bit_tree *set = set_of(frames, blocks);
    for (uint64_t index = from;; index++) {
        index = blocks == ALL_BLOCKS ? bit_tree_scan(set, index) : bit_tree_next(set, index);
        if (index >= end)
            return NO_SLOT;
        struct frames_arena *arena = &frames->arenas[index];
        if (blocks == PARTIAL_BLOCKS && is_known_to_fail(arena, search))
            continue;
        uint64_t slot = try_arena(frames, cpu, arena, blocks, 0, search);
        if (slot != NO_SLOT)
            return slot;
    }
}

static uint64_t find_short_run(struct frames *frames, struct frames_cpu *cpu, enum frames_zone zone,
                               const struct search *search) {
    uint64_t start = frames->zone_arena[zone], end = frames->zone_arena[zone + 1];
    struct frames_arena *last = cpu->run_arena;
    uint64_t behind = start;
    uint64_t slot = NO_SLOT;
    if (last != NULL && last->zone == zone) {
        behind = (uint64_t)(last - frames->arenas) + 1;
        slot = try_arena(frames, cpu, last, PARTIAL_BLOCKS, cpu->run_word, search);
    }
    if (slot == NO_SLOT)
        slot = try_arenas(frames, cpu, behind, end, PARTIAL_BLOCKS, search);
    if (slot == NO_SLOT)
        slot = try_arenas(frames, cpu, start, behind, PARTIAL_BLOCKS, search);
    if (slot == NO_SLOT)
        slot = try_arenas(frames, cpu, start, end, WHOLE_BLOCKS, search);
    // A block may have been whole when the partly used were looked at, and no more when the whole
    // were, and a set may lag behind: only this is what a refusal can rest on.
    if (slot == NO_SLOT && frames->cpu_count != 1)
        slot = try_arenas(frames, cpu, start, end, ALL_BLOCKS, search);
    return slot;
}

// --- Runs anywhere, by slots and frames

// The first block, by number, from `number` on that is in the mask of its arena; NO_SLOT if there
// is none. The arenas that have any are `set`.
static uint64_t find_block(const struct frames *frames, uint64_t number, enum bit whole) {
    const struct bit_tree *set = whole == BIT_SET ? &frames->whole : &frames->some;
    for (;;) {
        uint64_t index = bit_tree_scan(set, number / ARENA_BLOCKS);
        if (index == BIT_TREE_NONE)
            return NO_SLOT;
        const struct frames_arena *arena = &frames->arenas[index];
        number = max_u64(number, index * ARENA_BLOCKS);
        uint64_t mask = word_load(whole == BIT_SET ? &arena->whole : &arena->some);
        uint64_t rest = mask >> number % ARENA_BLOCKS;
        if (rest != 0)
            return number + (uint64_t)__builtin_ctzll(rest);
        number = (index + 1) * ARENA_BLOCKS;
    }
}

static uint64_t *line_of_block(const struct frames *frames, uint64_t number) {
    return arena_line(&frames->arenas[number / ARENA_BLOCKS], number % ARENA_BLOCKS);
}

// The first bit of a line at or after `offset` at which a run of `count` ones may begin;
// BLOCK_FRAMES if there is none.
static uint64_t find_beginning(const uint64_t *line, uint64_t offset, uint64_t count) {
    while ((offset = line_find(line, offset, BIT_SET)) < BLOCK_FRAMES && count >= FULL_BYTES_RUN) {
        uint64_t word = word_load(&line[offset / 64]);
        bool reaches_next = word >> 63 != 0;
        if (word_full_bytes(word) != 0 || reaches_next)
            break;
        offset = (offset / 64 + 1) * 64;
    }
    return offset;
}

// The first slot from `from` on at which a run that has a wholly free block in it may begin;
// NO_SLOT if there is none.
static uint64_t find_before_whole(const struct frames *frames, uint64_t from) {
    uint64_t number = find_block(frames, (from + BLOCK_FRAMES - 1) / BLOCK_FRAMES, BIT_SET);
    if (number == NO_SLOT)
        return NO_SLOT;
    // It may begin in the block before, which may be the last of the arena before.
    uint64_t arena = number / ARENA_BLOCKS;
    if (number % ARENA_BLOCKS == 0 && arena != 0)
        number = (arena - 1) * ARENA_BLOCKS + frames->arenas[arena - 1].block_count;
    return number == 0 ? from : max_u64(from, (number - 1) * BLOCK_FRAMES + 1);
}

// The first slot from `from` on at which a run of this search may begin: none before it does.
// NO_SLOT if there is none.
static uint64_t find_candidate(const struct frames *frames, uint64_t from,
                               const struct search *search) {
    bool has_whole = search->count >= 2 * BLOCK_FRAMES - 1 ||
                     (search->count >= BLOCK_FRAMES && search->align >= BLOCK_FRAMES);
    // 1 MiB cuts a block in two, of which a run may be the one and a part of the other. Far below
    // this zone.
    if (has_whole && from >= frames->zone_arena[FRAMES_BELOW_4G] * ARENA_FRAMES)
        from = find_before_whole(frames, from);
    while (from != NO_SLOT) {
        uint64_t number = find_block(frames, from / BLOCK_FRAMES, BIT_CLEAR);
        if (number == NO_SLOT)
            break;
        uint64_t start = number * BLOCK_FRAMES;
        uint64_t offset = from > start ? from - start : 0;
        offset = find_beginning(line_of_block(frames, number), offset, search->count);
        if (offset < BLOCK_FRAMES)
            return start + offset;
        from = start + BLOCK_FRAMES;
    }
    return NO_SLOT;
}

// The first slot in [slot, end), of one span, that is not free; `end` if there is none.
static uint64_t find_used_slot(const struct frames *frames, uint64_t slot, uint64_t end) {
    while (slot < end) {
        const struct frames_arena *arena = arena_of_slot(frames, slot);
        unsigned block = (unsigned)(slot / BLOCK_FRAMES % ARENA_BLOCKS);
        uint64_t bit = BLOCK_FRAMES;
        if (__atomic_load_n(&arena->blocks[block].free, __ATOMIC_RELAXED) != BLOCK_FRAMES)
            bit = line_find(arena_line(arena, block), slot % BLOCK_FRAMES, BIT_CLEAR);
        slot = align_down(slot, BLOCK_FRAMES) + bit;
        if (bit < BLOCK_FRAMES)
            return min_u64(slot, end);
    }
    return end;
}

// The first frame in [from, end) that is not free; `end` if there is none.
static uint64_t find_used(const struct frames *frames, uint64_t from, uint64_t end) {
    while (from < end) {
        const struct frames_span *span = span_of_frame(frames, from);
        if (span == NULL)
            return from;
        uint64_t slot = slot_in_span(span, from);
        uint64_t here = min_u64(end - from, span->first_frame + span->frames - from);
        uint64_t used = find_used_slot(frames, slot, slot + here);
        from += used - slot;
        if (used != slot + here)
            return from;
    }
    return end;
}

// The first frame of a free run of this search that begins at slot *from or above, in the zone;
// NO_SLOT if there is none. *from moves to where the search goes on if the run has gone by the time
// it is to be taken.
static uint64_t find_run(const struct frames *frames, enum frames_zone zone, uint64_t *from,
                         const struct search *search) {
    uint64_t end = frames->zone_arena[zone + 1] * ARENA_FRAMES;
    while (*from < end) {
        *from = find_candidate(frames, *from, search);
        if (*from >= end)
            return NO_SLOT;
        uint64_t first = align_up(frame_of_slot(frames, *from), search->align);
        if (first >= search->end || search->end - first < search->count)
            return NO_SLOT;
        uint64_t used = find_used(frames, first, first + search->count);
        if (used == first + search->count)
            return first;
        *from = frames_slot_at_or_above(frames, used + 1);
    }
    return NO_SLOT;
}

static uint64_t alloc_anywhere(struct frames *frames, enum frames_zone zone,
                               const struct search *search) {
    uint64_t from = frames->zone_arena[zone] * ARENA_FRAMES;
    uint64_t first;
    while ((first = find_run(frames, zone, &from, search)) != NO_SLOT)
        if (frames_take_run(frames, first, search->count))
            break;
    return first;
}

// --- Short runs that begin in one block and end in the next

// Takes such a run that begins in block `number`; its first frame, NO_SLOT if there is none.
static uint64_t take_crossing_run(struct frames *frames, uint64_t number,
                                  const struct search *search) {
    const struct frames_arena *arena = &frames->arenas[number / ARENA_BLOCKS];
    // The block that 1 MiB cuts in two ends there as well.
    uint64_t frames_here = arena->zone == FRAMES_BELOW_1M ? FRAME_1M : BLOCK_FRAMES;
    uint64_t border = frame_of_slot(frames, number * BLOCK_FRAMES + frames_here - 1) + 1;
    for (;;) {
        uint64_t last = word_load(&line_of_block(frames, number)[frames_here / 64 - 1]);
        uint64_t tail = last == UINT64_MAX ? 64 : (uint64_t)__builtin_clzll(~last);
        tail = align_down(min_u64(tail, search->count - 1), search->align);
        uint64_t end = border - tail + search->count;
        if (tail == 0 || end > search->end || find_used(frames, border, end) != end)
            return NO_SLOT;
        if (frames_take_run(frames, border - tail, search->count))
            return border - tail;
        // Some of it was taken meanwhile. A run that begins later may still do.
    }
}

// False if no such run begins in the block, as far as that is to be seen at once.
static bool may_cross(const struct frames_arena *arena, unsigned block, uint64_t count) {
    if (arena->zone == FRAMES_BELOW_1M || !arena->has_one_span || block + 1 >= arena->block_count)
        return true;
    const uint64_t *next = arena_line(arena, block + 1);
    uint64_t used_before = ~word_load(next - 1), used_behind = ~word_load(next);
    if (used_before == 0 || used_behind == 0)
        return true;
    return (unsigned)__builtin_clzll(used_before) + (unsigned)__builtin_ctzll(used_behind) >= count;
}

static uint64_t alloc_crossing(struct frames *frames, enum frames_zone zone,
                               const struct search *search) {
    uint64_t index = frames->zone_arena[zone], end = frames->zone_arena[zone + 1];
    for (; (index = bit_tree_scan(&frames->some, index)) < end; index++) {
        const struct frames_arena *arena = &frames->arenas[index];
        for (uint64_t rest = word_load(&arena->some); rest != 0; rest &= rest - 1) {
            unsigned block = (unsigned)__builtin_ctzll(rest);
            if (!may_cross(arena, block, search->count))
                continue;
            uint64_t first = take_crossing_run(frames, index * ARENA_BLOCKS + block, search);
            if (first != NO_SLOT)
                return first;
        }
    }
    return NO_SLOT;
}

// --- Requests

static uint64_t alloc_in_zone(struct frames *frames, struct frames_cpu *cpu, enum frames_zone zone,
                              const struct search *search) {
    if (frames->zone_arena[zone] == frames->zone_arena[zone + 1])
        return NO_SLOT;
    // A limit in the middle of a zone is for the search that knows frames.
    if (!is_short(search) || search->end < frames_zone_end(zone))
        return alloc_anywhere(frames, zone, search);
    uint64_t slot = find_short_run(frames, cpu, zone, search);
    return slot != NO_SLOT ? frame_of_slot(frames, slot) : alloc_crossing(frames, zone, search);
}

static enum frames_status alloc_run(struct frames *frames, struct frames_cpu *cpu,
                                    const struct search *search, paddr_t *ret_first) {
    uint64_t frame = NO_SLOT;
    for (unsigned next = search->zone + 1U; next != 0 && frame == NO_SLOT; next--)
        frame = alloc_in_zone(frames, cpu, (enum frames_zone)(next - 1), search);
    if (frame == NO_SLOT)
        return FRAMES_ERR_NO_MEMORY;
    *ret_first = paddr(frame * FRAME_BYTES);
    return FRAMES_OK;
}

static enum frames_status check_request(const struct frames_request *request) {
    if (request->count == 0 || request->count > UINT64_MAX / FRAME_BYTES)
        return FRAMES_ERR_COUNT;
    if (request->align != 0 && !is_power_of_two(request->align))
        return FRAMES_ERR_ALIGN;
    return FRAMES_OK;
}

[[gnu::noinline]] static enum frames_status alloc_run_slowly(struct frames *frames,
                                                             struct frames_cpu *cpu,
                                                             const struct frames_request *request,
                                                             paddr_t *ret_first) {
    enum frames_status status = check_request(request);
    struct search search = {.count = request->count, .align = max_u64(request->align, 1)};
    search.end = request->below == 0 ? UINT64_MAX : request->below / FRAME_BYTES;
    search.zone = zone_of_frame(max_u64(search.end, 1) - 1);
    if (status == FRAMES_OK)
        status = alloc_run(frames, cpu, &search, ret_first);
    return status == FRAMES_OK ? count_taken(frames, cpu, request->count)
                               : count_refusal(cpu, status);
}

// The rest of alloc_short_run: looks in the words from the last run's on, for a run that may end in
// the next word. The arena is locked.
[[gnu::noinline]] static enum frames_status alloc_in_block(struct frames *frames,
                                                           struct frames_cpu *cpu,
                                                           const struct frames_request *request,
                                                           paddr_t *ret_first) {
    struct frames_arena *arena = cpu->run_arena;
    struct search search = {.count = request->count, .align = max_u64(request->align, 1)};
    uint64_t block = UINT64_C(1) << cpu->run_word / BLOCK_WORDS;
    uint64_t slot = take_short_run(frames, arena, arena_partial(arena) & block, cpu->run_word,
                                   &search, &cpu->run_word);
    arena_unlock(arena);
    if (slot == NO_SLOT)
        return alloc_run_slowly(frames, cpu, request, ret_first);
    *ret_first = paddr((arena->first_frame + slot % ARENA_FRAMES) * FRAME_BYTES);
    return count_taken(frames, cpu, search.count);
}

// What is left to do when a run has used up its block.
[[gnu::noinline]] static enum frames_status finish_run(struct frames *frames,
                                                       struct frames_cpu *cpu,
                                                       struct frames_arena *arena, unsigned block,
                                                       uint64_t count) {
    frames_block_changed(frames, arena, block);
    arena_unlock(arena);
    return count_taken(frames, cpu, count);
}

// A run that begins with the first free frame of the word where the last one was, or with the next
// that is aligned, and lies in that word, goes straight on if the block is partly used.
[[gnu::noinline]] static enum frames_status alloc_short_run(struct frames *frames,
                                                            struct frames_cpu *cpu,
                                                            const struct frames_request *request,
                                                            paddr_t *ret_first) {
    struct frames_arena *arena = cpu->run_arena;
    if (arena == NULL || !arena->is_quick || !arena_try_lock(frames, arena))
        return alloc_run_slowly(frames, cpu, request, ret_first);
    uint32_t index = cpu->run_word;
    uint64_t word = arena->lines[index];
    uint64_t skipped = request->align - (request->align != 0);
    uint64_t bit = word == 0 ? 64 : ((uint64_t)__builtin_ctzll(word) + skipped) & ~skipped;
    uint64_t ones = UINT64_MAX >> (64 - request->count);
    if (__builtin_expect(bit >= 64 || (word >> bit & ones) != ones, 0))
        return alloc_in_block(frames, cpu, request, ret_first);
    struct frames_block *block = &arena->blocks[index / BLOCK_WORDS];
    unsigned free = block->free;
    if (__builtin_expect(!is_partial(free), 0))
        return alloc_in_block(frames, cpu, request, ret_first);
    word &= ~(ones << bit);
    word_store(&arena->lines[index], word);
    cpu->run_word = next_word(index, word);
    free -= (unsigned)request->count;
    __atomic_store_n(&block->free, (uint16_t)free, __ATOMIC_RELAXED);
    *ret_first = paddr((arena->first_frame + index * UINT64_C(64) + bit) * FRAME_BYTES);
    if (__builtin_expect(free == 0, 0))
        return finish_run(frames, cpu, arena, index / BLOCK_WORDS, request->count);
    arena_unlock(arena);
    return count_taken(frames, cpu, request->count);
}

enum frames_status frames_alloc_run(struct frames *frames, unsigned cpu,
                                    const struct frames_request *request, paddr_t *ret_first) {
    uint64_t count = request->count, align = request->align;
    if (frames->arena_count == 0) {
        enum frames_status status = check_request(request);
        return status != FRAMES_OK ? status : FRAMES_ERR_NO_MEMORY;
    }
    struct frames_cpu *state = &frames->cpus[cpu];
    if (request->below != 0)
        return alloc_run_slowly(frames, state, request, ret_first);
    if (count == BLOCK_FRAMES && align == BLOCK_FRAMES)
        return frames_alloc_block(frames, state, ret_first);
    if (count - 1 < 64 && align <= 64 && (align & (align - 1)) == 0)
        return alloc_short_run(frames, state, request, ret_first);
    return alloc_run_slowly(frames, state, request, ret_first);
}
