// What the frame allocator says of itself: statistics and self-check.
#include "tests/unit/support/frames_machine.h"

TEST("frames: the largest run is found across blocks and zones, within one block, and at an end") {
    MACHINE(machine, 1, {MIB(1), MIB(1) + PAGE(1), USABLE, true},
            {MIB(12) + PAGE(5), MIB(18) - PAGE(7), USABLE, true});
    uint64_t all = 3 * 512 - 12;
    assert_int_equal(statistics(&machine).largest_run_frames, all);
    assert_int_equal(alloc_run(&machine, all, 1), MIB(12) + PAGE(5));
    assert_int_equal(statistics(&machine).largest_run_frames, 0);
    static const struct {
        uint64_t first, count, want;
    } freed[] = {{MIB(12) + PAGE(100), 3, 3},   {MIB(14) - PAGE(2), 5, 5},
                 {MIB(16) - PAGE(4), 10, 10},   {MIB(18) - PAGE(18), 11, 11},
                 {MIB(16) + PAGE(6), 200, 210}, {MIB(12) + PAGE(5), 95, 210},
                 {MIB(14) + PAGE(3), 505, 720}};
    for (unsigned i = 0; i < ARRAY_LEN(freed); i++) {
        assert_int_equal(free_run(&machine, freed[i].first, freed[i].count), FRAMES_OK);
        assert_int_equal(statistics(&machine).largest_run_frames, freed[i].want);
    }
    machine_end(&machine);
}

TEST("frames: the largest run is found across 1 MiB, wherever else there is memory") {
    MACHINE(machine, 1, {PAGE(1), PAGE(9), USABLE, true},
            {MIB(1) - PAGE(100), MIB(1) + PAGE(100), USABLE, false},
            {MIB(6), MIB(6) + PAGE(120), USABLE, true},
            {MIB(10), MIB(10) + PAGE(130), USABLE, true});
    assert_int_equal(statistics(&machine).largest_run_frames, 200);
    assert_int_equal(alloc_at(&machine, MIB(1), 1), FRAMES_OK);
    assert_int_equal(statistics(&machine).largest_run_frames, 130);
    machine_end(&machine);
}

TEST("frames: every zone has its own counts, and together they are the whole") {
    MACHINE(machine, 2, {PAGE(1), PAGE(4), USABLE, true},
            {PAGE(4), PAGE(9), SLIPWAY_MEM_MMIO, true},
            {MIB(1) - PAGE(2), MIB(1) + PAGE(7), USABLE, true},
            {MIB(16) - PAGE(3), MIB(16) + PAGE(40), SLIPWAY_MEM_KERNEL, true},
            {GIB(4) - PAGE(11), GIB(4) + PAGE(600), USABLE, true});
    assert_int_equal(machine.metadata_phys.value, MIB(1));
    static const uint64_t total[] = {5, 10, 51, 600}, used[] = {0, 4, 40, 0};
    struct frames_statistics got = statistics(&machine);
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++) {
        assert_int_equal(got.zone[zone].total_frames, total[zone]);
        assert_int_equal(got.zone[zone].free_frames, total[zone] - used[zone]);
    }
    assert_int_equal(got.total_frames, 666);
    assert_int_equal(got.free_frames, 666 - 44);
    assert_int_equal(got.used_frames, 44);
    assert_int_equal(got.reserved_frames, 5);
    assert_int_equal(got.metadata_frames, 1);
    assert_int_equal(got.metadata_bytes, machine.metadata_bytes);
    assert_int_equal(alloc_at(&machine, GIB(4) - PAGE(1), 3), FRAMES_OK);
    got = statistics(&machine);
    assert_int_equal(got.zone[FRAMES_BELOW_4G].free_frames, 10);
    assert_int_equal(got.zone[FRAMES_ABOVE_4G].free_frames, 598);
    machine_end(&machine);
}

