// The list of the firmware's pages: sorted and merged, bounded, and with the cache type of each.
#include "loader/firmware_pages.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

static struct firmware_pages pages;

static void start(uint64_t limit) {
    pages = (struct firmware_pages){.limit = limit};
}

static void add(uint64_t phys, uint64_t bytes) {
    assert_true(firmware_pages_add(&pages, phys, bytes));
}

static void refuse(uint64_t phys, uint64_t bytes) {
    struct firmware_pages before = pages;
    assert_false(firmware_pages_add(&pages, phys, bytes));
    assert_memory_equal(&pages, &before, sizeof(pages));
}

static void expect(const struct plan_firmware *want, uint32_t count) {
    uint64_t bytes = 0;
    assert_int_equal(pages.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(pages.ranges[i].start, want[i].start);
        assert_int_equal(pages.ranges[i].end, want[i].end);
        assert_int_equal(pages.ranges[i].cache, want[i].cache);
        bytes += want[i].end - want[i].start;
    }
    assert_int_equal(pages.bytes, bytes);
}
#define EXPECT(...)                                                                                \
    do {                                                                                           \
        const struct plan_firmware want[] = {__VA_ARGS__};                                         \
        expect(want, ARRAY_LEN(want));                                                             \
    } while (0)

TEST(
    "firmware pages: whole pages are listed, in rising order, and those that touch are one range") {
    start(GIB(1));
    add(0x5004, 0x20);
    EXPECT({0x5000, 0x6000, 0});
    add(0x8fff, 2);
    add(0x2000, 0x1000);
    EXPECT({0x2000, 0x3000, 0}, {0x5000, 0x6000, 0}, {0x8000, 0xa000, 0});
    add(0x5010, 1); // known
    add(0x6000, 1); // just above
    add(0x4fff, 1); // just below
    EXPECT({0x2000, 0x3000, 0}, {0x4000, 0x7000, 0}, {0x8000, 0xa000, 0});
    add(0x7000, 1);
    EXPECT({0x2000, 0x3000, 0}, {0x4000, 0xa000, 0});
    add(0xb000, 0);
    EXPECT({0x2000, 0x3000, 0}, {0x4000, 0xa000, 0});
    add(0x1000, 0xf000);
    EXPECT({0x1000, 0x10000, 0});
    add(0x0, 1);
    EXPECT({0x0, 0x10000, 0});
}

TEST("firmware pages: nothing is listed beyond the limit, and nothing wraps") {
    start(0x10000);
    refuse(0x10000, 1);
    refuse(0xffff, 2);
    refuse(0x8000, UINT64_MAX);
    refuse(UINT64_MAX, 1);
    add(0xffff, 1);
    EXPECT({0xf000, 0x10000, 0});
    add(0, 0x10000);
    EXPECT({0x0, 0x10000, 0});
}

TEST("firmware pages: one range more than there is room for is refused, one that touches is not") {
    start(GIB(1));
    for (uint64_t i = 0; i < PLAN_FIRMWARE_MAX; i++)
        add(0x100000 + i * 0x2000, 1);
    refuse(0x1000, 1);
    refuse(0x1000000, 1);
    add(0x101000, 1);
    assert_int_equal(pages.count, PLAN_FIRMWARE_MAX - 1);
    add(0x1000000, 1);
    refuse(0x2000000, 1);
}

TEST("firmware pages: no more bytes than there is room for are listed, however they overlap") {
    start(GIB(4));
    add(0, PLAN_FIRMWARE_BYTES_MAX - FRAME_BYTES);
    refuse(GIB(1), FRAME_BYTES + 1);
    add(GIB(1), FRAME_BYTES);
    refuse(GIB(2), 1);
    refuse(GIB(1) + FRAME_BYTES, 1);
    add(0x1000, MIB(1)); // known
    refuse(0, PLAN_FIRMWARE_BYTES_MAX);
}

// ---- Cache types

enum { FRAMES = 48, DESCRIPTORS_MAX = 12 };
#define USUAL (EFI_ATTRIBUTE_UC | EFI_ATTRIBUTE_WC | EFI_ATTRIBUTE_WT | EFI_ATTRIBUTE_WB)

static struct raw {
    uint32_t type, padding;
    uint64_t start, virt, pages, attributes, more;
} descriptors[DESCRIPTORS_MAX];

static uint64_t set_cache(uint32_t count, const struct slipway_framebuffer *framebuffer) {
    struct firmware_memory memory = {
        .efi = {descriptors, count * sizeof(descriptors[0]), sizeof(descriptors[0])},
        .framebuffers = framebuffer,
        .framebuffer_count = framebuffer == NULL ? 0 : 1,
    };
    return firmware_pages_set_cache(&pages, &memory);
}

