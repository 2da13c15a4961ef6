// What the frame allocator counts for others.
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
    assert_int_equal(
        frames_reclaim(&machine.frames, machine.regions, machine.count, SLIPWAY_MEM_LOADER, &added),
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
