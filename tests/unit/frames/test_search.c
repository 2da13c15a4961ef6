// Runs of the frame allocator wherever they may lie: across blocks, arenas and zones, and long
// ones.
#include "tests/unit/support/frames_machine.h"

TEST("frames: a run is found across 1 MiB, 16 MiB and 4 GiB, and not across a hole") {
    static const uint64_t borders[] = {MIB(1), MIB(16), GIB(4)};
    static const uint64_t counts[] = {2, 3, 16, 63, 64, 65, 600, 1023, 1500};
    for (unsigned i = 0; i < ARRAY_LEN(borders); i++) {
        for (unsigned j = 0; j < ARRAY_LEN(counts); j++) {
            uint64_t below = min_u64(counts[j] / 2, 200); // there is not much below 1 MiB
            uint64_t first = borders[i] - PAGE(below), count = counts[j];
            MACHINE(machine, 2, {first, first + PAGE(count), USABLE, false},
                    {GIB(8), GIB(8) + PAGE(1), USABLE, true},
                    {GIB(9), GIB(9) + PAGE(1), SLIPWAY_MEM_LOADER, true});
            assert_int_equal(machine.metadata_phys.value, GIB(8));
            assert_int_equal(alloc_run(&machine, count + 1, 1), NOTHING);
            assert_int_equal(alloc_run(&machine, count, 1), first);
            assert_int_equal(statistics(&machine).free_frames, 0);
            assert_int_equal(free_run(&machine, first, count), FRAMES_OK);
            // One frame shorter it still does not fit on either side alone.
            if (count > 2)
                assert_in_range(alloc_run(&machine, count - 1, 1), first, first + PAGE(1));
            machine_end(&machine);
        }
    }
}

TEST("frames: blocks that follow each other by number but not in memory are no run") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true},
            {MIB(4), MIB(6), USABLE, true}, // the block behind has no metadata
            {MIB(8), MIB(10), USABLE, true}, {MIB(32) - PAGE(300), MIB(32), USABLE, true},
            {MIB(34), MIB(36), USABLE, true});
    assert_int_equal(alloc_run(&machine, 513, 1), NOTHING);
    assert_int_equal(alloc_run(&machine, 512, 1), MIB(34));
    assert_int_equal(alloc_run(&machine, 300, 1), MIB(32) - PAGE(300));
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(alloc_run(&machine, 512, 1) & ~MIB(12), 0); // 4 or 8 MiB
    assert_int_equal(alloc_run(&machine, 300, 1), NOTHING);
    machine_end(&machine);
}

TEST("frames: a run crosses blocks and arenas when nothing else is left") {
    // An arena of this region begins every 128 MiB.
    static const uint64_t counts[] = {2, 3, 33, 64, 65, 511, 512, 513, 1023, 1024, 1025};
    static const uint64_t borders[] = {MIB(18), MIB(144), MIB(272)};
    MACHINE(machine, 3, {MIB(1), MIB(2), USABLE, true}, {MIB(16), MIB(300), USABLE, true});
    assert_int_equal(alloc_at(&machine, MIB(16), MIB(284) / FRAME_BYTES), FRAMES_OK);
    while (alloc(&machine, FRAMES_ANY) != NOTHING)
        continue;
    for (unsigned i = 0; i < ARRAY_LEN(borders); i++) {
        for (unsigned j = 0; j < ARRAY_LEN(counts); j++) {
            for (uint64_t low = 1; low < min_u64(counts[j], 512);
                 low += max_u64(1, counts[j] / 5)) {
                uint64_t first = borders[i] - PAGE(low);
                assert_int_equal(free_run(&machine, first, counts[j]), FRAMES_OK);
                assert_int_equal(alloc_run(&machine, counts[j] + 1, 1), NOTHING);
                machine.cpu = (machine.cpu + 1) % 3;
                assert_int_equal(alloc_run(&machine, counts[j], 1), first);
            }
        }
        assert_int_equal(frames_verify(&machine.frames, NULL), 0);
    }
    machine_end(&machine);
}

TEST("frames: a run may cover several arenas, and whole regions") {
    MACHINE(machine, 2, {MIB(1), MIB(2), USABLE, true},
            {MIB(16) + PAGE(100), MIB(700) + PAGE(100), USABLE, true},
            {GIB(1), GIB(1) + PAGE(7), SLIPWAY_MEM_LOADER, true});
    uint64_t all = MIB(684) / FRAME_BYTES;
    assert_int_equal(statistics(&machine).largest_run_frames, all);
    assert_int_equal(alloc_run(&machine, all + 1, 1), NOTHING);
    assert_int_equal(alloc_run(&machine, all, 1), MIB(16) + PAGE(100));
    assert_int_equal(alloc_run(&machine, 3 * 512, 1), NOTHING);
    assert_int_equal(free_run(&machine, MIB(200), 3 * 512), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, 3 * 512, 1), MIB(200));
    assert_int_equal(free_run(&machine, MIB(16) + PAGE(100), all), FRAMES_OK);
    machine_end(&machine);
}

