// A machine's allocator with counts of owners above it.
#pragma once

#include "common/frames/owners.h"

#include "tests/unit/support/frames_machine.h"

// Counts for a machine, in exactly as much memory as they ask for.
static inline struct frames_owners owners_start(struct machine *machine) {
    struct frames_owners owners;
    uint64_t bytes = frames_owners_bytes(&machine->frames);
    void *memory = malloc(bytes);
    memset(memory, 0xa5, bytes); // nobody clears it
    assert_int_equal(frames_owners_init(&owners, &machine->frames, memory, bytes), FRAMES_OK);
    return owners;
}

static inline void owners_end(struct frames_owners *owners) {
    free(owners->counts);
}

#define OWNED_MACHINE(machine, owners, ...)                                                        \
    MACHINE(machine, 1, __VA_ARGS__);                                                              \
    struct frames_owners owners = owners_start(&machine)

static inline uint64_t owned(struct frames_owners *owners) {
    paddr_t frame = PADDR_NONE;
    assert_int_equal(frames_owners_alloc(owners, 0, FRAMES_ANY, &frame), FRAMES_OK);
    return frame.value;
}

static inline uint64_t owned_run(struct frames_owners *owners, uint64_t count, uint64_t align) {
    paddr_t first = PADDR_NONE;
    struct frames_request request = {.count = count, .align = align};
    assert_int_equal(frames_owners_alloc_run(owners, 0, &request, &first), FRAMES_OK);
    return first.value;
}

static inline enum frames_owners_status get(struct frames_owners *owners, uint64_t frame) {
    return frames_owners_get(owners, paddr(frame));
}

// How many frames a put has freed, which must succeed.
static inline uint64_t put(struct frames_owners *owners, uint64_t frame) {
    uint64_t freed = NOTHING;
    assert_int_equal(frames_owners_put(owners, 0, paddr(frame), &freed), FRAMES_OWNERS_OK);
    return freed;
}

static inline unsigned owner_count(const struct frames_owners *owners, uint64_t frame) {
    return frames_owners_count(owners, paddr(frame));
}