TEST("firmware pages: memory that can be write-back is, all else is uncached") {
    descriptors[0] = (struct raw){EFI_TYPE_RESERVED, 0, 0x2000, 0, 2, USUAL, 0};
    descriptors[1] = (struct raw){EFI_TYPE_RESERVED, 0, 0x4000, 0, 1, EFI_ATTRIBUTE_UC, 0};
    descriptors[2] = (struct raw){EFI_TYPE_MMIO, 0, 0x5000, 0, 1, USUAL, 0};
    descriptors[3] = (struct raw){EFI_TYPE_MMIO_PORTS, 0, 0x7000, 0, 1, USUAL, 0};
    descriptors[4] = (struct raw){EFI_TYPE_UNUSABLE, 0, 0x8000, 0, 2, EFI_ATTRIBUTE_WB, 0};
    start(GIB(1));
    add(0x1000, 0x9000);
    assert_int_equal(set_cache(5, NULL), 0);
    EXPECT({0x1000, 0x2000, 3}, {0x2000, 0x4000, 0}, {0x4000, 0x8000, 3}, {0x8000, 0xa000, 0});
    start(GIB(1));
    add(0x3000, 1);
    add(0x6000, 1);
    assert_int_equal(set_cache(5, NULL), 0);
    EXPECT({0x3000, 0x4000, 0}, {0x6000, 0x7000, 3});
    assert_int_equal(set_cache(0, NULL), 0);
    EXPECT({0x3000, 0x4000, 3}, {0x6000, 0x7000, 3});
}

TEST(
    "firmware pages: of descriptors that overlap or are not aligned, the one that says less counts") {
    descriptors[0] = (struct raw){EFI_TYPE_RESERVED, 0, 0x2800, 0, 3, USUAL, 0};
    descriptors[1] = (struct raw){EFI_TYPE_RESERVED, 0, 0x4fff, 0, 1, EFI_ATTRIBUTE_UC, 0};
    descriptors[2] = (struct raw){EFI_TYPE_RESERVED, 0, 0x8000, 0, 4, USUAL, 0};
    descriptors[3] = (struct raw){EFI_TYPE_RESERVED, 0, 0x9000, 0, 1, 0, 0};
    descriptors[4] = (struct raw){EFI_TYPE_RESERVED, 0, 0x9000, 0, UINT64_MAX, 0, 0}; // none
    start(GIB(1));
    add(0x1000, 0xb000);
    assert_int_equal(set_cache(5, NULL), 0);
    EXPECT({0x1000, 0x3000, 3}, {0x3000, 0x4000, 0}, {0x4000, 0x8000, 3}, {0x8000, 0x9000, 0},
           {0x9000, 0xa000, 3}, {0xa000, 0xc000, 0});
}

TEST("firmware pages: pages of framebuffers are taken out") {
    const struct slipway_framebuffer framebuffer = {.address_phys = 0x4123, .bytes = 0x2000};
    start(GIB(1));
    add(0x1000, 0x9000);
    assert_int_equal(set_cache(0, &framebuffer), 0);
    EXPECT({0x1000, 0x4000, 3}, {0x6000, 0xa000, 3});
    start(GIB(1));
    add(0x5000, 1);
    assert_int_equal(set_cache(0, &framebuffer), 0);
    assert_int_equal(pages.count, 0);
    const struct slipway_framebuffer both[] = {framebuffer,
                                               {.address_phys = 0x7000, .bytes = 0x1000}};
    const struct firmware_memory memory = {.efi = {.stride = sizeof(descriptors[0])},
                                           .framebuffers = both,
                                           .framebuffer_count = ARRAY_LEN(both)};
    start(GIB(1));
    add(0x1000, 0x9000);
    assert_int_equal(firmware_pages_set_cache(&pages, &memory), 0);
    EXPECT({0x1000, 0x4000, 3}, {0x6000, 0x7000, 3}, {0x8000, 0xa000, 3});
}

TEST("firmware pages: RAM is write-back, and no descriptor is asked") {
    static const struct memmap_region regions[] = {
        {0x1000, 0x3000, SLIPWAY_MEM_USABLE, true},
        {0x3000, 0x5000, SLIPWAY_MEM_RESERVED, false},
        {0x6000, 0x8000, SLIPWAY_MEM_USABLE, true},
        {0xa000, 0xc000, SLIPWAY_MEM_USABLE, true},
    };
    const struct firmware_memory memory = {
        .efi = {.stride = 48}, .regions = regions, .region_count = ARRAY_LEN(regions)};
    start(GIB(1));
    add(0x1000, 0x2000);
    add(0x4000, 1);
    add(0x6000, 0x2001); // not all of it is RAM
    add(0xa000, 0x2000);
    assert_int_equal(firmware_pages_set_cache(&pages, &memory), 0);
    EXPECT({0x1000, 0x3000, 0}, {0x4000, 0x5000, 3}, {0x6000, 0x9000, 3}, {0xa000, 0xc000, 0});
}