TEST("frames: a run longer than two blocks begins in the middle of one if that is where it fits") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true},
            {MIB(16) + PAGE(100), MIB(22) + PAGE(100), USABLE, true});
    assert_int_equal(alloc_run(&machine, 3 * 512, 1), MIB(16) + PAGE(100));
    machine_end(&machine);
}

TEST("frames: a long run is found that has no whole block in it") {
    // Across 1 MiB, which cuts a block in two; between two blocks.
    MACHINE(low, 1, {0, MIB(4) - PAGE(1), USABLE, false}, {MIB(8), MIB(8) + PAGE(1), USABLE, true});
    assert_int_equal(alloc_run(&low, 1024, 1), NOTHING);
    assert_int_equal(alloc_run(&low, 1023, 1), 0);
    machine_end(&low);
    MACHINE(high, 1, {MIB(1), MIB(2), USABLE, true},
            {GIB(4) + PAGE(1), GIB(4) + MIB(4) - PAGE(1), USABLE, false});
    assert_int_equal(alloc_run(&high, 1023, 1), NOTHING);
    assert_int_equal(alloc_run(&high, 1022, 1), GIB(4) + PAGE(1));
    machine_end(&high);
}

TEST("frames: all of a region is one run, wherever its blocks are among all blocks") {
    // The first block of all; the first of a zone, behind others; one that begins at its second
    // frame; a few blocks of a zone, and more than an arena of the next.
    static const struct memmap_region regions[][2] = {
        {{GIB(4), GIB(4) + MIB(8), USABLE, false}, {GIB(5), GIB(5) + PAGE(1), USABLE, true}},
        {{MIB(1), MIB(1) + PAGE(1), USABLE, true}, {GIB(4), GIB(4) + MIB(8), USABLE, false}},
        {{MIB(1), MIB(1) + PAGE(1), USABLE, true},
         {GIB(4) + PAGE(1), GIB(4) + MIB(4), USABLE, false}},
        {{MIB(1), MIB(1) + PAGE(8), USABLE, true},
         {GIB(4) - MIB(1), GIB(4) + MIB(300), USABLE, false}}};
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++) {
        const struct memmap_region *all = &regions[i][regions[i][0].direct];
        uint64_t count = (all->end - all->start) / FRAME_BYTES;
        struct machine machine = machine_make(regions[i], 2, 1);
        machine_start(&machine);
        for (uint64_t align = 1; align <= 256; align *= 2) {
            bool fits = all->start % PAGE(align) == 0;
            assert_int_equal(alloc_run(&machine, count, align), fits ? all->start : NOTHING);
            if (fits)
                assert_int_equal(free_run(&machine, all->start, count), FRAMES_OK);
        }
        machine_end(&machine);
    }
}

TEST("frames: a run is found wherever it begins in a block, and whatever lies before it") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(4) + MIB(8), USABLE, true});
    use_all(&machine);
    for (uint64_t word = 0; word < 8; word++) {
        for (uint64_t bit = 0; bit < 60; bit++) {
            uint64_t before = GIB(4) + PAGE(64 * word + bit), run = GIB(4) + PAGE(64 * word + 64);
            assert_int_equal(free_run(&machine, before, 3), FRAMES_OK);
            assert_int_equal(free_run(&machine, run, 20), FRAMES_OK);
            assert_int_equal(alloc_below(&machine, 20, 1, GIB(4) + MIB(7)), run);
            assert_int_equal(alloc_at(&machine, before, 3), FRAMES_OK);
        }
    }
    // Behind free frames that are too few, which end in the first words of the block.
    for (uint64_t used = 0; used < 140; used++) {
        uint64_t before = GIB(4) + MIB(2) - PAGE(30), run = GIB(4) + MIB(2) + PAGE(used + 1);
        assert_int_equal(free_run(&machine, before, 30 + used), FRAMES_OK);
        assert_int_equal(free_run(&machine, run, 200), FRAMES_OK);
        machine.frames.cpus[0].long_slot = slot_at(0);
        assert_int_equal(alloc_run(&machine, 200, 1), run);
        assert_int_equal(alloc_at(&machine, before, 30 + used), FRAMES_OK);
    }
    for (uint64_t at = 0; at < 200; at++) {
        assert_int_equal(free_one(&machine, GIB(4) + PAGE(at)), FRAMES_OK);
        assert_int_equal(alloc_below(&machine, 1, 1, GIB(4) + MIB(7)), GIB(4) + PAGE(at));
    }
    for (uint64_t at = 0; at < 1000; at++) {
        uint64_t run = GIB(4) + PAGE(at);
        assert_int_equal(free_run(&machine, run, 15), FRAMES_OK);
        assert_int_equal(alloc_below(&machine, 16, 1, GIB(4) + MIB(7)), NOTHING);
        assert_int_equal(alloc_below(&machine, 15, 1, GIB(4) + MIB(7)), run);
    }
    machine_end(&machine);
}
