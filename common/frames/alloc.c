// Single frames and 2 MiB blocks.
//
// A CPU owns an arena, so that CPUs do not wait for each other's locks, and allocates single frames
// from it. An arena that has an owner is not in the set `partial`, where all CPUs look first. When
// the own arena has no partly used block left, the CPU looks in this order, in each zone from the
// highest that the request allows: a partly used block that nobody owns, a whole block of its own
// arena, a whole block that nobody owns, and anything, whoever owns it. The arena where it finds a
// frame becomes its own.
#include "common/frames/change.h"

// The blocks that a choice allows: partly used ones where it can, so that whole ones stay whole.
static uint64_t allowed_blocks(const struct frames_arena *arena, enum choice choice) {
    uint64_t partial = choice == WHOLE_BLOCKS ? 0 : arena_partial(arena);
    uint64_t whole = choice == PARTIAL_BLOCKS ? 0 : arena->whole;
    return partial != 0 ? partial : whole;
}

// Allocates the lowest frame of a word of the arena's lines, which is not 0; returns the frame's
// slot within the arena.
static uint64_t alloc_from_word(struct frames *frames, struct frames_arena *arena,
                                uint32_t word_index, uint64_t word) {
    ASSERT(arena_is_locked(frames, arena));
    ASSERT(word != 0 && word == arena->lines[word_index]);
    unsigned block = word_index / BLOCK_WORDS;
    word_store(&arena->lines[word_index], word & (word - 1));
    unsigned free = change_free(&arena->blocks[block], -1);
    if (free == 0 || free == BLOCK_FRAMES - 1)
        frames_block_changed(frames, arena, block);
    return word_index * UINT64_C(64) + (uint64_t)__builtin_ctzll(word);
}

// Allocates a frame of one of the blocks, each of which has one; returns its slot within the arena.
// It goes on in the block where the CPU allocated last, if that is among them: its line is in the
// cache.
static uint64_t alloc_from_blocks(struct frames *frames, struct frames_cpu *cpu,
                                  struct frames_arena *arena, uint64_t blocks) {
    ASSERT(arena_is_locked(frames, arena));
    ASSERT(blocks != 0 && (blocks & ~arena->some) == 0);
    unsigned block = cpu->fast_word / BLOCK_WORDS;
    if (cpu->fast != arena || (blocks >> block & 1) == 0)
        block = (unsigned)__builtin_ctzll(blocks);
    const uint64_t *line = arena_line(arena, block);
    unsigned word = 0;
    while (line[word] == 0)
        word++;
    uint32_t index = block * BLOCK_WORDS + word;
    if (arena->is_fast) {
        cpu->fast_word = index;
        cpu->fast = arena;
    }
    return alloc_from_word(frames, arena, index, line[word]);
}

// What is asked for, and by whom.
struct call {
    struct frames *frames;
    struct frames_cpu *cpu;
    unsigned cpu_index;
    enum frames_zone zone;
};

static void set_owner(struct frames_arena *arena, unsigned owner) {
    __atomic_store_n(&arena->owner, (uint16_t)owner, __ATOMIC_RELAXED);
}

// Makes an arena, which is locked and which no other CPU owns, the CPU's own.
static void own(const struct call *call, struct frames_arena *arena) {
    struct frames *frames = call->frames;
    ASSERT(arena_is_locked(frames, arena) && arena->owner == 0);
    set_owner(arena, call->cpu_index + 1);
    if (arena->sets & IN_PARTIAL)
        bit_tree_remove(&frames->partial, arena_index(frames, arena));
    call->cpu->own = arena;
}

// Leaves an arena that the CPU owned. Called with no arena locked, since it locks this one: a CPU
// locks one arena at a time.
static void disown(struct frames *frames, struct frames_arena *arena) {
    arena_lock(frames, arena);
    ASSERT(arena->owner != 0);
    set_owner(arena, 0);
    if (arena->sets & IN_PARTIAL)
        bit_tree_insert(&frames->partial, arena_index(frames, arena));
    arena_unlock(arena);
}

