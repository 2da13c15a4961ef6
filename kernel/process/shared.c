// Objects of shared memory. An object owns each of its frames, and so does each page that shows it:
// so a frame outlives the object for as long as a CPU may remember the page.
#include "common/base/arith.h"
#include "kernel/memory/heap.h"
#include "kernel/process/space_state.h"
#include "kernel/process/supply.h"

#include <stddef.h>

struct shared {
    uint64_t owners; // its maker, and the areas that show it
    uint64_t frames;
    paddr_t frame[];
};

static void put_frames(const struct shared *shared) {
    for (uint64_t i = 0; i < shared->frames; i++)
        counted_put(shared->frame[i], FRAME_BYTES);
}

enum user_space_status shared_create(uint64_t bytes, struct shared **ret_shared) {
    if (bytes == 0 || !is_aligned(bytes, FRAME_BYTES))
        return USER_SPACE_ERR_RANGE;
    uint64_t frames = bytes / FRAME_BYTES;
    struct shared *shared = supply_object(sizeof(*shared) + frames * sizeof(shared->frame[0]));
    if (shared == NULL)
        return USER_SPACE_ERR_NO_MEMORY;
    shared->owners = 1;
    for (shared->frames = 0; shared->frames < frames; shared->frames++) {
        paddr_t frame = supply_frame();
        if (paddr_is_none(frame)) {
            put_frames(shared);
            heap_free(shared);
            return USER_SPACE_ERR_NO_MEMORY;
        }
        shared->frame[shared->frames] = frame;
    }
    *ret_shared = shared;
    return USER_SPACE_OK;
}

void shared_get(struct shared *shared) {
    if (shared != NULL)
        __atomic_fetch_add(&shared->owners, 1, __ATOMIC_RELAXED);
}

void shared_put(struct shared *shared) {
    if (shared == NULL || __atomic_sub_fetch(&shared->owners, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    put_frames(shared);
    heap_free(shared);
}

uint64_t shared_bytes(const struct shared *shared) {
    return shared->frames * FRAME_BYTES;
}

paddr_t shared_frame(const struct shared *shared, uint64_t offset) {
    return shared->frame[offset / FRAME_BYTES];
}
