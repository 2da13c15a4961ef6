#include "common/memmap/memmap.h"

#include "common/base/addr.h"
#include "common/base/arith.h"

#include "tests/unit/support/memmap_model.h"
#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>

#define WB      MODEL_WB
#define RUNTIME MODEL_RUNTIME
#define SP      MODEL_SP
#define LIMIT   SLIPWAY_HHDM_MAX_BYTES

// A map under test and what became of it. Freed by map_free.
struct map {
    const struct model_descriptor *descriptors;
    uint64_t count;
    const struct memmap_claim *claims;
    uint64_t claim_count;
    uint64_t limit;
    uint64_t stride;
    struct memmap_region *regions;
    uint64_t region_count;
    struct memmap_report report;
};

// Memory of exactly `bytes` bytes, so that the sanitizer sees the first byte too many.
static void *exactly(uint64_t bytes) {
    void *memory = malloc(bytes == 0 ? 1 : bytes);
    assert_non_null(memory);
    return memory;
}

static enum memmap_status map_run(struct map *map) {
    unsigned char *raw = exactly(map->count * map->stride);
    for (uint64_t i = 0; i < map->count; i++)
        model_store(raw, i, map->stride, &map->descriptors[i]);
    uint64_t scratch_bytes = memmap_scratch_bytes(map->count, map->claim_count);
    uint64_t capacity = memmap_region_bound(map->count, map->claim_count);
    void *scratch = exactly(scratch_bytes);
    map->regions = exactly(capacity * sizeof(*map->regions));
    struct memmap_input input = {
        .efi = {raw, map->count * map->stride, map->stride},
        .claims = map->claims,
        .claim_count = map->claim_count,
        .limit = map->limit,
    };
    enum memmap_status status = memmap_normalise(&input, scratch, scratch_bytes, map->regions,
                                                 capacity, &map->region_count, &map->report);
    free(scratch);
    free(raw);
    return status;
}

static void map_free(struct map *map) {
    free(map->regions);
    map->regions = NULL;
}

#define MAP_OF(array)                                                                              \
    ((struct map){.descriptors = (array), .count = ARRAY_LEN(array), .limit = LIMIT, .stride = 48})

static void assert_regions(const struct map *map, const struct memmap_region *want,
                           uint64_t count) {
    assert_int_equal(map->region_count, count);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(map->regions[i].start, want[i].start);
        assert_int_equal(map->regions[i].end, want[i].end);
        assert_int_equal(map->regions[i].kind, want[i].kind);
        assert_int_equal(map->regions[i].direct, want[i].direct);
    }
}

#define ASSERT_REGIONS(map, ...)                                                                   \
    do {                                                                                           \
        const struct memmap_region want[] = {__VA_ARGS__};                                         \
        assert_regions((map), want, ARRAY_LEN(want));                                              \
    } while (0)

// Everything that is true of any result, and the totals of the report.
static void assert_sound(const struct map *map) {
    struct memmap_report sums = {0};
    for (uint64_t i = 0; i < map->region_count; i++) {
        const struct memmap_region *region = &map->regions[i];
        assert_true(region->start < region->end && region->end <= map->limit);
        assert_true(is_aligned(region->start | region->end, FRAME_BYTES));
        assert_in_range(region->kind, SLIPWAY_MEM_USABLE, SLIPWAY_MEM_KINDS - 1);
        if (i > 0) {
            const struct memmap_region *last = region - 1;
            assert_true(last->end <= region->start);
            assert_false(last->end == region->start && last->kind == region->kind &&
                         last->direct == region->direct);
        }
        sums.bytes[region->kind] += region->end - region->start;
        if (region->direct) {
            sums.direct_bytes += region->end - region->start;
            sums.direct_end = region->end;
        }
    }
    assert_memory_equal(sums.bytes, map->report.bytes, sizeof(sums.bytes));
    assert_int_equal(sums.direct_bytes, map->report.direct_bytes);
    assert_int_equal(sums.direct_end, map->report.direct_end);
    assert_int_equal(map->report.descriptors, map->count);
}

