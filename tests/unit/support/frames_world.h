// The world of the random test: an allocator over random regions beside the model of it; and what
// random bytes are as an operation.
#pragma once

#include "tests/unit/support/frames_machine.h"
#include "tests/unit/support/frames_maps.h"
#include "tests/unit/support/frames_model.h"

enum kind { ALLOC, RUN, AT, FREE, FREE_RUN, RECLAIM, KINDS };

static const char *const kind_text[] = {"alloc", "alloc_run", "alloc_at",
                                        "free",  "free_run",  "reclaim"};

struct operation {
    enum kind kind;
    unsigned cpu;
    enum frames_zone zone;
    struct frames_request request;
    uint64_t address, count;
    uint32_t reclaimed; // kind
};

struct world {
    struct map map;
    struct machine machine;
    struct model *model;
    unsigned cpus;
    uint64_t metadata_shift; // frames
    bool is_printed;         // every operation, as it is done
    bool is_draining;        // gives back rather than takes, since all was taken once
    uint64_t steps, done[KINDS], refused[KINDS];
};

// ---- From bytes to operations

static inline uint64_t bytes_16(const uint8_t *b) {
    return (uint64_t)b[0] << 8 | b[1];
}

static inline enum kind decode_kind(const struct world *world, uint8_t byte) {
    static const uint8_t filling[] = {70, 110, 30, 22, 22, 2};
    static const uint8_t draining[] = {36, 56, 16, 66, 80, 2};
    const uint8_t *weight = world->is_draining ? draining : filling;
    unsigned kind = 0;
    while (byte >= weight[kind])
        byte = (uint8_t)(byte - weight[kind++]);
    return (enum kind)kind;
}

static inline uint64_t decode_count(const uint8_t *b) {
    static const uint64_t special[] = {0,   1,   63,   64,   65,   127,  128,  511,
                                       512, 513, 1023, 1024, 1025, 2048, 4096, UINT64_MAX / 4096};
    if (b[0] < 140)
        return 1 + b[1] % 20;
    if (b[0] < 200)
        return 1 + bytes_16(b) % 64;
    if (b[0] < 240)
        return 1 + (bytes_16(b) ^ b[1]) % 700;
    return special[b[1] % ARRAY_LEN(special)];
}

static inline uint64_t decode_align(uint64_t count, const uint8_t *b) {
    if (b[0] < 120 || b[0] >= 250)
        return b[0] >= 254 ? b[1] | 3 : b[0] % 2; // an odd one is refused
    if (count == 512 && b[0] < 200)
        return 512;
    return UINT64_C(1) << b[1] % (b[0] < 230 ? 7 : 21);
}

static inline uint64_t decode_below(const struct model *model, const uint8_t *b) {
    static const uint64_t borders[] = {MIB(1), MIB(16), GIB(4), GIB(4) + MIB(1)};
    if (b[0] < 180)
        return 0;
    if (b[0] < 210)
        return borders[b[1] % 4];
    uint64_t number = model->number[bytes_16(b + 1) * 7 % model->count];
    return number * FRAME_BYTES + (b[0] % 4 == 0 ? b[2] : b[0] % 4 * FRAME_BYTES);
}

// An address for a call that wants frames in state `wanted`, and how many: mostly some that are in
// it, sometimes whatever is there.
static inline void decode_frames(const struct model *model, uint8_t wanted, const uint8_t *b,
                                 struct operation *operation) {
    uint64_t index = (bytes_16(b) << 8 | b[2]) % model->count;
    operation->count = decode_count(b + 3);
    if (b[5] >= 25) { // on to the next that is as it should be
        const uint8_t *found = memchr(model->state + index, wanted, model->count - index);
        index = found != NULL ? (uint64_t)(found - model->state) : index;
        uint64_t count = 1;
        while (count < operation->count && model->state[index + count] == wanted)
            count++;
        operation->count = b[5] < 220 ? count : operation->count;
    }
    operation->address = model->number[index] * FRAME_BYTES;
    if (b[5] < 6)
        operation->address += (uint64_t)b[6] << (b[5] * 5);
}

static inline struct operation decode(const struct world *world, const uint8_t *b) {
    struct operation operation = {
        .kind = decode_kind(world, b[0]),
        .cpu = b[1] % world->cpus,
        .zone = (enum frames_zone)(b[2] < 160 ? FRAMES_ANY : b[2] % FRAMES_ZONES),
        .reclaimed = SLIPWAY_MEM_BOOT_SERVICES + b[3] % 4U, // one of them is not reclaimable
    };
    operation.request.count = decode_count(b + 4);
    operation.request.align = decode_align(operation.request.count, b + 6);
    operation.request.below = decode_below(world->model, b + 8);
    if (operation.kind == AT || operation.kind == FREE || operation.kind == FREE_RUN)
        decode_frames(world->model, operation.kind == AT ? MODEL_FREE : MODEL_USED, b + 2,
                      &operation);
    if (operation.kind == FREE)
        operation.count = 1;
    return operation;
}

static inline void print_operation(const struct operation *o) {
    print_message("  cpu %u %-9s", o->cpu, kind_text[o->kind]);
    if (o->kind == ALLOC)
        print_message(" zone %d\n", (int)o->zone);
    else if (o->kind == RUN)
        print_message(" count %" PRIu64 " align %" PRIu64 " below %#" PRIx64 "\n", o->request.count,
                      o->request.align, o->request.below);
    else if (o->kind == RECLAIM)
        print_message(" kind %u\n", o->reclaimed);
    else
        print_message(" frame %#" PRIx64 " count %" PRIu64 "\n", o->address / FRAME_BYTES,
                      o->count);
}

static inline void print_map(const struct map *map, paddr_t metadata) {
    for (uint64_t i = 0; i < map->count; i++)
        print_message("  frames [%#" PRIx64 ", %#" PRIx64 ") kind %u\n",
                      map->regions[i].start / FRAME_BYTES, map->regions[i].end / FRAME_BYTES,
                      map->regions[i].kind);
    print_message("  metadata at frame %#" PRIx64 "\n", metadata.value / FRAME_BYTES);
}
