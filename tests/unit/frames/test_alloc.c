// Single frames of the frame allocator: where they come from, and frames asked for by address.
#include "tests/unit/support/frames_machine.h"

// --- Zones ---

TEST("frames: the zone asked for comes first, then those below it, the highest first") {
    MACHINE(machine, 1, {0x1000, 0x3000, USABLE, true}, {MIB(1), MIB(1) + PAGE(2), USABLE, true},
            {MIB(16), MIB(16) + PAGE(2), USABLE, true},
            {GIB(4), GIB(4) + PAGE(3), USABLE, true}); // one of them for metadata
    uint64_t metadata = machine.metadata_phys.value;
    assert_int_equal(metadata, MIB(1));
    static const uint64_t start[] = {0x1000, MIB(1), MIB(16), GIB(4)};
    uint64_t left[] = {2, 1, 2, 3};
    static const enum frames_zone order[] = {FRAMES_BELOW_1M, FRAMES_ANY,       FRAMES_BELOW_4G,
                                             FRAMES_ANY,      FRAMES_BELOW_16M, FRAMES_BELOW_16M,
                                             FRAMES_BELOW_1M, FRAMES_ANY,       FRAMES_ANY,
                                             FRAMES_BELOW_4G, FRAMES_ANY};
    for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
        int zone = (int)order[i];
        while (zone >= 0 && left[zone] == 0)
            zone--;
        uint64_t got = alloc(&machine, order[i]);
        if (zone < 0) {
            assert_int_equal(got, NOTHING);
            continue;
        }
        assert_in_range(got, start[zone], start[zone] + PAGE(2));
        left[zone]--;
    }
    struct frames_statistics after = statistics(&machine);
    assert_int_equal(after.refusals, 3);
    assert_int_equal(after.used_frames, 9);
    machine_end(&machine);
}

TEST("frames: a zone that gets a frame back is used again before those below it") {
    MACHINE(machine, 1, {0x1000, 0x9f000, USABLE, true}, {MIB(2), MIB(4), USABLE, true},
            {MIB(32), MIB(34), USABLE, true}, {GIB(4), GIB(4) + MIB(2), USABLE, true});
    static const uint64_t start[] = {0, MIB(1), MIB(16), GIB(4), UINT64_MAX};
    uint64_t last[FRAMES_ZONES] = {0};
    uint64_t frame;
    while ((frame = alloc(&machine, FRAMES_ANY)) != NOTHING)
        for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
            if (frame >= start[zone] && frame < start[zone + 1])
                last[zone] = frame;
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++) {
        for (unsigned asked = 0; asked < FRAMES_ZONES; asked++) {
            assert_int_equal(free_one(&machine, last[zone]), FRAMES_OK);
            uint64_t got = alloc(&machine, (enum frames_zone)asked);
            assert_int_equal(got, asked >= zone ? last[zone] : NOTHING);
            if (got == NOTHING)
                assert_int_equal(alloc_at(&machine, last[zone], 1), FRAMES_OK);
        }
    }
    machine_end(&machine);
}

// --- Whole blocks ---

// Takes a frame from each of the machine's whole blocks, so that all are in part.
static uint64_t touch_blocks(struct machine *machine, uint64_t start, uint64_t end) {
    uint64_t touched = 0;
    for (uint64_t block = start; block < end; block += MIB(2))
        touched += alloc_at(machine, block + PAGE(touched % 512), 1) == FRAMES_OK;
    return touched;
}

TEST("frames: partly used blocks are filled, in whatever arena, before a whole one is broken") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {MIB(16), MIB(656), USABLE, true});
    assert_int_equal(touch_blocks(&machine, MIB(160), MIB(170)), 5); // of the second arena
    assert_int_equal(touch_blocks(&machine, MIB(640), MIB(644)), 2); // of the last
    uint64_t whole = statistics(&machine).free_2m;
    for (unsigned i = 0; i < 7 * 511; i++)
        assert_int_not_equal(alloc(&machine, FRAMES_ANY), NOTHING);
    assert_int_equal(statistics(&machine).free_2m, whole);
    assert_int_not_equal(alloc(&machine, FRAMES_ANY), NOTHING);
    assert_int_equal(statistics(&machine).free_2m, whole - 1);
    for (unsigned i = 0; i < 511; i++)
        assert_int_not_equal(alloc(&machine, FRAMES_ANY), NOTHING);
    assert_int_equal(statistics(&machine).free_2m, whole - 1);
    machine_end(&machine);
}

