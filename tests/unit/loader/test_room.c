// Room for something large: in which memory, and where in it.
#include "loader/room.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum { STRIDE = 48 };

static uint64_t map[8 * STRIDE / 8];
static uint64_t count;

static void add(uint32_t type, uint64_t start, uint64_t bytes, uint64_t attributes) {
    const uint64_t descriptor[] = {type, start, 0, bytes >> 12, attributes};
    memcpy((char *)map + STRIDE * count++, descriptor, sizeof(descriptor));
}

static struct room find(uint64_t bytes, uint64_t align, uint64_t floor) {
    const struct memmap_efi efi = {map, count * STRIDE, STRIDE};
    return room_find(&efi, bytes, align, floor);
}

TEST("room: the highest aligned place in the highest run that has one") {
    count = 0;
    add(EFI_TYPE_CONVENTIONAL, GIB(5) + 0x1000, MIB(8), EFI_ATTRIBUTE_WB);
    add(EFI_TYPE_CONVENTIONAL, GIB(4), MIB(64), EFI_ATTRIBUTE_WB);
    add(EFI_TYPE_CONVENTIONAL, MIB(1), GIB(2), EFI_ATTRIBUTE_WB | EFI_ATTRIBUTE_UC);
    assert_int_equal(find(MIB(2), MIB(2), GIB(4)).start, GIB(5) + MIB(6));
    assert_int_equal(find(MIB(6), MIB(2), GIB(4)).start, GIB(5) + MIB(2));
    assert_int_equal(find(MIB(6) + 0x1000, MIB(2), GIB(4)).start, GIB(5) + MIB(2));
    assert_int_equal(find(MIB(6) + 0x2000, MIB(2), GIB(4)).start, GIB(4) + MIB(56));
    assert_int_equal(find(MIB(8), 0x1000, GIB(4)).start, GIB(5) + 0x1000);
    assert_int_equal(find(MIB(64), MIB(2), GIB(4)).start, GIB(4));
    assert_int_equal(find(MIB(64) + 0x1000, MIB(2), GIB(4)).start, 0);
    assert_int_equal(find(MIB(64) + 0x1000, MIB(2), 0).start, GIB(2) - MIB(64));
    assert_int_equal(find(MIB(2), MIB(2), 0).largest_bytes, GIB(2));
}

TEST("room: a run across the floor counts from there on, and ends below 2^64") {
    count = 0;
    add(EFI_TYPE_CONVENTIONAL, GIB(3), GIB(1) + MIB(4), EFI_ATTRIBUTE_WB);
    assert_int_equal(find(MIB(4), MIB(2), GIB(4)).start, GIB(4));
    assert_int_equal(find(MIB(4) + 0x1000, MIB(2), GIB(4)).start, 0);
    assert_int_equal(find(GIB(8), MIB(2), 0).start, 0);
    assert_int_equal(find(UINT64_MAX - 0xfff, MIB(2), 0).start, 0);
    add(EFI_TYPE_CONVENTIONAL, UINT64_MAX - 0xfff, MIB(4), EFI_ATTRIBUTE_WB); // wraps: no run
    assert_int_equal(find(MIB(2), MIB(2), GIB(5)).start, 0);
    assert_int_equal(find(MIB(2), MIB(2), 0).largest_bytes, GIB(1) + MIB(4));
}

TEST("room: only memory that is free for any use") {
    count = 0;
    add(EFI_TYPE_BOOT_SERVICES_DATA, GIB(5), GIB(1), EFI_ATTRIBUTE_WB);
    add(EFI_TYPE_CONVENTIONAL, GIB(6), GIB(1), EFI_ATTRIBUTE_UC);
    add(EFI_TYPE_CONVENTIONAL, GIB(7), GIB(1), EFI_ATTRIBUTE_WB | EFI_ATTRIBUTE_SP);
    add(EFI_TYPE_UNACCEPTED, GIB(8), GIB(1), EFI_ATTRIBUTE_WB);
    const struct room room = find(MIB(2), MIB(2), GIB(4));
    assert_int_equal(room.start, 0);
    assert_int_equal(room.largest_bytes, 0);
}

static struct room_run runs[3];

static uint32_t split(uint64_t bytes, uint64_t align, uint64_t *ret_bytes) {
    const struct memmap_efi efi = {map, count * STRIDE, STRIDE};
    return room_split(&efi, bytes, align, runs, ARRAY_LEN(runs), ret_bytes);
}

