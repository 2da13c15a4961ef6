#include "kernel/memory/regions.h"

#include "common/base/arith.h"

#include "tests/unit/support/test.h"

#define ARRAY_OF(records)                                                                          \
    ((struct slipway_array){(uint64_t)(uintptr_t)(records), ARRAY_LEN(records),                    \
                            sizeof((records)[0])})

TEST("regions: the loader's ranges become claims by their purpose, unknown ones the least usable") {
    static const struct {
        struct slipway_range range;
        uint64_t from_a_newer_loader;
    } ranges[] = {
        {{MIB(1), KIB(4), SLIPWAY_RANGE_KERNEL, 0}, 1},
        {{MIB(2), KIB(8), SLIPWAY_RANGE_MODULE, 1}, 2},
        {{MIB(3), KIB(12), SLIPWAY_RANGE_PAGE_TABLES, 0}, 3},
        {{MIB(4), KIB(16), SLIPWAY_RANGE_STACK, 1}, 4},
        {{MIB(5), KIB(4), SLIPWAY_RANGE_BOOT_INFO, 1}, 5},
        {{MIB(6), KIB(4), SLIPWAY_RANGE_LOADER, 1}, 6},
        {{MIB(7), KIB(4), SLIPWAY_RANGE_DEMOTED, 0}, 7},
        {{MIB(8), KIB(4), 77, 1}, 8},
    };
    static const uint32_t kinds[] = {
        SLIPWAY_MEM_KERNEL, SLIPWAY_MEM_MODULE, SLIPWAY_MEM_PAGE_TABLES, SLIPWAY_MEM_LOADER,
        SLIPWAY_MEM_LOADER, SLIPWAY_MEM_LOADER, SLIPWAY_MEM_RESERVED,    SLIPWAY_MEM_RESERVED,
    };
    struct memmap_claim claims[ARRAY_LEN(ranges)];
    struct slipway_array array = ARRAY_OF(ranges);
    regions_claim(&array, claims);
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        assert_int_equal(claims[i].start, ranges[i].range.start_phys);
        assert_int_equal(claims[i].bytes, ranges[i].range.bytes);
        assert_int_equal(claims[i].kind, kinds[i]);
    }
}

TEST("regions: room is the end of the highest usable, mapped region that is large enough") {
    static const struct slipway_memory memory[] = {
        {0, KIB(640), SLIPWAY_MEM_USABLE, 1},
        {MIB(1), MIB(9), SLIPWAY_MEM_USABLE, 1},
        {MIB(10), MIB(90), SLIPWAY_MEM_BOOT_SERVICES, 1},
        {MIB(100), MIB(1), SLIPWAY_MEM_USABLE, 1},
        {MIB(200), MIB(99), SLIPWAY_MEM_USABLE, 0},
    };
    struct slipway_array array = ARRAY_OF(memory);
    uint64_t phys = 0;
    assert_true(regions_find_room(&array, KIB(4), &phys));
    assert_int_equal(phys, MIB(101) - KIB(4));
    assert_true(regions_find_room(&array, MIB(1), &phys));
    assert_int_equal(phys, MIB(100));
    assert_true(regions_find_room(&array, MIB(9), &phys));
    assert_int_equal(phys, MIB(1));
    assert_false(regions_find_room(&array, MIB(9) + KIB(4), &phys));
    assert_int_equal(phys, MIB(1));
}

TEST("regions: memory below 1 MiB is no room") {
    static const struct slipway_memory memory[] = {
        {KIB(4), MIB(1) + KIB(4), SLIPWAY_MEM_USABLE, 1}};
    struct slipway_array array = ARRAY_OF(memory);
    uint64_t phys;
    assert_true(regions_find_room(&array, KIB(8), &phys));
    assert_int_equal(phys, MIB(1));
    assert_false(regions_find_room(&array, KIB(12), &phys));
}

TEST("regions: differences count each region or record that has no equal") {
    static const struct slipway_memory memory[] = {
        {0, MIB(1), SLIPWAY_MEM_RESERVED, 0},
        {MIB(1), MIB(4), SLIPWAY_MEM_USABLE, 1},
        {MIB(8), MIB(8), SLIPWAY_MEM_LOADER, 1},
    };
    struct memmap_region regions[] = {
        {0, MIB(1), SLIPWAY_MEM_RESERVED, false},
        {MIB(1), MIB(5), SLIPWAY_MEM_USABLE, true},
        {MIB(8), MIB(16), SLIPWAY_MEM_LOADER, true},
    };
    struct slipway_array array = ARRAY_OF(memory);
    assert_int_equal(regions_count_differences(regions, 3, &array), 0);
    assert_int_equal(regions_count_differences(regions, 2, &array), 1);
    regions[1].kind = SLIPWAY_MEM_KERNEL;
    assert_int_equal(regions_count_differences(regions, 3, &array), 1);
    regions[1].kind = SLIPWAY_MEM_USABLE;
    regions[2].end -= KIB(4);
    assert_int_equal(regions_count_differences(regions, 3, &array), 1);
    regions[2].start += KIB(4);
    assert_int_equal(regions_count_differences(regions, 3, &array), 2);
}
