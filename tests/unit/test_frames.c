#include "kernel/frames.h"

#include "common/base/arith.h"

#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <string.h>

#define USABLE  SLIPWAY_MEM_USABLE
#define PAGE(n) ((uint64_t)(n)*FRAME_BYTES)

// An allocator over regions, with the metadata where frames_place_metadata wants it.
struct machine {
    const struct memmap_region *regions;
    uint64_t count;
    struct frames frames;
    void *metadata;
    uint64_t metadata_bytes;
    paddr_t metadata_phys;
};

static struct machine machine_make(const struct memmap_region *regions, uint64_t count) {
    struct machine machine = {.regions = regions, .count = count};
    machine.metadata_bytes = frames_metadata_bytes(regions, count);
    assert_int_equal(
        frames_place_metadata(regions, count, machine.metadata_bytes, &machine.metadata_phys),
        FRAMES_OK);
    // Exactly as much as is asked for, aligned as a page is; filled, since nobody clears it.
    machine.metadata = NULL;
    if (machine.metadata_bytes > 0) {
        assert_int_equal(posix_memalign(&machine.metadata, 64, machine.metadata_bytes), 0);
        memset(machine.metadata, 0xa5, machine.metadata_bytes);
    }
    return machine;
}

static void machine_start(struct machine *machine) {
    assert_int_equal(frames_init(&machine->frames, machine->regions, machine->count,
                                 machine->metadata, machine->metadata_bytes,
                                 machine->metadata_phys),
                     FRAMES_OK);
    assert_int_equal(frames_check(&machine->frames, NULL), 0);
}

static void machine_end(struct machine *machine) {
    assert_int_equal(frames_check(&machine->frames, NULL), 0);
    free(machine->metadata);
}

