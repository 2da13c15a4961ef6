// Runs of the frame allocator: where they are found, and what is refused.
#include "tests/unit/support/frames_machine.h"

// --- Where runs lie ---

TEST("frames: runs come from the highest zone that has one") {
    static const uint64_t counts[] = {1, 2, 64, 100, 256};
    for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
        uint64_t count = counts[i], align = count == 64 ? 64 : 1;
        MACHINE(machine, 1, {MIB(1) - PAGE(256), MIB(1), USABLE, true},
                {MIB(2), MIB(3), USABLE, true}, {MIB(20), MIB(21), USABLE, true},
                {GIB(5), GIB(5) + MIB(1), USABLE, true},
                {GIB(6), GIB(6) + PAGE(1), USABLE, true}, // metadata
                {GIB(7), GIB(7) + PAGE(1), SLIPWAY_MEM_LOADER, true});
        static const uint64_t starts[] = {GIB(5), MIB(20), MIB(2), 0};
        for (unsigned zone = 0; zone < 4; zone++)
            for (uint64_t n = 0; n < 256 / count; n++)
                assert_in_range(alloc_run(&machine, count, align), starts[zone],
                                starts[zone] + MIB(1) - PAGE(count));
        assert_int_equal(statistics(&machine).free_frames, 256 % count * 4);
        machine_end(&machine);
    }
}

TEST("frames: a short run fills partly used blocks before a whole one is broken") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {MIB(16), MIB(656), USABLE, true});
    static const uint64_t blocks[] = {MIB(60), MIB(160), MIB(400), MIB(640)};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(alloc_at(&machine, blocks[i] + MIB(1), 256), FRAMES_OK);
    uint64_t whole = statistics(&machine).free_2m;
    static const uint64_t counts[] = {64, 2, 16, 33, 3, 7, 1, 63, 15, 52}; // together 256
    for (unsigned i = 0; i < 4 * ARRAY_LEN(counts); i++)
        assert_int_not_equal(alloc_run(&machine, counts[i % ARRAY_LEN(counts)], 1), NOTHING);
    assert_int_equal(statistics(&machine).free_2m, whole);
    assert_int_not_equal(alloc_run(&machine, 2, 1), NOTHING);
    assert_int_equal(statistics(&machine).free_2m, whole - 1);
    machine_end(&machine);
}

TEST("frames: an aligned run fills partly used blocks first, too") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {MIB(16), MIB(656), USABLE, true});
    assert_int_equal(alloc_at(&machine, MIB(400) + PAGE(1), 1), FRAMES_OK);
    for (uint64_t i = 1; i < 8; i++)
        assert_int_equal(alloc_run(&machine, 40, 64), MIB(400) + PAGE(64 * i));
    machine_end(&machine);
}

TEST("frames: runs go on where the last one was, then in higher blocks, and then from the bottom") {
    for (uint64_t arena = GIB(4); arena <= GIB(4) + MIB(128); arena += MIB(128)) {
        MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true},
                {GIB(4), GIB(4) + MIB(512), USABLE, true});
        use_all(&machine);
        const uint64_t order[] = {arena + MIB(18) + PAGE(60), // of a word and the next
                                  arena + MIB(24), arena + MIB(128) + MIB(2) + PAGE(130),
                                  GIB(4) + MIB(1), arena + MIB(4) + PAGE(500)};
        assert_int_equal(free_run(&machine, order[0], 10), FRAMES_OK);
        assert_int_equal(alloc_run(&machine, 5, 1), order[0]);
        for (unsigned i = 1; i < ARRAY_LEN(order); i++)
            assert_int_equal(free_run(&machine, order[i], 10), FRAMES_OK);
        assert_int_equal(alloc_run(&machine, 5, 1), order[0] + PAGE(5));
        for (unsigned i = 1; i < ARRAY_LEN(order); i++)
            for (unsigned half = 0; half < 2; half++)
                assert_int_equal(alloc_run(&machine, 5, 1), order[i] + PAGE(5 * half));
        assert_int_equal(alloc_run(&machine, 5, 1), NOTHING);
        machine_end(&machine);
    }
}

// --- Alignment ---

