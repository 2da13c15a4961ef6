// What the files of the frame allocator share: arenas, CPUs, locks, and the way from a frame to its
// bit and back. change.h has what changes an arena. The allocator's own.
//
//     frames  | 2 MiB | 2 MiB | 2 MiB |      hole      | 2 MiB | 2 MiB |      by physical address
//             '--------span 0---------'                '----span 1-----'
//     slots   0      512     1024    1536             1536    2048    2560    no gap in an arena
//     blocks      0       1       2                        3       4          slot / 512
//     lines   |64 byte|64 byte|64 byte|               |64 byte|64 byte|       a bit a slot, 1: free
//     arena   '----------up to 64 blocks of one zone, one lock---------'      slot / (64 * 512)
//
// A block that holds a managed or reclaimable frame has a line in the bitmap; other blocks have
// nothing. Blocks are indexed by rising address, holes skipped, and each zone starts a new arena.
// So the last arena of a zone may be short: it keeps all 64 * 512 slots, and the lines of all
// arenas are packed all the same (frames_arena.lines). A span is a run of blocks without a hole, in
// which slots follow each other as frames do.
//
// Above the bitmap each block has a counter (frames_block.free), each arena two masks with a bit a
// block, `some` and `whole`, and three sets (bit_tree.h) say which arenas are worth a look:
//
//     set      has the arenas with                      a search for
//     whole    a block without a used frame             2 MiB
//     partial  a partly used block, owned by no CPU     single frames and short runs
//     some     a free frame                             whatever the other two sets did not have
//
// Blocks that 1 MiB cuts. The first 2 MiB lie in two zones, below 1 MiB and below 16 MiB, so that
// block 0 of the machine has two blocks of the bitmap: one with the frames of its lower half, which
// uses the first 256 bits of its line, and one with those of its upper half, which uses the last
// 256 bits. The other bits are 0 for good. So neither is ever whole, a run that crosses 1 MiB
// leaves one line in its middle and enters the other in its middle, and frame_of_slot answers for
// slots that have a frame alone. No other zone ends inside a block.
//
// Invariants, whenever no call is under way. frames_verify checks them and names them by number.
//
//  1. Free frames are managed: a bit is set only for a frame that is managed.
//  2. Counters count bits: frames_block.free is the number of bits set in the block's line.
//  3. Masks follow the counters: `some` has the blocks with a free frame, `whole` those with 512.
//     Neither has a bit beyond block_count.
//  4. Sets follow the masks, as the table above says; every level of a set says of the one below
//     which of its words are not 0; whole_arenas is how many members `whole` has.
//  5. Owners agree: arena.owner names a CPU if and only if that CPU's `own` is the arena.
//  6. Freeable blocks are those of one managed kind without metadata (frames_block.is_freeable).
//  7. Metadata stays allocated: no frame of it is free.
//  8. Totals add up: `total` and zone_total count the managed frames; `used`, with what CPUs have
//     not reported yet, counts the managed frames that are not free; `peak` is not below `used`.
//  9. No lock is left locked.
#pragma once

#include "common/base/assert.h"
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
    uint8_t kind;     // SLIPWAY_MEM_... of all its frames; KIND_MIXED: not all are of one
    bool is_freeable; // of one managed kind, without metadata: any used frame may be freed
};
_Static_assert(SLIPWAY_MEM_KINDS <= UINT8_MAX && sizeof(struct frames_block) == 4);

#define RUN_LIMITS_NONE UINT64_MAX // frames_arena.run_limits: nothing is known
#define RUN_ALIGNS      7          // 1 to 64

// Which of the three sets have the arena as a member.
enum { IN_SOME = 1, IN_PARTIAL = 2, IN_WHOLE = 4 };

// Up to 64 blocks of one zone under one lock. Bit n of a mask: block n of the arena.
struct frames_arena {
    _Alignas(LINE_PAIR_BYTES) uint32_t lock;
    uint16_t owner; // index of the CPU that owns it, + 1; 0: none
    uint8_t sets;   // IN_...
    uint8_t zone;
    uint32_t block_count;
    uint64_t some;               // blocks with a free frame
    uint64_t whole;              // blocks without a used one
    uint64_t *lines;             // of its blocks
    struct frames_block *blocks; // as many as there are lines
    frame_t first_frame;         // of slot 0 of the arena, if it lies in one span
    // What searches for short runs have found out. Byte n is the length of the shortest run,
    // aligned to 2^n frames, that no partly used block of the arena has. Forgotten when a frame is
    // freed or a whole block becomes partly used: then there may be such a run.
    uint64_t run_limits;
    bool has_one_span;
    bool is_fast; // has_one_span, and in the highest zone: the fast path may allocate from it
};
_Static_assert(sizeof(struct frames_arena) == LINE_PAIR_BYTES);

