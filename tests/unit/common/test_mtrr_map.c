#include "common/mtrr/mtrr_map.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/boot/slipway_boot.h"
#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum {
    UC = SLIPWAY_MTRR_UC,
    WC = SLIPWAY_MTRR_WC,
    WT = SLIPWAY_MTRR_WT,
    WP = SLIPWAY_MTRR_WP,
    WB = SLIPWAY_MTRR_WB,
    ON = 1 << 11,
    FIXED_ON = 1 << 10,
    VALID = 1 << 11,
    BITS = 36,
};

#define LIMIT (UINT64_C(1) << BITS)

static struct mtrr_state registers;
static struct mtrr_map map;

// All registers on, all memory of one type.
static void begin(unsigned type) {
    registers = (struct mtrr_state){.is_there = true, .default_type = ON | FIXED_ON | type};
}

// A range of a power of two bytes.
static void add(uint64_t start, uint64_t bytes, unsigned type) {
    registers.base[registers.variable_count] = start | type;
    registers.mask[registers.variable_count++] = ((LIMIT - 1) & ~(bytes - 1)) | VALID;
}

static void expect(const struct mtrr_run *want, uint32_t count) {
    memset(&map, 0xee, sizeof(map));
    mtrr_map_make(&registers, BITS, &map);
    assert_int_equal(map.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(map.runs[i].start, want[i].start);
        assert_int_equal(map.runs[i].end, want[i].end);
        assert_int_equal(map.runs[i].type, want[i].type);
    }
}

#define EXPECT(...)                                                                                \
    expect((const struct mtrr_run[]){__VA_ARGS__},                                                 \
           sizeof((const struct mtrr_run[]){__VA_ARGS__}) / sizeof(struct mtrr_run))

TEST("mtrr map: registers that are not there or off say nothing") {
    begin(WB);
    registers.is_there = false;
    expect(NULL, 0);
    begin(WB);
    registers.default_type = WB | FIXED_ON;
    expect(NULL, 0);
}

TEST("mtrr map: without ranges all of physical memory has the default type") {
    begin(WB);
    EXPECT({0, LIMIT, WB});
    begin(UC);
    EXPECT({0, LIMIT, UC});
}

TEST("mtrr map: ranges have their type, and what lies between the default's") {
    begin(UC);
    add(0, GIB(2), WB);
    add(GIB(4), GIB(4), WB);
    EXPECT({0, GIB(2), WB}, {GIB(2), GIB(4), UC}, {GIB(4), GIB(8), WB}, {GIB(8), LIMIT, UC});
    begin(WB);
    add(GIB(3), GIB(1), UC);
    add(LIMIT - GIB(1), GIB(1), WC);
    EXPECT({0, GIB(3), WB}, {GIB(3), GIB(4), UC}, {GIB(4), LIMIT - GIB(1), WB},
           {LIMIT - GIB(1), LIMIT, WC});
}

TEST("mtrr map: a range that is not valid, or has an empty mask, counts for nothing") {
    begin(WB);
    add(GIB(1), GIB(1), UC);
    registers.mask[0] &= ~(uint64_t)VALID;
    add(GIB(1), GIB(1), UC);
    registers.mask[1] = VALID | 0x7ff; // bits that are reserved
    EXPECT({0, LIMIT, WB});
}

TEST("mtrr map: where ranges overlap uncached wins, then write-through, and the rest is uncached") {
    static const uint8_t cases[][3] = {
        {WB, WB, WB}, {WB, UC, UC}, {UC, WB, UC}, {WT, WB, WT}, {WB, WT, WT}, {WT, WT, WT},
        {WC, WB, UC}, {WT, UC, UC}, {WP, WB, UC}, {WC, WT, UC}, {WC, WC, WC},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        begin(WP); // which no overlap may let through
        registers.default_type = ON | (cases[i][2] == WP ? UC : WP);
        add(0, GIB(4), cases[i][0]);
        add(GIB(1), GIB(1), cases[i][1]);
        mtrr_map_make(&registers, BITS, &map);
        uint32_t at = 0;
        while (map.runs[at].end <= GIB(1))
            at++;
        assert_int_equal(map.runs[at].type, cases[i][2]);
    }
}

TEST("mtrr map: a type that the manual reserves is uncached") {
    for (unsigned type = 0; type < 256; type++) {
        bool is_known = type == UC || type == WC || type == WT || type == WP || type == WB;
        begin(WB);
        add(GIB(1), GIB(1), type);
        mtrr_map_make(&registers, BITS, &map);
        assert_int_equal(map.runs[type == WB ? 0 : 1].type, is_known ? type : UC);
        begin(type);
        registers.default_type = ON | type;
        mtrr_map_make(&registers, BITS, &map);
        assert_int_equal(map.runs[0].type, is_known ? type : UC);
    }
}

TEST("mtrr map: three ranges over each other, one of them uncached") {
    begin(UC);
    add(0, GIB(4), WB);
    add(GIB(2), GIB(2), WT);
    add(GIB(3), GIB(1), UC);
    EXPECT({0, GIB(2), WB}, {GIB(2), GIB(3), WT}, {GIB(3), LIMIT, UC});
}

TEST("mtrr map: a base beside the mask, and bits above the CPU's width, do not count") {
    begin(UC);
    add(GIB(1) + MIB(3), GIB(1), WB);
    registers.base[0] |= UINT64_C(1) << 40;
    registers.mask[0] |= UINT64_C(0xfff) << 40;
    EXPECT({0, GIB(1), UC}, {GIB(1), GIB(2), WB}, {GIB(2), LIMIT, UC});
}