static void run_sound(struct map *map) {
    assert_int_equal(map_run(map), MEMMAP_OK);
    assert_sound(map);
}

// --- Rules, one by one ---

TEST("memmap: a plain map comes out as it went in, with its kinds and the direct map") {
    const struct model_descriptor descriptors[] = {
        {3, 0x1000, 1, WB},  {7, 0x2000, 2, WB},          {2, 0x4000, 1, WB},  {9, 0x5000, 1, WB},
        {10, 0x6000, 1, WB}, {6, 0x7000, 1, WB},          {14, 0x8000, 1, WB}, {15, 0x9000, 1, WB},
        {0, 0xa000, 1, WB},  {13, 0xb000, 1, WB},         {8, 0xc000, 1, WB},  {11, 0xd000, 1, 1},
        {12, 0xe000, 1, 1},  {0x70000000, 0x10000, 1, WB}};
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    ASSERT_REGIONS(
        &map, {0x1000, 0x2000, SLIPWAY_MEM_BOOT_SERVICES, true},
        {0x2000, 0x4000, SLIPWAY_MEM_USABLE, true}, {0x4000, 0x5000, SLIPWAY_MEM_LOADER, true},
        {0x5000, 0x6000, SLIPWAY_MEM_ACPI_RECLAIM, true},
        {0x6000, 0x7000, SLIPWAY_MEM_ACPI_NVS, true}, {0x7000, 0x8000, SLIPWAY_MEM_RUNTIME, true},
        {0x8000, 0x9000, SLIPWAY_MEM_PERSISTENT, false},
        {0x9000, 0xa000, SLIPWAY_MEM_UNACCEPTED, false},
        {0xa000, 0xc000, SLIPWAY_MEM_RESERVED, false},
        {0xc000, 0xd000, SLIPWAY_MEM_UNUSABLE, false}, {0xd000, 0xf000, SLIPWAY_MEM_MMIO, false},
        {0x10000, 0x11000, SLIPWAY_MEM_RESERVED, false});
    assert_int_equal(map.report.odd[MEMMAP_ODD_UNKNOWN_TYPE], 1);
    map_free(&map);
}

TEST("memmap: zero pages and ends that do not fit in 64 bits are ignored and counted") {
    const struct model_descriptor descriptors[] = {
        {7, 0x100000, 0, WB},
        {0, 0x1000, UINT64_C(1) << 52, WB},        // pages * 4096 is 0, modulo 2^64
        {0, 0x1000, (UINT64_C(1) << 52) + 16, WB}, // and 64 KiB
        {0, 0xfffffffffffff000, 1, WB},            // ends at 2^64
        {0, 0xffffffffffff0000, 17, WB},
        {7, 0x200000, 1, WB}};
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    ASSERT_REGIONS(&map, {0x200000, 0x201000, SLIPWAY_MEM_USABLE, true});
    assert_int_equal(map.report.odd[MEMMAP_ODD_ZERO_PAGES], 1);
    assert_int_equal(map.report.odd[MEMMAP_ODD_WRAPS], 4);
    assert_int_equal(map.report.odd[MEMMAP_ODD_BEYOND_LIMIT], 0);
    assert_int_equal(map.report.odd[MEMMAP_ODD_UNSORTED], 0);
    map_free(&map);
}

TEST("memmap: what reaches beyond the limit is cut there, and general memory is none") {
    const struct model_descriptor descriptors[] = {
        {7, LIMIT - 0x3000, 4, WB},      // no memory
        {7, LIMIT - 0x2000, 1, WB},      // below
        {4, LIMIT - 0x1000, 2, WB},      // no memory
        {0, LIMIT - 0x1000, 2, WB},      // cut
        {5, LIMIT, 1, WB},               // nothing left
        {7, LIMIT - 0x4000, 8, WB | SP}, // reserved, so cut; RAM in the direct map up to the limit
    };
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    ASSERT_REGIONS(&map, {LIMIT - 0x4000, LIMIT - 0x1000, SLIPWAY_MEM_SOFT_RESERVED, true},
                   {LIMIT - 0x1000, LIMIT, SLIPWAY_MEM_RESERVED, false});
    assert_int_equal(map.report.odd[MEMMAP_ODD_BEYOND_LIMIT], 5);
    map_free(&map);
}