TEST("frames: a frame that is freed makes its block the one to be filled") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {MIB(16), MIB(400), USABLE, true});
    assert_int_equal(alloc_at(&machine, MIB(300), 2 * FRAMES_PER_2M), FRAMES_OK);
    uint64_t whole = statistics(&machine).free_2m;
    assert_int_equal(free_one(&machine, MIB(300) + PAGE(77)), FRAMES_OK);
    assert_int_equal(alloc(&machine, FRAMES_ANY), MIB(300) + PAGE(77));
    assert_int_equal(free_run(&machine, MIB(302) - PAGE(1), 2), FRAMES_OK);
    assert_in_range(alloc(&machine, FRAMES_ANY), MIB(302) - PAGE(1), MIB(302));
    assert_in_range(alloc(&machine, FRAMES_ANY), MIB(302) - PAGE(1), MIB(302));
    assert_int_equal(statistics(&machine).free_2m, whole);
    machine_end(&machine);
}

TEST("frames: a CPU goes back to its arena when a frame of another has been taken again") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(5), USABLE, true});
    uint64_t own = GIB(4) + MIB(128), lower = GIB(4), other = GIB(4) + MIB(514);
    assert_int_equal(alloc_at(&machine, own + MIB(10), 1), FRAMES_OK);
    assert_int_equal(alloc(&machine, FRAMES_ANY), own + MIB(10) + PAGE(1));
    assert_int_equal(alloc_at(&machine, lower, 1), FRAMES_OK);
    assert_int_equal(alloc_at(&machine, other, FRAMES_PER_2M), FRAMES_OK);
    assert_int_equal(free_one(&machine, other + PAGE(300)), FRAMES_OK);
    assert_int_equal(free_one(&machine, other + PAGE(70)), FRAMES_OK);
    assert_int_equal(alloc(&machine, FRAMES_ANY), other + PAGE(70));
    assert_int_equal(alloc(&machine, FRAMES_ANY), own + MIB(10) + PAGE(2));
    assert_int_equal(free_one(&machine, other + PAGE(70)), FRAMES_OK);
    assert_int_equal(alloc_at(&machine, other + PAGE(300), 1), FRAMES_OK);
    assert_int_equal(alloc(&machine, FRAMES_ANY), other + PAGE(70));
    machine_end(&machine);
}

TEST("frames: a block that has become whole is left so while others are partly used") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(5), USABLE, true});
    assert_int_equal(alloc_at(&machine, GIB(4) + MIB(4), FRAMES_PER_2M), FRAMES_OK);
    assert_int_equal(alloc_at(&machine, GIB(4) + MIB(8), 1), FRAMES_OK);
    uint64_t whole = statistics(&machine).free_2m;
    uint64_t last = 4 * 64 + 9; // in a word with the number of the other block
    for (uint64_t i = 0; i < FRAMES_PER_2M; i++)
        if (i != last)
            assert_int_equal(free_one(&machine, GIB(4) + MIB(4) + PAGE(i)), FRAMES_OK);
    assert_int_equal(free_one(&machine, GIB(4) + MIB(4) + PAGE(last)), FRAMES_OK);
    assert_int_equal(statistics(&machine).free_2m, whole + 1);
    for (uint64_t i = 1; i < FRAMES_PER_2M; i++)
        assert_int_equal(alloc(&machine, FRAMES_ANY), GIB(4) + MIB(8) + PAGE(i));
    assert_int_equal(statistics(&machine).free_2m, whole + 1);
    machine_end(&machine);
}

TEST("frames: a CPU breaks a whole block of its own arena before one of another") {
    MACHINE(machine, 1, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(5), USABLE, true});
    uint64_t own = GIB(4) + MIB(128);
    assert_int_equal(alloc_at(&machine, own + MIB(10), 1), FRAMES_OK);
    for (uint64_t i = 1; i < FRAMES_PER_2M; i++)
        assert_int_equal(alloc(&machine, FRAMES_ANY), own + MIB(10) + PAGE(i));
    assert_int_equal(alloc(&machine, FRAMES_ANY), own);
    machine_end(&machine);
}