TEST("frames: whole blocks of 2 MiB and 1 GiB are counted, aligned ones only") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(1) - MIB(3), GIB(2), USABLE, true},
            {GIB(3) + MIB(2), GIB(4) + MIB(2), USABLE, true}, {GIB(8), GIB(10), USABLE, true},
            {GIB(11), GIB(12), SLIPWAY_MEM_LOADER, true});
    uint64_t blocks = 1 + 512 + 512 + 1024;
    assert_int_equal(statistics(&machine).free_2m, blocks);
    assert_int_equal(statistics(&machine).free_1g, 3);
    static const uint64_t taken[] = {GIB(8) + MIB(2) - FRAME_BYTES, GIB(10) - FRAME_BYTES, GIB(1)};
    for (unsigned i = 0; i < ARRAY_LEN(taken); i++) {
        assert_int_equal(alloc_at(&machine, taken[i], 1), FRAMES_OK);
        assert_int_equal(statistics(&machine).free_2m, blocks - i - 1);
        assert_int_equal(statistics(&machine).free_1g, 2 - i);
    }
    assert_int_equal(free_one(&machine, taken[1]), FRAMES_OK);
    assert_int_equal(statistics(&machine).free_1g, 1);
    uint64_t added;
    assert_int_equal(frames_reclaim(&machine.frames, 0, machine.regions, machine.count,
                                    SLIPWAY_MEM_LOADER, &added),
                     FRAMES_OK);
    assert_int_equal(statistics(&machine).free_1g, 2);
    assert_int_equal(statistics(&machine).free_2m, blocks - 2 + 512);
    machine_end(&machine);
}

TEST("frames: with one CPU the peak is the most that was in use, to the frame") {
    MACHINE(machine, 1, {MIB(2), MIB(20), USABLE, true});
    uint64_t used = statistics(&machine).used_frames;
    assert_int_equal(statistics(&machine).peak_used_frames, used);
    static const unsigned counts[] = {1, 3, 63, 64, 65, 500, 2, 1000};
    uint64_t peak = used;
    for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
        uint64_t first = alloc_run(&machine, counts[i], 1);
        assert_int_not_equal(first, NOTHING);
        peak = max_u64(peak, used + counts[i]);
        assert_int_equal(statistics(&machine).peak_used_frames, peak);
        for (unsigned n = 0; n < counts[i]; n++)
            assert_int_equal(free_one(&machine, first + PAGE(n)), FRAMES_OK);
        assert_int_equal(statistics(&machine).peak_used_frames, peak);
        assert_int_equal(statistics(&machine).used_frames, used);
    }
    machine_end(&machine);
}

TEST("frames: with several CPUs the peak is off by no more than 64 frames a CPU") {
    MACHINE(machine, 3, {MIB(2), MIB(20), USABLE, true});
    uint64_t peak = 0;
    uint64_t first[30];
    for (unsigned i = 0; i < ARRAY_LEN(first); i++) {
        machine.cpu = i % 3;
        first[i] = alloc_run(&machine, 7 * i + 1, 1);
        peak = statistics(&machine).used_frames;
    }
    for (unsigned i = 0; i < ARRAY_LEN(first); i++) {
        machine.cpu = i % 2;
        assert_int_equal(free_run(&machine, first[i], 7 * i + 1), FRAMES_OK);
        assert_in_range(statistics(&machine).peak_used_frames, peak - 3 * 64, peak + 3 * 64);
    }
    machine_end(&machine);
}

// --- Self-check ---

// Blocks by number: 0 in the first arena, 64 to 66 in the second, 128 and 129 in the third.
static const struct memmap_region planted_regions[] = {
    {0x1000, 0x9f000, USABLE, true},
    {MIB(2), MIB(8), USABLE, false},
    {MIB(16), MIB(18), USABLE, false},
    {MIB(18), MIB(19), SLIPWAY_MEM_RESERVED, true},
    {MIB(20), MIB(22), SLIPWAY_MEM_LOADER, true},
};

