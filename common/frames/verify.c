// Whether the invariants of core.h are true: the allocator's counters, masks and sets against its
// bitmap. Each message begins with the number and the name of the invariant that is violated.
#include "common/base/fmt.h"
#include "common/frames/change.h"

enum invariant {
    FREE_IS_MANAGED = 1,
    COUNTERS_COUNT_BITS,
    MASKS_FOLLOW_COUNTERS,
    SETS_FOLLOW_MASKS,
    OWNERS_AGREE,
    FREEABLE_BLOCKS,
    METADATA_STAYS,
    TOTALS_ADD_UP,
    NO_LOCK_IS_LEFT,
};

static const char names[][28] = {
    [FREE_IS_MANAGED] = "free frames are managed",
    [COUNTERS_COUNT_BITS] = "counters count bits",
    [MASKS_FOLLOW_COUNTERS] = "masks follow the counters",
    [SETS_FOLLOW_MASKS] = "sets follow the masks",
    [OWNERS_AGREE] = "owners agree",
    [FREEABLE_BLOCKS] = "freeable blocks",
    [METADATA_STAYS] = "metadata stays allocated",
    [TOTALS_ADD_UP] = "totals add up",
    [NO_LOCK_IS_LEFT] = "no lock is left locked",
};

struct verify {
    const struct sink *sink;
    uint64_t wrong;
    uint64_t free, managed; // of all blocks
    uint64_t whole_arenas;
    uint64_t zone_managed[FRAMES_ZONES];
};

// Counts a violation and prints it, one line.
[[gnu::format(printf, 3, 4)]] static void report(struct verify *verify, enum invariant invariant,
                                                 const char *format, ...) {
    verify->wrong++;
    if (verify->sink == NULL)
        return;
    fmt_print(verify->sink, "frames %u, %s: ", (unsigned)invariant, names[invariant]);
    va_list arguments;
    va_start(arguments, format);
    fmt_vprint(verify->sink, format, arguments);
    va_end(arguments);
}

static bool is_freeable(const struct frames *frames, const struct frames_arena *arena,
                        unsigned block) {
    slot_t slot = slot_in_block(frames, arena, block, 0);
    uint32_t kind = arena->blocks[block].kind;
    return kind != KIND_MIXED && kind_is_managed(frames, kind) &&
           !run_has_metadata(frames, frame_of_slot(frames, slot), FRAMES_PER_2M);
}

// Checks a block, and adds what it has to the sums. Returns its free frames by the bitmap.
static uint64_t verify_block(const struct frames *frames, const struct frames_arena *arena,
                             unsigned block, struct verify *verify) {
    const struct frames_block *info = &arena->blocks[block];
    uint64_t index = arena_index(frames, arena) * ARENA_BLOCKS + block;
    const uint64_t *line = arena_line(arena, block);
    const uint64_t *managed_line = frames_mixed_line(frames, arena, block);
    uint64_t set = line_population(line);
    uint64_t managed = 0, foreign = 0;
    if (managed_line == NULL) {
        managed = kind_is_managed(frames, info->kind) ? BLOCK_FRAMES : 0;
        foreign = managed == 0 ? set : 0;
    } else {
        managed = line_population(managed_line);
        for (unsigned i = 0; i < BLOCK_WORDS; i++)
            foreign += popcount(line[i] & ~managed_line[i]);
    }
    verify->managed += managed;
    verify->zone_managed[arena->zone] += managed;
    if (info->free != set)
        report(verify, COUNTERS_COUNT_BITS, "block %lu: counter %u, bitmap %lu\n", index,
               info->free, set);
    if ((arena->some >> block & 1) != (set != 0) ||
        (arena->whole >> block & 1) != (set == BLOCK_FRAMES))
        report(verify, MASKS_FOLLOW_COUNTERS, "block %lu: masks disagree with %lu free\n", index,
               set);
    if (foreign != 0)
        report(verify, FREE_IS_MANAGED, "block %lu: %lu frames are free and not managed\n", index,
               foreign);
    if (info->is_freeable != is_freeable(frames, arena, block))
        report(verify, FREEABLE_BLOCKS, "block %lu: is_freeable is wrong\n", index);
    return set;
}

