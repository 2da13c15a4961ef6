// Registers of anything: the map is whole, has no gap, and fits.
#include "common/base/addr.h"
#include "common/mtrr/mtrr_map.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct mtrr_state state;
    static struct mtrr_map map;
    uint64_t words[2 + MTRR_FIXED + 2 * MTRR_VARIABLE_MAX] = {0};
    memcpy(words, data, bytes < sizeof(words) ? bytes : sizeof(words));
    unsigned paddr_bits = 32 + words[0] % 21;
    state = (struct mtrr_state){
        .is_there = words[0] & 1 << 8,
        .has_fixed = words[0] & 1 << 9,
        .variable_count = (uint32_t)(words[0] >> 16) % (MTRR_VARIABLE_MAX + 1),
        .default_type = words[1],
    };
    memcpy(state.fixed, words + 2, sizeof(state.fixed));
    memcpy(state.base, words + 2 + MTRR_FIXED, sizeof(state.base));
    memcpy(state.mask, words + 2 + MTRR_FIXED + MTRR_VARIABLE_MAX, sizeof(state.mask));
    mtrr_map_make(&state, paddr_bits, &map);
    uint64_t end = 0;
    require(map.count <= MTRR_RUNS_MAX);
    for (uint32_t i = 0; i < map.count; i++) {
        require(map.runs[i].start == end && map.runs[i].end > end);
        require(map.runs[i].end % FRAME_BYTES == 0);
        require(i == 0 || map.runs[i].type != map.runs[i - 1].type);
        end = map.runs[i].end;
    }
    require(map.count == 0 || end == UINT64_C(1) << paddr_bits);
    return 0;
}