// Makes one thing wrong, which the self-check has to say in these words.
static const char *plant(struct frames *frames, int which) {
    struct frames_arena *low = &frames->arenas[0], *arena = &frames->arenas[1];
    uint64_t metadata_end = frames->metadata_first.value + frames->metadata_frames;
    switch (which) {
    case 0:
        frames->used++;
        return "frames 8, totals add up: used 3, bitmap 2\n";
    case 1:
        frames->total--;
        return "frames 8, totals add up: total 2205, managed 2206\n";
    case 2:
        frames->zone_total[0]++;
        return "frames 8, totals add up: zone 0: total 159, managed 158\n";
    case 3:
        frames->zone_total[2]--;
        return "frames 8, totals add up: zone 2: total 511, managed 512\n";
    case 4:
        arena->blocks[1].free--;
        return "frames 2, counters count bits: block 65: counter 511, bitmap 512\n";
    case 5:
        arena->lines[8 + 7] ^= 1;
        return "frames 3, masks follow the counters: block 65: masks disagree with 511 free\n";
    case 6:
        bit_tree_remove(&frames->some, 1);
        return "frames 4, sets follow the masks: arena 1: sets disagree with its masks\n";
    case 7:
        bit_tree_insert(&frames->whole, 0);
        return "frames 4, sets follow the masks: arena 0: sets disagree with its masks\n";
    case 8:
        bit_tree_insert(&frames->partial, 2);
        return "frames 4, sets follow the masks: arena 2: sets disagree with its masks\n";
    case 9: // frame 0, which nobody manages, set free with all its counters
        low->lines[0] |= 1;
        low->blocks[0].free++;
        frames->used--;
        return "frames 1, free frames are managed: block 0: 1 frames are free and not managed\n";
    case 10: // and two of another word
        low->lines[3] |= UINT64_C(3) << 62;
        low->blocks[0].free = (uint16_t)(low->blocks[0].free + 2);
        return "frames 1, free frames are managed: block 0: 2 frames are free and not managed\n";
    case 11: // a block that nobody has reclaimed yet
        frames->arenas[2].lines[BLOCK_WORDS] |= 7;
        return "frames 1, free frames are managed: block 129: 3 frames are free and not managed\n";
    case 12:
        arena->lock = 1;
        return "frames 9, no lock is left locked: arena 1: locked\n";
    case 13:
        arena->some |= UINT64_C(1) << 40;
        return "frames 3, masks follow the counters: arena 1: masks beyond its blocks\n";
    case 14:
        low->some = 0; // and partly used, so that it is not in the other mask
        return "frames 3, masks follow the counters: block 0: masks disagree with 156 free\n";
    case 15:
        arena->owner = 2;
        return "frames 5, owners agree: arena 1: not owned by CPU 1\n";
    case 16:
        frames->cpus[0].own = arena;
        return "frames 5, owners agree: CPU 0: does not own its arena\n";
    case 17:
        frames->cpus[39].own = arena;
        return "frames 5, owners agree: CPU 39: does not own its arena\n";
    case 18:
        frames->whole_arenas--;
        return "frames 4, sets follow the masks: 1 arenas with whole blocks, by the masks 2\n";
    case 19:
        arena->blocks[2].is_freeable = false;
        return "frames 6, freeable blocks: block 66: is_freeable is wrong\n";
    case 20: // the block of frame 0, which is not managed
        low->blocks[0].is_freeable = true;
        return "frames 6, freeable blocks: block 0: is_freeable is wrong\n";
    case 21: // the last frame of the metadata, free with all its counters
        low->lines[(metadata_end - 1) / 64] |= UINT64_C(1) << (metadata_end - 1) % 64;
        low->blocks[0].free++;
        frames->used--;
        return "frames 7, metadata stays allocated: frame 1 of the metadata is free\n";
    case 22: // and the first
        low->lines[frames->metadata_first.value / 64] |= UINT64_C(1)
                                                         << frames->metadata_first.value % 64;
        low->blocks[0].free++;
        frames->used--;
        return "frames 7, metadata stays allocated: frame 0 of the metadata is free\n";
    default:
        return NULL;
    }
}

TEST("frames: the self-check finds every counter, bit, set, mark and lock that is wrong") {
    struct machine machine = machine_make(planted_regions, ARRAY_LEN(planted_regions), 40);
    static char text[4096];
    const char *want = "";
    for (int which = 0; want != NULL; which++) {
        machine_start(&machine);
        want = plant(&machine.frames, which);
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        uint64_t wrong = frames_verify(&machine.frames, &sink);
        uint64_t lines = 0;
        for (const char *at = text; *at != '\0'; at++)
            lines += *at == '\n';
        if (wrong != lines || wrong != frames_verify(&machine.frames, NULL) ||
            (want == NULL) != (wrong == 0) || (want != NULL && strstr(text, want) == NULL))
            fail_msg("plant %d: %lu wrong, wanted %s, got\n%s", which, wrong, want, text);
    }
    machine_start(&machine);
    machine_end(&machine);
}

TEST("frames: the self-check looks at a machine of one arena, too, and at all levels of each set") {
    MACHINE(one, 1, {MIB(2), MIB(4), USABLE, true});
    one.frames.arenas[0].lock = 1;
    assert_int_equal(frames_verify(&one.frames, NULL), 1);
    one.frames.arenas[0].lock = 0;
    machine_end(&one);
    MACHINE(many, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(24), USABLE, true});
    struct bit_tree *const sets[] = {&many.frames.some, &many.frames.partial, &many.frames.whole};
    for (unsigned i = 0; i < ARRAY_LEN(sets); i++) {
        assert_int_equal(sets[i]->levels, 2);
        *sets[i]->level[1] ^= 2;
        assert_int_equal(frames_verify(&many.frames, NULL), 1);
        *sets[i]->level[1] ^= 2;
    }
    machine_end(&many);
}