static void verify_arena(const struct frames *frames, uint64_t index, struct verify *verify) {
    const struct frames_arena *arena = &frames->arenas[index];
    uint64_t free = 0;
    for (unsigned block = 0; block < arena->block_count; block++)
        free += verify_block(frames, arena, block, verify);
    verify->free += free;
    verify->whole_arenas += arena->whole != 0;
    if (arena->block_count < ARENA_BLOCKS && arena->some >> arena->block_count != 0)
        report(verify, MASKS_FOLLOW_COUNTERS, "arena %lu: masks beyond its blocks\n", index);
    if (bit_tree_contains(&frames->some, index) != (arena->some != 0) ||
        bit_tree_contains(&frames->partial, index) !=
            (arena_partial(arena) != 0 && arena->owner == 0) ||
        bit_tree_contains(&frames->whole, index) != (arena->whole != 0))
        report(verify, SETS_FOLLOW_MASKS, "arena %lu: sets disagree with its masks\n", index);
    unsigned owner = arena->owner;
    if (owner != 0 && (owner > frames->cpu_count || frames->cpus[owner - 1].own != arena))
        report(verify, OWNERS_AGREE, "arena %lu: not owned by CPU %u\n", index, owner - 1);
    if (arena->lock != 0)
        report(verify, NO_LOCK_IS_LEFT, "arena %lu: locked\n", index);
}

static void verify_cpus(const struct frames *frames, struct verify *verify) {
    for (unsigned i = 0; i < frames->cpu_count; i++) {
        const struct frames_arena *own = frames->cpus[i].own;
        if (own != NULL && own->owner != i + 1)
            report(verify, OWNERS_AGREE, "CPU %u: does not own its arena\n", i);
    }
}

static void verify_used(const struct frames *frames, struct verify *verify) {
    int64_t used = frames->used;
    for (unsigned i = 0; i < frames->cpu_count; i++)
        used += frames->cpus[i].unreported;
    if (used != (int64_t)(frames->total - verify->free))
        report(verify, TOTALS_ADD_UP, "used %ld, bitmap %lu\n", used, frames->total - verify->free);
    if (frames->peak < frames->used)
        report(verify, TOTALS_ADD_UP, "peak %ld, used %ld\n", frames->peak, frames->used);
}

static void verify_metadata(const struct frames *frames, struct verify *verify) {
    for (uint64_t i = 0; i < frames->metadata_frames; i++) {
        frame_t frame = frame_add(frames->metadata_first, i);
        slot_t slot = slot_in_span(span_of_frame(frames, frame), frame);
        const struct frames_arena *arena = arena_of_slot(frames, slot);
        if ((arena->lines[word_in_arena(slot)] >> slot.value % 64 & 1) != 0)
            report(verify, METADATA_STAYS, "frame %lu of the metadata is free\n", i);
    }
}

uint64_t frames_verify(const struct frames *frames, const struct sink *sink) {
    struct verify verify = {.sink = sink};
    if (frames->arena_count == 0)
        return 0;
    for (uint64_t i = 0; i < frames->arena_count; i++)
        verify_arena(frames, i, &verify);
    if (!bit_tree_is_sound(&frames->some) || !bit_tree_is_sound(&frames->partial) ||
        !bit_tree_is_sound(&frames->whole))
        report(&verify, SETS_FOLLOW_MASKS, "the levels of a set disagree\n");
    if (frames->whole_arenas != verify.whole_arenas)
        report(&verify, SETS_FOLLOW_MASKS, "%lu arenas with whole blocks, by the masks %lu\n",
               frames->whole_arenas, verify.whole_arenas);
    if (verify.managed != frames->total)
        report(&verify, TOTALS_ADD_UP, "total %lu, managed %lu\n", frames->total, verify.managed);
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
        if (verify.zone_managed[zone] != frames->zone_total[zone])
            report(&verify, TOTALS_ADD_UP, "zone %u: total %lu, managed %lu\n", zone,
                   frames->zone_total[zone], verify.zone_managed[zone]);
    verify_cpus(frames, &verify);
    verify_used(frames, &verify);
    verify_metadata(frames, &verify);
    return verify.wrong;
}
