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

// What a band weighs beyond the least.
static uint64_t weight(const struct strip_band *band) {
    return is_ram(band->kind) ? square_root((band->end - band->start) / FRAME_BYTES) : 0;
}

// The next band without its place.
static bool next_range(struct strip *strip, struct strip_band *ret_band) {
    if (strip->next == strip->count)
        return false;
    const struct memmap_region *region = &strip->regions[strip->next];
    struct strip_band band = {.start = strip->at, .end = region->start, .kind = STRIP_HOLE};
    if (region->start <= strip->at) {
        band.end = region->end;
        band.kind = region->kind;
        strip->next++;
        while (strip->next < strip->count && strip->regions[strip->next].start == band.end &&
               strip->regions[strip->next].kind == band.kind)
            band.end = strip->regions[strip->next++].end;
    }
    strip->at = band.end;
    *ret_band = band;
    return true;
}

struct strip strip_make(const struct memmap_region *regions, uint64_t count, uint32_t width) {
    struct strip strip = {.regions = regions, .count = count, .width = width};
    struct strip scan = strip;
    struct strip_band band;
    uint64_t bands = 0;
    uint64_t weights = 0;
    while (next_range(&scan, &band)) {
        bands++;
        weights += weight(&band);
    }
    // least * width / (weights + bands * least) >= LEAST_PIXELS, solved for least. Without room
    // for that many pixels a band, the bands share the strip evenly.
    uint64_t reserved = bands * LEAST_PIXELS;
    if (width > reserved)
        strip.least = LEAST_PIXELS * weights / (width - reserved) + 1;
    else
        strip.least = weights + 1;
    strip.total = weights + bands * strip.least;
    return strip;
}

bool strip_next(struct strip *strip, struct strip_band *ret_band) {
    struct strip_band band;
    if (!next_range(strip, &band))
        return false;
    uint64_t before = strip->passed;
    strip->passed += weight(&band) + strip->least;
    band.x = (uint32_t)(before * strip->width / strip->total);
    band.width = (uint32_t)(strip->passed * strip->width / strip->total) - band.x;
    *ret_band = band;
    return true;
}
