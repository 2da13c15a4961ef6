// Random memory regions for the frame allocator: what is few in frames and has much in it that is
// awkward. Holes from none to terabytes, regions across the borders of zones, blocks that regions
// share, and blocks with a frame or two, so that arenas fill up with few frames.
#pragma once

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/memmap/memmap.h"

#include "tests/unit/support/random.h"

enum { MAP_REGIONS_MAX = 512 };

struct map {
    struct memmap_region regions[MAP_REGIONS_MAX];
    uint64_t count;
    uint64_t next;   // frame at which the next region may begin
    uint64_t frames; // so far
};

static inline void map_add(struct map *map, uint64_t first, uint64_t frames, uint32_t kind) {
    if (map->count == MAP_REGIONS_MAX)
        return;
    map->regions[map->count++] = (struct memmap_region){
        first * FRAME_BYTES, (first + frames) * FRAME_BYTES, kind, kind != SLIPWAY_MEM_MMIO};
    map->next = first + frames;
    map->frames += frames;
}

// Small regions, each in a block of its own: as many as make most of an arena, or more.
static inline void map_sprinkle(struct map *map, struct random *random) {
    uint64_t blocks = 50 + random_below(random, 30);
    for (uint64_t i = 0; i < blocks && map->count + 40 < MAP_REGIONS_MAX; i++) {
        uint64_t block = align_up(map->next + 1, 512) + 512 * random_below(random, 2);
        map_add(map, block + random_below(random, 500), 1 + random_below(random, 8),
                random_below(random, 8) == 0 ? SLIPWAY_MEM_LOADER : SLIPWAY_MEM_USABLE);
    }
    map->next = align_up(map->next, 512); // what comes next may follow in the next block
}

// Moves to where the next few regions begin.
static inline void map_move(struct map *map, struct random *random) {
    static const uint64_t borders[] = {0x100, 0x1000, 0x100000, UINT64_C(1) << 31};
    uint64_t border = borders[random_below(random, 4)];
    switch (random_below(random, 6)) {
    case 0:
        map->next += random_below(random, 700);
        break;
    case 1:
        map->next = align_up(map->next, 512);
        break;
    case 2:
        map_sprinkle(map, random);
        break;
    case 3:
        map->next += random_below(random, 8) == 0 ? UINT64_C(1) << 29 : 512;
        break;
    default: // so that a border lies in what follows
        border -= min_u64(border, random_below(random, 600));
        map->next = max_u64(map->next, border);
    }
}

// Regions that follow each other closely.
static inline void map_add_cluster(struct map *map, struct random *random, uint64_t most) {
    uint64_t regions = 1 + random_below(random, 5);
    for (uint64_t i = 0; i < regions; i++) {
        uint64_t frames = 1 + random_below(random, random_below(random, 2) == 0 ? most : 40);
        uint32_t kind = 1 + (uint32_t)random_below(random, SLIPWAY_MEM_ACPI_NVS);
        if (random_below(random, 2) == 0)
            kind = SLIPWAY_MEM_USABLE;
        if (random_below(random, 4) == 0) // whole blocks
            frames = align_up(map->next + frames, 512) - map->next;
        map_add(map, map->next, frames, kind);
        map->next += random_below(random, 6) == 0 ? random_below(random, 40) : 0;
    }
}

// About `frames` frames or more, and somewhere room for metadata.
static inline void map_make(struct map *map, struct random *random, uint64_t frames) {
    // Frame 0 is never usable memory.
    *map =
        (struct map){.next = 1 + random_below(random, random_below(random, 2) == 0 ? 300 : 5000)};
    while (map->frames < frames && map->count + 100 < MAP_REGIONS_MAX) {
        map_move(map, random);
        map_add_cluster(map, random, frames / 3);
    }
    map_add(map, map->next + random_below(random, 3), 40 + random_below(random, 20),
            SLIPWAY_MEM_USABLE);
}