// Allocates a frame of this arena, if the choice allows; NO_SLOT otherwise. The arena becomes the
// CPU's own if the request allows any zone and no other CPU owns the arena. A request for a lower
// zone is rare, and leaves the CPU where it is.
static slot_t try_arena(const struct call *call, struct frames_arena *arena, enum choice choice) {
    struct frames *frames = call->frames;
    struct frames_arena *was_own = call->cpu->own;
    slot_t slot = NO_SLOT;
    arena_lock(frames, arena);
    bool is_anothers = arena_is_anothers(arena, call->cpu_index);
    uint64_t blocks = allowed_blocks(arena, choice);
    bool becomes_own = false;
    if (blocks != 0 && (choice == ALL_BLOCKS || !is_anothers)) {
        becomes_own = !is_anothers && arena != was_own && call->zone == FRAMES_ANY;
        if (becomes_own)
            own(call, arena);
        slot = slot_in_block(frames, arena, 0, alloc_from_blocks(frames, call->cpu, arena, blocks));
    }
    arena_unlock(arena);
    if (becomes_own && was_own != NULL)
        disown(frames, was_own);
    return slot;
}

static slot_t try_arenas(const struct call *call, enum frames_zone zone, enum choice choice) {
    ASSERT(zone < FRAMES_ZONES);
    struct frames *frames = call->frames;
    uint64_t end = frames->zone_arena[zone + 1];
    for (uint64_t index = frames->zone_arena[zone];; index++) {
        index = next_arena(frames, choice, index, end);
        if (index >= end)
            return NO_SLOT;
        struct frames_arena *arena = &frames->arenas[index];
        if (choice == WHOLE_BLOCKS && arena_is_anothers(arena, call->cpu_index))
            continue;
        slot_t slot = try_arena(call, arena, choice);
        if (!slot_is_none(slot))
            return slot;
    }
}

static slot_t alloc_in_zone(const struct call *call, enum frames_zone zone) {
    ASSERT(zone < FRAMES_ZONES);
    struct frames *frames = call->frames;
    if (frames->zone_arena[zone] == frames->zone_arena[zone + 1])
        return NO_SLOT;
    struct frames_arena *own = call->cpu->own;
    slot_t slot = try_arenas(call, zone, PARTIAL_BLOCKS);
    if (slot_is_none(slot) && own != NULL && own->zone == zone)
        slot = try_arena(call, own, WHOLE_BLOCKS);
    if (slot_is_none(slot))
        slot = try_arenas(call, zone, WHOLE_BLOCKS);
    if (slot_is_none(slot))
        slot = try_arenas(call, zone, ALL_BLOCKS);
    return slot;
}

// Whether the own arena lies in the highest zone, of those up to `zone`, that has a free frame.
static bool own_is_highest(const struct frames *frames, const struct frames_arena *arena,
                           enum frames_zone zone) {
    uint64_t above = frames->zone_arena[arena->zone + 1];
    return arena->zone <= zone && (arena->zone == zone || bit_tree_next(&frames->some, above) >=
                                                              frames->zone_arena[zone + 1]);
}

static slot_t alloc_anywhere(const struct call *call) {
    struct frames_arena *own = call->cpu->own;
    slot_t slot = NO_SLOT;
    if (own != NULL && own_is_highest(call->frames, own, call->zone))
        slot = try_arena(call, own, PARTIAL_BLOCKS);
    for (unsigned next = call->zone + 1U; next != 0 && slot_is_none(slot); next--)
        slot = alloc_in_zone(call, (enum frames_zone)(next - 1));
    return slot;
}

[[gnu::noinline]] static enum frames_status alloc_general(struct frames *frames,
                                                          struct frames_cpu *cpu,
                                                          enum frames_zone zone,
                                                          paddr_t *ret_frame) {
    struct call call = {frames, cpu, (unsigned)(cpu - frames->cpus), zone};
    slot_t slot = alloc_anywhere(&call);
    if (slot_is_none(slot))
        return count_refusal(cpu, FRAMES_ERR_NO_MEMORY);
    *ret_frame = frame_address(frame_of_slot(frames, slot));
    return count_alloc(frames, cpu, 1);
}

