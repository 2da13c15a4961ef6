// Names of an ISO 9660 tree: what is read of a record, and of areas that it leads to, byte by byte.
// The whole reader: test_iso9660.c.
#include "loader/iso9660_internal.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { AREA_SECTOR = 1, SECTORS = 16, NAME_BYTES_MAX = 222 };

static uint8_t image[SECTORS * ISO9660_SECTOR_BYTES];
static unsigned reads;

static bool read_image(void *context, uint64_t offset, void *to, uint64_t bytes) {
    assert_null(context);
    assert_true(offset <= sizeof(image) && bytes <= sizeof(image) - offset);
    memcpy(to, image + offset, bytes);
    reads++;
    return true;
}

static const struct iso9660 iso = {.disc = {.read = read_image, .bytes = sizeof(image)},
                                   .block_bytes = ISO9660_SECTOR_BYTES};

struct record {
    const char *name;
    const char *area; // of Rock Ridge
    unsigned name_bytes, area_bytes;
    bool is_joliet;
};

#define NAME(text) .name = (text), .name_bytes = sizeof(text) - 1
#define AREA(text) .area = (text), .area_bytes = sizeof(text) - 1

// In memory of its size, and with `behind` in front of what the sanitizer watches.
static uint8_t *make_record(struct record record, const char *behind) {
    unsigned start = 33 + record.name_bytes + (record.name_bytes % 2 == 0);
    unsigned bytes = record.area_bytes == 0 ? 33 + record.name_bytes : start + record.area_bytes;
    uint8_t *at = calloc(1, bytes + strlen(behind));
    at[0] = (uint8_t)bytes;
    at[32] = (uint8_t)record.name_bytes;
    memcpy(at + 33, record.name, record.name_bytes);
    if (record.area_bytes != 0)
        memcpy(at + start, record.area, record.area_bytes);
    memcpy(at + bytes, behind, strlen(behind));
    return at;
}

static enum iso9660_match match(struct record record, const char *wanted, uint64_t bytes,
                                const char *behind) {
    enum iso9660_match found;
    uint8_t *at = make_record(record, behind);
    assert_int_equal(iso9660_match_name(&iso, record.is_joliet, at, wanted, bytes, &found),
                     ISO9660_OK);
    free(at);
    return found;
}

// The record has this name to the letter, and not one with more or fewer bytes.
static void expect(struct record record, const char *name) {
    assert_int_equal(match(record, name, strlen(name), ""), ISO9660_MATCH_EXACT);
    assert_int_equal(match(record, name, strlen(name), "NM\6\1\1z"), ISO9660_MATCH_EXACT);
    assert_int_equal(match(record, name, strlen(name) - 1, ""), ISO9660_MATCH_NONE);
}

static bool is_link(struct record record) {
    struct iso9660_ridge ridge;
    uint8_t *at = make_record(record, "");
    assert_int_equal(iso9660_find_ridge(&iso, at, &ridge), ISO9660_OK);
    free(at);
    return ridge.is_link;
}

TEST("iso9660_name: what Rock Ridge says begins behind a name of an even or odd number of bytes") {
    reads = 0;
    expect((struct record){NAME("ODD"), AREA("NM\11\1\0long")}, "long");
    expect((struct record){NAME("EVEN"), AREA("NM\11\1\0long")}, "long");
    expect((struct record){NAME("ODD")}, "ODD");
    expect((struct record){NAME("EVEN")}, "EVEN");
    assert_int_equal(reads, 0);
}

TEST("iso9660_name: of Rock Ridge's entries those count that are whole, and of that kind") {
    reads = 0;
    expect((struct record){NAME("A"), AREA("RE\4\1NM\6\1\0x")}, "x");
    expect((struct record){NAME("A"), AREA("NX\6\1\0xNM\6\1\0y")}, "y");
    expect((struct record){NAME("A"), AREA("XX\3NM\6\1\0x")}, "A");
    expect((struct record){NAME("A"), AREA("NM\6\1\0xNM\50\1\0yz")}, "x");
    expect((struct record){NAME("A"), AREA("CX\34\1\1\0\0\0....\0\0\0\0....\7\0\0\0....")}, "A");
    expect((struct record){NAME("A"), AREA("CE\33\1\1\0\0\0....\0\0\0\0....\7\0\0\0...")}, "A");
    assert_int_equal(reads, 0);
    assert_true(is_link((struct record){NAME("A"), AREA("SL\4\1")}));
    assert_false(is_link((struct record){NAME("A"), AREA("SL\3")}));
    assert_false(is_link((struct record){NAME("A"), AREA("SX\5\1\0")}));
    assert_false(is_link((struct record){NAME("A")}));
}

