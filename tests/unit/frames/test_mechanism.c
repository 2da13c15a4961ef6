// The mechanism of the frame allocator, pinned: these tests write into arenas behind the
// allocator's back, or read what a CPU remembers. Whoever replaces the mechanism may delete them;
// what the allocator promises is tested in the other files.
#include "common/base/fmt.h"
#include "tests/unit/support/frames_machine.h"

// --- What a CPU remembers ---

TEST("frames: a run that is next in its word, or later in its block, is had without a search") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(5), USABLE, true});
    while (alloc_below(&machine, 1, 1, GIB(4)) != NOTHING)
        continue;
    uint64_t block = GIB(4) + MIB(128) + MIB(18);
    assert_int_equal(alloc_at(&machine, block + PAGE(7 * 64 + 63), 1), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 3, 1), block);
    // Now a search would find nothing: no block has a free frame, and all is known to fail.
    struct frames_arena *arena = &machine.frames.arenas[2];
    uint64_t some = arena->some, whole = arena->whole;
    static const struct {
        uint64_t count, align, want; // frame of the block
    } usual[] = {{2, 1, 3},    {1, 0, 5},  {5, 8, 8},  {2, 0, 6},
                 {40, 16, 16}, {1, 1, 13}, {2, 2, 14}, {8, 1, 56}};
    arena->some = arena->whole = arena->run_limits = 0;
    for (unsigned i = 0; i < ARRAY_LEN(usual); i++)
        assert_int_equal(alloc_run(&machine, usual[i].count, usual[i].align),
                         block + PAGE(usual[i].want));
    for (uint64_t i = 1; i < 6; i++)
        assert_int_equal(alloc_run(&machine, 64, i % 2 * 64), block + PAGE(64 * i));
    arena->some = some; // what spans words wants to know that the block is partly used
    assert_int_equal(alloc_run(&machine, 60, 1), block + PAGE(6 * 64));
    assert_int_equal(alloc_run(&machine, 10, 1), block + PAGE(6 * 64 + 60));
    assert_int_equal(alloc_run(&machine, 5, 8), block + PAGE(7 * 64 + 8));
    arena->whole = whole;
    machine_end(&machine);
}

TEST("frames: a run that uses up its word is followed by one in the next word") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(5), USABLE, true});
    const uint32_t *word = &machine.frames.cpus[0].run_word;
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(alloc_run(&machine, 3, 1), GIB(4) + PAGE(64 * i));
        assert_int_equal(*word, i);
        assert_int_equal(alloc_run(&machine, 61, 1), GIB(4) + PAGE(64 * i + 3));
        assert_int_equal(*word, min_u64(i + 1, 7)); // of the same block
    }
    assert_int_equal(alloc_run(&machine, 64, 1), GIB(4) + MIB(2));
    assert_int_equal(*word, 9);
    machine_end(&machine);
}