// Takes a run and gives it back; its address.
static uint64_t try_run(struct machine *machine, uint64_t count, uint64_t align, uint64_t below) {
    uint64_t first = alloc_below(machine, count, align, below);
    assert_true(first == NOTHING || align == 0 || first / FRAME_BYTES % align == 0);
    if (first != NOTHING)
        assert_int_equal(free_run(machine, first, count), FRAMES_OK);
    return first;
}

TEST("frames: a run begins at a multiple of its alignment, be it larger than the run") {
    MACHINE(machine, 2, {MIB(1) + PAGE(3), MIB(200) + PAGE(3), USABLE, true},
            {GIB(5) + PAGE(1), GIB(8) - PAGE(1), USABLE, true});
    static const uint64_t counts[] = {1, 2, 5, 64, 65, 512, 700, 5000};
    for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
        for (uint64_t align = 0; align <= 1 << 18; align = align == 0 ? 1 : 2 * align) {
            assert_in_range(try_run(&machine, counts[i], align, 0), GIB(5) + PAGE(1),
                            GIB(8) - PAGE(1 + counts[i]));
            uint64_t low = try_run(&machine, counts[i], align, GIB(4));
            if (align <= 1 << 15)
                assert_in_range(low, MIB(1) + PAGE(3), MIB(200) + PAGE(3) - PAGE(counts[i]));
            else
                assert_int_equal(low, NOTHING);
        }
    }
    machine_end(&machine);
}

TEST("frames: the only aligned place of a run is found") {
    MACHINE(machine, 1, {MIB(1), MIB(1) + PAGE(2), USABLE, true},
            {MIB(64) - PAGE(63), MIB(64) + PAGE(100), USABLE, true});
    for (uint64_t align = 64; align <= 16384; align *= 2) {
        assert_int_equal(alloc_run(&machine, 101, align), NOTHING);
        assert_int_equal(alloc_run(&machine, 100, align), MIB(64));
        assert_int_equal(free_run(&machine, MIB(64), 100), FRAMES_OK);
        assert_int_equal(alloc_run(&machine, 40, align), MIB(64));
        assert_int_equal(free_run(&machine, MIB(64), 40), FRAMES_OK);
    }
    assert_int_equal(alloc_run(&machine, 1, 32768), NOTHING);
    machine_end(&machine);
}

TEST("frames: 2 MiB and 1 GiB blocks are aligned, and found behind partly used ones") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {MIB(512), GIB(3) + MIB(5), USABLE, true});
    struct frames_statistics before = statistics(&machine);
    assert_int_equal(before.free_2m, (GIB(3) + MIB(4) - MIB(512)) / MIB(2));
    assert_int_equal(before.free_1g, 2);
    uint64_t block = alloc_run(&machine, 512, 512);
    assert_int_equal(block % MIB(2), 0);
    assert_int_equal(free_run(&machine, block, 512), FRAMES_OK);
    assert_int_equal(alloc_at(&machine, MIB(512), 1), FRAMES_OK);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(alloc_run(&machine, FRAMES_PER_1G, FRAMES_PER_1G) & ~GIB(3), 0);
    assert_int_equal(statistics(&machine).free_1g, 0);
    assert_int_equal(alloc_run(&machine, FRAMES_PER_1G, FRAMES_PER_1G), NOTHING);
    uint64_t left = before.free_2m - 1 - 1024;
    for (uint64_t i = 0; i < left; i++)
        assert_int_equal(alloc_run(&machine, 512, 512) % MIB(2), 0);
    assert_int_equal(alloc_run(&machine, 512, 512), NOTHING);
    assert_int_equal(statistics(&machine).free_2m, 0);
    assert_int_equal(free_run(&machine, GIB(1) + MIB(2), 512), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 512, 512), GIB(1) + MIB(2));
    assert_int_equal(free_run(&machine, GIB(1), FRAMES_PER_1G), FRAMES_OK);
    assert_int_equal(statistics(&machine).free_1g, 1);
    machine_end(&machine);
}

// --- Limits ---