#define MACHINE(name, ...)                                                                         \
    const struct memmap_region name##_regions[] = {__VA_ARGS__};                                   \
    struct machine name = machine_make(name##_regions, ARRAY_LEN(name##_regions));                 \
    machine_start(&name)

static struct frames_statistics statistics(const struct machine *machine) {
    struct frames_statistics result;
    frames_get_statistics(&machine->frames, &result);
    return result;
}

static uint64_t alloc(struct machine *machine, enum frames_zone zone) {
    paddr_t frame = PADDR_NONE;
    if (frames_alloc(&machine->frames, zone, &frame) != FRAMES_OK)
        assert_true(paddr_is_none(frame));
    return frame.value;
}

static uint64_t alloc_run(struct machine *machine, enum frames_zone zone, uint64_t count,
                          uint64_t align) {
    paddr_t frame = PADDR_NONE;
    if (frames_alloc_run(&machine->frames, zone, count, align, &frame) != FRAMES_OK)
        assert_true(paddr_is_none(frame));
    return frame.value;
}

#define NOTHING UINT64_MAX // PADDR_NONE

// --- Starting ---

TEST("frames: without anything to manage there is no metadata, and every call is refused calmly") {
    const struct memmap_region reserved[] = {{0, GIB(4), SLIPWAY_MEM_RESERVED, false}};
    for (uint64_t count = 0; count <= 1; count++) {
        struct machine machine = machine_make(reserved, count);
        assert_int_equal(machine.metadata_bytes, 0);
        assert_true(paddr_is_none(machine.metadata_phys));
        machine_start(&machine);
        assert_int_equal(alloc(&machine, FRAMES_ANY), NOTHING);
        assert_int_equal(alloc_run(&machine, FRAMES_BELOW_4G, 3, 1), NOTHING);
        assert_int_equal(frames_free(&machine.frames, paddr(0x1000)), FRAMES_ERR_FOREIGN);
        uint64_t added = 7;
        assert_int_equal(
            frames_reclaim(&machine.frames, reserved, count, SLIPWAY_MEM_LOADER, &added),
            FRAMES_OK);
        assert_int_equal(added, 0);
        struct frames_statistics got = statistics(&machine);
        assert_int_equal(got.total_frames, 0);
        assert_int_equal(got.largest_run_frames, 0);
        assert_int_equal(got.refusals, 3);
        machine_end(&machine);
    }
}

TEST("frames: 64 KiB below 1 MiB are a machine") {
    MACHINE(machine, {0x10000, 0x20000, USABLE, true});
    struct frames_statistics got = statistics(&machine);
    assert_int_equal(got.total_frames, 16);
    assert_int_equal(got.free_frames, 15);
    assert_int_equal(got.used_frames, 1);
    assert_int_equal(got.metadata_frames, 1);
    assert_int_equal(got.low_free_frames, 15);
    assert_int_equal(got.largest_run_frames, 0); // of frames that are given without asking
    assert_int_equal(machine.metadata_phys.value, 0x10000);
    assert_int_equal(alloc(&machine, FRAMES_ANY), NOTHING);
    assert_int_equal(alloc(&machine, FRAMES_BELOW_4G), NOTHING);
    for (uint64_t i = 1; i < 16; i++)
        assert_int_equal(alloc(&machine, FRAMES_BELOW_1M), 0x10000 + PAGE(i));
    assert_int_equal(alloc(&machine, FRAMES_BELOW_1M), NOTHING);
    machine_end(&machine);
}

TEST("frames: a page at 12 TiB costs no more than one of its own block") {
    const struct memmap_region regions[] = {{MIB(1), MIB(128), USABLE, true},
                                            {TIB(12), TIB(12) + PAGE(1), USABLE, true}};
    uint64_t alone = frames_metadata_bytes(regions, 1);
    uint64_t both = frames_metadata_bytes(regions, 2);
    assert_in_range(both - alone, 64, 200);
    struct machine machine = machine_make(regions, 2);
    machine_start(&machine);
    assert_int_equal(alloc(&machine, FRAMES_ANY), TIB(12)); // above 4 GiB first
    assert_int_equal(alloc(&machine, FRAMES_ANY),
                     MIB(1) + PAGE(statistics(&machine).metadata_frames));
    assert_int_equal(frames_free(&machine.frames, paddr(TIB(12))), FRAMES_OK);
    assert_int_equal(frames_free(&machine.frames, paddr(TIB(12) + PAGE(1))), FRAMES_ERR_FOREIGN);
    machine_end(&machine);
}

TEST("frames: 64 TiB need a cache line, four bytes and two summary bits for each 2 MiB") {
    const struct memmap_region all = {0, TIB(64), USABLE, true};
    uint64_t blocks = TIB(64) / MIB(2);
    uint64_t bytes = frames_metadata_bytes(&all, 1);
    assert_in_range(bytes, blocks * 68 + blocks / 4, blocks * 69);
    paddr_t phys;
    assert_int_equal(frames_place_metadata(&all, 1, bytes, &phys), FRAMES_OK);
    assert_int_equal(phys.value, MIB(1));
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
    assert_int_equal(frames_metadata_bytes(many, ARRAY_LEN(many)),
                     frames_metadata_bytes(&one, 1) + 4 * mixed_bytes);
}

TEST("frames: however many regions share a block, metadata grows with the blocks alone") {
    enum { REGIONS = 5000 };
    static struct memmap_region regions[REGIONS];
    for (uint64_t i = 0; i < REGIONS; i++)
        regions[i] = (struct memmap_region){MIB(1) + PAGE(3 * i), MIB(1) + PAGE(3 * i + 3),
                                            i % 2 == 0 ? SLIPWAY_MEM_BOOT_SERVICES : USABLE, true};
    struct machine machine = machine_make(regions, REGIONS);
    assert_in_range(machine.metadata_bytes, 1, 2 * FRAME_BYTES);
    machine_start(&machine);
    assert_int_equal(statistics(&machine).total_frames, 7500);
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 4, 1), NOTHING);
    uint64_t added;
    assert_int_equal(
        frames_reclaim(&machine.frames, regions, REGIONS, SLIPWAY_MEM_BOOT_SERVICES, &added),
        FRAMES_OK);
    assert_int_equal(added, 7500);
    assert_int_equal(statistics(&machine).free_frames, 14998);
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 15000 - 5, 1), MIB(1) + PAGE(5));
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
}

static enum frames_status init_status(const struct memmap_region *regions, uint64_t count,
                                      void *metadata, uint64_t bytes, uint64_t phys) {
    struct frames frames;
    return frames_init(&frames, regions, count, metadata, bytes, paddr(phys));
}