// --- Several CPUs, one after the other ---

TEST("frames: a CPU uses up its block before it takes what another CPU gave back below it") {
    // Nor does it lose its place by taking frames of another zone.
    MACHINE(machine, 2, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(5), USABLE, true});
    for (uint64_t i = 0; i < 3 * FRAMES_PER_2M - 100; i++)
        assert_int_equal(alloc(&machine, FRAMES_ANY), GIB(4) + PAGE(i));
    machine.cpu = 1;
    assert_int_equal(free_one(&machine, GIB(4) + PAGE(7)), FRAMES_OK);
    assert_int_equal(free_one(&machine, GIB(4) + MIB(2) + PAGE(9)), FRAMES_OK);
    machine.cpu = 0;
    for (uint64_t i = 3 * FRAMES_PER_2M - 100; i < 3 * FRAMES_PER_2M; i++) {
        if (i % 7 == 0)
            assert_in_range(alloc(&machine, FRAMES_BELOW_16M), MIB(1), MIB(2) - 1);
        assert_int_equal(alloc(&machine, FRAMES_ANY), GIB(4) + PAGE(i));
    }
    assert_int_equal(alloc(&machine, FRAMES_ANY), GIB(4) + PAGE(7));
    assert_int_equal(alloc(&machine, FRAMES_ANY), GIB(4) + MIB(2) + PAGE(9));
    assert_int_equal(alloc(&machine, FRAMES_ANY), GIB(4) + MIB(6));
    machine_end(&machine);
}

TEST("frames: CPUs fill blocks of their own, and break no more of them than they need") {
    MACHINE(machine, 4, {MIB(1), MIB(2), USABLE, true}, {GIB(4), GIB(5), USABLE, true});
    uint64_t whole = statistics(&machine).free_2m;
    uint64_t block[4] = {0};
    for (unsigned i = 0; i < 4 * 512; i++) {
        machine.cpu = i % 4;
        uint64_t frame = alloc(&machine, FRAMES_ANY);
        assert_in_range(frame, GIB(4), GIB(5) - 1);
        if (i < 4)
            block[i] = frame / MIB(2);
        assert_int_equal(frame / MIB(2), block[i % 4]);
    }
    assert_int_equal(statistics(&machine).free_2m, whole - 4);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(block[i], block[j]);
    machine_end(&machine);
}

TEST("frames: a CPU gets every frame, whichever CPUs have arenas and whoever frees") {
    MACHINE(machine, 5, {0x1000, 0x9f000, USABLE, true}, {MIB(1), MIB(7) + PAGE(3), USABLE, true},
            {MIB(16), MIB(20), USABLE, true}, {GIB(5), GIB(5) + MIB(3), USABLE, true});
    uint64_t before = statistics(&machine).free_frames;
    static uint64_t got[8192];
    for (unsigned round = 0; round < 5; round++) {
        uint64_t count = 0;
        for (unsigned i = 0; i < 100; i++) { // so that each has an arena
            machine.cpu = i % 5;
            got[count++] = alloc(&machine, FRAMES_ANY);
        }
        machine.cpu = round;
        while ((got[count] = alloc(&machine, FRAMES_ANY)) != NOTHING)
            count++;
        assert_int_equal(count, before);
        assert_int_equal(statistics(&machine).free_frames, 0);
        for (machine.cpu = 0; machine.cpu < 5; machine.cpu++)
            assert_int_equal(alloc(&machine, FRAMES_ANY), NOTHING);
        machine.cpu = (round + 1) % 5;
        for (uint64_t i = 0; i < count; i++)
            assert_int_equal(free_one(&machine, got[i]), FRAMES_OK); // so none twice
        assert_int_equal(statistics(&machine).free_frames, before);
        assert_int_equal(frames_verify(&machine.frames, NULL), 0);
    }
    machine_end(&machine);
}

// --- Exactly these frames ---