TEST("frames: a run ends below its limit, wherever that is") {
    MACHINE(machine, 2, {PAGE(1), MIB(200), USABLE, true}, {GIB(4), GIB(4) + MIB(8), USABLE, true},
            {GIB(6), GIB(6) + PAGE(40), USABLE, true}); // metadata
    assert_int_equal(machine.metadata_phys.value, GIB(6));
    static const uint64_t limits[] = {PAGE(2),
                                      PAGE(9),
                                      MIB(1),
                                      MIB(1) + PAGE(1),
                                      MIB(3),
                                      MIB(16),
                                      MIB(16) + PAGE(1),
                                      MIB(17) + 0xfff,
                                      MIB(144),
                                      MIB(190),
                                      GIB(4),
                                      GIB(4) + PAGE(9),
                                      GIB(4) + PAGE(10) - 1,
                                      GIB(4) + PAGE(10)};
    static const uint64_t counts[] = {1, 8, 9, 64, 65, 512, 3000};
    for (unsigned i = 0; i < ARRAY_LEN(limits); i++) {
        for (unsigned j = 0; j < ARRAY_LEN(counts); j++) {
            uint64_t low_end = min_u64(limits[i] / FRAME_BYTES, MIB(200) / FRAME_BYTES);
            uint64_t high_end = max_u64(limits[i], GIB(4)) / FRAME_BYTES - GIB(4) / FRAME_BYTES;
            uint64_t first = try_run(&machine, counts[j], 1, limits[i]);
            if (counts[j] <= high_end)
                assert_in_range(first, GIB(4), GIB(4) + PAGE(high_end - counts[j]));
            else if (counts[j] < low_end)
                assert_in_range(first, PAGE(1), PAGE(low_end - counts[j]));
            else
                assert_int_equal(first, NOTHING);
        }
    }
    assert_int_equal(alloc_below(&machine, 1, 1, 1), NOTHING);
    assert_int_equal(alloc_below(&machine, 1, 1, PAGE(2) - 1), NOTHING);
    assert_int_equal(alloc_below(&machine, 1, 1, PAGE(2)), PAGE(1));
    machine_end(&machine);
}

TEST("frames: a limit that excludes nothing is none") {
    static const uint64_t limits[] = {GIB(4) + MIB(640), GIB(5), UINT64_MAX - 4095, UINT64_MAX};
    for (unsigned i = 0; i < ARRAY_LEN(limits); i++) {
        MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true},
                {GIB(4), GIB(4) + MIB(640), USABLE, true});
        assert_int_equal(alloc_at(&machine, GIB(4) + MIB(300), 1), FRAMES_OK);
        // A partly used block before a whole one; and the highest 2 MiB of the first arena.
        assert_int_equal(alloc_below(&machine, 2, 1, limits[i]), GIB(4) + MIB(300) + PAGE(1));
        assert_int_equal(alloc_below(&machine, 512, 512, limits[i]), GIB(4) + MIB(126));
        assert_int_equal(alloc_below(&machine, 70, 1, limits[i]), GIB(4));
        // One byte less excludes the last frame.
        assert_int_equal(alloc_at(&machine, GIB(4), MIB(640) / FRAME_BYTES - 1), FRAMES_ERR_USED);
        machine_end(&machine);
    }
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(4) + MIB(4), USABLE, true});
    assert_int_equal(alloc_at(&machine, GIB(4), 1023), FRAMES_OK);
    while (alloc_below(&machine, 1, 1, GIB(4)) != NOTHING)
        continue;
    assert_int_equal(alloc_below(&machine, 1, 1, GIB(4) + MIB(4) - 1), NOTHING);
    assert_int_equal(alloc_below(&machine, 1, 1, GIB(4) + MIB(4)), GIB(4) + MIB(4) - PAGE(1));
    machine_end(&machine);
}