TEST("frames: bad regions and bad metadata are refused at the start") {
    static const struct memmap_region bad[][2] = {
        {{MIB(4), MIB(6), USABLE, true}, {MIB(2), MIB(4), USABLE, true}},     // unsorted
        {{MIB(2), MIB(5), USABLE, true}, {MIB(4), MIB(6), USABLE, true}},     // overlap
        {{MIB(2), MIB(2), USABLE, true}, {MIB(4), MIB(6), USABLE, true}},     // empty
        {{MIB(2), MIB(3), USABLE, true}, {MIB(4) + 8, MIB(6), USABLE, true}}, // unaligned
        {{MIB(2), MIB(3), USABLE, true}, {MIB(4), MIB(6), 0, true}},          // kinds
        {{MIB(2), MIB(3), USABLE, true}, {MIB(4), MIB(6), SLIPWAY_MEM_KINDS, true}},
    };
    static _Alignas(64) unsigned char metadata[4096];
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(frames_metadata_bytes(bad[i], 2), 0);
        assert_int_equal(init_status(bad[i], 2, metadata, sizeof(metadata), MIB(2)),
                         FRAMES_ERR_MAP);
    }
    const struct memmap_region good[] = {{MIB(2), MIB(4), USABLE, true},
                                         {MIB(4), MIB(6), SLIPWAY_MEM_KERNEL, true},
                                         {MIB(6), MIB(8), SLIPWAY_MEM_LOADER, true},
                                         {MIB(8), MIB(10), SLIPWAY_MEM_RESERVED, true}};
    uint64_t bytes = frames_metadata_bytes(good, 4);
    assert_int_equal(init_status(good, 4, metadata, bytes, MIB(2)), FRAMES_OK);
    assert_int_equal(init_status(good, 4, metadata, bytes - 1, MIB(2)), FRAMES_ERR_METADATA);
    assert_int_equal(init_status(good, 4, metadata + 8, bytes, MIB(2)), FRAMES_ERR_METADATA);
    assert_int_equal(init_status(good, 4, metadata, bytes, MIB(2) + 64), FRAMES_ERR_METADATA);
    for (uint64_t at = MIB(4); at <= MIB(12); at += MIB(2)) // in nothing that is free
        assert_int_equal(init_status(good, 4, metadata, bytes, at), FRAMES_ERR_METADATA);
    assert_int_equal(init_status(good, 4, metadata, bytes, NOTHING & ~(FRAME_BYTES - 1)),
                     FRAMES_ERR_METADATA);
}

TEST("frames: every status has a text of its own") {
    for (int a = FRAMES_OK; a <= FRAMES_ERR_MAP; a++)
        for (int b = FRAMES_OK; b < a; b++)
            assert_string_not_equal(frames_status_text((enum frames_status)a),
                                    frames_status_text((enum frames_status)b));
}

// --- Where allocations come from ---

TEST("frames: above 4 GiB first, below 1 MiB only when asked") {
    MACHINE(machine, {0x1000, 0x3000, USABLE, true}, {MIB(16), MIB(16) + PAGE(3), USABLE, true},
            {GIB(4), GIB(4) + PAGE(2), USABLE, true});
    assert_int_equal(machine.metadata_phys.value, GIB(4)); // the smallest above 1 MiB
    assert_int_equal(alloc(&machine, FRAMES_ANY), GIB(4) + PAGE(1));
    assert_int_equal(alloc(&machine, FRAMES_ANY), MIB(16));
    assert_int_equal(alloc(&machine, FRAMES_BELOW_4G), MIB(16) + PAGE(1));
    assert_int_equal(alloc(&machine, FRAMES_BELOW_1M), 0x1000);
    assert_int_equal(alloc(&machine, FRAMES_BELOW_4G), MIB(16) + PAGE(2));
    assert_int_equal(alloc(&machine, FRAMES_BELOW_4G), NOTHING);
    assert_int_equal(alloc(&machine, FRAMES_ANY), NOTHING);
    assert_int_equal(alloc(&machine, FRAMES_BELOW_1M), 0x2000);
    assert_int_equal(alloc(&machine, FRAMES_BELOW_1M), NOTHING);
    struct frames_statistics got = statistics(&machine);
    assert_int_equal(got.allocations, 6);
    assert_int_equal(got.refusals, 3);
    assert_int_equal(got.used_frames, 7);
    machine_end(&machine);
}

TEST("frames: a run may lie across 4 GiB, and not across 1 MiB or a hole") {
    MACHINE(machine, {MIB(1) - PAGE(8), MIB(1) + PAGE(8), USABLE, true},
            {MIB(4), MIB(4) + PAGE(300), USABLE, true},
            {MIB(8), MIB(8) + PAGE(300), USABLE, true}, // the block between has no metadata
            {GIB(4) - PAGE(400), GIB(4) + PAGE(400), USABLE, true});
    assert_int_equal(machine.metadata_phys.value, MIB(1));
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 700, 1), GIB(4) - PAGE(400));
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 301, 1), NOTHING);
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 300, 1), MIB(4));
    assert_int_equal(alloc_run(&machine, FRAMES_BELOW_1M, 9, 1), NOTHING);
    assert_int_equal(alloc_run(&machine, FRAMES_BELOW_1M, 8, 1), MIB(1) - PAGE(8));
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 100, 1), GIB(4) + PAGE(300));
    machine_end(&machine);
}

