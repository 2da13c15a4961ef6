// How the frame allocator starts: metadata, where it goes, and what is refused.
#include "tests/unit/support/frames_machine.h"

TEST("frames: without anything to manage there is no metadata, and every call is refused calmly") {
    const struct memmap_region reserved[] = {{0, GIB(4), SLIPWAY_MEM_RESERVED, false}};
    for (uint64_t count = 0; count <= 1; count++) {
        struct machine machine = machine_make(reserved, count, 2);
        assert_int_equal(machine.metadata_bytes, 0);
        assert_true(paddr_is_none(machine.metadata_phys));
        machine_start(&machine);
        assert_int_equal(alloc(&machine, FRAMES_ANY), NOTHING);
        assert_int_equal(alloc_run(&machine, 3, 1), NOTHING);
        assert_int_equal(alloc_run(&machine, 512, 512), NOTHING);
        static const struct {
            struct frames_request request;
            enum frames_status want;
        } cases[] = {{{3, 0, 0}, FRAMES_ERR_NO_MEMORY},
                     {{512, 512, GIB(4)}, FRAMES_ERR_NO_MEMORY},
                     {{0, 1, 0}, FRAMES_ERR_COUNT},
                     {{1, 3, 0}, FRAMES_ERR_ALIGN}};
        for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
            paddr_t first;
            assert_int_equal(frames_alloc_run(&machine.frames, 1, &cases[i].request, &first),
                             cases[i].want);
        }
        assert_int_equal(alloc_at(&machine, 0x1000, 1), FRAMES_ERR_FOREIGN);
        assert_int_equal(free_one(&machine, 0x1000), FRAMES_ERR_FOREIGN);
        assert_int_equal(free_run(&machine, 0x1000, 3), FRAMES_ERR_FOREIGN);
        uint64_t added = 7;
        assert_int_equal(
            frames_reclaim(&machine.frames, reserved, count, SLIPWAY_MEM_LOADER, &added),
            FRAMES_OK);
        assert_int_equal(added, 0);
        struct frames_statistics got = statistics(&machine);
        assert_int_equal(got.total_frames, 0);
        assert_int_equal(got.largest_run_frames, 0);
        assert_int_equal(got.reserved_frames, count * GIB(4) / FRAME_BYTES);
        machine_end(&machine);
    }
}

TEST("frames: 64 KiB below 1 MiB are a machine") {
    MACHINE(machine, 1, {0x10000, 0x20000, USABLE, true});
    struct frames_statistics got = statistics(&machine);
    assert_int_equal(got.total_frames, 16);
    assert_int_equal(got.free_frames, 15);
    assert_int_equal(got.used_frames, 1);
    assert_int_equal(got.metadata_frames, 1);
    assert_int_equal(got.zone[FRAMES_BELOW_1M].free_frames, 15);
    assert_int_equal(got.largest_run_frames, 15);
    assert_int_equal(machine.metadata_phys.value, 0x10000);
    bool seen[16] = {true};
    for (uint64_t i = 1; i < 16; i++) {
        uint64_t index =
            (alloc(&machine, (enum frames_zone)(i % FRAMES_ZONES)) - 0x10000) / PAGE(1);
        assert_in_range(index, 1, 15);
        assert_false(seen[index]);
        seen[index] = true;
    }
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
        assert_int_equal(alloc(&machine, (enum frames_zone)zone), NOTHING);
    machine_end(&machine);
}

TEST("frames: a page at 12 TiB costs no more than a block and an arena") {
    const struct memmap_region regions[] = {{MIB(16), MIB(128), USABLE, true},
                                            {TIB(12), TIB(12) + PAGE(1), USABLE, true}};
    uint64_t alone = frames_metadata_bytes(regions, 1, 1);
    uint64_t both = frames_metadata_bytes(regions, 2, 1);
    assert_in_range(both - alone, 64, 320);
    struct machine machine = machine_make(regions, 2, 1);
    machine_start(&machine);
    assert_int_equal(alloc(&machine, FRAMES_ANY), TIB(12)); // above 4 GiB first
    assert_in_range(alloc(&machine, FRAMES_ANY), MIB(16), MIB(128) - 1);
    assert_int_equal(free_one(&machine, TIB(12)), FRAMES_OK);
    assert_int_equal(free_one(&machine, TIB(12) + PAGE(1)), FRAMES_ERR_FOREIGN);
    machine_end(&machine);
}