TEST("frames: frames asked for by address are those, across blocks, arenas and zones") {
    MACHINE(machine, 3, {PAGE(1), MIB(160), USABLE, true},
            {GIB(4) - PAGE(700), GIB(4) + PAGE(700), USABLE, true},
            {GIB(8), GIB(8) + PAGE(64), USABLE, true});
    assert_int_equal(machine.metadata_phys.value, GIB(8));
    static const struct {
        uint64_t first, count;
    } runs[] = {{PAGE(1), 1},
                {MIB(1) - PAGE(1), 2},
                {MIB(2) - PAGE(3), 5},
                {MIB(16) - PAGE(600), 1200},
                {MIB(144) - PAGE(64), 128},
                {GIB(4) - PAGE(700), 1400},
                {MIB(20), MIB(120) / FRAME_BYTES}};
    uint64_t before = statistics(&machine).free_frames;
    for (unsigned i = 0; i < ARRAY_LEN(runs); i++) {
        assert_int_equal(alloc_at(&machine, runs[i].first, runs[i].count), FRAMES_OK);
        assert_int_equal(alloc_at(&machine, runs[i].first, 1), FRAMES_ERR_USED);
        assert_int_equal(alloc_at(&machine, runs[i].first + PAGE(runs[i].count - 1), 1),
                         FRAMES_ERR_USED);
        before -= runs[i].count;
        assert_int_equal(statistics(&machine).free_frames, before);
        assert_int_equal(frames_verify(&machine.frames, NULL), 0);
    }
    assert_int_equal(alloc_at(&machine, PAGE(1), 1), FRAMES_ERR_USED);
    assert_int_equal(alloc_at(&machine, PAGE(2), 1), FRAMES_OK);
    machine_end(&machine);
}

TEST("frames: what is used, foreign, unaligned or wraps is not given by address") {
    MACHINE(machine, 2, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(5), SLIPWAY_MEM_LOADER, true},
            {MIB(5), MIB(6), SLIPWAY_MEM_RESERVED, true}, {MIB(6), MIB(7), USABLE, true},
            {MIB(7), MIB(8), SLIPWAY_MEM_KERNEL, true});
    assert_int_equal(machine.metadata_phys.value, MIB(6));
    assert_int_equal(alloc_at(&machine, MIB(3), 1), FRAMES_OK);
    static const struct {
        uint64_t address, count;
        enum frames_status want;
    } cases[] = {
        {MIB(3), 1, FRAMES_ERR_USED},
        {MIB(3) - PAGE(1), 2, FRAMES_ERR_USED},
        {MIB(3), 2, FRAMES_ERR_USED},
        {MIB(2), 512, FRAMES_ERR_USED},
        {MIB(7), 1, FRAMES_ERR_USED},
        {MIB(6), 1, FRAMES_ERR_FOREIGN}, // the metadata
        {MIB(6), 2, FRAMES_ERR_FOREIGN},
        {MIB(6) - PAGE(1), 2, FRAMES_ERR_FOREIGN},
        {MIB(4) - PAGE(1), 2, FRAMES_ERR_FOREIGN}, // not reclaimed yet
        {MIB(3), 257, FRAMES_ERR_FOREIGN},         // foreign goes before used
        {MIB(8), 1, FRAMES_ERR_FOREIGN},
        {MIB(8) - PAGE(1), 2, FRAMES_ERR_FOREIGN},
        {0, 1, FRAMES_ERR_FOREIGN},
        {TIB(32), 1, FRAMES_ERR_FOREIGN},
        {NOTHING, 1, FRAMES_ERR_ALIGN},
        {MIB(2) + 1, 1, FRAMES_ERR_ALIGN},
        {MIB(2), 0, FRAMES_ERR_COUNT},
        {MIB(2), UINT64_MAX, FRAMES_ERR_COUNT},
        {MIB(2), UINT64_MAX / FRAME_BYTES - 513, FRAMES_ERR_FOREIGN},
        {UINT64_MAX - 4095, 2, FRAMES_ERR_COUNT},
    };
    struct snapshot before = snapshot_take(&machine);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(alloc_at(&machine, cases[i].address, cases[i].count), cases[i].want);
        assert_true(snapshot_equals(&before, &machine));
    }
    assert_int_equal(statistics(&machine).refusals, ARRAY_LEN(cases));
    snapshot_drop(&before);
    machine_end(&machine);
}
