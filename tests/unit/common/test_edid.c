// EDID: what a display prefers, and blocks that are none.
#include "common/screen/edid.h"
#include "tests/unit/support/edid_block.h"
#include "tests/unit/support/test.h"

static const struct edid untouched = {1, 2, 3};

static void expect(const uint8_t *block, uint64_t bytes, enum edid_status status) {
    struct edid edid = untouched;
    assert_int_equal(edid_parse(block, bytes, &edid), status);
    if (status != EDID_OK)
        assert_memory_equal(&edid, &untouched, sizeof(edid));
}

static struct edid parse(const uint8_t *block) {
    struct edid edid;
    assert_int_equal(edid_parse(block, EDID_BLOCK_BYTES, &edid), EDID_OK);
    return edid;
}

TEST("edid: the preferred size has twelve bits each way, and extensions are counted") {
    static const uint32_t sizes[][2] = {
        {1280, 800}, {1, 1}, {255, 256}, {4095, 4095}, {3840, 2160}};
    uint8_t block[EDID_BLOCK_BYTES];
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        edid_block_make(block, sizes[i][0], sizes[i][1]);
        block[126] = (uint8_t)(i * 60);
        edid_block_sum(block);
        struct edid edid = parse(block);
        assert_int_equal(edid.width, sizes[i][0]);
        assert_int_equal(edid.height, sizes[i][1]);
        assert_int_equal(edid.extensions, i * 60);
    }
}

TEST("edid: bits of blanking and sync beside those of the size do not count") {
    uint8_t block[EDID_BLOCK_BYTES];
    edid_block_make(block, 0x123, 0x456);
    block[54 + 3] = block[54 + 6] = 0xff;
    block[54 + 4] |= 0x0f;
    block[54 + 7] |= 0x0f;
    block[54 + 17] = 0x7f;
    edid_block_sum(block);
    struct edid edid = parse(block);
    assert_int_equal(edid.width, 0x123);
    assert_int_equal(edid.height, 0x456);
}

TEST("edid: of an interlaced timing the height is that of both fields") {
    uint8_t block[EDID_BLOCK_BYTES];
    edid_block_make(block, 1920, 540);
    block[54 + 17] = 0x80;
    edid_block_sum(block);
    assert_int_equal(parse(block).height, 1080);
}

TEST("edid: before revision 3 the first timing is preferred only if a bit says so") {
    uint8_t block[EDID_BLOCK_BYTES];
    for (uint8_t revision = 0; revision < 5; revision++) {
        for (unsigned features = 0; features < 4; features++) {
            edid_block_make(block, 800, 600);
            block[19] = revision;
            block[24] = (uint8_t)features;
            edid_block_sum(block);
            expect(block, sizeof(block),
                   revision >= 3 || (features & 2) != 0 ? EDID_OK : EDID_ERR_TIMING);
        }
    }
}

TEST("edid: a block that is cut, of another format or damaged is refused") {
    uint8_t block[2 * EDID_BLOCK_BYTES] = {0};
    edid_block_make(block, 800, 600);
    expect(block, 0, EDID_ERR_SHORT);
    expect(block, EDID_BLOCK_BYTES - 1, EDID_ERR_SHORT);
    expect(block, sizeof(block), EDID_OK);
    for (unsigned i = 0; i < EDID_BLOCK_BYTES; i++) {
        block[i] ^= 0x10;
        expect(block, sizeof(block), i < 8 ? EDID_ERR_HEADER : EDID_ERR_SUM);
        block[i] ^= 0x10;
    }
    for (unsigned i = 0; i < 8; i++) { // each byte of the header, with a sum that is right
        block[i] ^= 1;
        edid_block_sum(block);
        expect(block, sizeof(block), EDID_ERR_HEADER);
        block[i] ^= 1;
    }
}

TEST("edid: a first descriptor that is no timing, or that has no pixels, is no preference") {
    static const struct {
        uint32_t width, height;
        uint8_t clock[2];
        enum edid_status status;
    } cases[] = {
        {800, 600, {0, 0}, EDID_ERR_TIMING}, {800, 600, {1, 0}, EDID_OK},
        {800, 600, {0, 1}, EDID_OK},         {0, 600, {1, 1}, EDID_ERR_TIMING},
        {800, 0, {1, 1}, EDID_ERR_TIMING},
    };
    uint8_t block[EDID_BLOCK_BYTES];
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        edid_block_make(block, cases[i].width, cases[i].height);
        block[54] = cases[i].clock[0];
        block[55] = cases[i].clock[1];
        edid_block_sum(block);
        expect(block, sizeof(block), cases[i].status);
    }
}

TEST("edid: every status has its words") {
    assert_string_equal(edid_status_text(EDID_OK), "sound");
    assert_string_equal(edid_status_text(EDID_ERR_SHORT), "it has fewer than 128 bytes");
    assert_string_equal(edid_status_text(EDID_ERR_HEADER), "it does not begin as one");
    assert_string_equal(edid_status_text(EDID_ERR_SUM), "its checksum is wrong");
    assert_string_equal(edid_status_text(EDID_ERR_TIMING), "it prefers no timing");
    assert_string_equal(edid_status_text((enum edid_status)(EDID_ERR_TIMING + 1)), "unknown");
}
