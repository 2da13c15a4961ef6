// Whether the allocator's counters and sets agree with its bitmap.
#include "common/frames/core.h"

struct verify {
    const struct sink *sink;
    uint64_t wrong;
    uint64_t free, managed; // of all blocks
    uint64_t whole_arenas;
    uint64_t zone_managed[FRAMES_ZONES];
};

[[gnu::format(printf, 2, 3)]] static void disagree(struct verify *verify, const char *format, ...) {
    verify->wrong++;
    if (verify->sink == NULL)
        return;
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
    uint64_t number = arena_index(frames, arena) * ARENA_BLOCKS + block;
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
        disagree(verify, "frames: block %lu: counter %u, bitmap %lu\n", number, info->free, set);
    if ((arena->some >> block & 1) != (set != 0) ||
        (arena->whole >> block & 1) != (set == BLOCK_FRAMES))
        disagree(verify, "frames: block %lu: masks disagree with %lu free\n", number, set);
    if (foreign != 0)
        disagree(verify, "frames: block %lu: %lu frames are free and not managed\n", number,
                 foreign);
    if (info->is_freeable != is_freeable(frames, arena, block))
        disagree(verify, "frames: block %lu: its mark for giving back at once is wrong\n", number);
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
        disagree(verify, "frames: arena %lu: masks beyond its blocks\n", index);
    if (bit_tree_contains(&frames->some, index) != (arena->some != 0) ||
        bit_tree_contains(&frames->partial, index) !=
            (arena_partial(arena) != 0 && arena->owner == 0) ||
        bit_tree_contains(&frames->whole, index) != (arena->whole != 0))
        disagree(verify, "frames: arena %lu: sets disagree with its masks\n", index);
    unsigned owner = arena->owner;
    if (owner != 0 && (owner > frames->cpu_count || frames->cpus[owner - 1].own != arena))
        disagree(verify, "frames: arena %lu: not owned by CPU %u\n", index, owner - 1);
    if (arena->lock != 0)
        disagree(verify, "frames: arena %lu: locked\n", index);
}

static void verify_cpus(const struct frames *frames, struct verify *verify) {
    for (unsigned i = 0; i < frames->cpu_count; i++) {
        const struct frames_arena *own = frames->cpus[i].own;
        if (own != NULL && own->owner != i + 1)
            disagree(verify, "frames: CPU %u: does not own its arena\n", i);
    }
}

static void verify_used(const struct frames *frames, struct verify *verify) {
    int64_t used = frames->used;
    for (unsigned i = 0; i < frames->cpu_count; i++)
        used += frames->cpus[i].unreported;
    if (used != (int64_t)(frames->total - verify->free))
        disagree(verify, "frames: used %ld, bitmap %lu\n", used, frames->total - verify->free);
    if (frames->peak < frames->used)
        disagree(verify, "frames: peak %ld, used %ld\n", frames->peak, frames->used);
}

static void verify_metadata(const struct frames *frames, struct verify *verify) {
    for (uint64_t i = 0; i < frames->metadata_frames; i++) {
        frame_t frame = frame_add(frames->metadata_first, i);
        slot_t slot = slot_in_span(span_of_frame(frames, frame), frame);
        const struct frames_arena *arena = arena_of_slot(frames, slot);
        if ((arena->lines[word_in_arena(slot)] >> slot.value % 64 & 1) != 0)
            disagree(verify, "frames: frame %lu of the metadata is free\n", i);
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
        disagree(&verify, "frames: the levels of a set disagree\n");
    if (frames->whole_arenas != verify.whole_arenas)
        disagree(&verify, "frames: %lu arenas with whole blocks, by the masks %lu\n",
                 frames->whole_arenas, verify.whole_arenas);
    if (verify.managed != frames->total)
        disagree(&verify, "frames: total %lu, managed %lu\n", frames->total, verify.managed);
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
        if (verify.zone_managed[zone] != frames->zone_total[zone])
            disagree(&verify, "frames: zone %u: total %lu, managed %lu\n", zone,
                     frames->zone_total[zone], verify.zone_managed[zone]);
    verify_cpus(frames, &verify);
    verify_used(frames, &verify);
    verify_metadata(frames, &verify);
    return verify.wrong;
}
