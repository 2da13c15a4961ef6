// How much of a file is asked for at once: small reads cost calls and walks along the file's chain
// of clusters, large ones are slow on some devices, fail on others, and cannot be watched. So reads
// start small and grow by a factor while that does not cost more a byte, by the TSC; then they are
// as large as those that cost least. One pace serves all files of a volume, in turn. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PACE_FIRST (UINT64_C(1) << 20)
#define PACE_LEAST UINT64_C(4096)
#define PACE_MOST  (UINT64_C(1) << 30)
// A read should take no more counts of the TSC: a second at 1 GHz, a fifth of one at 5.
#define PACE_COUNTS_MOST UINT64_C(1000000000)

struct pace {
    uint64_t chunk;     // bytes to ask for next, or what is left: a power of two, at least 4 KiB
    uint64_t best;      // the chunk that has cost least,
    uint64_t best_cost; // in counts a MiB; 0: none has been measured
    bool has_begun;     // one read has been done, and was not measured
    bool is_settled;    // the chunk will not grow
};

// Of a volume from which nothing has been read.
struct pace pace_begin(void);

// A read that asked for `asked` bytes, at most a chunk, gave `got` of them in `counts` of the TSC.
void pace_note(struct pace *pace, uint64_t asked, uint64_t got, uint64_t counts);

// A read that asked for `asked` bytes failed: the next are smaller, for good. False if there is no
// smaller chunk than was asked for.
[[nodiscard]] bool pace_shrink(struct pace *pace, uint64_t asked);
