// Frames given back to the frame allocator, and regions reclaimed by it.
#include "tests/unit/support/frames_machine.h"

TEST("frames: what is free, foreign, unaligned or metadata is not freed, and nothing changes") {
    MACHINE(machine, 1, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(5), SLIPWAY_MEM_LOADER, true},
            {MIB(5), MIB(6), SLIPWAY_MEM_RESERVED, true});
    assert_int_equal(alloc_at(&machine, MIB(2) + PAGE(1), 1), FRAMES_OK);
    static const struct {
        uint64_t address, count;
        enum frames_status want;
    } cases[] = {
        {MIB(3), 1, FRAMES_ERR_FREE},
        {MIB(2), 1, FRAMES_ERR_FOREIGN}, // the metadata
        {MIB(2), 2, FRAMES_ERR_FOREIGN},
        {MIB(2) + PAGE(1), 2, FRAMES_ERR_FREE},      // one used, one free
        {MIB(2) + PAGE(1), 511, FRAMES_ERR_FREE},    // up to the end of the region
        {MIB(2) + PAGE(1), 512, FRAMES_ERR_FOREIGN}, // and beyond it
        {MIB(4), 1, FRAMES_ERR_FOREIGN},             // not reclaimed yet
        {MIB(5), 1, FRAMES_ERR_FOREIGN},
        {0, 1, FRAMES_ERR_FOREIGN},
        {MIB(1), 1, FRAMES_ERR_FOREIGN},
        {TIB(32), 1, FRAMES_ERR_FOREIGN},
        {NOTHING, 1, FRAMES_ERR_ALIGN},
        {MIB(2) + PAGE(1) + 1, 1, FRAMES_ERR_ALIGN},
        {MIB(2) + PAGE(1) + 2048, 0, FRAMES_ERR_ALIGN},
        {MIB(2) + PAGE(1), 0, FRAMES_ERR_COUNT},
        {MIB(2) + PAGE(1), UINT64_MAX, FRAMES_ERR_COUNT},
        {MIB(2) + PAGE(1), UINT64_MAX / FRAME_BYTES - 513, FRAMES_ERR_FOREIGN},
        {UINT64_MAX - 4095, 1, FRAMES_ERR_COUNT},
        {UINT64_MAX - 4095, 2, FRAMES_ERR_COUNT},
    };
    struct snapshot before = snapshot_take(&machine);
    uint64_t refusals = 0;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(free_run(&machine, cases[i].address, cases[i].count), cases[i].want);
        refusals++;
        if (cases[i].count == 1) {
            assert_int_equal(free_one(&machine, cases[i].address), cases[i].want);
            refusals++;
        }
        assert_true(snapshot_equals(&before, &machine));
    }
    assert_int_equal(statistics(&machine).refusals, refusals);
    snapshot_drop(&before);
    assert_int_equal(free_one(&machine, MIB(2) + PAGE(1)), FRAMES_OK);
    assert_int_equal(free_one(&machine, MIB(2) + PAGE(1)), FRAMES_ERR_FREE);
    machine_end(&machine);
}

TEST("frames: a run is given back in parts, in any order, or several runs at once") {
    MACHINE(machine, 3, {MIB(1), MIB(2), USABLE, true}, {MIB(14), MIB(160), USABLE, true});
    uint64_t before = statistics(&machine).free_frames;
    assert_int_equal(alloc_at(&machine, MIB(16) - PAGE(64), 1000), FRAMES_OK);
    machine.cpu = 1; // whoever has taken them
    assert_int_equal(free_run(&machine, MIB(16) - PAGE(2), 4), FRAMES_OK);
    assert_int_equal(free_run(&machine, MIB(16) - PAGE(64), 65), FRAMES_ERR_FREE);
    assert_int_equal(free_run(&machine, MIB(16) - PAGE(64), 62), FRAMES_OK);
    assert_int_equal(free_one(&machine, MIB(16) + PAGE(935)), FRAMES_OK);
    assert_int_equal(statistics(&machine).free_frames, before - 933);
    assert_int_equal(alloc_at(&machine, MIB(144) - PAGE(10), 10), FRAMES_OK);
    assert_int_equal(alloc_at(&machine, MIB(144), 10), FRAMES_OK);
    machine.cpu = 2;
    assert_int_equal(free_run(&machine, MIB(144) - PAGE(10), 20), FRAMES_OK);
    assert_int_equal(free_run(&machine, MIB(16) + PAGE(2), 933), FRAMES_OK);
    assert_int_equal(statistics(&machine).free_frames, before);
    machine_end(&machine);
}

