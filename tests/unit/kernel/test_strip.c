#include "kernel/console/strip.h"

#include "common/base/arith.h"

#include "tests/unit/support/test.h"

#include <stdlib.h>

enum { PIECES_MAX = 20000 };

static struct strip_band bands[PIECES_MAX];

static size_t lay_out(const struct memmap_region *regions, uint64_t count, uint32_t width) {
    struct strip strip = strip_make(regions, count, width);
    size_t found = 0;
    while (found < PIECES_MAX && strip_next(&strip, &bands[found]))
        found++;
    return found;
}

static void expect_tiled(size_t count, uint32_t width) {
    uint32_t x = 0;
    uint64_t address = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bands[i].x, x);
        assert_int_equal(bands[i].start, address);
        assert_true(bands[i].end > bands[i].start);
        x += bands[i].width;
        address = bands[i].end;
    }
    assert_int_equal(x, width);
}

static const struct memmap_region machine[] = {
    {0, KIB(4), SLIPWAY_MEM_RESERVED, true},
    {KIB(4), KIB(640), SLIPWAY_MEM_USABLE, true},
    {MIB(1), MIB(1000), SLIPWAY_MEM_USABLE, true},
    {MIB(1000), MIB(1001), SLIPWAY_MEM_USABLE, false},
    {MIB(1001), MIB(1002), SLIPWAY_MEM_KERNEL, true},
    {GIB(4), GIB(64), SLIPWAY_MEM_USABLE, true},
    {GIB(1012), GIB(1024), SLIPWAY_MEM_MMIO, false},
};

TEST("strip: bands tile the strip, holes are bands, neighbours of one kind are one") {
    size_t count = lay_out(machine, ARRAY_LEN(machine), 1000);
    expect_tiled(count, 1000);
    static const uint32_t kinds[] = {
        SLIPWAY_MEM_RESERVED, SLIPWAY_MEM_USABLE, STRIP_HOLE,
        SLIPWAY_MEM_USABLE,   SLIPWAY_MEM_KERNEL, STRIP_HOLE,
        SLIPWAY_MEM_USABLE,   STRIP_HOLE,         SLIPWAY_MEM_MMIO,
    };
    assert_int_equal(count, ARRAY_LEN(kinds));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(bands[i].kind, kinds[i]);
    assert_int_equal(bands[3].end, MIB(1001));
}

TEST("strip: every band can be seen, RAM by its size, devices and holes of any size small") {
    size_t count = lay_out(machine, ARRAY_LEN(machine), 1000);
    for (size_t i = 0; i < count; i++)
        assert_true(bands[i].width >= 2);
    assert_true(bands[6].width > 5 * bands[3].width); // 60 GiB and 1 GiB
    assert_true(bands[3].width > 5 * bands[1].width); // 1 GiB and 636 KiB
    assert_true(bands[7].width <= 5);                 // a hole of 948 GiB
    assert_true(bands[8].width <= 5);                 // 12 GiB of devices
}

TEST("strip: more bands than pixels, one pixel, no pixel and no region all tile") {
    struct memmap_region *many = calloc(5000, sizeof(*many));
    assert_non_null(many);
    for (uint64_t i = 0; i < 5000; i++)
        many[i] = (struct memmap_region){GIB(2) * i, GIB(2) * i + KIB(4) * (i % 7 + 1),
                                         1 + (uint32_t)(i % 15), true};
    for (uint32_t width = 0; width < 300; width += 37)
        expect_tiled(lay_out(many, 5000, width), width);
    free(many);
    expect_tiled(lay_out(machine, ARRAY_LEN(machine), 1), 1);
    assert_int_equal(lay_out(machine, 0, 100), 0);
}