TEST("frames: below a limit, too, partly used blocks come first, then whole ones, then the rest") {
    // The limit cuts the third arena.
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(4) + MIB(640), USABLE, true});
    uint64_t limit = GIB(4) + MIB(300), cut = GIB(4) + MIB(256);
    while (alloc_below(&machine, 1, 1, GIB(4)) != NOTHING)
        continue;
    assert_int_equal(alloc_at(&machine, GIB(4), MIB(640) / FRAME_BYTES), FRAMES_OK);
    assert_int_equal(free_run(&machine, GIB(4) + MIB(20), 512), FRAMES_OK);
    assert_int_equal(free_run(&machine, GIB(4) + MIB(200), 4), FRAMES_OK);
    assert_int_equal(free_run(&machine, cut - PAGE(3), 6), FRAMES_OK); // across the border
    assert_int_equal(free_run(&machine, cut + MIB(20) + PAGE(9), 4), FRAMES_OK);
    assert_int_equal(free_run(&machine, limit - PAGE(2), 4), FRAMES_OK); // half of it too high
    assert_int_equal(free_run(&machine, limit + MIB(10), 512), FRAMES_OK);
    assert_int_equal(alloc_below(&machine, 4, 1, limit), GIB(4) + MIB(200));
    for (uint64_t i = 0; i < 128; i++)
        assert_int_equal(alloc_below(&machine, 4, 1, limit), GIB(4) + MIB(20) + PAGE(4 * i));
    assert_int_equal(alloc_below(&machine, 4, 1, cut + PAGE(1) - 1), NOTHING);
    assert_int_equal(alloc_below(&machine, 4, 1, cut + PAGE(1)), cut - PAGE(3));
    assert_int_equal(alloc_below(&machine, 4, 1, limit), cut + MIB(20) + PAGE(9));
    assert_int_equal(alloc_below(&machine, 4, 1, limit), NOTHING);
    assert_int_equal(alloc_below(&machine, 2, 2, limit), limit - PAGE(2));
    assert_int_equal(alloc_below(&machine, 4, 1, limit + MIB(12)), limit + MIB(10));
    machine_end(&machine);
}

TEST("frames: all frames below a limit are had, one by one, and none beyond it") {
    MACHINE(machine, 1, {MIB(15), MIB(22), USABLE, true}, {GIB(5), GIB(5) + MIB(4), USABLE, true});
    static const uint64_t limits[] = {MIB(15) + PAGE(5), MIB(16), MIB(16) + PAGE(1),
                                      MIB(18) + PAGE(70), MIB(21)};
    uint64_t had = statistics(&machine).metadata_frames;
    assert_int_equal(machine.metadata_phys.value, GIB(5));
    had = 0;
    for (unsigned i = 0; i < ARRAY_LEN(limits); i++) {
        while (alloc_below(&machine, 1, 1, limits[i]) != NOTHING)
            had++;
        assert_int_equal(had, (limits[i] - MIB(15)) / FRAME_BYTES);
    }
    assert_int_equal(alloc_below(&machine, 1, 1, MIB(21) + PAGE(1)), MIB(21));
    machine_end(&machine);
}

// --- What is refused ---

TEST("frames: runs of no frames, of too many and of odd alignments are refused") {
    MACHINE(machine, 1, {MIB(2), MIB(4), USABLE, true});
    static const struct {
        struct frames_request request;
        enum frames_status want;
    } cases[] = {{{0, 1, 0}, FRAMES_ERR_COUNT},
                 {{0, 3, 0}, FRAMES_ERR_COUNT},
                 {{UINT64_MAX, 1, 0}, FRAMES_ERR_COUNT},
                 {{1, 3, 0}, FRAMES_ERR_ALIGN},
                 {{1, UINT64_MAX, 0}, FRAMES_ERR_ALIGN},
                 {{1, UINT64_C(1) << 63, 0}, FRAMES_ERR_NO_MEMORY},
                 {{UINT64_C(1) << 51, 1, 0}, FRAMES_ERR_NO_MEMORY},
                 {{UINT64_MAX / FRAME_BYTES, 1, 0}, FRAMES_ERR_NO_MEMORY},
                 {{512, 512, 0}, FRAMES_ERR_NO_MEMORY},
                 {{512, 1, 0}, FRAMES_ERR_NO_MEMORY},
                 {{64, 512, 0}, FRAMES_ERR_NO_MEMORY},
                 {{1, 1, MIB(2)}, FRAMES_ERR_NO_MEMORY},
                 {{1, 1, 4095}, FRAMES_ERR_NO_MEMORY}};
    assert_int_equal(alloc_at(&machine, MIB(2) + PAGE(300), 1), FRAMES_OK);
    struct snapshot before = snapshot_take(&machine);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        paddr_t first = paddr(1);
        assert_int_equal(frames_alloc_run(&machine.frames, 0, &cases[i].request, &first),
                         cases[i].want);
        assert_int_equal(first.value, 1);
        assert_true(snapshot_equals(&before, &machine));
    }
    assert_int_equal(statistics(&machine).refusals, ARRAY_LEN(cases));
    snapshot_drop(&before);
    machine_end(&machine);
}