TEST("frames: kernel, modules and page tables are used at first and can be freed once") {
    MACHINE(machine, 1, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(5), SLIPWAY_MEM_KERNEL, true},
            {MIB(5), MIB(6), SLIPWAY_MEM_MODULE, true},
            {MIB(6), MIB(9), SLIPWAY_MEM_PAGE_TABLES, true});
    struct frames_statistics got = statistics(&machine);
    assert_int_equal(got.total_frames, 7 * 256);
    assert_int_equal(got.free_frames, 511);
    // A run over regions of different kinds, all of them used.
    assert_int_equal(free_run(&machine, MIB(4) + PAGE(9), 600), FRAMES_OK);
    assert_int_equal(free_one(&machine, MIB(5)), FRAMES_ERR_FREE);
    assert_int_equal(statistics(&machine).free_frames, 1111);
    assert_int_equal(alloc_run(&machine, 600, 1), MIB(4) + PAGE(9));
    assert_int_equal(free_run(&machine, MIB(6), 768), FRAMES_OK);
    machine_end(&machine);
}

// --- Reclaiming ---

static enum frames_status reclaim(struct machine *machine, const struct memmap_region *regions,
                                  uint64_t count, uint32_t kind, uint64_t *ret_frames) {
    return frames_reclaim(&machine->frames, regions, count, kind, ret_frames);
}

TEST("frames: only regions of reclaimable kind, and those of the start, are reclaimed") {
    MACHINE(machine, 1, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(5), SLIPWAY_MEM_LOADER, true},
            {MIB(5), MIB(6), SLIPWAY_MEM_BOOT_SERVICES, true},
            {GIB(1), GIB(1) + MIB(8), SLIPWAY_MEM_LOADER, true});
    struct frames_statistics got = statistics(&machine);
    assert_int_equal(got.total_frames, 512);
    assert_int_equal(got.reclaimable_frames[SLIPWAY_MEM_LOADER], 256 + 2048);
    assert_int_equal(got.reclaimable_frames[SLIPWAY_MEM_BOOT_SERVICES], 256);
    struct snapshot before = snapshot_take(&machine);
    uint64_t added = 99;
    static const uint32_t kinds[] = {0, USABLE, SLIPWAY_MEM_KERNEL, SLIPWAY_MEM_RESERVED, 77};
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        assert_int_equal(reclaim(&machine, machine.regions, 4, kinds[i], &added), FRAMES_ERR_MAP);
    // Other regions than those of the start: one is missing, one is larger, of another kind, moved.
    assert_int_equal(reclaim(&machine, machine.regions, 3, SLIPWAY_MEM_LOADER, &added),
                     FRAMES_ERR_MAP);
    for (unsigned change = 0; change < 4; change++) {
        struct memmap_region others[4];
        memcpy(others, machine.regions, sizeof(others));
        others[3].end += change == 0 ? FRAME_BYTES : 0;
        others[0].kind = change == 1 ? SLIPWAY_MEM_LOADER : USABLE;
        others[3].start += change == 2 ? MIB(8) : 0;
        others[3].end += change == 2 ? MIB(8) : 0;
        others[1].end -= change == 3 ? MIB(2) : 0; // before its start
        assert_int_equal(reclaim(&machine, others, 4, SLIPWAY_MEM_LOADER, &added), FRAMES_ERR_MAP);
    }
    assert_int_equal(added, 99);
    assert_true(snapshot_equals(&before, &machine));
    snapshot_drop(&before);
    machine_end(&machine);
}