TEST("firmware pages: what is cut into too many parts is left out from there on, and counted") {
    start(GIB(1));
    for (uint64_t i = 0; i < PLAN_FIRMWARE_MAX; i++)
        add(i * 0x4000, 0x3000);
    descriptors[0] = (struct raw){EFI_TYPE_RESERVED, 0, 0x1000, 0, 1, USUAL, 0};
    assert_int_equal(set_cache(1, NULL), 2 * 0x3000); // two cuts, two ranges
    assert_int_equal(pages.count, PLAN_FIRMWARE_MAX);
    assert_int_equal(pages.ranges[PLAN_FIRMWARE_MAX - 1].start, 61 * 0x4000);
}

// What the list must say of a frame: -1 nothing.
static int model_cache(uint64_t frame, const bool *listed, uint32_t count,
                       const struct slipway_framebuffer *framebuffer) {
    uint64_t start_byte = frame * FRAME_BYTES, end_byte = start_byte + FRAME_BYTES;
    bool can = false, cannot = false;
    if (!listed[frame] ||
        (start_byte >= align_down(framebuffer->address_phys, FRAME_BYTES) &&
         start_byte < align_down(framebuffer->address_phys, FRAME_BYTES) + framebuffer->bytes))
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t from = descriptors[i].start, to = from + descriptors[i].pages * FRAME_BYTES;
        if (from == to || from >= end_byte || to <= start_byte)
            continue;
        bool is_good = (descriptors[i].attributes & EFI_ATTRIBUTE_WB) != 0 &&
                       descriptors[i].type != EFI_TYPE_MMIO;
        cannot |= !is_good;
        can |= is_good && from <= start_byte && to >= end_byte;
    }
    return can && !cannot ? SLIPWAY_CACHE_WB : SLIPWAY_CACHE_UC;
}

static void expect_model(const int *want) {
    int found[FRAMES];
    for (unsigned i = 0; i < FRAMES; i++)
        found[i] = -1;
    for (uint32_t i = 0; i < pages.count; i++) {
        const struct plan_firmware *range = &pages.ranges[i];
        assert_true(range->start < range->end && is_aligned(range->start | range->end, 4096));
        bool touches = i != 0 && range[-1].end == range->start;
        assert_true(i == 0 || range[-1].end <= range->start);
        assert_true(!touches || range[-1].cache != range->cache);
        for (uint64_t at = range->start; at < range->end; at += FRAME_BYTES)
            found[at / FRAME_BYTES] = range->cache;
    }
    assert_memory_equal(found, want, sizeof(found));
}

TEST(
    "firmware pages: every page has the cache type of a naive model, in two thousand random maps") {
    srand(1);
    for (unsigned round = 0; round < 2000; round++) {
        bool listed[FRAMES] = {false};
        start(FRAMES * FRAME_BYTES);
        for (int left = rand() % 12; left > 0; left--) {
            uint64_t phys = (uint64_t)rand() % (FRAMES * FRAME_BYTES);
            uint64_t bytes = 1 + (uint64_t)rand() % 0x4000;
            bytes = min_u64(bytes, FRAMES * FRAME_BYTES - phys);
            add(phys, bytes);
            for (uint64_t at = align_down(phys, FRAME_BYTES); at < phys + bytes; at += FRAME_BYTES)
                listed[at / FRAME_BYTES] = true;
        }
        uint32_t count = (uint32_t)rand() % DESCRIPTORS_MAX;
        for (uint32_t i = 0; i < count; i++)
            descriptors[i] = (struct raw){rand() % 4 == 0 ? EFI_TYPE_MMIO : EFI_TYPE_RESERVED,
                                          0,
                                          (uint64_t)(rand() % FRAMES) * FRAME_BYTES +
                                              (rand() % 4 == 0 ? 0x800 : 0),
                                          0,
                                          (uint64_t)rand() % 10,
                                          rand() % 3 == 0 ? EFI_ATTRIBUTE_UC : USUAL,
                                          0};
        const struct slipway_framebuffer framebuffer = {
            .address_phys = (uint64_t)rand() % (FRAMES * FRAME_BYTES),
            .bytes = (uint64_t)(rand() % 6) * FRAME_BYTES};
        int want[FRAMES];
        for (uint64_t frame = 0; frame < FRAMES; frame++)
            want[frame] = model_cache(frame, listed, count, &framebuffer);
        assert_int_equal(set_cache(count, &framebuffer), 0);
        expect_model(want);
    }
}
