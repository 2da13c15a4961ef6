// What the files of the frame allocator share: spans, arenas, CPUs, and the numbers that lead from
// one to the other. The allocator's own.
#pragma once

#include "common/frames/frames.h"
#include "common/frames/line.h"

#define FRAMES_TO_1M UINT64_C(0x100) // the lowest zone, which cuts a block

// The frame at which a zone ends.
static inline frame_t frames_zone_end(enum frames_zone zone) {
    return frame_of(paddr(frames_zones[zone].end));
}

static inline enum frames_zone frames_zone_of(frame_t frame) {
    enum frames_zone zone = FRAMES_BELOW_1M;
    while (zone != FRAMES_ABOVE_4G && frame.value >= frames_zone_end(zone).value)
        zone++;
    return zone;
}

#define ARENA_BLOCKS 64 // one word has a bit for each
#define ARENA_FRAMES (ARENA_BLOCKS * (uint64_t)BLOCK_FRAMES)
// CPUs fetch lines by pairs: what two of them write is further apart.
#define LINE_PAIR_BYTES 128

#define KIND_MIXED 0 // frames_block.kind

// What is known of a 2 MiB block beside its bits.
struct frames_block {
    uint16_t free;    // its free frames
    uint8_t kind;     // SLIPWAY_MEM_... of all its frames; 0: they differ, or some belong to nobody
    bool is_freeable; // all its frames are managed, and none holds metadata: each may be given back
};
_Static_assert(SLIPWAY_MEM_KINDS <= UINT8_MAX && sizeof(struct frames_block) == 4);

#define RUN_LIMITS_NONE UINT64_MAX // frames_arena.run_limits: nothing is known
#define RUN_ALIGNS      7          // 1 to 64

// Which of the three sets of arenas hold this one.
enum { IN_SOME = 1, IN_PARTIAL = 2, IN_WHOLE = 4 };

// Up to 64 blocks of one zone under one lock. Bit n of a mask: block n of the arena.
struct frames_arena {
    _Alignas(LINE_PAIR_BYTES) uint32_t lock;
    uint16_t owner; // the CPU that takes single frames from it, + 1; 0: none
    uint8_t sets;   // IN_...
    uint8_t zone;
    uint32_t block_count;
    uint64_t some;               // blocks with a free frame
    uint64_t whole;              // blocks without a used one
    uint64_t *lines;             // of its blocks
    struct frames_block *blocks; // as many as there are lines
    frame_t first_frame;         // of slot 0 of the arena, if it lies in one span
    // Byte n: no partly used block has a run of so many frames, of 64 at most, that begins at a
    // multiple of 2^n. What searches have found since frames were given back last, or a whole block
    // was broken.
    uint64_t run_limits;
    bool has_one_span;
    bool is_fast; // and in the highest zone: nothing else is to be asked before a frame is taken
};
_Static_assert(sizeof(struct frames_arena) == LINE_PAIR_BYTES);

// What a CPU keeps for itself. Only that CPU writes it.
struct frames_cpu {
    // The arena that it owns, from which it takes single frames; null: none.
    _Alignas(LINE_PAIR_BYTES) struct frames_arena *own;
    // Where it looks first: the arena, of the highest zone and in one span, and the word of its
    // lines from which it took a frame last, or to which it gave one back. Null: nowhere.
    struct frames_arena *fast;
    struct frames_arena *run_arena;   // where the last short run was; null: none
    struct frames_arena *block_arena; // where the last 2 MiB block was, if there are more; as quick
    uint32_t fast_word;
    uint32_t run_word;  // and the word in which to look first
    int64_t unreported; // frames taken and not given back, not yet in frames->used
    int64_t high;       // the most that were unreported when a frame was given back
    uint64_t refusals;
    // The last long run, as the search found it: none that is harder to place began before that.
    slot_t long_slot;
    uint64_t long_count, long_align;
};
_Static_assert(sizeof(struct frames_cpu) == LINE_PAIR_BYTES);

// --- Locks. With one CPU there is nobody to wait for.

