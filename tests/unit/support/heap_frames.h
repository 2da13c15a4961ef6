// Memory for slabs: frames out of one block, each freed one known, with a refusal of the n-th.
// Safe for threads.
#pragma once

#include "common/base/addr.h"
#include "kernel/memory/slabs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HEAP_FRAMES = 1024 };

struct heap_frames {
    uint8_t *memory;
    bool is_used[HEAP_FRAMES];
    uint64_t used, calls;
    uint64_t available;    // frames that are given at most
    uint64_t refused_call; // that fails, from 1 on; 0: none
    bool is_wrong;         // what was freed was not allocated so
    uint16_t run[HEAP_FRAMES];
    pthread_mutex_t lock;
};

static inline bool heap_frames_are_free(const struct heap_frames *frames, uint64_t first,
                                        uint64_t count) {
    for (uint64_t i = first; i < first + count; i++) {
        if (frames->is_used[i])
            return false;
    }
    return true;
}

static inline void *heap_frames_alloc(void *context, uint64_t count) {
    struct heap_frames *frames = context;
    void *found = NULL;
    pthread_mutex_lock(&frames->lock);
    bool is_refused = ++frames->calls == frames->refused_call ||
                      frames->used + count > frames->available || count > HEAP_FRAMES;
    for (uint64_t i = 0; !is_refused && found == NULL && i + count <= HEAP_FRAMES; i++) {
        if (!heap_frames_are_free(frames, i, count))
            continue;
        memset(frames->is_used + i, true, count);
        frames->run[i] = (uint16_t)count;
        frames->used += count;
        found = frames->memory + i * FRAME_BYTES;
    }
    pthread_mutex_unlock(&frames->lock);
    return found;
}

static inline void heap_frames_free(void *context, void *first, uint64_t count) {
    struct heap_frames *frames = context;
    uint64_t index = (uint64_t)((uint8_t *)first - frames->memory) / FRAME_BYTES;
    pthread_mutex_lock(&frames->lock);
    frames->is_wrong |= !frames->is_used[index] || frames->run[index] != count;
    memset(frames->is_used + index, false, count);
    frames->used -= count;
    pthread_mutex_unlock(&frames->lock);
}

static inline struct heap_frames *heap_frames_make(void) {
    struct heap_frames *frames = calloc(1, sizeof(*frames));
    frames->memory = aligned_alloc(FRAME_BYTES, HEAP_FRAMES * FRAME_BYTES);
    memset(frames->memory, 0xA5, HEAP_FRAMES * FRAME_BYTES);
    frames->available = HEAP_FRAMES;
    pthread_mutex_init(&frames->lock, NULL);
    return frames;
}

static inline void heap_frames_end(struct heap_frames *frames) {
    pthread_mutex_destroy(&frames->lock);
    free(frames->memory);
    free(frames);
}

static inline struct slabs_ops heap_frames_ops(struct heap_frames *frames) {
    return (struct slabs_ops){heap_frames_alloc, heap_frames_free, frames};
}
