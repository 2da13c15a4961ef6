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
