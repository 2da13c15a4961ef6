// A place in the source that allocates or frees objects: known in the debug build, DEBUG=1.
#pragma once

#include <stdint.h>

// Static, one for each call; two calls in one line may be two of the same name. Only guarded.c
// changes it, and only what stands behind `line`.
struct heap_place {
    const char *file;
    const char *function;
    uint32_t line;
    uint32_t is_known; // it is in the list of places
    struct heap_place *next;
    uint64_t objects, bytes;               // allocated there, and not freed
    uint64_t marked_objects, marked_bytes; // at the last mark
};

// The place where this stands; null in a release. A function that allocates for others passes on
// the place of its caller, as with FRAMES_HERE (common/frames/track.h).
#ifdef SLIPWAY_DEBUG
#define HEAP_HERE                                                                                  \
    ({                                                                                             \
        static struct heap_place heap_here = {                                                     \
            .file = __FILE__, .function = __func__, .line = __LINE__};                             \
        &heap_here;                                                                                \
    })
#else
#define HEAP_HERE ((struct heap_place *)0)
#endif