static void expect_run(uint32_t index, uint64_t start, uint64_t bytes) {
    assert_int_equal(runs[index].start, start);
    assert_int_equal(runs[index].bytes, bytes);
}

TEST("room: several runs are the largest ones, few, in rising order, and only the last is cut") {
    uint64_t bytes;
    count = 0;
    add(EFI_TYPE_CONVENTIONAL, GIB(4), GIB(2), EFI_ATTRIBUTE_WB);
    add(EFI_TYPE_CONVENTIONAL, 0, MIB(3), EFI_ATTRIBUTE_WB); // 1 MiB of it
    add(EFI_TYPE_CONVENTIONAL, MIB(16), GIB(1), EFI_ATTRIBUTE_WB);
    add(EFI_TYPE_CONVENTIONAL, GIB(2) + 0x1000, GIB(1), EFI_ATTRIBUTE_WB);
    add(EFI_TYPE_CONVENTIONAL, GIB(8), MIB(1), EFI_ATTRIBUTE_WB);
    assert_int_equal(split(GIB(2), MIB(2), &bytes), 1);
    expect_run(0, GIB(4), GIB(2));
    assert_int_equal(bytes, GIB(4) - MIB(2));
    assert_int_equal(split(GIB(2) + 0x1000, MIB(2), &bytes), 2);
    expect_run(0, MIB(16), 0x1000);
    expect_run(1, GIB(4), GIB(2));
    assert_int_equal(split(GIB(4) - MIB(2), MIB(2), &bytes), 3);
    expect_run(0, MIB(16), GIB(1));
    expect_run(1, GIB(2) + MIB(2), GIB(1) - MIB(2));
    expect_run(2, GIB(4), GIB(2));
    assert_int_equal(split(GIB(4) - MIB(2) + 0x1000, MIB(2), &bytes), 0);
    assert_int_equal(bytes, GIB(4) - MIB(2));
    assert_int_equal(split(GIB(4), 0x1000, &bytes), 3);
    expect_run(1, GIB(2) + 0x1000, GIB(1));
}

TEST("room: several runs begin at 1 MiB, and are of memory that is free for any use") {
    uint64_t bytes;
    count = 0;
    add(EFI_TYPE_CONVENTIONAL, 0, MIB(3), EFI_ATTRIBUTE_WB);
    add(EFI_TYPE_BOOT_SERVICES_DATA, MIB(3), MIB(1), EFI_ATTRIBUTE_WB);
    add(EFI_TYPE_CONVENTIONAL, MIB(4), MIB(1), EFI_ATTRIBUTE_UC);
    add(EFI_TYPE_CONVENTIONAL, MIB(8), MIB(1), EFI_ATTRIBUTE_WB | EFI_ATTRIBUTE_SP);
    add(EFI_TYPE_CONVENTIONAL, UINT64_C(1) << 52, MIB(1), EFI_ATTRIBUTE_WB); // nobody has it
    assert_int_equal(split(MIB(2), 0x1000, &bytes), 1);
    expect_run(0, MIB(1), MIB(2));
    assert_int_equal(bytes, MIB(2));
    assert_int_equal(split(MIB(2) + 0x1000, 0x1000, &bytes), 0);
    count = 0;
    assert_int_equal(split(0x1000, 0x1000, &bytes), 0);
    assert_int_equal(bytes, 0);
}

TEST("room: of runs that are equal those are taken that the map has first, to the end of memory") {
    uint64_t bytes;
    count = 0;
    for (uint64_t i = 0; i < 4; i++)
        add(EFI_TYPE_CONVENTIONAL, (8 - i) * GIB(1), MIB(2), EFI_ATTRIBUTE_WB);
    assert_int_equal(split(MIB(2), MIB(2), &bytes), 1);
    expect_run(0, GIB(8), MIB(2));
    assert_int_equal(split(MIB(6), MIB(2), &bytes), 3);
    for (uint32_t i = 0; i < 3; i++)
        expect_run(i, (6 + i) * GIB(1), MIB(2));
    assert_int_equal(bytes, MIB(6));
    add(EFI_TYPE_CONVENTIONAL, (UINT64_C(1) << 52) - MIB(4), MIB(4), EFI_ATTRIBUTE_WB);
    assert_int_equal(split(MIB(4), MIB(2), &bytes), 1);
    expect_run(0, (UINT64_C(1) << 52) - MIB(4), MIB(4));
}