TEST("memmap: general memory that reaches beyond the limit makes that of others less usable") {
    const struct model_descriptor descriptors[] = {
        {7, LIMIT - 0x6000, 6, WB}, {9, LIMIT - 0x6000, 1, WB},
        {4, LIMIT - 0x7000, 8, WB}, // the first frame is nobody else's, and stays absent
        {7, LIMIT - 0x7000, 8, WB}, // agrees with the usable ones
        {2, LIMIT - 0x1800, 9, WB}, // touches one frame, covers one
        {9, LIMIT, 1, WB},          // says nothing below
        {0, LIMIT - 0x3000, 1, WB}, // worse than all of them
    };
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    ASSERT_REGIONS(&map, {LIMIT - 0x6000, LIMIT - 0x5000, SLIPWAY_MEM_ACPI_RECLAIM, true},
                   {LIMIT - 0x5000, LIMIT - 0x3000, SLIPWAY_MEM_BOOT_SERVICES, true},
                   {LIMIT - 0x3000, LIMIT - 0x2000, SLIPWAY_MEM_RESERVED, false},
                   {LIMIT - 0x2000, LIMIT, SLIPWAY_MEM_LOADER, true});
    assert_int_equal(map.report.odd[MEMMAP_ODD_BEYOND_LIMIT], 4);
    assert_int_equal(map.report.odd[MEMMAP_ODD_OVERLAP], 2);
    map_free(&map);
}

TEST("memmap: general memory needs WB and neither RUNTIME nor SP") {
    const struct model_descriptor descriptors[] = {
        {7, 0x100000, 1, 7},
        {7, 0x102000, 1, WB | RUNTIME},
        {7, 0x104000, 1, WB | SP},
        {4, 0x106000, 1, 0},
        {2, 0x108000, 1, WB | RUNTIME},
        {9, 0x10a000, 1, WB | SP},
        {7, 0x10c000, 1, SP | RUNTIME},
        {6, 0x10e000, 1, RUNTIME},
    };
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    ASSERT_REGIONS(&map, {0x100000, 0x101000, SLIPWAY_MEM_RESERVED, false},
                   {0x102000, 0x103000, SLIPWAY_MEM_RUNTIME, true},
                   {0x104000, 0x105000, SLIPWAY_MEM_SOFT_RESERVED, true},
                   {0x106000, 0x107000, SLIPWAY_MEM_RESERVED, false},
                   {0x108000, 0x109000, SLIPWAY_MEM_RUNTIME, true},
                   {0x10a000, 0x10b000, SLIPWAY_MEM_SOFT_RESERVED, true},
                   {0x10c000, 0x10d000, SLIPWAY_MEM_RESERVED, false},
                   {0x10e000, 0x10f000, SLIPWAY_MEM_RUNTIME, false});
    assert_int_equal(map.report.odd[MEMMAP_ODD_RAM_WITHOUT_WB], 4);
    assert_int_equal(map.report.odd[MEMMAP_ODD_RUNTIME_ON_RAM], 3);
    assert_int_equal(map.report.odd[MEMMAP_ODD_SOFT_RESERVED], 3);
    map_free(&map);
}

TEST("memmap: where descriptors overlap the less usable one wins") {
    const struct model_descriptor descriptors[] = {
        {7, 0x100000, 16, WB},
        {4, 0x102000, 4, WB},  // boot services over usable
        {6, 0x103000, 1, WB},  // runtime over both
        {11, 0x108000, 1, 1},  // MMIO over usable: not in the direct map
        {7, 0x10e000, 4, WB}}; // usable twice
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    ASSERT_REGIONS(&map, {0x100000, 0x102000, SLIPWAY_MEM_USABLE, true},
                   {0x102000, 0x103000, SLIPWAY_MEM_BOOT_SERVICES, true},
                   {0x103000, 0x104000, SLIPWAY_MEM_RUNTIME, true},
                   {0x104000, 0x106000, SLIPWAY_MEM_BOOT_SERVICES, true},
                   {0x106000, 0x108000, SLIPWAY_MEM_USABLE, true},
                   {0x108000, 0x109000, SLIPWAY_MEM_MMIO, false},
                   {0x109000, 0x112000, SLIPWAY_MEM_USABLE, true});
    assert_int_equal(map.report.odd[MEMMAP_ODD_OVERLAP], 3);
    map_free(&map);
}