TEST("frames: 2 MiB and 1 GiB blocks are aligned, and found behind partly used ones") {
    MACHINE(machine, {MIB(1), MIB(2), USABLE, true}, {MIB(512), GIB(3) + MIB(5), USABLE, true});
    uint64_t whole = statistics(&machine).free_blocks;
    assert_int_equal(whole, (GIB(3) + MIB(4) - MIB(512)) / MIB(2));
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 512, 512), MIB(512));
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 512 * 512, 512 * 512), GIB(1));
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 512 * 512, 512 * 512), GIB(2));
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 512 * 512, 512 * 512), NOTHING);
    assert_int_equal(frames_free(&machine.frames, paddr(GIB(1) + MIB(2))), FRAMES_OK);
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 512, 512), MIB(514));
    assert_int_equal(statistics(&machine).free_blocks, whole - 2 - 1024);
    // Not aligned: from the middle of one block into the next.
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 1, 1),
                     MIB(1) + PAGE(statistics(&machine).metadata_frames));
    machine_end(&machine);
}

TEST("frames: a run longer than two blocks begins in the middle of one if that is where it fits") {
    MACHINE(machine, {MIB(1), MIB(2), USABLE, true},
            {MIB(16) + PAGE(100), MIB(22) + PAGE(100), USABLE, true});
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 3 * 512, 1), MIB(16) + PAGE(100));
    machine_end(&machine);
}

TEST("frames: runs of no frames, of too many and of odd alignments are refused") {
    MACHINE(machine, {MIB(2), MIB(4), USABLE, true});
    paddr_t first = paddr(1);
    struct frames *frames = &machine.frames;
    assert_int_equal(frames_alloc_run(frames, FRAMES_ANY, 0, 1, &first), FRAMES_ERR_COUNT);
    assert_int_equal(frames_alloc_run(frames, FRAMES_ANY, UINT64_MAX, 1, &first), FRAMES_ERR_COUNT);
    assert_int_equal(frames_alloc_run(frames, FRAMES_ANY, 1, 0, &first), FRAMES_ERR_ALIGN);
    assert_int_equal(frames_alloc_run(frames, FRAMES_ANY, 1, 3, &first), FRAMES_ERR_ALIGN);
    assert_int_equal(frames_alloc_run(frames, FRAMES_ANY, 1, UINT64_C(1) << 63, &first),
                     FRAMES_ERR_NO_MEMORY);
    assert_int_equal(frames_alloc_run(frames, FRAMES_ANY, UINT64_C(1) << 51, 1, &first),
                     FRAMES_ERR_NO_MEMORY);
    assert_int_equal(first.value, 1);
    assert_int_equal(statistics(&machine).refusals, 6);
    machine_end(&machine);
}

// --- Giving back ---

TEST("frames: what is free, foreign, unaligned or metadata is not freed") {
    MACHINE(machine, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(5), SLIPWAY_MEM_LOADER, true},
            {MIB(5), MIB(6), SLIPWAY_MEM_RESERVED, true});
    struct frames *frames = &machine.frames;
    uint64_t frame = alloc(&machine, FRAMES_ANY);
    static const struct {
        uint64_t address, count;
        enum frames_status want;
    } cases[] = {
        {MIB(3), 1, FRAMES_ERR_FREE},
        {MIB(2), 1, FRAMES_ERR_FOREIGN}, // the metadata
        {MIB(2), 2, FRAMES_ERR_FOREIGN},
        {MIB(2) + PAGE(1), 2, FRAMES_ERR_FREE}, // one used, one free
        {MIB(4), 1, FRAMES_ERR_FOREIGN},        // not reclaimed yet
        {MIB(5), 1, FRAMES_ERR_FOREIGN},
        {0, 1, FRAMES_ERR_FOREIGN},
        {MIB(1), 1, FRAMES_ERR_FOREIGN},
        {TIB(32), 1, FRAMES_ERR_FOREIGN},
        {NOTHING, 1, FRAMES_ERR_ALIGN},
        {MIB(2) + PAGE(1) + 1, 1, FRAMES_ERR_ALIGN},
        {MIB(2) + PAGE(1), 0, FRAMES_ERR_COUNT},
        {MIB(2) + PAGE(1), UINT64_MAX, FRAMES_ERR_COUNT},
        {MIB(2) + PAGE(1), UINT64_MAX / FRAME_BYTES - 513, FRAMES_ERR_FOREIGN},
        {UINT64_MAX - 4095, 2, FRAMES_ERR_COUNT},
    };
    assert_int_equal(frame, MIB(2) + PAGE(1));
    struct frames_statistics before = statistics(&machine);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(frames_free_run(frames, paddr(cases[i].address), cases[i].count),
                         cases[i].want);
        before.refusals++;
        struct frames_statistics after = statistics(&machine);
        assert_memory_equal(&before, &after, sizeof(before));
    }
    assert_int_equal(frames_free(frames, paddr(frame)), FRAMES_OK);
    assert_int_equal(frames_free(frames, paddr(frame)), FRAMES_ERR_FREE);
    machine_end(&machine);
}

