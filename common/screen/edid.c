// See edid.h.
#include "common/screen/edid.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

#include <stdbool.h>

// Offsets in the base block (section 3.1).
enum {
    REVISION = 19,
    FEATURES = 24,
    TIMING = 54, // the first of four descriptors of 18 bytes
    EXTENSIONS = 126,
};

// Offsets in a detailed timing (section 3.10.2). A size has its low 8 bits in one byte, and its
// high 4 bits in the upper half of another.
enum {
    CLOCK = 0, // 16 bits; 0: the descriptor is no timing
    WIDTH_LOW = 2,
    WIDTH_HIGH = 4,
    HEIGHT_LOW = 5,
    HEIGHT_HIGH = 7,
    FLAGS = 17,
};

#define FEATURE_PREFERRED 0x02 // before revision 3: the first timing is the preferred one
#define FLAG_INTERLACED   0x80 // the height is that of one of two fields

static const uint8_t header[8] = {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00};

static uint32_t size_of(const uint8_t *timing, unsigned low, unsigned high) {
    return timing[low] | (uint32_t)(timing[high] & 0xf0) << 4;
}

static uint8_t sum_of(const uint8_t *block) {
    uint8_t sum = 0;
    for (unsigned i = 0; i < EDID_BLOCK_BYTES; i++)
        sum = (uint8_t)(sum + block[i]);
    return sum;
}

enum edid_status edid_parse(const void *data, uint64_t bytes, struct edid *ret_edid) {
    const uint8_t *block = data;
    if (bytes < EDID_BLOCK_BYTES)
        return EDID_ERR_SHORT;
    if (memcmp(block, header, sizeof(header)) != 0)
        return EDID_ERR_HEADER;
    if (sum_of(block) != 0)
        return EDID_ERR_SUM;
    const uint8_t *timing = block + TIMING;
    // From revision 3 on the first timing is the preferred one, whatever the bit says (3.10.1).
    bool is_preferred = block[REVISION] >= 3 || (block[FEATURES] & FEATURE_PREFERRED) != 0;
    bool is_timing = (timing[CLOCK] | timing[CLOCK + 1]) != 0;
    uint32_t width = size_of(timing, WIDTH_LOW, WIDTH_HIGH);
    uint32_t height = size_of(timing, HEIGHT_LOW, HEIGHT_HIGH);
    if (!is_preferred || !is_timing || width == 0 || height == 0)
        return EDID_ERR_TIMING;
    *ret_edid = (struct edid){
        .width = width,
        .height = (timing[FLAGS] & FLAG_INTERLACED) != 0 ? 2 * height : height,
        .extensions = block[EXTENSIONS],
    };
    return EDID_OK;
}

const char *edid_status_text(enum edid_status status) {
    static const char *const texts[] = {
        [EDID_OK] = "sound",
        [EDID_ERR_SHORT] = "it has fewer than 128 bytes",
        [EDID_ERR_HEADER] = "it does not begin as one",
        [EDID_ERR_SUM] = "its checksum is wrong",
        [EDID_ERR_TIMING] = "it prefers no timing",
    };
    return (unsigned)status < ARRAY_LEN(texts) ? texts[status] : "unknown";
}