TEST("frames: 64 TiB need a cache line and six bytes for each 2 MiB, and little beside") {
    const struct memmap_region all = {0, TIB(64), USABLE, true};
    uint64_t blocks = TIB(64) / MIB(2);
    uint64_t bytes = frames_metadata_bytes(&all, 1, 1);
    assert_in_range(bytes, blocks * 69, blocks * 70 + blocks / 64);
    paddr_t phys;
    assert_int_equal(frames_place_metadata(&all, 1, bytes, &phys), FRAMES_OK);
    assert_int_equal(phys.value, MIB(1));
}

TEST("frames: metadata has room for what it consists of, and for nothing else") {
    const struct memmap_region regions[] = {{MIB(16), GIB(1), USABLE, true},
                                            {GIB(2), GIB(2) + MIB(1), USABLE, true}};
    uint64_t blocks = (GIB(1) - MIB(16)) / MIB(2) + 1, arenas = (blocks + 63) / 64;
    assert_int_equal(frames_metadata_bytes(regions, 2, 3),
                     arenas * sizeof(struct frames_arena) + 3 * sizeof(struct frames_cpu) +
                         blocks * (LINE_BYTES + sizeof(struct frames_block)) +
                         (LINE_BYTES + sizeof(uint64_t)) + 3 * sizeof(uint64_t) +
                         2 * sizeof(struct frames_span));
}

TEST("frames: metadata that ends with a frame takes no other") {
    const struct memmap_region region = {GIB(4), GIB(4) + MIB(200), USABLE, true};
    unsigned exact = 0;
    for (unsigned cpus = 1; cpus <= 128; cpus++) {
        // Spans of 24 bytes, so that some sum is a multiple of 4096.
        for (uint64_t holes = 0; holes <= 16; holes++) {
            struct memmap_region regions[17] = {region};
            for (uint64_t i = 1; i <= holes; i++)
                regions[i] = (struct memmap_region){GIB(4) + i * GIB(1),
                                                    GIB(4) + i * GIB(1) + MIB(2), USABLE, true};
            uint64_t bytes = frames_metadata_bytes(regions, holes + 1, cpus);
            if (bytes % FRAME_BYTES != 0)
                continue;
            struct machine machine = machine_make(regions, holes + 1, cpus);
            machine_start(&machine);
            assert_int_equal(statistics(&machine).metadata_frames, bytes / FRAME_BYTES);
            machine_end(&machine);
            exact++;
        }
    }
    assert_in_range(exact, 1, 100);
}

TEST("frames: CPUs report what they took every 1/256 of memory, all together, or 64 frames each") {
    static const struct {
        uint64_t bytes;
        unsigned cpus;
        int64_t want;
    } cases[] = {{MIB(2), 1, 64},  {MIB(64), 1, 64}, {MIB(66), 1, 66}, {GIB(1), 8, 128},
                 {GIB(1), 16, 64}, {GIB(1), 17, 64}, {GIB(4), 1, 4096}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        MACHINE(machine, cases[i].cpus, {GIB(4), GIB(4) + cases[i].bytes, USABLE, true});
        assert_int_equal(machine.frames.report_at, cases[i].want);
        machine_end(&machine);
    }
}

TEST("frames: a CPU needs at most two cache lines, be there 4096 of them") {
    const struct memmap_region all = {MIB(16), GIB(1), USABLE, true};
    uint64_t one = frames_metadata_bytes(&all, 1, 1);
    for (unsigned cpus = 2; cpus <= FRAMES_CPUS_MAX; cpus *= 2)
        assert_in_range(frames_metadata_bytes(&all, 1, cpus), one, one + (cpus - 1) * 128);
    struct machine machine = machine_make(&all, 1, FRAMES_CPUS_MAX);
    machine_start(&machine);
    machine.cpu = FRAMES_CPUS_MAX - 1;
    uint64_t frame = alloc(&machine, FRAMES_ANY);
    assert_int_not_equal(frame, NOTHING);
    machine.cpu = 0;
    assert_int_equal(free_one(&machine, frame), FRAMES_OK);
    machine_end(&machine);
}

TEST("frames: a block that regions share, or leave in part, needs one more line and its number") {
    const struct memmap_region one = {MIB(2), MIB(10), USABLE, true};
    const struct memmap_region many[] = {{MIB(2), MIB(3), USABLE, true},
                                         {MIB(3), MIB(4), SLIPWAY_MEM_LOADER, true},
                                         {MIB(4), MIB(5), SLIPWAY_MEM_MMIO, false},
                                         {MIB(5), MIB(7), SLIPWAY_MEM_KERNEL, true},
                                         {MIB(7) + PAGE(1), MIB(9), USABLE, true},
                                         {MIB(9), MIB(10), USABLE, true}};
    uint64_t mixed_bytes = 64 + 8;
    assert_int_equal(frames_metadata_bytes(many, ARRAY_LEN(many), 1),
                     frames_metadata_bytes(&one, 1, 1) + 4 * mixed_bytes);
}