static inline void lock_word(uint32_t *lock) {
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
        while (__atomic_load_n(lock, __ATOMIC_RELAXED) != 0)
            __builtin_ia32_pause();
}

static inline void unlock_word(uint32_t *lock) {
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

static inline void arena_lock(const struct frames *frames, struct frames_arena *arena) {
    if (frames->cpu_count != 1)
        lock_word(&arena->lock);
}

// False, with nothing done, if another CPU has it.
static inline bool arena_try_lock(const struct frames *frames, struct frames_arena *arena) {
    return frames->cpu_count == 1 || __atomic_exchange_n(&arena->lock, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline void arena_unlock(struct frames_arena *arena) {
    unlock_word(&arena->lock);
}

static inline uint64_t arena_index(const struct frames *frames, const struct frames_arena *arena) {
    return (uint64_t)(arena - frames->arenas);
}

// --- Frames and slots

// The last span that starts at or below `frame`; null if there is none.
const struct frames_span *frames_span_below(const struct frames *frames, frame_t frame);

// The span that holds a slot.
const struct frames_span *frames_span_of_slot(const struct frames *frames, slot_t slot);

static inline bool span_has_frame(const struct frames_span *span, frame_t frame) {
    return frame.value - span->first_frame.value < span->frames;
}

// The span that holds `frame`; null if none does.
static inline const struct frames_span *span_of_frame(const struct frames *frames, frame_t frame) {
    if (span_has_frame(&frames->main, frame))
        return &frames->main;
    const struct frames_span *span = frames_span_below(frames, frame);
    return span != NULL && span_has_frame(span, frame) ? span : NULL;
}

// The slot of a frame of the span.
static inline slot_t slot_in_span(const struct frames_span *span, frame_t frame) {
    return slot_add(span->first_slot, frame.value - span->first_frame.value);
}

// How many frames of the span there are from one of them on.
static inline uint64_t span_frames_from(const struct frames_span *span, frame_t frame) {
    return span->first_frame.value + span->frames - frame.value;
}

// The slot of `frame`, or, where it has none, of the first frame above it that has one; NO_SLOT if
// there is none.
slot_t frames_slot_at_or_above(const struct frames *frames, frame_t frame);

static inline struct frames_arena *arena_of_slot(const struct frames *frames, slot_t slot) {
    return &frames->arenas[slot.value / ARENA_FRAMES];
}

static inline struct frames_arena *arena_of_block(const struct frames *frames, block_t block) {
    return &frames->arenas[block.value / ARENA_BLOCKS];
}

static inline unsigned block_in_arena(block_t block) {
    return (unsigned)(block.value % ARENA_BLOCKS);
}

static inline block_t block_of_slot(slot_t slot) {
    return block_at(slot.value / BLOCK_FRAMES);
}

static inline slot_t first_slot_of(block_t block) {
    return slot_at(block.value * BLOCK_FRAMES);
}

// The word of the arena's lines that holds the bit of a slot.
static inline uint32_t word_in_arena(slot_t slot) {
    return slot.value / 64 % (ARENA_FRAMES / 64);
}

// The first slot of an arena, or what would be that of the next behind the last one.
static inline slot_t slot_of_arena(uint64_t arena) {
    return slot_at(arena * ARENA_FRAMES);
}

static inline frame_t frame_of_slot(const struct frames *frames, slot_t slot) {
    const struct frames_arena *arena = arena_of_slot(frames, slot);
    if (arena->has_one_span)
        return frame_add(arena->first_frame, slot.value % ARENA_FRAMES);
    const struct frames_span *span = frames_span_of_slot(frames, slot);
    return frame_add(span->first_frame, slot.value - span->first_slot.value);
}

static inline bool arena_is_anothers(const struct frames_arena *arena, unsigned cpu) {
    unsigned owner = __atomic_load_n(&arena->owner, __ATOMIC_RELAXED);
    return owner != 0 && owner != cpu + 1;
}

static inline uint64_t *arena_line(const struct frames_arena *arena, unsigned block) {
    return arena->lines + block * BLOCK_WORDS;
}

// The slot of frame `frame` of a block.
static inline slot_t slot_in_block(const struct frames *frames, const struct frames_arena *arena,
                                   unsigned block, uint64_t frame) {
    return slot_add(slot_of_arena(arena_index(frames, arena)), block * FRAMES_PER_2M + frame);
}

// --- Arenas with blocks of a sort

// The blocks that a search looks at, in the order in which searches try them.
enum choice {
    PARTIAL_BLOCKS, // partly used, of arenas that no CPU owns
    WHOLE_BLOCKS,   // without a used frame
    ALL_BLOCKS,     // with a free frame, whoever owns the arena
};

// The first arena in [index, end) that has such blocks; what is not below `end` if there is none.
// The levels of a set may lag behind (bit_tree.h), and a refusal has to be right: the last choice
// goes by the bitmap of its set.
static inline uint64_t next_arena(const struct frames *frames, enum choice choice, uint64_t index,
                                  uint64_t end) {
    const struct bit_tree *set = choice == PARTIAL_BLOCKS ? &frames->partial
                                 : choice == WHOLE_BLOCKS ? &frames->whole
                                                          : &frames->some;
    return choice == ALL_BLOCKS ? bit_tree_scan(set, index, end) : bit_tree_next(set, index);
}

// --- Changes of an arena, which is locked

static inline uint64_t arena_partial(const struct frames_arena *arena) {
    return arena->some & ~arena->whole;
}

// Counts frames of a block as free, or, with a negative number, as used; returns how many are free.
static inline unsigned change_free(struct frames_block *block, int change) {
    unsigned free = (unsigned)(block->free + change);
    __atomic_store_n(&block->free, (uint16_t)free, __ATOMIC_RELAXED);
    return free;
}

// Whether a block with so many free frames is partly used.
static inline bool is_partial(unsigned free) {
    return free - 1 < BLOCK_FRAMES - 1;
}

static inline void forget_run_limits(struct frames_arena *arena) {
    if (arena->run_limits != RUN_LIMITS_NONE) // seldom: a store less
        word_store(&arena->run_limits, RUN_LIMITS_NONE);
}

// Without the lock this may be out of date.
static inline uint64_t run_limit(const struct frames_arena *arena, uint64_t align) {
    return word_load(&arena->run_limits) >> 8 * (unsigned)__builtin_ctzll(align) & UINT8_MAX;
}

// No partly used block has such a run; nor, then, one at a multiple of more.
static inline void note_run_limit(struct frames_arena *arena, uint64_t count, uint64_t align) {
    uint64_t limits = arena->run_limits;
    for (unsigned n = (unsigned)__builtin_ctzll(align); n < RUN_ALIGNS; n++)
        if (count < (limits >> 8 * n & UINT8_MAX))
            limits = (limits & ~((uint64_t)UINT8_MAX << 8 * n)) | count << 8 * n;
    word_store(&arena->run_limits, limits);
}

// Brings masks and sets up to date after the free frames of a block have changed. Needs not be
// called as long as they are neither 0 nor 512, before or after.
void frames_block_changed(struct frames *frames, struct frames_arena *arena, unsigned block);

// Writes bits of one block, none of which is `bit` already, and what counts them.
void frames_write_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                       enum bit bit);

// --- Runs of frames, which may lie in several spans and arenas

// Calls `piece` for each part that lies in one block, in rising order, as long as it returns true;
// returns whether all did. Every frame of the run has a slot.
typedef bool (*frames_part_visit)(struct frames *frames, struct frames_arena *arena,
                                  const struct part *part, void *argument);
bool frames_for_parts(struct frames *frames, frame_t first, uint64_t count, frames_part_visit visit,
                      void *argument);

// True if all frames of the run have slots.
bool frames_have_slots(const struct frames *frames, frame_t first, uint64_t count);

// Locks, unlocks, all arenas of the run; they come in the same order always, so that no two CPUs
// wait for each other.
void frames_lock_run(struct frames *frames, frame_t first, uint64_t count);
void frames_unlock_run(struct frames *frames, frame_t first, uint64_t count);

// Takes a run if all of it is managed and free. Every frame of it has a slot.
[[nodiscard]] bool frames_try_alloc_run(struct frames *frames, frame_t first, uint64_t count);

// What a run has to be, in frames.
struct search {
    uint64_t count, align;
    frame_t end;           // at which the run must have ended
    enum frames_zone zone; // the highest that it may begin in
};

// Each of these takes a run if it finds one, and answers its first frame; else NO_FRAME, and none
// was free all the while. The first: one that begins at a slot in [from, end).
frame_t frames_alloc_between(struct frames *frames, slot_t from, slot_t end,
                             const struct search *search);
// One that begins in the zone.
frame_t frames_alloc_long(struct frames *frames, struct frames_cpu *cpu, enum frames_zone zone,
                          const struct search *search);
// One of at most 64 frames that begins in one block of the zone and ends in the next.
frame_t frames_alloc_crossing(struct frames *frames, enum frames_zone zone,
                              const struct search *search);

// Allocates a wholly free block of the highest zone that has any.
[[nodiscard]] enum frames_status frames_alloc_block(struct frames *frames, struct frames_cpu *cpu,
                                                    paddr_t *ret_first);

// --- Managed frames

static inline bool kind_is_managed(const struct frames *frames, uint32_t kind) {
    return (__atomic_load_n(&frames->managed, __ATOMIC_RELAXED) >> kind & 1) != 0;
}

// The managed line of a mixed block, the index-th of its arena; null if the block is not mixed.
uint64_t *frames_mixed_line(const struct frames *frames, const struct frames_arena *arena,
                            unsigned block);

static inline bool part_is_managed(const struct frames *frames, const struct frames_arena *arena,
                                   const struct part *part) {
    const struct frames_block *block = &arena->blocks[part->block];
    if (block->kind != KIND_MIXED)
        return kind_is_managed(frames, block->kind);
    return !line_has(frames_mixed_line(frames, arena, part->block), part, BIT_CLEAR);
}

struct managing {
    uint64_t freed; // frames that were not free before
    bool makes_free;
};

// Makes the frames of a part managed, and free if they are to be; a frames_part_visit, whose
// argument is a struct marking.
bool frames_manage_part(struct frames *frames, struct frames_arena *arena, const struct part *part,
                        void *managing);

static inline bool run_has_metadata(const struct frames *frames, frame_t first, uint64_t count) {
    return first.value < frames->metadata_first.value + frames->metadata_frames &&
           frames->metadata_first.value < first.value + count;
}

// --- Counts of a CPU, which that CPU alone writes and others read

// Adds what a CPU has taken to frames->used, and raises the peak. Returns FRAMES_OK.
enum frames_status frames_report_used(struct frames *frames, struct frames_cpu *cpu,
                                      int64_t allocated);

// Counts frames as taken.
static inline enum frames_status count_alloc(struct frames *frames, struct frames_cpu *cpu,
                                             uint64_t count) {
    int64_t unreported = cpu->unreported + (int64_t)count;
    if (__builtin_expect(unreported > frames->report_at, 0))
        return frames_report_used(frames, cpu, unreported);
    __atomic_store_n(&cpu->unreported, unreported, __ATOMIC_RELAXED);
    return FRAMES_OK;
}

// Counts frames as given back: the moment before may have been a peak.
static inline enum frames_status count_free(struct frames *frames, struct frames_cpu *cpu,
                                            uint64_t count) {
    int64_t unreported = cpu->unreported;
    if (__builtin_expect(unreported > cpu->high, 0))
        __atomic_store_n(&cpu->high, unreported, __ATOMIC_RELAXED);
    unreported -= (int64_t)count;
    if (__builtin_expect(unreported < -frames->report_at, 0))
        return frames_report_used(frames, cpu, unreported);
    __atomic_store_n(&cpu->unreported, unreported, __ATOMIC_RELAXED);
    return FRAMES_OK;
}

static inline enum frames_status count_refusal(struct frames_cpu *cpu, enum frames_status status) {
    __atomic_store_n(&cpu->refusals, cpu->refusals + 1, __ATOMIC_RELAXED);
    return status;
}