// What a CPU keeps for itself. Only that CPU writes it.
struct frames_cpu {
    // The arena that it owns, from which it allocates single frames; null: none.
    _Alignas(LINE_PAIR_BYTES) struct frames_arena *own;
    // Where the fast path of frames_alloc looks: an arena with is_fast, and the word of its lines
    // in which this CPU last allocated or freed a frame. Null: nowhere.
    struct frames_arena *fast;
    struct frames_arena *run_arena;   // where the last short run was; null: none
    struct frames_arena *block_arena; // is_fast, and has a whole block, unless others had it since
    uint32_t fast_word;
    uint32_t run_word;  // and the word in which to look first
    int64_t unreported; // frames allocated less frames freed, not yet in frames->used
    int64_t high;       // the highest that `unreported` was when a frame was freed
    uint64_t refusals;
    // Where the last long run was found, and what was asked for: before long_slot no run as long
    // and as aligned was free then.
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

// False if another CPU has the lock. Then nothing has changed.
static inline bool arena_try_lock(const struct frames *frames, struct frames_arena *arena) {
    return frames->cpu_count == 1 || __atomic_exchange_n(&arena->lock, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline void arena_unlock(struct frames_arena *arena) {
    unlock_word(&arena->lock);
}

// Whether a CPU has the lock of the arena, as far as there are locks. For assertions: the lock may
// be another CPU's.
static inline bool arena_is_locked(const struct frames *frames, const struct frames_arena *arena) {
    return frames->cpu_count == 1 || __atomic_load_n(&arena->lock, __ATOMIC_RELAXED) != 0;
}

static inline uint64_t arena_index(const struct frames *frames, const struct frames_arena *arena) {
    ASSERT(arena >= frames->arenas && arena < frames->arenas + frames->arena_count);
    return (uint64_t)(arena - frames->arenas);
}

// --- Frames and slots

// The last span that starts at or below `frame`; null if there is none.
const struct frames_span *frames_span_below(const struct frames *frames, frame_t frame);

// The span of a slot.
const struct frames_span *frames_span_of_slot(const struct frames *frames, slot_t slot);

static inline bool span_has_frame(const struct frames_span *span, frame_t frame) {
    return frame.value - span->first_frame.value < span->frames;
}

// The span of a frame; null if it lies in none.
static inline const struct frames_span *span_of_frame(const struct frames *frames, frame_t frame) {
    if (span_has_frame(&frames->main, frame))
        return &frames->main;
    const struct frames_span *span = frames_span_below(frames, frame);
    return span != NULL && span_has_frame(span, frame) ? span : NULL;
}

// The slot of a frame of the span.
static inline slot_t slot_in_span(const struct frames_span *span, frame_t frame) {
    ASSERT(span_has_frame(span, frame));
    return slot_add(span->first_slot, frame.value - span->first_frame.value);
}

// How many frames of the span there are from one of them on.
static inline uint64_t span_frames_from(const struct frames_span *span, frame_t frame) {
    ASSERT(span_has_frame(span, frame));
    return span->first_frame.value + span->frames - frame.value;
}

// The slot of `frame`, or, where it has none, of the first frame above it that has one; NO_SLOT if
// there is none.
slot_t frames_slot_at_or_above(const struct frames *frames, frame_t frame);

static inline struct frames_arena *arena_of_slot(const struct frames *frames, slot_t slot) {
    ASSERT(slot.value < frames->arena_count * ARENA_FRAMES);
    return &frames->arenas[slot.value / ARENA_FRAMES];
}

static inline struct frames_arena *arena_of_block(const struct frames *frames, block_t block) {
    ASSERT(block.value < frames->arena_count * ARENA_BLOCKS);
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

// The word of the arena's lines that has the bit of a slot.
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
    ASSERT(block < arena->block_count);
    return arena->lines + block * BLOCK_WORDS;
}

// The slot of frame `frame` of a block.
static inline slot_t slot_in_block(const struct frames *frames, const struct frames_arena *arena,
                                   unsigned block, uint64_t frame) {
    ASSERT(block * FRAMES_PER_2M + frame < ARENA_FRAMES);
    return slot_add(slot_of_arena(arena_index(frames, arena)), block * FRAMES_PER_2M + frame);
}

// --- Runs of frames, which may lie in several spans and arenas

// Cuts a run into its parts, each in one block, and calls `visit` for them in rising order until it
// returns false. True if it returned true for all. Every frame of the run has a slot.
typedef bool (*frames_part_visit)(struct frames *frames, struct frames_arena *arena,
                                  const struct part *part, void *argument);
bool frames_for_parts(struct frames *frames, frame_t first, uint64_t count, frames_part_visit visit,
                      void *argument);

// True if all frames of the run have slots.
bool frames_have_slots(const struct frames *frames, frame_t first, uint64_t count);

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
    ASSERT(end <= frames->arena_count);
    const struct bit_tree *set = choice == PARTIAL_BLOCKS ? &frames->partial
                                 : choice == WHOLE_BLOCKS ? &frames->whole
                                                          : &frames->some;
    return choice == ALL_BLOCKS ? bit_tree_scan(set, index, end) : bit_tree_next(set, index);
}