TEST("frames: kernel, modules and page tables are used at first and can be freed once") {
    MACHINE(machine, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(5), SLIPWAY_MEM_KERNEL, true},
            {MIB(5), MIB(6), SLIPWAY_MEM_MODULE, true},
            {MIB(6), MIB(7), SLIPWAY_MEM_PAGE_TABLES, true});
    struct frames_statistics got = statistics(&machine);
    assert_int_equal(got.total_frames, 5 * 256);
    assert_int_equal(got.free_frames, 511);
    // A run over regions of different kinds, all of them used.
    assert_int_equal(frames_free_run(&machine.frames, paddr(MIB(4) + PAGE(9)), 600), FRAMES_OK);
    assert_int_equal(frames_free(&machine.frames, paddr(MIB(5))), FRAMES_ERR_FREE);
    assert_int_equal(statistics(&machine).free_frames, 1111);
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 600, 1), MIB(4) + PAGE(9));
    machine_end(&machine);
}

TEST("frames: reclaiming adds a kind once, and only those regions") {
    MACHINE(machine, {MIB(2), MIB(4), USABLE, true}, {MIB(4), MIB(5), SLIPWAY_MEM_LOADER, true},
            {MIB(5), MIB(6), SLIPWAY_MEM_BOOT_SERVICES, true},
            {GIB(1), GIB(1) + MIB(8), SLIPWAY_MEM_LOADER, true});
    struct frames *frames = &machine.frames;
    struct frames_statistics got = statistics(&machine);
    assert_int_equal(got.total_frames, 512);
    assert_int_equal(got.reclaimable_frames[SLIPWAY_MEM_LOADER], 256 + 2048);
    assert_int_equal(got.reclaimable_frames[SLIPWAY_MEM_BOOT_SERVICES], 256);
    uint64_t added = 99;
    assert_int_equal(frames_reclaim(frames, machine.regions, 4, USABLE, &added), FRAMES_ERR_MAP);
    assert_int_equal(frames_reclaim(frames, machine.regions, 4, SLIPWAY_MEM_KERNEL, &added),
                     FRAMES_ERR_MAP);
    assert_int_equal(frames_reclaim(frames, machine.regions, 4, 77, &added), FRAMES_ERR_MAP);
    // Other regions than those of the start: one is missing, one is larger, one is of another kind.
    assert_int_equal(frames_reclaim(frames, machine.regions, 3, SLIPWAY_MEM_LOADER, &added),
                     FRAMES_ERR_MAP);
    struct memmap_region others[4];
    memcpy(others, machine.regions, sizeof(others));
    others[3].end += FRAME_BYTES;
    assert_int_equal(frames_reclaim(frames, others, 4, SLIPWAY_MEM_LOADER, &added), FRAMES_ERR_MAP);
    others[3].end -= FRAME_BYTES;
    others[0].kind = SLIPWAY_MEM_LOADER;
    assert_int_equal(frames_reclaim(frames, others, 4, SLIPWAY_MEM_LOADER, &added), FRAMES_ERR_MAP);
    assert_int_equal(added, 99);
    assert_int_equal(statistics(&machine).free_frames, 511);

    assert_int_equal(frames_reclaim(frames, machine.regions, 4, SLIPWAY_MEM_LOADER, &added),
                     FRAMES_OK);
    assert_int_equal(added, 256 + 2048);
    assert_int_equal(frames_reclaim(frames, machine.regions, 4, SLIPWAY_MEM_LOADER, &added),
                     FRAMES_OK);
    assert_int_equal(added, 0);
    got = statistics(&machine);
    assert_int_equal(got.total_frames, 512 + 256 + 2048);
    assert_int_equal(got.free_frames, 511 + 256 + 2048);
    assert_int_equal(got.reclaimable_frames[SLIPWAY_MEM_LOADER], 0);
    assert_int_equal(got.largest_run_frames, 2048);
    assert_int_equal(alloc_run(&machine, FRAMES_ANY, 2048, 512), GIB(1));
    assert_int_equal(frames_free(frames, paddr(MIB(5))), FRAMES_ERR_FOREIGN);
    assert_int_equal(frames_free_run(frames, paddr(GIB(1)), 2048), FRAMES_OK);
    machine_end(&machine);
}