TEST("memmap: of an unaligned descriptor only whole frames are general memory") {
    const struct model_descriptor descriptors[] = {
        {7, 0x100800, 3, WB},                       // whole: 0x101000 to 0x103000
        {4, 0x108800, 1, WB},                       // touches two frames, covers none
        {0, 0x110800, 1, WB},                       // reserved: every frame it touches
        {7, 0x120800, 2, WB}, {7, 0x121800, 2, WB}, // none covers 0x121000 or 0x122000 but one
    };
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    ASSERT_REGIONS(&map, {0x100000, 0x101000, SLIPWAY_MEM_RESERVED, false},
                   {0x101000, 0x103000, SLIPWAY_MEM_USABLE, true},
                   {0x103000, 0x104000, SLIPWAY_MEM_RESERVED, false},
                   {0x108000, 0x10a000, SLIPWAY_MEM_RESERVED, false},
                   {0x110000, 0x112000, SLIPWAY_MEM_RESERVED, false},
                   {0x120000, 0x121000, SLIPWAY_MEM_RESERVED, false},
                   {0x121000, 0x123000, SLIPWAY_MEM_USABLE, true},
                   {0x123000, 0x124000, SLIPWAY_MEM_RESERVED, false});
    assert_int_equal(map.report.odd[MEMMAP_ODD_UNALIGNED], 5);
    map_free(&map);
}

TEST("memmap: frame 0 and the legacy hole are reserved, but stay in the direct map") {
    const struct model_descriptor descriptors[] = {{7, 0, 0x200, WB}};
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    ASSERT_REGIONS(&map, {0, 0x1000, SLIPWAY_MEM_RESERVED, true},
                   {0x1000, 0xa0000, SLIPWAY_MEM_USABLE, true},
                   {0xa0000, 0x100000, SLIPWAY_MEM_RESERVED, true},
                   {0x100000, 0x200000, SLIPWAY_MEM_USABLE, true});
    assert_int_equal(map.report.odd[MEMMAP_ODD_FRAME_0], 1);
    assert_int_equal(map.report.odd[MEMMAP_ODD_LEGACY_HOLE], 1);
    map_free(&map);
}

TEST("memmap: a claim makes memory less usable, never more; a reserved one unmaps it") {
    const struct model_descriptor descriptors[] = {{7, 0x100000, 8, WB}, {0, 0x108000, 1, 1}};
    const struct memmap_claim claims[] = {
        {0x101000, 0x2000, SLIPWAY_MEM_KERNEL},   {0x102000, 0x1000, SLIPWAY_MEM_PAGE_TABLES},
        {0x104000, 0x1000, SLIPWAY_MEM_RESERVED}, {0x105000, 0x1000, SLIPWAY_MEM_USABLE},
        {0x108000, 0x1000, SLIPWAY_MEM_LOADER}, // firmware says it is worse
        {0x200000, 0x1000, SLIPWAY_MEM_MODULE}, // firmware says nothing: absent stays absent
    };
    struct map map = MAP_OF(descriptors);
    map.claims = claims;
    map.claim_count = ARRAY_LEN(claims);
    run_sound(&map);
    ASSERT_REGIONS(&map, {0x100000, 0x101000, SLIPWAY_MEM_USABLE, true},
                   {0x101000, 0x102000, SLIPWAY_MEM_KERNEL, true},
                   {0x102000, 0x103000, SLIPWAY_MEM_PAGE_TABLES, true},
                   {0x103000, 0x104000, SLIPWAY_MEM_USABLE, true},
                   {0x104000, 0x105000, SLIPWAY_MEM_RESERVED, false},
                   {0x105000, 0x108000, SLIPWAY_MEM_USABLE, true},
                   {0x108000, 0x109000, SLIPWAY_MEM_RESERVED, false});
    assert_int_equal(map.report.odd[MEMMAP_ODD_OVERLAP], 0);
    map_free(&map);
}