// Each area has a letter of the name, and leads to the next, behind which stands another letter.
TEST("iso9660_name: eight areas are read elsewhere on the disc, and each no further than it goes") {
    char area[34] = "NM\6\1\1rCE\34\1";
    area[10] = AREA_SECTOR;
    area[26] = 34;
    memset(image, 0, sizeof(image));
    reads = 0;
    for (unsigned i = 0; i < 10; i++) {
        uint8_t *at = image + (AREA_SECTOR + i) * ISO9660_SECTOR_BYTES;
        memcpy(at, area, sizeof(area));
        at[5] = (uint8_t)('0' + i);
        at[10] = (uint8_t)(AREA_SECTOR + i + 1);
        memcpy(at + sizeof(area), "NM\6\1\1-", 6);
    }
    struct record record = {NAME("A"), .area = area, .area_bytes = sizeof(area)};
    expect(record, "r01234567");
    assert_int_equal(reads, 3 * 8);
}

// U+4E2D has three bytes in UTF-8, and each of UTF-16's has bits of it.
TEST("iso9660_name: a name of Joliet's has as many characters as a record has room for") {
    char name[NAME_BYTES_MAX];
    char wanted[NAME_BYTES_MAX / 2 * 3 + 1] = {0};
    for (unsigned i = 0; i < NAME_BYTES_MAX / 2; i++) {
        memcpy(name + 2 * i, "\x4e\x2d", 2);
        memcpy(wanted + 3 * i, "\xe4\xb8\xad", 3);
    }
    expect((struct record){.name = name, .name_bytes = sizeof(name), .is_joliet = true}, wanted);
    wanted[9] = '\0';
    expect((struct record){.name = name, .name_bytes = 6, .is_joliet = true}, wanted);
    expect((struct record){NAME("\0a\0b\0c"), .is_joliet = true}, "abc");
}

TEST("iso9660_name: the version begins at the first semicolon, and the last dot goes with it") {
    static const struct {
        const char *name, *plain;
    } cases[] = {
        {"Z;1", "Z"}, {"A.B;1;2", "A.B"}, {"A.;1", "A"}, {"A..", "A."}, {"A.B", "A.B"}, {"A;", "A"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        expect((struct record){cases[i].name, .name_bytes = (unsigned)strlen(cases[i].name)},
               cases[i].plain);
    assert_int_equal(match((struct record){NAME("Z")}, "z", 1, ""), ISO9660_MATCH_CASELESS);
    assert_int_equal(match((struct record){NAME(";1")}, ";1", 2, ""), ISO9660_MATCH_NONE);
    assert_int_equal(match((struct record){NAME(".;1")}, ".", 1, ""), ISO9660_MATCH_NONE);
}

TEST("iso9660_name: two dots are the record of the folder above, which has no other name") {
    struct record self = {NAME("\0"), AREA("NM\6\1\0x")}, parent = {NAME("\1"), AREA("NM\6\1\0x")};
    assert_int_equal(match(parent, "..", 2, ""), ISO9660_MATCH_EXACT);
    assert_int_equal(match(self, "..", 2, ""), ISO9660_MATCH_NONE);
    assert_int_equal(match(parent, "x", 1, ""), ISO9660_MATCH_NONE);
    assert_int_equal(match(self, "x", 1, ""), ISO9660_MATCH_NONE);
    assert_int_equal(match((struct record){NAME("A"), AREA("NM\7\1\0..")}, "..", 2, ""),
                     ISO9660_MATCH_NONE);
    expect((struct record){NAME(".X")}, ".X");
}