TEST("frames: long runs go on where the last one was, until frames come back before that") {
    MACHINE(machine, 2, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(5), USABLE, true});
    while (alloc_below(&machine, 1, 1, GIB(4)) != NOTHING)
        continue;
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(alloc_run(&machine, 100, 128), GIB(4) + PAGE(128 * i));
    assert_int_equal(machine.frames.cpus[0].long_slot.value % ARENA_FRAMES, 128 * 39);
    // What is easier to place begins from the bottom; what is harder does not.
    for (uint64_t i = 128 * 5 + 30; i < 128 * 6 + 10; i++)
        if (i % 128 < 100)
            assert_int_equal(free_one(&machine, GIB(4) + PAGE(i)), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 101, 1), GIB(4) + PAGE(128 * 5 + 30));
    assert_int_equal(alloc_run(&machine, 100, 128), GIB(4) + PAGE(128 * 40));
    assert_int_equal(free_run(&machine, GIB(4) + PAGE(128 * 40), 100), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 100, 128), GIB(4) + PAGE(128 * 40));
    assert_int_equal(free_run(&machine, GIB(4) + PAGE(128 * 40), 100), FRAMES_OK);
    for (uint64_t i = 0; i < 70; i++)
        assert_int_equal(free_one(&machine, GIB(4) + PAGE(128 * 20 + i)), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 100, 128), GIB(4) + PAGE(128 * 40));
    assert_int_equal(alloc_run(&machine, 70, 128), GIB(4) + PAGE(128 * 20));
    assert_int_equal(free_run(&machine, GIB(4) + PAGE(128 * 40), 100), FRAMES_OK);
    for (uint64_t i = 98; i < 100; i++) // 30 free frames become more than 64
        assert_int_equal(free_one(&machine, GIB(4) + PAGE(128 * 10 + i)), FRAMES_OK);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(free_one(&machine, GIB(4) + PAGE(128 * 11 + i)), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 100, 128), GIB(4) + PAGE(128 * 40));
    assert_int_equal(alloc_run(&machine, 70, 1), GIB(4) + PAGE(128 * 10 + 98));
    assert_int_equal(free_run(&machine, GIB(4) + PAGE(128 * 40), 100), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 101, 1), GIB(4) + PAGE(128 * 39 + 100));
    assert_int_equal(alloc_at(&machine, GIB(4) + PAGE(100), 28), FRAMES_OK);
    assert_int_equal(free_run(&machine, GIB(4) + PAGE(100), 28), FRAMES_OK);
    assert_int_equal(free_run(&machine, GIB(4) + PAGE(128 * 7), 100), FRAMES_OK);
    assert_int_equal(machine.frames.cpus[0].long_slot.value % ARENA_FRAMES, 100);
    assert_int_equal(alloc_run(&machine, 101, 1), GIB(4) + PAGE(128 * 6 + 100));
    // What another CPU gives back is found when there is nothing behind.
    assert_int_equal(alloc_run(&machine, 100, 128), GIB(4) + PAGE(128 * 41));
    machine.cpu = 1;
    assert_int_equal(free_run(&machine, GIB(4) + PAGE(128 * 3), 100), FRAMES_OK);
    machine.cpu = 0;
    assert_int_equal(alloc_run(&machine, 100, 128), GIB(4) + PAGE(128 * 42));
    uint64_t first = 0;
    while (first != GIB(4) + PAGE(128 * 3))
        assert_int_not_equal(first = alloc_run(&machine, 100, 128), NOTHING);
    assert_int_equal(alloc_run(&machine, 100, 128), NOTHING);
    machine_end(&machine);
}

TEST("frames: a CPU takes 2 MiB blocks from one arena while it has any, and forgets it then") {
    MACHINE(machine, 2, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(4) + MIB(256), USABLE, true});
    struct frames_arena *const arenas = machine.frames.arenas;
    struct frames_arena *const *last = &machine.frames.cpus[0].block_arena;
    assert_null(*last);
    for (unsigned i = 1; i <= 2; i++) {
        for (uint64_t at = MIB(126); at != 0; at -= MIB(2)) {
            assert_int_equal(alloc_run(&machine, 512, 512), GIB(4) + (i - 1) * MIB(128) + at);
            assert_ptr_equal(*last, &arenas[i]);
        }
        assert_int_equal(alloc_run(&machine, 512, 512), GIB(4) + (i - 1) * MIB(128));
        assert_null(*last);
    }
    // What another CPU takes leaves nothing behind, either.
    assert_int_equal(free_run(&machine, GIB(4), 1024), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 512, 512), GIB(4) + MIB(2));
    assert_ptr_equal(*last, &arenas[1]);
    machine.cpu = 1;
    assert_int_equal(alloc_run(&machine, 512, 512), GIB(4));
    machine.cpu = 0;
    assert_int_equal(alloc_run(&machine, 512, 512), NOTHING);
    assert_null(*last);
    machine_end(&machine);
}

// --- What an arena remembers ---