TEST("memmap: oddities of order and merging are counted") {
    const struct model_descriptor descriptors[] = {
        {0, 0, 1, 0}, // could be one with nothing: none is before it
        {7, 0x300000, 1, WB},
        {7, 0x301000, 1, WB},     // could have been one with the one before,
        {7, 0x302000, 1, WB},     // this too,
        {7, 0x303000, 1, WB},     // and this: more of these than of any other pair
        {7, 0x304000, 1, WB | 1}, // other attributes: could not
        {4, 0x305000, 1, WB | 1}, // nor with another type,
        {4, 0x307000, 1, WB | 1}, // nor with a gap
        {7, 0x100000, 1, WB},     // unsorted
        {4, 0x100000, 1, WB},     // an overlap, and sorted
    };
    struct map map = MAP_OF(descriptors);
    run_sound(&map);
    const uint64_t want[MEMMAP_ODDITIES] = {
        [MEMMAP_ODD_UNMERGED] = 3, [MEMMAP_ODD_UNSORTED] = 1, [MEMMAP_ODD_OVERLAP] = 1};
    assert_memory_equal(map.report.odd, want, sizeof(want));
    map_free(&map);
}

TEST("memmap: the largest map takes all of its scratch memory, and all but the room for frame 0") {
    // Boot services, each of which covers two frames in part and one whole, within usable memory,
    // with the hole and claims.
    const struct model_descriptor descriptors[] = {
        {7, 0x800, 0x300, WB}, {4, 0x110800, 2, WB}, {4, 0x120800, 2, WB}};
    const struct memmap_claim claims[] = {{0x130000, 0x1000, SLIPWAY_MEM_KERNEL},
                                          {0x140000, 0x1000, SLIPWAY_MEM_KERNEL},
                                          {0x150000, 0x1000, SLIPWAY_MEM_KERNEL}};
    struct map map = MAP_OF(descriptors);
    map.claims = claims;
    map.claim_count = ARRAY_LEN(claims);
    run_sound(&map);
    assert_int_equal(map.region_count + 3, memmap_region_bound(map.count, map.claim_count));
    // Two edges of each range, twice: of three ranges each, of a claim each, and of policy 5.
    assert_int_equal(2 * 2 * (3 * map.count + map.claim_count + 2) * sizeof(uint64_t),
                     memmap_scratch_bytes(map.count, map.claim_count));
    map_free(&map);
}

TEST("memmap: an empty map has no regions and is odd") {
    struct map map = {.limit = LIMIT, .stride = 40};
    run_sound(&map);
    assert_int_equal(map.region_count, 0);
    assert_int_equal(map.report.odd[MEMMAP_ODD_EMPTY], 1);
    map_free(&map);
}

// --- Refusals ---

static enum memmap_status normalise(const struct memmap_input *input, uint64_t scratch_bytes,
                                    uint64_t capacity) {
    static uint64_t scratch[256];
    static struct memmap_region regions[64];
    assert_true(scratch_bytes <= sizeof(scratch) && capacity <= ARRAY_LEN(regions));
    uint64_t count;
    struct memmap_report report;
    return memmap_normalise(input, scratch, scratch_bytes, regions, capacity, &count, &report);
}