// What frames_alloc leaves to do when the word is used up, the block is whole, or the arena would
// have no partly used block afterwards: then masks and sets change. The arena is locked, and
// unlocked here.
[[gnu::noinline]] static enum frames_status
alloc_partial(struct frames *frames, struct frames_cpu *cpu, paddr_t *ret_frame) {
    struct frames_arena *arena = cpu->fast;
    ASSERT(arena->is_fast && arena_is_locked(frames, arena));
    uint64_t word = arena->lines[cpu->fast_word];
    uint64_t block = UINT64_C(1) << cpu->fast_word / BLOCK_WORDS;
    uint64_t partial = arena_partial(arena);
    uint64_t bit = ARENA_FRAMES; // none
    if (word != 0 && (partial & block) != 0)
        bit = alloc_from_word(frames, arena, cpu->fast_word, word);
    else if (partial != 0 && arena == cpu->own)
        bit = alloc_from_blocks(frames, cpu, arena, partial);
    arena_unlock(arena);
    if (bit == ARENA_FRAMES)
        return alloc_general(frames, cpu, FRAMES_ANY, ret_frame);
    *ret_frame = frame_address(frame_add(arena->first_frame, bit));
    return count_alloc(frames, cpu, 1);
}

// The fast path is the common case: the word where the CPU looks first has a free frame, the word's
// block is partly used, and the arena stays in the same sets. Whether the frame is the last of its
// block is no branch, because no CPU could predict it where memory is nearly full: `some` is
// computed for both. Addresses are computed before the lock is taken, so that it stays locked a
// short time.
enum frames_status frames_alloc(struct frames *frames, unsigned cpu, enum frames_zone zone,
                                paddr_t *ret_frame) {
    if (frames->arena_count == 0)
        return FRAMES_ERR_NO_MEMORY;
    ASSERT(cpu < frames->cpu_count && zone < FRAMES_ZONES);
    struct frames_cpu *state = &frames->cpus[cpu];
    struct frames_arena *arena = state->fast;
    if (zone != FRAMES_ANY || arena == NULL)
        return alloc_general(frames, state, zone, ret_frame);
    uint32_t index = state->fast_word;
    uint64_t *word_at = &arena->lines[index];
    uint16_t *free_count = &arena->blocks[index / BLOCK_WORDS].free;
    if (!arena_try_lock(frames, arena))
        return alloc_general(frames, state, zone, ret_frame);
    uint64_t word = *word_at;
    unsigned free = *free_count;
    uint64_t some = arena->some & ~((uint64_t)(free == 1) << index / BLOCK_WORDS);
    if (__builtin_expect(word == 0 || free == BLOCK_FRAMES || (some & ~arena->whole) == 0, 0))
        return alloc_partial(frames, state, ret_frame);
    word_store(word_at, word & (word - 1));
    word_store(&arena->some, some);
    __atomic_store_n(free_count, (uint16_t)(free - 1), __ATOMIC_RELAXED);
    arena_unlock(arena);
    uint64_t bit = state->fast_word * UINT64_C(64) + (uint64_t)__builtin_ctzll(word);
    *ret_frame = frame_address(frame_add(arena->first_frame, bit));
    return count_alloc(frames, state, 1);
}

// --- 2 MiB blocks

