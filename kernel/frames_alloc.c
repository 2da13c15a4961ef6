// Single frames and 2 MiB blocks. A CPU owns an arena and takes frames from it until partly used
// blocks are found elsewhere or nothing is left; then it looks for another in the sets.
#include "kernel/frames_core.h"

// Where a single frame may be taken from, in the order in which it is tried.
enum choice {
    OWN_PARTIAL,   // a partly used block of the CPU's own arena
    OTHER_PARTIAL, // one of an arena that no CPU owns
    OWN_WHOLE,     // a whole block is broken
    OTHER_WHOLE,
    ANYTHING, // of an arena that another CPU owns as well
    CHOICES,
};

static uint64_t range_mask(bool condition) {
    return condition ? UINT64_MAX : 0;
}

// Blocks that a choice allows.
static uint64_t allowed_blocks(const struct frames_arena *arena, enum choice choice) {
    bool takes_partial = choice == OWN_PARTIAL || choice == OTHER_PARTIAL || choice == ANYTHING;
    bool takes_whole = choice == OWN_WHOLE || choice == OTHER_WHOLE || choice == ANYTHING;
    uint64_t partial = arena_partial(arena) & range_mask(takes_partial);
    return partial != 0 ? partial : arena->whole & range_mask(takes_whole);
}

// Takes the lowest frame of a word of the arena's lines that is not 0; returns its slot within the
// arena.
static uint64_t take_frame(struct frames *frames, struct frames_arena *arena, uint32_t word_index,
                           uint64_t word) {
    unsigned block = word_index / BLOCK_WORDS;
    word_store(&arena->lines[word_index], word & (word - 1));
    unsigned free = change_free(arena, block, -1);
    if (free == 0 || free == BLOCK_FRAMES - 1)
        frames_block_changed(frames, arena, block);
    return word_index * UINT64_C(64) + (uint64_t)__builtin_ctzll(word);
}

// Takes a frame from one of the blocks, which have one: from the lowest, and so that it goes on
// there.
static uint64_t take_from_blocks(struct frames *frames, struct frames_cpu *cpu,
                                 struct frames_arena *arena, uint64_t blocks) {
    unsigned block = cpu->quick_word / BLOCK_WORDS;
    if (cpu->quick != arena || (blocks >> block & 1) == 0)
        block = (unsigned)__builtin_ctzll(blocks);
    const uint64_t *line = arena_line(arena, block);
    unsigned word = 0;
    while (line[word] == 0)
        word++;
    cpu->quick_word = block * BLOCK_WORDS + word;
    cpu->quick = arena->is_quick ? arena : NULL;
    return take_frame(frames, arena, cpu->quick_word, line[word]);
}

static uint64_t slot_of(const struct frames *frames, const struct frames_arena *arena,
                        uint64_t slot_in_arena) {
    return (uint64_t)(arena - frames->arenas) * ARENA_FRAMES + slot_in_arena;
}

static void set_owner(struct frames_arena *arena, unsigned owner) {
    __atomic_store_n(&arena->owner, (uint16_t)owner, __ATOMIC_RELAXED);
}

// Makes the arena, which is locked, the CPU's own.
static void own(struct frames *frames, unsigned cpu, struct frames_arena *arena) {
    struct frames_cpu *state = &frames->cpus[cpu];
    if (state->own == arena)
        return;
    if (state->own != NULL)
        set_owner(state->own, 0); // only this CPU set it
    set_owner(arena, cpu + 1);
    state->own = arena;
}

// Takes a frame from this arena, if the choice allows; NO_SLOT otherwise. An arena that is
// somebody's stays so.
static uint64_t try_arena(struct frames *frames, unsigned cpu, struct frames_arena *arena,
                          enum choice choice) {
    uint64_t slot = NO_SLOT;
    arena_lock(frames, arena);
    uint64_t blocks = allowed_blocks(arena, choice);
    bool may = choice == ANYTHING || !arena_is_anothers(arena, cpu);
    if (blocks != 0 && may) {
        if (!arena_is_anothers(arena, cpu))
            own(frames, cpu, arena);
        slot = take_from_blocks(frames, &frames->cpus[cpu], arena, blocks);
        slot = slot_of(frames, arena, slot);
    }
    arena_unlock(frames, arena);
    return slot;
}