TEST("memmap: bad strides, limits, scratch and room are refused") {
    unsigned char raw[3 * 48];
    const struct model_descriptor descriptors[] = {
        {7, 0x100000, 1, WB}, {7, 0x200000, 1, WB}, {7, 0x300000, 1, WB}};
    for (uint64_t i = 0; i < 3; i++)
        model_store(raw, i, 48, &descriptors[i]);
    const struct memmap_input good = {.efi = {raw, sizeof(raw), 48}, .limit = LIMIT};
    uint64_t scratch = memmap_scratch_bytes(3, 0);
    assert_int_equal(normalise(&good, scratch, 3), MEMMAP_OK);
    assert_int_equal(normalise(&good, scratch, 2), MEMMAP_ERR_ROOM);
    assert_int_equal(normalise(&good, scratch - 1, 3), MEMMAP_ERR_SCRATCH);
    struct memmap_input bad = good;
    bad.efi.stride = 0;
    assert_int_equal(normalise(&bad, scratch, 3), MEMMAP_ERR_STRIDE);
    bad.efi.stride = 36;
    assert_int_equal(normalise(&bad, scratch, 3), MEMMAP_ERR_STRIDE);
    bad = good;
    bad.efi.bytes--;
    assert_int_equal(normalise(&bad, scratch, 3), MEMMAP_ERR_STRIDE);
    bad = good;
    bad.limit = 0;
    assert_int_equal(normalise(&bad, scratch, 3), MEMMAP_ERR_LIMIT);
    bad.limit = LIMIT - 1;
    assert_int_equal(normalise(&bad, scratch, 3), MEMMAP_ERR_LIMIT);
}

TEST("memmap: claims that are empty, unaligned, wrapping or of unknown kind are refused") {
    const struct memmap_claim claims[] = {
        {0x1000, 0, SLIPWAY_MEM_KERNEL},     {0x1800, 0x1000, SLIPWAY_MEM_KERNEL},
        {0x1000, 0x800, SLIPWAY_MEM_KERNEL}, {UINT64_MAX - 0xfff, 0x1000, SLIPWAY_MEM_KERNEL},
        {0x1000, 0x1000, SLIPWAY_MEM_KINDS}, {0x1000, 0x1000, 0},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(claims); i++) {
        struct memmap_input input = {
            .efi = {"", 0, 40}, .claims = &claims[i], .claim_count = 1, .limit = LIMIT};
        assert_int_equal(normalise(&input, memmap_scratch_bytes(0, 1), 8), MEMMAP_ERR_CLAIM);
    }
}

TEST("memmap: every kind and every oddity has a name of its own") {
    for (uint32_t a = 1; a < SLIPWAY_MEM_KINDS; a++) {
        assert_string_not_equal(memmap_kind_text(a), "unknown");
        for (uint32_t b = a + 1; b < SLIPWAY_MEM_KINDS; b++)
            assert_string_not_equal(memmap_kind_text(a), memmap_kind_text(b));
    }
    for (int a = 0; a < MEMMAP_ODDITIES; a++) {
        assert_true(strlen(memmap_oddity_text((enum memmap_oddity)a)) > 0);
        for (int b = a + 1; b < MEMMAP_ODDITIES; b++)
            assert_string_not_equal(memmap_oddity_text((enum memmap_oddity)a),
                                    memmap_oddity_text((enum memmap_oddity)b));
    }
    assert_string_equal(memmap_kind_text(SLIPWAY_MEM_KINDS), "unknown");
    assert_string_equal(memmap_oddity_text(MEMMAP_ODDITIES), "unknown");
}

// --- Properties ---

enum { MODEL_FRAMES = 400, MODEL_DESCRIPTORS = 24, MODEL_CLAIMS = 4 };

static struct model_descriptor random_descriptor(struct random *random) {
    static const uint32_t types[] = {7, 7, 7, 4,  3,  2,  1,  9,  10, 6,
                                     5, 0, 8, 11, 12, 13, 14, 15, 77};
    static const uint64_t attributes[] = {WB, WB, WB,           WB,      0xf,
                                          7,  0,  WB | RUNTIME, WB | SP, RUNTIME};
    uint64_t start = random_below(random, MODEL_FRAMES + 8) * FRAME_BYTES;
    if (random_below(random, 4) == 0)
        start += random_below(random, FRAME_BYTES);
    return (struct model_descriptor){
        .type = types[random_below(random, ARRAY_LEN(types))],
        .start = start,
        .pages = random_below(random, random_below(random, 4) == 0 ? 200 : 12),
        .attributes = attributes[random_below(random, ARRAY_LEN(attributes))],
    };
}

