// See pace.h.
#include "loader/pace.h"

#include "common/base/arith.h"

// Some devices are slow already at a few MiB, where a larger read costs more than it tells: so
// chunks double at first. From here on they grow faster, since each step is walked along twice, see
// below.
#define PROBED (PACE_FIRST << 2)
enum { DOUBLINGS_MOST = 4 };

struct pace pace_begin(void) {
    return (struct pace){.chunk = PACE_FIRST, .best = PACE_FIRST};
}

// The next chunk, as far as it is expected to take no longer than a read should.
static void grow(struct pace *pace, uint64_t cost) {
    uint64_t chunk = pace->chunk;
    unsigned doublings = chunk < PROBED ? 1 : DOUBLINGS_MOST;
    for (unsigned i = 0; i < doublings && chunk < PACE_MOST; i++) {
        if (2 * (chunk / PACE_FIRST) > PACE_COUNTS_MOST / cost)
            break;
        chunk *= 2;
    }
    pace->is_settled = chunk == pace->chunk;
    pace->chunk = chunk;
}

// The first read is not measured: the device may have to wake up. Nor is the end of a file.
//
// edk2's FAT driver walks along the chain of clusters twice: what a read has covered it walks once
// more in the next one. So a chunk after a small one looks a little better than it is, and one
// after a chunk of its own size a little worse; and the larger a file's last read, the less is
// walked again. An eighth more is therefore no reason to go back.
void pace_note(struct pace *pace, uint64_t asked, uint64_t got, uint64_t counts) {
    if (pace->is_settled || asked != pace->chunk || got != asked || counts == 0)
        return;
    if (!pace->has_begun) {
        pace->has_begun = true;
        return;
    }
    uint64_t cost = max_u64(counts / (pace->chunk / PACE_FIRST), 1);
    if (pace->best_cost != 0 && cost > pace->best_cost + pace->best_cost / 8) {
        pace->chunk = pace->best;
        pace->is_settled = true;
        return;
    }
    if (pace->best_cost == 0 || cost < pace->best_cost) {
        pace->best = pace->chunk;
        pace->best_cost = cost;
    }
    grow(pace, cost);
}

bool pace_shrink(struct pace *pace, uint64_t asked) {
    if (asked <= PACE_LEAST) // which is a power of two, as chunks are
        return false;
    while (pace->chunk >= asked)
        pace->chunk /= 2;
    pace->is_settled = true;
    return true;
}