TEST("frames: a search that has failed is not repeated before a frame comes back") {
    for (unsigned cpus = 1; cpus <= 2; cpus++) {
        MACHINE(machine, cpus, {MIB(1), MIB(2), USABLE, true},
                {GIB(4), GIB(4) + MIB(128), USABLE, true});
        use_all(&machine);
        uint64_t block = GIB(4) + MIB(10);
        assert_int_equal(free_run(&machine, block + PAGE(1), 5), FRAMES_OK);
        assert_int_equal(free_run(&machine, block + PAGE(100), 4), FRAMES_OK);
        assert_int_equal(alloc_run(&machine, 5, 2), NOTHING);
        assert_int_equal(alloc_run(&machine, 5, 1), block + PAGE(1)); // that was about alignment
        assert_int_equal(alloc_run(&machine, 5, 1), NOTHING);
        // Eight frames that become free behind the allocator's back: whoever looks sees them. A CPU
        // looks where its last run was, whatever is known.
        struct frames_arena *arena = &machine.frames.arenas[1];
        arena->lines[5 * BLOCK_WORDS + 4] |= 0xff00;
        arena->blocks[5].free = (uint16_t)(arena->blocks[5].free + 8);
        machine.frames.cpus[0].run_arena = NULL;
        assert_int_equal(alloc_run(&machine, 5, 1), NOTHING);
        assert_int_equal(alloc_run(&machine, 6, 1), NOTHING);
        assert_int_equal(alloc_run(&machine, 5, 4), NOTHING);
        assert_int_equal(alloc_run(&machine, 4, 1), block + PAGE(100));
        machine.frames.cpus[0].run_arena = NULL;
        assert_int_equal(alloc_run(&machine, 5, 1), NOTHING);
        assert_int_equal(free_one(&machine, GIB(4) + MIB(50)), FRAMES_OK);
        assert_int_equal(alloc_run(&machine, 5, 1), block + PAGE(4 * 64 + 8));
        free(machine.metadata);
    }
}

TEST("frames: a failed search for an aligned run is remembered for what is no easier to place") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(4) + MIB(128), USABLE, true});
    use_all(&machine);
    uint64_t block = GIB(4) + MIB(10);
    struct frames_arena *arena = &machine.frames.arenas[1];
    for (uint64_t i = 0; i < 30; i++) // eight frames each, at odd places
        assert_int_equal(free_run(&machine, block + PAGE(16 * i + 1), 8), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 8, 4), NOTHING);
    // An aligned run that becomes free behind the allocator's back.
    arena->lines[5 * BLOCK_WORDS + 7] |= UINT64_C(0xff) << 48;
    arena->lines[5 * BLOCK_WORDS + 6] |= 1; // eight lie behind it
    arena->blocks[5].free = (uint16_t)(arena->blocks[5].free + 9);
    static const struct frames_request known[] = {
        {8, 4, 0}, {8, 8, 0}, {9, 4, 0}, {16, 16, 0}, {8, 64, 0}};
    static const struct frames_request unknown[] = {{7, 4, 0}, {8, 2, 0}, {8, 1, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        machine.frames.cpus[0].run_arena = NULL;
        assert_int_equal(alloc_run(&machine, known[i].count, known[i].align), NOTHING);
    }
    for (unsigned i = 0; i < ARRAY_LEN(unknown); i++) {
        machine.frames.cpus[0].run_arena = NULL;
        uint64_t first = alloc_run(&machine, unknown[i].count, unknown[i].align);
        assert_int_not_equal(first, NOTHING);
        assert_int_equal(free_run(&machine, first, unknown[i].count), FRAMES_OK);
    }
    free(machine.metadata);
}

// --- What the counters and sets above the bitmap are believed ---

// Blocks become free behind the allocator's back: with all that counts frames, and without the word
// that they are whole.
static void free_blocks_secretly(struct frames *frames, unsigned index, unsigned first,
                                 unsigned count) {
    struct frames_arena *arena = &frames->arenas[index];
    memset(&arena->lines[first * BLOCK_WORDS], 0xff, count * LINE_BYTES);
    for (unsigned block = first; block < first + count; block++)
        arena->blocks[block].free = BLOCK_FRAMES;
    arena->some = ((UINT64_C(1) << count) - 1) << first;
    bit_tree_insert(&frames->some, index);
}