static uint64_t try_arenas(struct frames *frames, unsigned cpu, enum frames_zone zone,
                           enum choice choice) {
    const struct bit_tree *set = choice == OTHER_PARTIAL ? &frames->partial
                                 : choice == OTHER_WHOLE ? &frames->whole
                                                         : &frames->some;
    uint64_t end = frames->zone_arena[zone + 1];
    for (uint64_t index = frames->zone_arena[zone];; index++) {
        // The last choice has to be right: it is what a refusal rests on.
        index = choice == ANYTHING ? bit_tree_scan(set, index) : bit_tree_next(set, index);
        if (index >= end)
            return NO_SLOT;
        if (choice != ANYTHING && arena_is_anothers(&frames->arenas[index], cpu))
            continue;
        uint64_t slot = try_arena(frames, cpu, &frames->arenas[index], choice);
        if (slot != NO_SLOT)
            return slot;
    }
}

static uint64_t alloc_in_zone(struct frames *frames, unsigned cpu, enum frames_zone zone) {
    uint64_t slot = NO_SLOT;
    if (frames->zone_arena[zone] == frames->zone_arena[zone + 1])
        return slot;
    for (unsigned choice = 0; choice < CHOICES && slot == NO_SLOT; choice++) {
        struct frames_arena *arena = frames->cpus[cpu].own;
        bool is_own = choice == OWN_PARTIAL || choice == OWN_WHOLE;
        if (!is_own)
            slot = try_arenas(frames, cpu, zone, (enum choice)choice);
        else if (arena != NULL && arena->zone == zone)
            slot = try_arena(frames, cpu, arena, (enum choice)choice);
    }
    return slot;
}

// Whether the CPU's own arena is in the highest zone that may be used and has something.
static bool own_is_highest(const struct frames *frames, const struct frames_arena *arena,
                           enum frames_zone zone) {
    uint64_t above = frames->zone_arena[arena->zone + 1];
    return arena->zone <= zone && (arena->zone == zone || bit_tree_next(&frames->some, above) >=
                                                              frames->zone_arena[zone + 1]);
}

static uint64_t alloc_anywhere(struct frames *frames, unsigned cpu, enum frames_zone zone) {
    struct frames_arena *arena = frames->cpus[cpu].own;
    uint64_t slot = NO_SLOT;
    if (arena != NULL && own_is_highest(frames, arena, zone))
        slot = try_arena(frames, cpu, arena, OWN_PARTIAL);
    for (unsigned next = zone + 1U; next != 0 && slot == NO_SLOT; next--)
        slot = alloc_in_zone(frames, cpu, (enum frames_zone)(next - 1));
    return slot;
}

[[gnu::noinline]] static enum frames_status
alloc_slowly(struct frames *frames, unsigned cpu, enum frames_zone zone, paddr_t *ret_frame) {
    if (frames->arena_count == 0)
        return FRAMES_ERR_NO_MEMORY;
    uint64_t slot = alloc_anywhere(frames, cpu, zone);
    if (slot == NO_SLOT)
        return count_refusal(&frames->cpus[cpu], FRAMES_ERR_NO_MEMORY);
    *ret_frame = paddr(frame_of_slot(frames, slot) * FRAME_BYTES);
    return count_taken(frames, &frames->cpus[cpu], 1);
}

// The rest of frames_alloc where the word is used up, or this is the last frame of its block. The
// arena is locked.
[[gnu::noinline]] static enum frames_status
alloc_partial(struct frames *frames, unsigned cpu, struct frames_arena *arena, paddr_t *ret_frame) {
    struct frames_cpu *state = &frames->cpus[cpu];
    uint64_t word = arena->lines[state->quick_word];
    uint64_t block = UINT64_C(1) << state->quick_word / BLOCK_WORDS;
    uint64_t partial = arena_partial(arena);
    uint64_t bit = NO_SLOT;
    if (word != 0 && (partial & block) != 0)
        bit = take_frame(frames, arena, state->quick_word, word);
    else if (partial != 0 && arena == state->own)
        bit = take_from_blocks(frames, state, arena, partial);
    arena_unlock(frames, arena);
    if (bit == NO_SLOT)
        return alloc_slowly(frames, cpu, FRAMES_ANY, ret_frame);
    *ret_frame = paddr((arena->first_frame + bit) * FRAME_BYTES);
    return count_taken(frames, state, 1);
}