TEST("frames: reclaiming adds a kind once, in every block and arena that has it") {
    MACHINE(machine, 2, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(5), SLIPWAY_MEM_LOADER, true},
            {MIB(5), MIB(6), SLIPWAY_MEM_BOOT_SERVICES, true},
            {MIB(15), MIB(200), SLIPWAY_MEM_LOADER, true});
    uint64_t kind_frames = (MIB(1) + MIB(185)) / FRAME_BYTES;
    uint64_t added = 99;
    machine.cpu = 1;
    assert_int_equal(reclaim(&machine, machine.regions, 4, SLIPWAY_MEM_LOADER, &added), FRAMES_OK);
    assert_int_equal(added, kind_frames);
    assert_int_equal(frames_verify(&machine.frames, NULL), 0);
    assert_int_equal(reclaim(&machine, machine.regions, 4, SLIPWAY_MEM_LOADER, &added), FRAMES_OK);
    assert_int_equal(added, 0);
    struct frames_statistics got = statistics(&machine);
    assert_int_equal(got.total_frames, 512 + kind_frames);
    assert_int_equal(got.used_frames, got.metadata_frames);
    assert_int_equal(got.zone[FRAMES_BELOW_16M].total_frames, 512 + 256 + 256);
    assert_int_equal(got.zone[FRAMES_BELOW_4G].free_frames, MIB(184) / FRAME_BYTES);
    assert_int_equal(got.reclaimable_frames[SLIPWAY_MEM_LOADER], 0);
    assert_int_equal(got.largest_run_frames, MIB(185) / FRAME_BYTES);
    assert_int_equal(free_one(&machine, MIB(5)), FRAMES_ERR_FOREIGN);
    assert_int_equal(alloc_run(&machine, MIB(185) / FRAME_BYTES, 1), MIB(15));
    assert_int_equal(free_run(&machine, MIB(15), MIB(185) / FRAME_BYTES), FRAMES_OK);
    // Frames in use when another kind is added stay so.
    assert_int_equal(alloc_at(&machine, MIB(4), 256), FRAMES_OK);
    assert_int_equal(reclaim(&machine, machine.regions, 4, SLIPWAY_MEM_BOOT_SERVICES, &added),
                     FRAMES_OK);
    assert_int_equal(added, 256);
    assert_int_equal(alloc_at(&machine, MIB(4), 1), FRAMES_ERR_USED);
    assert_int_equal(free_run(&machine, MIB(4), 256), FRAMES_OK);
    machine_end(&machine);
}

TEST(
    "frames: regions that are reclaimed later count from the start, in memory that costs no more") {
    MACHINE(machine, 1, {PAGE(1), PAGE(10), USABLE, true},
            {MIB(32), MIB(64), SLIPWAY_MEM_BOOT_SERVICES, true},
            {GIB(4), GIB(4) + PAGE(3), SLIPWAY_MEM_ACPI_RECLAIM, true});
    assert_int_equal(alloc(&machine, FRAMES_ANY) & ~PAGE(15), 0);
    uint64_t added;
    assert_int_equal(reclaim(&machine, machine.regions, 3, SLIPWAY_MEM_BOOT_SERVICES, &added),
                     FRAMES_OK);
    assert_int_equal(alloc(&machine, FRAMES_ANY) / MIB(32), 1);
    assert_int_equal(reclaim(&machine, machine.regions, 3, SLIPWAY_MEM_ACPI_RECLAIM, &added),
                     FRAMES_OK);
    assert_int_equal(alloc(&machine, FRAMES_ANY) / GIB(4), 1);
    machine_end(&machine);
}

TEST("frames: whole blocks of kernel, modules or page tables are freed like any other") {
    static const uint32_t kinds[] = {SLIPWAY_MEM_KERNEL, SLIPWAY_MEM_MODULE,
                                     SLIPWAY_MEM_PAGE_TABLES};
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        MACHINE(machine, 1, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(8), kinds[i], true});
        assert_int_equal(statistics(&machine).used_frames, 1024 + 1);
        assert_int_equal(alloc_at(&machine, MIB(4), 1), FRAMES_ERR_USED);
        assert_int_equal(free_one(&machine, MIB(6)), FRAMES_OK);
        assert_int_equal(free_one(&machine, MIB(6)), FRAMES_ERR_FREE);
        assert_int_equal(free_run(&machine, MIB(4), 512), FRAMES_OK);
        assert_int_equal(free_run(&machine, MIB(6) + PAGE(1), 511), FRAMES_OK);
        assert_int_equal(alloc_run(&machine, 1024, 1024), MIB(4));
        machine_end(&machine);
    }
}
