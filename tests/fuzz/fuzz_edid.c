// EDID of anything: parsed or refused with words for it, and nothing read outside of it.
#include "common/screen/edid.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// The block to be patched.
#include "tests/fuzz/patch.h"
#include "tests/unit/support/edid_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check(const uint8_t *data, size_t bytes) {
    const struct edid untouched = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    struct edid edid = untouched;
    enum edid_status status = edid_parse(data, bytes, &edid);
    require(strcmp(edid_status_text(status), "unknown") != 0);
    if (status != EDID_OK) {
        require(memcmp(&edid, &untouched, sizeof(edid)) == 0);
        return;
    }
    require(bytes >= EDID_BLOCK_BYTES && edid.extensions < 256);
    require(edid.width != 0 && edid.width < 4096 && edid.height != 0 && edid.height < 2 * 4096);
}

// The first byte says what follows: EDID in heap memory of exactly its size, or patches of a block
// that is in order, whose sum is then made right or not.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    enum { RAW = 1, WITH_SUM = 2 };
    if (bytes == 0)
        return 0;
    size_t size = data[0] & RAW ? bytes - 1 : EDID_BLOCK_BYTES;
    uint8_t *block = malloc(size);
    if (data[0] & RAW) {
        memcpy(block, data + 1, size);
    } else {
        edid_block_make(block, 1280, 800);
        patch_apply(data + 1, bytes - 1, block, size);
    }
    if ((data[0] & WITH_SUM) && size >= EDID_BLOCK_BYTES)
        edid_block_sum(block);
    check(block, size);
    free(block);
    return 0;
}
