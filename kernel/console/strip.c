#include "kernel/console/strip.h"

#include "common/base/addr.h"

enum { LEAST_PIXELS = 3 };

static uint64_t square_root(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1) {
        if ((root + bit) * (root + bit) <= value)
            root += bit;
    }
    return root;
}

static bool is_ram(uint32_t kind) {
    return kind != STRIP_HOLE && kind <= SLIPWAY_MEM_RUNTIME;
}

// What a piece weighs beyond the least.
static uint64_t weight(const struct strip_piece *piece) {
    return is_ram(piece->kind) ? square_root((piece->end - piece->start) / FRAME_BYTES) : 0;
}

// The next piece without its place.
static bool next_range(struct strip *strip, struct strip_piece *ret_piece) {
    if (strip->next == strip->count)
        return false;
    const struct memmap_region *region = &strip->regions[strip->next];
    struct strip_piece piece = {.start = strip->at, .end = region->start, .kind = STRIP_HOLE};
    if (region->start <= strip->at) {
        piece.end = region->end;
        piece.kind = region->kind;
        strip->next++;
        while (strip->next < strip->count && strip->regions[strip->next].start == piece.end &&
               strip->regions[strip->next].kind == piece.kind)
            piece.end = strip->regions[strip->next++].end;
    }
    strip->at = piece.end;
    *ret_piece = piece;
    return true;
}

struct strip strip_make(const struct memmap_region *regions, uint64_t count, uint32_t width) {
    struct strip strip = {.regions = regions, .count = count, .width = width};
    struct strip scan = strip;
    struct strip_piece piece;
    uint64_t pieces = 0;
    uint64_t weights = 0;
    while (next_range(&scan, &piece)) {
        pieces++;
        weights += weight(&piece);
    }
    // least * width / (weights + pieces * least) >= LEAST_PIXELS, solved for least. Without room
    // for that many pixels a piece, the pieces share the strip evenly.
    uint64_t reserved = pieces * LEAST_PIXELS;
    if (width > reserved)
        strip.least = LEAST_PIXELS * weights / (width - reserved) + 1;
    else
        strip.least = weights + 1;
    strip.total = weights + pieces * strip.least;
    return strip;
}

bool strip_next(struct strip *strip, struct strip_piece *ret_piece) {
    struct strip_piece piece;
    if (!next_range(strip, &piece))
        return false;
    uint64_t before = strip->passed;
    strip->passed += weight(&piece) + strip->least;
    piece.x = (uint32_t)(before * strip->width / strip->total);
    piece.width = (uint32_t)(strip->passed * strip->width / strip->total) - piece.x;
    *ret_piece = piece;
    return true;
}