// Allocates a whole block of an arena, which is locked and has one; returns its index there.
static inline unsigned alloc_whole(struct frames *frames, struct frames_arena *arena) {
    ASSERT(arena_is_locked(frames, arena) && arena->whole != 0);
    // From the top: single frames come from below.
    unsigned block = 63U - (unsigned)__builtin_clzll(arena->whole);
    ASSERT(arena->blocks[block].free == BLOCK_FRAMES);
    uint64_t *line = arena_line(arena, block);
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        word_store(&line[i], 0);
    (void)change_free(&arena->blocks[block], -BLOCK_FRAMES);
    uint64_t rest = arena->whole & ~(UINT64_C(1) << block);
    if (rest == 0) {
        frames_block_changed(frames, arena, block);
        return block;
    }
    // With a whole block left the arena stays in the same sets. The next request will want that
    // block.
    word_store(&arena->some, arena->some & ~(UINT64_C(1) << block));
    word_store(&arena->whole, rest);
    __builtin_prefetch(arena_line(arena, 63U - (unsigned)__builtin_clzll(rest)), 1);
    return block;
}

// Allocates a block of the highest zone that has one; NO_SLOT if none is found. A search by the
// levels of the set may miss a block while another CPU changes the set; a search by its bitmap is
// slower and misses none.
static slot_t alloc_any_block(struct frames *frames, struct frames_cpu *cpu, bool by_bitmap) {
    for (unsigned zone = frames->top_zone + 1U; zone-- != 0;) {
        uint64_t end = frames->zone_arena[zone + 1];
        for (uint64_t index = frames->zone_arena[zone];; index++) {
            index = by_bitmap ? bit_tree_scan(&frames->whole, index, end)
                              : bit_tree_next(&frames->whole, index);
            if (index >= end)
                break;
            struct frames_arena *arena = &frames->arenas[index];
            slot_t slot = NO_SLOT;
            arena_lock(frames, arena);
            if (arena->whole != 0)
                slot = slot_in_block(frames, arena, alloc_whole(frames, arena), 0);
            arena_unlock(arena);
            if (slot_is_none(slot))
                continue;
            cpu->block_arena = arena->is_fast ? arena : NULL;
            return slot;
        }
    }
    return NO_SLOT;
}

[[gnu::noinline]] static enum frames_status find_block(struct frames *frames,
                                                       struct frames_cpu *cpu, paddr_t *ret_first) {
    cpu->block_arena = NULL;
    slot_t slot = alloc_any_block(frames, cpu, false);
    if (slot_is_none(slot) && frames->cpu_count != 1)
        slot = alloc_any_block(frames, cpu, true); // what a refusal can rest on
    if (slot_is_none(slot))
        return count_refusal(cpu, FRAMES_ERR_NO_MEMORY);
    *ret_first = frame_address(frame_of_slot(frames, slot));
    return count_alloc(frames, cpu, BLOCK_FRAMES);
}

// Allocates a block of the arena where the last one was, which other CPUs may have used up since.
[[gnu::noinline]] static enum frames_status alloc_next_block(struct frames *frames,
                                                             struct frames_cpu *cpu,
                                                             struct frames_arena *arena,
                                                             paddr_t *ret_first) {
    ASSERT(arena->is_fast);
    arena_lock(frames, arena);
    if (__builtin_expect(arena->whole == 0, 0)) {
        arena_unlock(arena);
        return find_block(frames, cpu, ret_first);
    }
    unsigned block = alloc_whole(frames, arena);
    if (arena->whole == 0)
        cpu->block_arena = NULL;
    arena_unlock(arena);
    *ret_first = frame_address(frame_add(arena->first_frame, block * FRAMES_PER_2M));
    return count_alloc(frames, cpu, BLOCK_FRAMES);
}

enum frames_status frames_alloc_block(struct frames *frames, struct frames_cpu *cpu,
                                      paddr_t *ret_first) {
    if (cpu->block_arena != NULL)
        return alloc_next_block(frames, cpu, cpu->block_arena, ret_first);
    // A refusal may rest on this count: an arena with a block that is whole throughout the call is
    // counted throughout the call.
    if (__atomic_load_n(&frames->whole_arenas, __ATOMIC_SEQ_CST) == 0)
        return count_refusal(cpu, FRAMES_ERR_NO_MEMORY);
    return find_block(frames, cpu, ret_first);
}