// The usual case goes straight on: the word where the CPU looks first has a frame, and its block is
// and stays partly used.
enum frames_status frames_alloc(struct frames *frames, unsigned cpu, enum frames_zone zone,
                                paddr_t *ret_frame) {
    if (frames->arena_count == 0 || zone != FRAMES_ANY)
        return alloc_slowly(frames, cpu, zone, ret_frame);
    struct frames_cpu *state = &frames->cpus[cpu];
    struct frames_arena *arena = state->quick;
    if (arena == NULL || !arena_try_lock(frames, arena))
        return alloc_slowly(frames, cpu, zone, ret_frame);
    uint32_t index = state->quick_word;
    uint64_t word = arena->lines[index];
    uint16_t *counter = &arena->blocks[index / BLOCK_WORDS].free;
    unsigned free = *counter;
    if (__builtin_expect(word == 0 || !is_partial(free) || !is_partial(free - 1), 0))
        return alloc_partial(frames, cpu, arena, ret_frame);
    word_store(&arena->lines[index], word & (word - 1));
    __atomic_store_n(counter, (uint16_t)(free - 1), __ATOMIC_RELAXED);
    arena_unlock(frames, arena);
    uint64_t bit = index * UINT64_C(64) + (uint64_t)__builtin_ctzll(word);
    *ret_frame = paddr((arena->first_frame + bit) * FRAME_BYTES);
    return count_taken(frames, state, 1);
}

// --- 2 MiB blocks

// Takes a wholly free block; NO_SLOT if there is none.
static uint64_t take_block_of(struct frames *frames, struct frames_arena *arena) {
    uint64_t slot = NO_SLOT;
    arena_lock(frames, arena);
    if (arena->whole != 0) {
        // From the top: single frames come from below.
        unsigned block = 63U - (unsigned)__builtin_clzll(arena->whole);
        uint64_t *line = arena_line(arena, block);
        for (unsigned i = 0; i < BLOCK_WORDS; i++)
            word_store(&line[i], 0);
        (void)change_free(arena, block, -BLOCK_FRAMES);
        frames_block_changed(frames, arena, block);
        slot = slot_of(frames, arena, block * (uint64_t)BLOCK_FRAMES);
    }
    arena_unlock(frames, arena);
    return slot;
}

// The same of the highest zone that has one.
static uint64_t find_block(struct frames *frames, struct frames_cpu *cpu) {
    if (bit_tree_scan(&frames->whole, 0) == BIT_TREE_NONE)
        return NO_SLOT;
    for (unsigned zone = FRAMES_ZONES; zone-- != 0;) {
        uint64_t index = frames->zone_arena[zone], end = frames->zone_arena[zone + 1];
        for (; (index = bit_tree_scan(&frames->whole, index)) < end; index++) {
            uint64_t slot = take_block_of(frames, &frames->arenas[index]);
            if (slot == NO_SLOT)
                continue;
            cpu->block_arena = &frames->arenas[index];
            return slot;
        }
    }
    return NO_SLOT;
}

enum frames_status frames_alloc_block(struct frames *frames, unsigned cpu, paddr_t *ret_first) {
    struct frames_cpu *state = &frames->cpus[cpu];
    struct frames_arena *arena = state->block_arena;
    uint64_t slot = NO_SLOT;
    if (arena != NULL && arena->zone == frames->top_zone && word_load(&arena->whole) != 0)
        slot = take_block_of(frames, arena);
    if (slot == NO_SLOT)
        slot = find_block(frames, state);
    if (slot == NO_SLOT)
        return count_refusal(state, FRAMES_ERR_NO_MEMORY);
    *ret_first = paddr(frame_of_slot(frames, slot) * FRAME_BYTES);
    return count_taken(frames, state, BLOCK_FRAMES);
}