// --- Statistics and self-check ---

TEST("frames: the largest run is found across blocks, within one and above 1 MiB only") {
    MACHINE(machine, {0x1000, 0x9f000, USABLE, true}, {MIB(1), MIB(1) + PAGE(1), USABLE, true},
            {MIB(4) + PAGE(5), MIB(10) - PAGE(7), USABLE, true});
    assert_int_equal(statistics(&machine).largest_run_frames, 3 * 512 - 12);
    uint64_t all = alloc_run(&machine, FRAMES_ANY, 3 * 512 - 12, 1);
    assert_int_equal(all, MIB(4) + PAGE(5));
    assert_int_equal(statistics(&machine).largest_run_frames, 0);
    assert_int_equal(frames_free_run(&machine.frames, paddr(MIB(4) + PAGE(100)), 3), FRAMES_OK);
    assert_int_equal(frames_free_run(&machine.frames, paddr(MIB(6) - PAGE(2)), 5), FRAMES_OK);
    assert_int_equal(statistics(&machine).largest_run_frames, 5);
    machine_end(&machine);
}

TEST("frames: the self-check finds every counter and bit that is wrong") {
    const struct memmap_region regions[] = {{0x1000, 0x9f000, USABLE, true},
                                            {MIB(2), MIB(8), USABLE, true},
                                            {MIB(8), MIB(9), SLIPWAY_MEM_RESERVED, true}};
    struct machine machine = machine_make(regions, ARRAY_LEN(regions));
    machine_start(&machine);
    const struct frames good = machine.frames;
    char text[1024];
    for (int plant = 0; plant < 9; plant++) {
        struct frames *frames = &machine.frames;
        memset(machine.metadata, 0, machine.metadata_bytes);
        machine_start(&machine);
        switch (plant) {
        case 0:
            frames->free++;
            break;
        case 1:
            frames->total--;
            break;
        case 2:
            frames->low_free++;
            break;
        case 3:
            frames->blocks[1].free--;
            break;
        case 4:
            frames->lines[8 + 7] ^= 1;
            break;
        case 5:
            bit_tree_remove(&frames->some_free, 2);
            break;
        case 6:
            bit_tree_insert(&frames->all_free, 1);
            break;
        case 7:
            *frames->some_free.level[0] &= ~UINT64_C(2);
            break;
        case 8: // frame 0, which nobody manages, set free with all its counters
            frames->lines[0] |= 1;
            frames->blocks[0].free++;
            break;
        default:
            fail();
        }
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        uint64_t wrong = frames_check(frames, &sink);
        uint64_t lines = 0;
        for (const char *at = text; *at != '\0'; at++)
            lines += *at == '\n';
        if (wrong == 0 || wrong != lines)
            fail_msg("plant %d: %lu wrong, %lu lines", plant, wrong, lines);
    }
    machine.frames = good;
    memset(machine.metadata, 0, machine.metadata_bytes);
    machine_start(&machine);
    machine_end(&machine);
}

// --- A naive model ---

enum { MODEL_MAX = 16384 };

struct model_frame {
    uint64_t number;
    uint32_t kind;
    bool is_free;
    bool is_metadata;
};

// Every frame that has a region, in rising order.
struct model {
    struct model_frame frames[MODEL_MAX];
    uint64_t count;
    uint32_t reclaimed; // bit k
};

