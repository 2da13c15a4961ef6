// What a display says of itself: EDID, of which the preferred size of its picture is read here.
// After VESA's Enhanced EDID Standard, release A2 (EDID 1.4). Pure; any bytes may be given.
#pragma once

#include <stdint.h>

#define EDID_BLOCK_BYTES 128
#define EDID_MAX_BYTES   (256 * EDID_BLOCK_BYTES) // the base block and 255 extensions

enum edid_status {
    EDID_OK,
    EDID_ERR_SHORT,  // fewer bytes than the base block has
    EDID_ERR_HEADER, // section 3.3
    EDID_ERR_SUM,    // section 3.11: the bytes of the block do not add up to 0
    EDID_ERR_TIMING, // no preferred timing, or one without pixels
};

struct edid {
    uint32_t width;      // of the preferred timing, in pixels
    uint32_t height;     // of a whole picture, interlaced or not
    uint32_t extensions; // blocks that are said to follow the first; fewer bytes may be there
};

// Reads the base block, the first 128 of `bytes` bytes. On failure *ret_edid is untouched.
[[nodiscard]] enum edid_status edid_parse(const void *data, uint64_t bytes, struct edid *ret_edid);

// What a status means, for people; static text.
const char *edid_status_text(enum edid_status status);
