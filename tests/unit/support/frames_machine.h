// A frame allocator over regions that a test gives, with metadata where frames_place_metadata wants
// it, in exactly as much memory as it asks for.
#pragma once

#include "common/base/arith.h"
#include "common/frames/core.h"

#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

#define USABLE  SLIPWAY_MEM_USABLE
#define PAGE(n) ((uint64_t)(n)*FRAME_BYTES)
#define NOTHING UINT64_MAX // PADDR_NONE

struct machine {
    const struct memmap_region *regions;
    uint64_t count;
    unsigned cpus;
    unsigned cpu; // on which calls are made
    struct frames frames;
    void *metadata;
    uint64_t metadata_bytes;
    paddr_t metadata_phys;
};

static inline struct machine machine_make(const struct memmap_region *regions, uint64_t count,
                                          unsigned cpus) {
    struct machine machine = {.regions = regions, .count = count, .cpus = cpus};
    machine.metadata_bytes = frames_metadata_bytes(regions, count, cpus);
    assert_int_equal(
        frames_place_metadata(regions, count, machine.metadata_bytes, &machine.metadata_phys),
        FRAMES_OK);
    if (machine.metadata_bytes > 0) {
        assert_int_equal(posix_memalign(&machine.metadata, FRAME_BYTES, machine.metadata_bytes), 0);
        memset(machine.metadata, 0xa5, machine.metadata_bytes); // nobody clears it
    }
    return machine;
}

static inline void machine_start(struct machine *machine) {
    assert_int_equal(frames_init(&machine->frames, machine->regions, machine->count, machine->cpus,
                                 machine->metadata, machine->metadata_bytes,
                                 machine->metadata_phys),
                     FRAMES_OK);
    assert_int_equal(frames_verify(&machine->frames, NULL), 0);
}

static inline void machine_end(struct machine *machine) {
    assert_int_equal(frames_verify(&machine->frames, NULL), 0);
    free(machine->metadata);
}

#define MACHINE(name, cpus, ...)                                                                   \
    const struct memmap_region name##_regions[] = {__VA_ARGS__};                                   \
    struct machine name = machine_make(name##_regions, ARRAY_LEN(name##_regions), cpus);           \
    machine_start(&name)

static inline struct frames_statistics statistics(const struct machine *machine) {
    struct frames_statistics result;
    frames_get_statistics(&machine->frames, &result);
    return result;
}

// The address, or NOTHING.
static inline uint64_t alloc(struct machine *machine, enum frames_zone zone) {
    paddr_t frame = PADDR_NONE;
    if (frames_alloc(&machine->frames, machine->cpu, zone, &frame) != FRAMES_OK)
        assert_true(paddr_is_none(frame));
    return frame.value;
}

static inline uint64_t alloc_below(struct machine *machine, uint64_t count, uint64_t align,
                                   uint64_t below) {
    paddr_t first = PADDR_NONE;
    struct frames_request request = {count, align, below};
    if (frames_alloc_run(&machine->frames, machine->cpu, &request, &first) != FRAMES_OK)
        assert_true(paddr_is_none(first));
    return first.value;
}

static inline uint64_t alloc_run(struct machine *machine, uint64_t count, uint64_t align) {
    return alloc_below(machine, count, align, 0);
}

static inline enum frames_status alloc_at(struct machine *machine, uint64_t first, uint64_t count) {
    return frames_alloc_at(&machine->frames, machine->cpu, paddr(first), count);
}

static inline enum frames_status free_run(struct machine *machine, uint64_t first, uint64_t count) {
    return frames_free_run(&machine->frames, machine->cpu, paddr(first), count);
}

static inline enum frames_status free_one(struct machine *machine, uint64_t frame) {
    return frames_free(&machine->frames, machine->cpu, paddr(frame));
}

// Takes every free frame, one by one.
static inline void use_all(struct machine *machine) {
    while (alloc(machine, FRAMES_ANY) != NOTHING)
        continue;
}

// Every bit of the allocator's state, but for what CPUs remember for themselves.
struct snapshot {
    struct frames frames;
    unsigned char *metadata;
};

static inline void snapshot_fill(struct snapshot *snapshot, const struct machine *machine) {
    memcpy(&snapshot->frames, &machine->frames, sizeof(snapshot->frames));
    memcpy(snapshot->metadata, machine->metadata, machine->metadata_bytes);
}

static inline struct snapshot snapshot_take(const struct machine *machine) {
    struct snapshot snapshot = {.metadata = malloc(machine->metadata_bytes)};
    assert_non_null(snapshot.metadata);
    snapshot_fill(&snapshot, machine);
    return snapshot;
}

// But for what a search noted down: a hint, which says nothing of what is free.
static inline bool arenas_are_equal(const unsigned char *left, const unsigned char *right,
                                    uint64_t count) {
    struct frames_arena pair[2];
    for (uint64_t i = 0; i < count; i++) {
        memcpy(&pair[0], left + i * sizeof(pair[0]), sizeof(pair[0]));
        memcpy(&pair[1], right + i * sizeof(pair[1]), sizeof(pair[1]));
        pair[0].run_limits = pair[1].run_limits = 0;
        if (memcmp(&pair[0], &pair[1], sizeof(pair[0])) != 0)
            return false;
    }
    return true;
}

// Whether the state is what it was.
static inline bool snapshot_equals(const struct snapshot *snapshot, const struct machine *machine) {
    const unsigned char *metadata = machine->metadata;
    uint64_t cpus_at = (uint64_t)((const unsigned char *)machine->frames.cpus - metadata);
    uint64_t cpus_end = cpus_at + machine->cpus * sizeof(struct frames_cpu);
    return memcmp(&snapshot->frames, &machine->frames, sizeof(snapshot->frames)) == 0 &&
           arenas_are_equal(snapshot->metadata, metadata, machine->frames.arena_count) &&
           memcmp(snapshot->metadata + cpus_end, metadata + cpus_end,
                  machine->metadata_bytes - cpus_end) == 0;
}

static inline void snapshot_drop(struct snapshot *snapshot) {
    free(snapshot->metadata);
}
