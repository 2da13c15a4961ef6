#include "loader/device_path.h"

#include "common/base/arith.h"
#include "common/boot/slipway_boot.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

static uint8_t bytes[70000];
static uint64_t used;

static void add(uint8_t type, uint8_t subtype, const void *data, uint64_t data_bytes) {
    uint64_t all = data_bytes + 4;
    const uint8_t head[] = {type, subtype, (uint8_t)all, (uint8_t)(all >> 8)};
    memcpy(bytes + used, head, sizeof(head));
    memcpy(bytes + used + sizeof(head), data, data_bytes);
    used += all;
}

// A copy of exactly the path, which is then empty.
static uint8_t *end(uint8_t type) {
    add(type, 0xff, "", 0);
    uint8_t *path = malloc(used);
    memcpy(path, bytes, used);
    used = 0;
    return path;
}

static void expect(uint8_t *path, uint32_t kind, uint32_t number, const char *file) {
    uint16_t units[16] = {0};
    struct partition partition = device_path_partition(path);
    assert_int_equal(partition.id_kind, kind);
    assert_int_equal(partition.number, number);
    assert_int_equal(device_path_file(path, units, 16), strlen(file));
    for (unsigned i = 0; file[i] != '\0'; i++)
        assert_int_equal(units[i], file[i]);
    free(path);
}

TEST("device path: nothing behind its end is read, be that of EFI 1.02 or later") {
    static const uint8_t drive[38] = {7, [20] = 0xab, [37] = 1};
    static const uint16_t name[] = {'\\', 'a', '\\', 'b', 0};
    for (int old = 0; old < 2; old++) {
        expect(end(old ? 0xff : 0x7f), SLIPWAY_PARTITION_NONE, 0, "");
        add(4, 1, drive, sizeof(drive));
        add(4, 4, name, sizeof(name));
        expect(end(old ? 0xff : 0x7f), SLIPWAY_PARTITION_MBR, 7, "\\a\\b");
    }
    expect(NULL, SLIPWAY_PARTITION_NONE, 0, "");
}

TEST("device path: one with a CD-ROM node leads to a CD, and no other does") {
    static const uint8_t place[20] = {1};
    static const struct {
        uint8_t type, subtype;
        bool is_cd;
    } nodes[] = {{4, 2, true}, {4, 1, false}, {4, 4, false}, {3, 2, false}, {1, 2, false}};
    assert_false(device_path_is_cd(NULL));
    for (unsigned i = 0; i < ARRAY_LEN(nodes); i++) {
        add(1, 1, place, 2);
        add(nodes[i].type, nodes[i].subtype, place, sizeof(place));
        add(4, 4, place, 4);
        uint8_t *path = end(0x7f);
        assert_int_equal(device_path_is_cd(path), nodes[i].is_cd);
        free(path);
    }
}

TEST("device path: a name with half a unit at its end is read up to there") {
    static const uint16_t name[] = {'x', 'y', 'z'};
    add(4, 4, name, 5);
    expect(end(0x7f), SLIPWAY_PARTITION_NONE, 0, "xy");
    add(4, 4, name, 1);
    expect(end(0x7f), SLIPWAY_PARTITION_NONE, 0, "");
}

TEST("device path: a node as long as there can be is passed over") {
    static const uint8_t drive[38] = {9, [37] = 2};
    static const uint8_t rest[65531];
    add(3, 1, rest, sizeof(rest));
    add(4, 1, drive, sizeof(drive));
    expect(end(0x7f), SLIPWAY_PARTITION_GPT, 9, "");
}

TEST("device path: its bytes are those before its end, and none of no path") {
    static const uint8_t data[] = {1, 2, 3};
    assert_int_equal(device_path_bytes(NULL), 0);
    for (unsigned nodes = 0; nodes < 4; nodes++) {
        for (unsigned i = 0; i < nodes; i++)
            add(1, 1, data, i);
        uint8_t *path = end(0x7f);
        assert_int_equal(device_path_bytes(path), 4 * nodes + nodes * (nodes - 1) / 2);
        free(path);
    }
    add(1, 1, data, sizeof(data)); // a node that leads nowhere
    add(1, 1, "", 0);
    bytes[used - 2] = 3;
    uint8_t *path = end(0x7f);
    assert_int_equal(device_path_bytes(path), 7);
    free(path);
}

TEST("device path: the whole disk is before the first node of a part of it") {
    static const uint8_t place[24] = {1};
    static const struct {
        uint8_t type, subtype;
    } nodes[] = {{4, 2}, {4, 1}, {4, 4}, {3, 2}, {1, 1}};
    assert_int_equal(device_path_whole_bytes(NULL), 0);
    for (unsigned i = 0; i < ARRAY_LEN(nodes); i++) {
        add(1, 1, place, 2);
        add(3, 18, place, 6);
        add(nodes[i].type, nodes[i].subtype, place, sizeof(place));
        uint64_t whole = 2 + 4 + 6 + 4;
        if (i > 1) // no part: those that follow are
            whole += sizeof(place) + 4;
        add(4, 1, place, sizeof(place)); // as of a CD's boot image that has partitions
        uint8_t *path = end(0x7f);
        assert_int_equal(device_path_whole_bytes(path), whole);
        free(path);
    }
    add(1, 1, place, 2);
    uint8_t *path = end(0x7f);
    assert_int_equal(device_path_whole_bytes(path), 0);
    free(path);
}