TEST("mtrr map: a mask with a hole is as large as its lowest bit says") {
    begin(WB);
    add(GIB(1), MIB(1), UC);
    registers.mask[0] &= ~(UINT64_C(1) << 24);
    EXPECT({0, GIB(1), WB}, {GIB(1), GIB(1) + MIB(1), UC}, {GIB(1) + MIB(1), LIMIT, WB});
}

// Byte by byte the types of eight ranges, the lowest first.
TEST("mtrr map: the fixed ranges are the first MiB, whatever else is said of it") {
    begin(WB);
    registers.has_fixed = true;
    memset(registers.fixed, WB, sizeof(registers.fixed));
    add(0, GIB(1), UC);
    EXPECT({0, MIB(1), WB}, {MIB(1), GIB(1), UC}, {GIB(1), LIMIT, WB});
    registers.fixed[0] = UINT64_C(0x0606060606060004);  // WT, then 64 KiB at 64 KiB UC
    registers.fixed[2] = UINT64_C(0x0506060606060606);  // 16 KiB below 768 KiB WP
    registers.fixed[10] = UINT64_C(0x0106060606060606); // the last 4 KiB WC
    EXPECT({0, KIB(64), WT}, {KIB(64), KIB(128), UC}, {KIB(128), KIB(752), WB},
           {KIB(752), KIB(768), WP}, {KIB(768), KIB(1020), WB}, {KIB(1020), MIB(1), WC},
           {MIB(1), GIB(1), UC}, {GIB(1), LIMIT, WB});
    registers.default_type &= ~(uint64_t)FIXED_ON;
    EXPECT({0, GIB(1), UC}, {GIB(1), LIMIT, WB});
    registers.default_type |= FIXED_ON;
    registers.has_fixed = false;
    EXPECT({0, GIB(1), UC}, {GIB(1), LIMIT, WB});
}

TEST("mtrr map: ranges that end or begin below 1 MiB count from there on alone") {
    begin(WB);
    registers.has_fixed = true;
    memset(registers.fixed, WB, sizeof(registers.fixed));
    add(0, KIB(512), UC);
    add(KIB(768), KIB(256), UC);
    EXPECT({0, LIMIT, WB});
    add(MIB(1), MIB(1), UC);
    EXPECT({0, MIB(1), WB}, {MIB(1), MIB(2), UC}, {MIB(2), LIMIT, WB});
}

TEST("mtrr map: ranges of a page, all of them apart, have room") {
    begin(WB);
    registers.has_fixed = true;
    for (unsigned i = 0; i < MTRR_FIXED; i++)
        registers.fixed[i] = UINT64_C(0x0006000600060006);
    for (unsigned i = 0; i < MTRR_VARIABLE_MAX; i++)
        add(MIB(2) + i * KIB(8), KIB(4), UC);
    mtrr_map_make(&registers, BITS, &map);
    assert_int_equal(map.count, 88 + 1 + 2 * MTRR_VARIABLE_MAX);
    assert_int_equal(map.runs[map.count - 1].end, LIMIT);
}

// What the registers say of one address, as the manual puts it.
static unsigned model(uint64_t address) {
    if (address < MIB(1) && registers.has_fixed && (registers.default_type & FIXED_ON)) {
        unsigned at = address < KIB(512)   ? (unsigned)(address / KIB(64))
                      : address < KIB(768) ? 8 + (unsigned)((address - KIB(512)) / KIB(16))
                                           : 24 + (unsigned)((address - KIB(768)) / KIB(4));
        return registers.fixed[at / 8] >> at % 8 * 8 & 0xff;
    }
    bool is_there[8] = {false};
    unsigned count = 0;
    for (uint32_t i = 0; i < registers.variable_count; i++) {
        uint64_t mask = registers.mask[i] & (LIMIT - FRAME_BYTES);
        if (!(registers.mask[i] & VALID) || mask == 0 ||
            (address & mask) != (registers.base[i] & mask))
            continue;
        count += !is_there[registers.base[i] & 7];
        is_there[registers.base[i] & 7] = true;
    }
    if (count == 0)
        return registers.default_type & 0xff;
    if (count == 2 && is_there[WT] && is_there[WB])
        return WT;
    for (unsigned type = 0; count == 1 && type < 8; type++) {
        if (is_there[type])
            return type;
    }
    return UC;
}

TEST("mtrr map: any registers, against the manual's words for one address") {
    static const uint8_t types[] = {UC, WC, WT, WP, WB};
    struct random random = {20261130};
    for (unsigned round = 0; round < 3000; round++) {
        begin(types[random_below(&random, 5)]);
        registers.has_fixed = random_below(&random, 2);
        for (unsigned i = 0; i < 88; i++)
            registers.fixed[i / 8] |= (uint64_t)types[random_below(&random, 5)] << i % 8 * 8;
        for (uint64_t left = random_below(&random, MTRR_VARIABLE_MAX + 1); left != 0; left--) {
            uint64_t bytes = FRAME_BYTES << random_below(&random, BITS - 12);
            add(align_down(random_below(&random, LIMIT), bytes), bytes,
                types[random_below(&random, 5)]);
        }
        mtrr_map_make(&registers, BITS, &map);
        uint64_t end = 0;
        for (uint32_t i = 0; i < map.count; i++) {
            assert_int_equal(map.runs[i].start, end);
            assert_true(i == 0 || map.runs[i].type != map.runs[i - 1].type);
            end = map.runs[i].end;
            assert_int_equal(map.runs[i].type, model(map.runs[i].start));
            assert_int_equal(map.runs[i].type, model(end - 1));
            assert_int_equal(
                map.runs[i].type,
                model(map.runs[i].start + random_below(&random, end - map.runs[i].start)));
        }
        assert_int_equal(end, LIMIT);
    }
}