TEST("frames: runs that must have a whole block in them are looked for there alone") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(4) + MIB(128), USABLE, true});
    use_all(&machine);
    free_blocks_secretly(&machine.frames, 1, 7, 3);
    static const struct frames_request with_whole[] = {
        {1023, 1, 0},   {1024, 1, 0},  {1025, 1, 0},  {1200, 8, 0},  {1536, 1, 0},
        {512, 1024, 0}, {513, 512, 0}, {600, 512, 0}, {600, 1024, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(with_whole); i++)
        assert_int_equal(alloc_run(&machine, with_whole[i].count, with_whole[i].align), NOTHING);
    static const struct frames_request without[] = {{1022, 1, 0}, {511, 512, 0}, {1022, 256, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(without); i++) {
        uint64_t first = alloc_run(&machine, without[i].count, without[i].align);
        assert_in_range(first, GIB(4) + MIB(14), GIB(4) + MIB(20));
        free_blocks_secretly(&machine.frames, 1, 7, 3);
    }
    free(machine.metadata);
}

TEST("frames: a set whose upper level lags, while a CPU changes it, hides no frame") {
    // As many arenas as make the sets two levels high; all frames used but those of one block.
    MACHINE(machine, 3, {MIB(1), MIB(1) + PAGE(400), USABLE, true},
            {GIB(4), GIB(24), USABLE, false});
    while (alloc_below(&machine, 1, 1, GIB(4)) != NOTHING)
        continue;
    assert_int_equal(alloc_at(&machine, GIB(4), GIB(20) / FRAME_BYTES), FRAMES_OK);
    assert_int_equal(free_run(&machine, GIB(20), 512), FRAMES_OK);
    uint64_t *const levels[] = {machine.frames.some.level[1], machine.frames.partial.level[1],
                                machine.frames.whole.level[1]};
    static const struct frames_request requests[] = {{1, 0, 0},   {8, 0, 0},     {64, 64, 0},
                                                     {100, 0, 0}, {512, 512, 0}, {8, 0, GIB(21)}};
    for (unsigned part = 0; part < 2; part++) {
        for (unsigned i = 0; i < ARRAY_LEN(requests) + 1; i++) {
            struct frames_request request = requests[i % ARRAY_LEN(requests)];
            if (part == 1 && request.count == 512)
                continue;
            // Nor does the CPU remember where it was last.
            machine.frames.cpus[0].run_arena = machine.frames.cpus[0].fast = NULL;
            machine.frames.cpus[0].block_arena = NULL;
            uint64_t level[] = {*levels[0], *levels[1], *levels[2]};
            *levels[0] = *levels[1] = *levels[2] = 0;
            uint64_t first = i == ARRAY_LEN(requests) ? alloc(&machine, FRAMES_ANY)
                                                      : alloc_below(&machine, request.count,
                                                                    request.align, request.below);
            assert_in_range(first, GIB(20), GIB(20) + MIB(2) - PAGE(request.count));
            *levels[0] |= level[0];
            *levels[1] |= level[1];
            *levels[2] |= level[2];
            assert_int_equal(free_run(&machine, first, request.count), FRAMES_OK);
        }
        if (part == 0)
            assert_int_equal(alloc_at(&machine, GIB(20), 1), FRAMES_OK);
    }
    // The same for a CPU that has taken nothing yet: the arena is another's.
    machine.cpu = 2;
    *levels[0] = *levels[1] = *levels[2] = 0;
    assert_in_range(alloc(&machine, FRAMES_ANY), GIB(20), GIB(20) + MIB(2));
    assert_in_range(alloc_run(&machine, 8, 1), GIB(20), GIB(20) + MIB(2));
    free(machine.metadata);
}

// --- Self-check ---

// Blocks by index: 0 in the first arena, 64 to 66 in the second, 128 and 129 in the third.
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

TEST("frames: the self-check finds every counter, bit, set, mask and lock that is wrong") {
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