static void assert_equals_model(const struct map *map) {
    uint64_t region = 0;
    for (uint64_t at = 0; at < (MODEL_FRAMES + 300) * FRAME_BYTES; at += FRAME_BYTES) {
        struct model_frame want = model_frame(map->descriptors, map->count, map->claims,
                                              map->claim_count, map->limit, at);
        while (region < map->region_count && map->regions[region].end <= at)
            region++;
        struct model_frame got = {0};
        if (region < map->region_count && map->regions[region].start <= at)
            got = (struct model_frame){map->regions[region].kind, map->regions[region].direct};
        if (got.kind != want.kind || got.direct != want.direct)
            fail_msg("frame %lx: kind %u direct %d, the model says %u %d", at, got.kind, got.direct,
                     want.kind, want.direct);
    }
}

TEST("memmap: random small maps equal the model, frame by frame") {
    struct random random = random_start("memmap");
    for (int round = 0; round < 400; round++) {
        struct model_descriptor descriptors[MODEL_DESCRIPTORS];
        struct memmap_claim claims[MODEL_CLAIMS];
        struct map map = {.descriptors = descriptors, .claims = claims, .stride = 48};
        map.count = random_below(&random, MODEL_DESCRIPTORS + 1);
        map.claim_count = random_below(&random, MODEL_CLAIMS + 1);
        map.limit = (1 + random_below(&random, MODEL_FRAMES + 100)) * FRAME_BYTES;
        for (uint64_t i = 0; i < map.count; i++)
            descriptors[i] = random_descriptor(&random);
        for (uint64_t i = 0; i < map.claim_count; i++)
            claims[i] = (struct memmap_claim){
                random_below(&random, MODEL_FRAMES) * FRAME_BYTES,
                (1 + random_below(&random, 30)) * FRAME_BYTES,
                1 + (uint32_t)random_below(&random, SLIPWAY_MEM_KINDS - 1),
            };
        run_sound(&map);
        assert_equals_model(&map);
        map_free(&map);
    }
}

TEST("memmap: any order and any stride give the same regions") {
    struct random random = random_start("memmap order");
    for (int round = 0; round < 100; round++) {
        struct model_descriptor descriptors[MODEL_DESCRIPTORS];
        for (uint64_t i = 0; i < MODEL_DESCRIPTORS; i++)
            descriptors[i] = random_descriptor(&random);
        struct map first = MAP_OF(descriptors);
        run_sound(&first);
        for (uint64_t stride = 40; stride <= 56; stride += 8) {
            struct model_descriptor shuffled[MODEL_DESCRIPTORS];
            memcpy(shuffled, descriptors, sizeof(shuffled));
            for (uint64_t i = MODEL_DESCRIPTORS; i-- > 1;) {
                uint64_t other = random_below(&random, i + 1);
                struct model_descriptor swap = shuffled[i];
                shuffled[i] = shuffled[other];
                shuffled[other] = swap;
            }
            struct map again = MAP_OF(shuffled);
            again.stride = stride;
            run_sound(&again);
            assert_regions(&again, first.regions, first.region_count);
            for (int odd = 0; odd < MEMMAP_ODDITIES; odd++) {
                if (odd != MEMMAP_ODD_UNSORTED && odd != MEMMAP_ODD_UNMERGED)
                    assert_int_equal(again.report.odd[odd], first.report.odd[odd]);
            }
            map_free(&again);
        }
        map_free(&first);
    }
}

// So many that a sort which takes a pass for each of them does not end in time.
TEST("memmap: two hundred thousand overlapping descriptors in falling order are sorted out") {
    enum { COUNT = 200000 };
    struct model_descriptor *descriptors = exactly(COUNT * sizeof(*descriptors));
    for (uint64_t i = 0; i < COUNT; i++)
        descriptors[i] = (struct model_descriptor){i % 2 == 0 ? 7 : 4,
                                                   0x100000 + (COUNT - i) * 2 * FRAME_BYTES, 3, WB};
    struct map map = {.descriptors = descriptors, .count = COUNT, .limit = LIMIT, .stride = 48};
    run_sound(&map);
    // Every other one is boot services, whose edges win over usable memory on both sides.
    assert_int_equal(map.report.bytes[SLIPWAY_MEM_BOOT_SERVICES], COUNT / 2 * 3 * FRAME_BYTES);
    assert_int_equal(map.report.bytes[SLIPWAY_MEM_USABLE], (COUNT / 2 * 1 + 1) * FRAME_BYTES);
    assert_int_equal(map.region_count, COUNT);
    assert_int_equal(map.report.odd[MEMMAP_ODD_OVERLAP], COUNT - 1);
    map_free(&map);
    free(descriptors);
}

