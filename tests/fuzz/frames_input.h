// What the bytes of an input of fuzz_frames mean as memory regions, and an allocator over them.
#pragma once

#include "common/base/arith.h"
#include "common/frames/frames.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REGIONS_MAX = 48,
    ARENA_FRAMES_MAX = 6000,
};

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct input {
    const uint8_t *data;
    size_t bytes;
};

// The next bytes of the input; false, and nothing taken, when there are not as many.
static inline bool take(struct input *input, void *to, size_t bytes) {
    if (input->bytes < bytes)
        return false;
    memcpy(to, input->data, bytes);
    input->data += bytes;
    input->bytes -= bytes;
    return true;
}

// An allocator, with metadata in exactly as much memory as it asks for.
struct machine {
    struct memmap_region regions[REGIONS_MAX];
    uint64_t count;
    unsigned cpus;
    struct frames frames;
    void *metadata;
    uint64_t metadata_bytes;
    paddr_t metadata_phys;
};

static inline enum frames_status start(struct machine *machine) {
    REQUIRE(posix_memalign(&machine->metadata, FRAME_BYTES, machine->metadata_bytes) == 0);
    memset(machine->metadata, 0xa5, machine->metadata_bytes);
    return frames_init(&machine->frames, machine->regions, machine->count, machine->cpus,
                       machine->metadata, machine->metadata_bytes, machine->metadata_phys);
}

static inline void write_text(void *context, const char *text, size_t bytes) {
    fwrite(text, 1, bytes, context);
}

static inline void verify(const struct machine *machine) {
    struct sink sink = {write_text, stderr};
    REQUIRE(frames_verify(&machine->frames, &sink) == 0);
}

// The next region: two numbers of any size, or distances from the end of the last one in one of
// several units, forwards or back.
static inline bool take_region(struct input *input, uint64_t last_end,
                               struct memmap_region *ret_region) {
    static const uint64_t units[] = {FRAME_BYTES, MIB(2), GIB(1), TIB(16), 1};
    struct {
        uint8_t form, kind;
        uint16_t gap, length;
    } given;
    if (!take(input, &given, sizeof(given)))
        return false;
    ret_region->kind = given.kind % (SLIPWAY_MEM_KINDS + 2U);
    ret_region->direct = (given.kind & 0x80) == 0;
    if ((given.form & 0x80) != 0) {
        uint64_t bounds[2];
        if (!take(input, bounds, sizeof(bounds)))
            return false;
        ret_region->start = bounds[0];
        ret_region->end = bounds[1];
        return true;
    }
    uint64_t unit = units[(given.form & 7) % ARRAY_LEN(units)];
    bool goes_back = (given.form & 0x70) == 0x70;
    ret_region->start = goes_back ? last_end - given.gap * unit : last_end + given.gap * unit;
    ret_region->end = ret_region->start + given.length * unit;
    return true;
}

static inline void add_region(struct machine *machine, uint64_t first, uint64_t frames,
                              uint32_t kind) {
    machine->regions[machine->count++] = (struct memmap_region){
        first * FRAME_BYTES, (first + frames) * FRAME_BYTES, kind, kind != SLIPWAY_MEM_MMIO};
}

// Some regions, rising: behind the last, or so that a border of zones or of 1 GiB is in one.
static inline void take_arena(struct input *input, struct machine *machine) {
    static const uint64_t borders[] = {0x100, 0x1000, 0x100000, UINT64_C(0x80040000)};
    static const uint8_t kinds[] = {
        SLIPWAY_MEM_USABLE,       SLIPWAY_MEM_USABLE, SLIPWAY_MEM_USABLE, SLIPWAY_MEM_BOOT_SERVICES,
        SLIPWAY_MEM_ACPI_RECLAIM, SLIPWAY_MEM_LOADER, SLIPWAY_MEM_KERNEL, SLIPWAY_MEM_PAGE_TABLES,
        SLIPWAY_MEM_MODULE,       SLIPWAY_MEM_USABLE, SLIPWAY_MEM_MMIO,   SLIPWAY_MEM_RESERVED};
    uint64_t next = 1, frames = 0; // frame 0 is never usable
    uint8_t count;
    struct {
        uint8_t where, gap, kind;
        uint8_t length; // in eighths of a block, and some
    } given;
    if (!take(input, &count, 1))
        return;
    for (unsigned i = 0; i < count % 16U && take(input, &given, sizeof(given)); i++) {
        uint64_t length =
            1 + (given.length & 0x1f) * UINT64_C(64) - (given.length >> 5) * (given.length & 0x1f);
        uint64_t border = borders[given.where % 4];
        if (given.where >= 128)
            next += given.gap;
        else if (given.where >= 96)
            next = (next + 511) / 512 * 512;
        else if (border > next + given.gap * 2U)
            next = border - given.gap * 2U;
        if (frames + length > ARENA_FRAMES_MAX)
            break;
        add_region(machine, next, length, kinds[given.kind % ARRAY_LEN(kinds)]);
        next += length;
        frames += length;
    }
    if ((count & 0x80) == 0) // else the metadata needs one of the others
        add_region(machine, next + 1, 64, SLIPWAY_MEM_USABLE);
}