TEST("frames: however many regions share a block, metadata grows with the blocks alone") {
    enum { REGIONS = 5000 };
    static struct memmap_region regions[REGIONS];
    for (uint64_t i = 0; i < REGIONS; i++)
        regions[i] = (struct memmap_region){MIB(1) + PAGE(3 * i), MIB(1) + PAGE(3 * i + 3),
                                            i % 2 == 0 ? SLIPWAY_MEM_BOOT_SERVICES : USABLE, true};
    struct machine machine = machine_make(regions, REGIONS, 1);
    assert_in_range(machine.metadata_bytes, 1, 2 * FRAME_BYTES);
    machine_start(&machine);
    assert_int_equal(statistics(&machine).total_frames, 7500);
    assert_int_equal(alloc_run(&machine, 4, 1), NOTHING);
    uint64_t added;
    assert_int_equal(
        frames_reclaim(&machine.frames, regions, REGIONS, SLIPWAY_MEM_BOOT_SERVICES, &added),
        FRAMES_OK);
    assert_int_equal(added, 7500);
    assert_int_equal(statistics(&machine).free_frames, 14998);
    assert_int_equal(alloc_run(&machine, 15000 - 5, 1), MIB(1) + PAGE(5));
    machine_end(&machine);
}

TEST("frames: metadata goes into the smallest region that has room, above 1 MiB if any does") {
    const struct memmap_region regions[] = {
        {0x10000, 0x14000, USABLE, true},
        {MIB(1) - PAGE(4), MIB(1) + PAGE(2), USABLE, true}, // only what is above 1 MiB counts
        {MIB(2), MIB(2) + PAGE(1), USABLE, false},          // not in the direct map
        {MIB(4), MIB(4) + PAGE(9), USABLE, true},
        {MIB(8), MIB(8) + PAGE(4), SLIPWAY_MEM_LOADER, true},
        {MIB(16), MIB(16) + PAGE(3), USABLE, true}};
    static const struct {
        uint64_t bytes, want;
    } cases[] = {{1, MIB(1)},
                 {PAGE(2), MIB(1)},
                 {PAGE(2) + 1, MIB(16)},
                 {PAGE(4), MIB(4)},
                 {PAGE(9), MIB(4)}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        paddr_t phys;
        assert_int_equal(frames_place_metadata(regions, ARRAY_LEN(regions), cases[i].bytes, &phys),
                         FRAMES_OK);
        assert_int_equal(phys.value, cases[i].want);
    }
    paddr_t phys = paddr(1);
    assert_int_equal(frames_place_metadata(regions, ARRAY_LEN(regions), PAGE(10), &phys),
                     FRAMES_ERR_METADATA);
    assert_int_equal(phys.value, 1);
    assert_int_equal(frames_place_metadata(regions, 1, PAGE(4), &phys), FRAMES_OK);
    assert_int_equal(phys.value, 0x10000);
    // Not the region behind the last, though it fits better.
    assert_int_equal(frames_place_metadata(regions, 5, PAGE(3), &phys), FRAMES_OK);
    assert_int_equal(phys.value, MIB(4));
    const struct memmap_region lowest = {0, PAGE(2), USABLE, true};
    assert_int_equal(frames_place_metadata(&lowest, 1, PAGE(2), &phys), FRAMES_OK);
    assert_int_equal(phys.value, 0);
}

TEST("frames: metadata may lie in any usable frames, at the end of a region or across two") {
    const struct memmap_region regions[] = {{MIB(2), MIB(4), USABLE, true},
                                            {MIB(4), MIB(6), USABLE, true}};
    uint64_t bytes = frames_metadata_bytes(regions, 2, FRAMES_CPUS_MAX);
    uint64_t frames_needed = (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    void *metadata = NULL;
    assert_int_equal(posix_memalign(&metadata, FRAME_BYTES, bytes), 0);
    const uint64_t places[] = {MIB(2), MIB(4) - PAGE(1), MIB(6) - PAGE(frames_needed)};
    assert_in_range(frames_needed, 2, 511);
    for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
        struct frames frames;
        paddr_t place = paddr(places[i]);
        assert_int_equal(frames_init(&frames, regions, 2, FRAMES_CPUS_MAX, metadata, bytes, place),
                         FRAMES_OK);
        assert_int_equal(frames_verify(&frames, NULL), 0);
        for (uint64_t at = MIB(2); at < MIB(6); at += FRAME_BYTES) {
            bool is_metadata = at - place.value < PAGE(frames_needed);
            assert_int_equal(frames_alloc_at(&frames, 0, paddr(at), 1),
                             is_metadata ? FRAMES_ERR_FOREIGN : FRAMES_OK);
        }
    }
    free(metadata);
}