TEST("memmap: a hundred thousand descriptors in random order, some empty or wrapping, come out") {
    enum { COUNT = 100000 };
    struct random random = random_start("memmap of many");
    struct model_descriptor *descriptors = exactly(COUNT * sizeof(*descriptors));
    for (uint64_t i = 0; i < COUNT; i++) {
        struct model_descriptor d = {i % 2 == 0 ? 7 : 4, 0x100000 + i * 2 * FRAME_BYTES, 2, WB};
        if (i % 10 == 8)
            d.pages = i % 20 == 8 ? 0 : UINT64_MAX / FRAME_BYTES;
        uint64_t other = random_below(&random, i + 1);
        descriptors[i] = descriptors[other];
        descriptors[other] = d;
    }
    struct map map = {.descriptors = descriptors, .count = COUNT, .limit = LIMIT, .stride = 44};
    run_sound(&map);
    assert_int_equal(map.report.odd[MEMMAP_ODD_ZERO_PAGES], COUNT / 20);
    assert_int_equal(map.report.odd[MEMMAP_ODD_WRAPS], COUNT / 20);
    assert_int_equal(map.region_count, COUNT / 10 * 9);
    uint64_t region = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        if (i % 10 == 8)
            continue;
        assert_int_equal(map.regions[region].start, 0x100000 + i * 2 * FRAME_BYTES);
        assert_int_equal(map.regions[region].end, 0x100000 + (i + 1) * 2 * FRAME_BYTES);
        assert_int_equal(map.regions[region++].kind,
                         i % 2 == 0 ? SLIPWAY_MEM_USABLE : SLIPWAY_MEM_BOOT_SERVICES);
    }
    map_free(&map);
    free(descriptors);
}

TEST("memmap: what a range of the loader is, and whether it comes back, follows from its purpose") {
    static const struct {
        uint32_t purpose, kind;
        bool is_reclaimable;
    } purposes[] = {
        {0, SLIPWAY_MEM_RESERVED, false},
        {SLIPWAY_RANGE_KERNEL, SLIPWAY_MEM_KERNEL, false},
        {SLIPWAY_RANGE_MODULE, SLIPWAY_MEM_MODULE, true},
        {SLIPWAY_RANGE_PAGE_TABLES, SLIPWAY_MEM_PAGE_TABLES, false},
        {SLIPWAY_RANGE_STACK, SLIPWAY_MEM_LOADER, true},
        {SLIPWAY_RANGE_BOOT_INFO, SLIPWAY_MEM_LOADER, true},
        {SLIPWAY_RANGE_LOADER, SLIPWAY_MEM_LOADER, true},
        {SLIPWAY_RANGE_DEMOTED, SLIPWAY_MEM_RESERVED, false},
        {SLIPWAY_RANGE_CPUS, SLIPWAY_MEM_MODULE, true}, // not with the loader's: CPUs run there
        {SLIPWAY_RANGE_GUARD, SLIPWAY_MEM_RESERVED, false},
        {SLIPWAY_RANGE_SYMBOLS, SLIPWAY_MEM_MODULE, true}, // the kernel may go on using them
        {SLIPWAY_RANGE_CRASH, SLIPWAY_MEM_MODULE, true},
        {SLIPWAY_RANGE_CRASH + 1, SLIPWAY_MEM_RESERVED, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
        assert_int_equal(memmap_kind_of_purpose(purposes[i].purpose), purposes[i].kind);
        assert_int_equal(memmap_purpose_is_reclaimable(purposes[i].purpose),
                         purposes[i].is_reclaimable);
    }
}