static void model_make(struct model *model, const struct machine *machine) {
    *model = (struct model){0};
    uint64_t metadata_end = machine->metadata_phys.value + machine->metadata_bytes;
    for (uint64_t i = 0; i < machine->count; i++) {
        const struct memmap_region *region = &machine->regions[i];
        for (uint64_t at = region->start; at < region->end; at += FRAME_BYTES) {
            assert_true(model->count < MODEL_MAX);
            bool is_metadata = at >= machine->metadata_phys.value && at < metadata_end;
            model->frames[model->count++] =
                (struct model_frame){at / FRAME_BYTES, region->kind,
                                     region->kind == USABLE && !is_metadata, is_metadata};
        }
    }
}

static bool model_is_managed(const struct model *model, const struct model_frame *frame) {
    bool is_reclaimed = (model->reclaimed >> frame->kind & 1) != 0;
    bool is_allocated = frame->kind >= SLIPWAY_MEM_MODULE && frame->kind <= SLIPWAY_MEM_PAGE_TABLES;
    return !frame->is_metadata && (frame->kind == USABLE || is_allocated || is_reclaimed);
}

// The first index of a free run in [low, high), aligned; model->count if there is none.
static uint64_t model_find(const struct model *model, uint64_t low, uint64_t high, uint64_t count,
                           uint64_t align) {
    for (uint64_t i = 0; i + count <= model->count; i++) {
        const struct model_frame *first = &model->frames[i];
        if (first->number % align != 0 || first->number < low || first->number + count > high)
            continue;
        uint64_t n = 0;
        while (n < count && first[n].number == first->number + n && first[n].is_free)
            n++;
        if (n == count)
            return i;
    }
    return model->count;
}

static uint64_t model_alloc(struct model *model, enum frames_zone zone, uint64_t count,
                            uint64_t align) {
    const uint64_t low = 256, high = UINT64_C(1) << 20, top = UINT64_MAX;
    uint64_t at = model->count;
    if (zone == FRAMES_ANY)
        at = model_find(model, high, top, count, align);
    if (at == model->count && zone != FRAMES_BELOW_1M)
        at = model_find(model, low, zone == FRAMES_ANY ? top : high, count, align);
    if (zone == FRAMES_BELOW_1M)
        at = model_find(model, 0, low, count, align);
    if (at == model->count)
        return NOTHING;
    for (uint64_t i = 0; i < count; i++)
        model->frames[at + i].is_free = false;
    return model->frames[at].number * FRAME_BYTES;
}

static enum frames_status model_free(struct model *model, uint64_t number, uint64_t count) {
    uint64_t at = 0;
    while (at < model->count && model->frames[at].number < number)
        at++;
    enum frames_status status = FRAMES_OK;
    for (uint64_t i = 0; i < count; i++) {
        struct model_frame *frame = &model->frames[at + i];
        if (at + i >= model->count || frame->number != number + i ||
            !model_is_managed(model, frame))
            return FRAMES_ERR_FOREIGN;
        if (frame->is_free)
            status = FRAMES_ERR_FREE;
    }
    for (uint64_t i = 0; i < count && status == FRAMES_OK; i++)
        model->frames[at + i].is_free = true;
    return status;
}

static uint64_t model_reclaim(struct model *model, uint32_t kind) {
    uint64_t added = 0;
    if ((model->reclaimed >> kind & 1) != 0)
        return 0;
    for (uint64_t i = 0; i < model->count; i++) {
        if (model->frames[i].kind == kind) {
            model->frames[i].is_free = true;
            added++;
        }
    }
    model->reclaimed |= UINT32_C(1) << kind;
    return added;
}

static void assert_equals_model(const struct machine *machine, const struct model *model) {
    uint64_t total = 0, free_count = 0, low_free = 0, run = 0, longest = 0;
    for (uint64_t i = 0; i < model->count; i++) {
        const struct model_frame *frame = &model->frames[i];
        total += frame->is_metadata || model_is_managed(model, frame);
        free_count += frame->is_free;
        low_free += frame->is_free && frame->number < 256;
        bool continues = i > 0 && frame[-1].number + 1 == frame->number && frame->number != 256;
        run = !frame->is_free || frame->number < 256 ? 0 : continues ? run + 1 : 1;
        longest = run > longest ? run : longest;
    }
    struct frames_statistics got = statistics(machine);
    assert_int_equal(got.total_frames, total);
    assert_int_equal(got.free_frames, free_count);
    assert_int_equal(got.used_frames, total - free_count);
    assert_int_equal(got.low_free_frames, low_free);
    assert_int_equal(got.largest_run_frames, longest);
    assert_int_equal(frames_check(&machine->frames, NULL), 0);
}