static enum frames_status init_status(const struct memmap_region *regions, uint64_t count,
                                      void *metadata, uint64_t bytes, uint64_t phys) {
    struct frames frames;
    return frames_init(&frames, regions, count, 1, metadata, bytes, paddr(phys));
}

TEST("frames: bad regions are refused at the start") {
    static const struct memmap_region bad[][2] = {
        {{MIB(4), MIB(6), USABLE, true}, {MIB(2), MIB(4), USABLE, true}},     // unsorted
        {{MIB(2), MIB(5), USABLE, true}, {MIB(4), MIB(6), USABLE, true}},     // overlap
        {{MIB(2), MIB(2), USABLE, true}, {MIB(4), MIB(6), USABLE, true}},     // empty
        {{MIB(2), MIB(3), USABLE, true}, {MIB(4) + 8, MIB(6), USABLE, true}}, // unaligned
        {{MIB(2), MIB(3), USABLE, true}, {MIB(4), MIB(6), 0, true}},          // kinds
        {{MIB(2), MIB(3), USABLE, true}, {MIB(4), MIB(6), SLIPWAY_MEM_KINDS, true}},
    };
    static _Alignas(4096) unsigned char metadata[4096];
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(frames_metadata_bytes(bad[i], 2, 1), 0);
        assert_int_equal(init_status(bad[i], 2, metadata, sizeof(metadata), MIB(2)),
                         FRAMES_ERR_MAP);
    }
}

TEST("frames: metadata that is too small, or in frames that are not usable, is refused") {
    static _Alignas(4096) unsigned char metadata[4096];
    const struct memmap_region good[] = {{MIB(2), MIB(4), USABLE, true},
                                         {MIB(4), MIB(6), SLIPWAY_MEM_KERNEL, true},
                                         {MIB(6), MIB(8), SLIPWAY_MEM_LOADER, true},
                                         {MIB(8), MIB(10), SLIPWAY_MEM_RESERVED, true}};
    uint64_t bytes = frames_metadata_bytes(good, 4, 1);
    assert_int_equal(init_status(good, 4, metadata, bytes, MIB(2)), FRAMES_OK);
    assert_int_equal(init_status(good, 4, metadata, bytes - 1, MIB(2)), FRAMES_ERR_METADATA);
    assert_int_equal(init_status(good, 4, metadata + 8, bytes, MIB(2)), FRAMES_ERR_METADATA);
    assert_int_equal(init_status(good, 4, metadata, bytes, MIB(2) + 64), FRAMES_ERR_METADATA);
    for (uint64_t at = MIB(4); at <= MIB(12); at += MIB(2)) // in nothing that is free
        assert_int_equal(init_status(good, 4, metadata, bytes, at), FRAMES_ERR_METADATA);
    assert_int_equal(init_status(good, 4, metadata, bytes, NOTHING & ~(FRAME_BYTES - 1)),
                     FRAMES_ERR_METADATA);
}

TEST("frames: no CPUs, and more than there may be, are refused") {
    const struct memmap_region region = {MIB(2), MIB(4), USABLE, true};
    uint64_t bytes = frames_metadata_bytes(&region, 1, FRAMES_CPUS_MAX + 1);
    void *metadata = NULL;
    assert_int_equal(posix_memalign(&metadata, FRAME_BYTES, bytes), 0);
    static const struct {
        unsigned cpus;
        enum frames_status want;
    } cases[] = {{0, FRAMES_ERR_CPUS},
                 {1, FRAMES_OK},
                 {FRAMES_CPUS_MAX, FRAMES_OK},
                 {FRAMES_CPUS_MAX + 1, FRAMES_ERR_CPUS},
                 {UINT32_MAX, FRAMES_ERR_CPUS}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct frames frames;
        assert_int_equal(
            frames_init(&frames, &region, 1, cases[i].cpus, metadata, bytes, paddr(MIB(2))),
            cases[i].want);
    }
    free(metadata);
}

TEST("frames: every status has a text of its own") {
    for (int a = FRAMES_OK; a <= FRAMES_ERR_CPUS; a++) {
        assert_string_not_equal(frames_status_text((enum frames_status)a), "unknown");
        for (int b = FRAMES_OK; b < a; b++)
            assert_string_not_equal(frames_status_text((enum frames_status)a),
                                    frames_status_text((enum frames_status)b));
    }
    assert_string_equal(frames_status_text((enum frames_status)(FRAMES_ERR_CPUS + 1)), "unknown");
}