// Random sorted regions with holes from none to terabytes, and at least one with room for metadata.
static uint64_t random_regions(struct random *random, struct memmap_region *regions) {
    static const uint64_t holes[] = {0, 0, 0, 1, 3, 500, 512, 3000, 1u << 19, UINT64_C(1) << 30};
    uint64_t count = 2 + random_below(random, 10);
    uint64_t at = random_below(random, 300);
    for (uint64_t i = 0; i < count; i++) {
        at += holes[random_below(random, ARRAY_LEN(holes))];
        uint64_t frames = 1 + random_below(random, random_below(random, 2) == 0 ? 1200 : 40);
        uint32_t kind = random_below(random, 2) == 0
                            ? USABLE
                            : 1 + (uint32_t)random_below(random, SLIPWAY_MEM_ACPI_NVS);
        if (i == 0) {
            kind = USABLE;
            frames += 8;
        }
        regions[i] = (struct memmap_region){PAGE(at), PAGE(at + frames), kind, true};
        at += frames;
    }
    return count;
}

static uint64_t random_address(struct random *random, const struct machine *machine) {
    const struct memmap_region *region = &machine->regions[random_below(random, machine->count)];
    uint64_t frames = (region->end - region->start) / FRAME_BYTES;
    return region->start + PAGE(random_below(random, frames + 2)); // may be behind its end
}

static void random_step(struct random *random, struct machine *machine, struct model *model) {
    enum frames_zone zone = (enum frames_zone)random_below(random, FRAMES_ZONES);
    uint64_t count = 1 + random_below(random, random_below(random, 4) == 0 ? 1300 : 20);
    uint64_t align = UINT64_C(1) << random_below(random, 11);
    struct frames *frames = &machine->frames;
    switch (random_below(random, 5)) {
    case 0:
        assert_int_equal(alloc(machine, zone), model_alloc(model, zone, 1, 1));
        break;
    case 1:
        assert_int_equal(alloc_run(machine, zone, count, align),
                         model_alloc(model, zone, count, align));
        break;
    case 2: {
        uint64_t address = random_address(random, machine);
        assert_int_equal(frames_free(frames, paddr(address)),
                         model_free(model, address / FRAME_BYTES, 1));
        break;
    }
    case 3: {
        uint64_t address = random_address(random, machine);
        assert_int_equal(frames_free_run(frames, paddr(address), count),
                         model_free(model, address / FRAME_BYTES, count));
        break;
    }
    default:
        if (random_below(random, 20) == 0) {
            uint32_t kind = SLIPWAY_MEM_BOOT_SERVICES + (uint32_t)random_below(random, 3);
            uint64_t added;
            assert_int_equal(frames_reclaim(frames, machine->regions, machine->count, kind, &added),
                             FRAMES_OK);
            assert_int_equal(added, model_reclaim(model, kind));
        }
    }
}

TEST("frames: random operations on random maps do what the model does, to the frame") {
    static struct model model;
    struct random random = random_start("frames");
    for (int round = 0; round < 60; round++) {
        struct memmap_region regions[12];
        uint64_t count = random_regions(&random, regions);
        struct machine machine = machine_make(regions, count);
        machine_start(&machine);
        model_make(&model, &machine);
        for (int step = 0; step < 150; step++) {
            random_step(&random, &machine, &model);
            if (step % 10 == 0)
                assert_equals_model(&machine, &model);
        }
        assert_equals_model(&machine, &model);
        machine_end(&machine);
    }
}

TEST("frames: everything can be handed out once, and back again to the last frame") {
    MACHINE(machine, {0x1000, 0x9f000, USABLE, true}, {MIB(1), MIB(7) + PAGE(3), USABLE, true},
            {GIB(5), GIB(5) + MIB(3), USABLE, true});
    uint64_t before = statistics(&machine).free_frames;
    static uint64_t got[8192];
    uint64_t count = 0;
    for (int zone = 0; zone < FRAMES_ZONES; zone++) {
        uint64_t frame;
        while ((frame = alloc(&machine, (enum frames_zone)zone)) != NOTHING)
            got[count++] = frame;
    }
    assert_int_equal(count, before);
    assert_int_equal(statistics(&machine).free_frames, 0);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(frames_free(&machine.frames, paddr(got[i])), FRAMES_OK); // so none twice
    assert_int_equal(statistics(&machine).free_frames, before);
    machine_end(&machine);
}
