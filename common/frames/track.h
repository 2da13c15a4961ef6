// Who allocated which frames: with the build option TRACKING=1 (FRAMES_TRACKING is defined) the
// place in the source that allocated a frame is remembered, and what is still allocated can be
// listed by place. To be included instead of common/frames/frames.h and common/frames/owners.h;
// without the option it is those two and nothing else.
//
// With the option the calls that allocate and free become macros of the same names. They do the
// same and return the same, and remember, or forget, the place under one lock for all CPUs. A call
// past the macros, by (frames_alloc)(...) or through a pointer, is not seen.
//
// Cost: four bytes for each 4 KiB frame of the blocks that exist, 2 KiB for 2 MiB, and 8 KiB for
// the table of places.
#pragma once

#include "common/frames/frames.h"
#include "common/frames/owners.h"

// A function that allocates for others passes on the place of its caller, so that this place is
// remembered:
//
//     enum frames_status pool_alloc_from(struct frames_place *place, struct pool *pool);
//     #define pool_alloc(...) pool_alloc_from(FRAMES_HERE, __VA_ARGS__)
//
// and in pool_alloc_from: frames_alloc_from(place, frames, cpu, zone, &frame). Without tracking
// FRAMES_HERE is null, and the place is ignored.
struct frames_place;

#ifndef FRAMES_TRACKING

#define FRAMES_HERE ((struct frames_place *)0)

[[nodiscard]] static inline enum frames_status
frames_alloc_from(struct frames_place *place, struct frames *frames, unsigned cpu,
                  enum frames_zone zone, paddr_t *ret_frame) {
    (void)place;
    return frames_alloc(frames, cpu, zone, ret_frame);
}

[[nodiscard]] static inline enum frames_status
frames_alloc_run_from(struct frames_place *place, struct frames *frames, unsigned cpu,
                      const struct frames_request *request, paddr_t *ret_first) {
    (void)place;
    return frames_alloc_run(frames, cpu, request, ret_first);
}

[[nodiscard]] static inline enum frames_status frames_alloc_at_from(struct frames_place *place,
                                                                    struct frames *frames,
                                                                    unsigned cpu, paddr_t first,
                                                                    uint64_t count) {
    (void)place;
    return frames_alloc_at(frames, cpu, first, count);
}

[[nodiscard]] static inline enum frames_status
frames_owners_alloc_from(struct frames_place *place, struct frames_owners *owners, unsigned cpu,
                         enum frames_zone zone, paddr_t *ret_frame) {
    (void)place;
    return frames_owners_alloc(owners, cpu, zone, ret_frame);
}

[[nodiscard]] static inline enum frames_status
frames_owners_alloc_run_from(struct frames_place *place, struct frames_owners *owners, unsigned cpu,
                             const struct frames_request *request, paddr_t *ret_first) {
    (void)place;
    return frames_owners_alloc_run(owners, cpu, request, ret_first);
}

#else

// A place in the source that allocates. Static; only the implementation changes it, and only `row`
// and `frames`. Two of the same file, line and function are one place.
struct frames_place {
    const char *file;
    const char *function;
    uint32_t line;
    uint32_t row;    // in the table of places, from 1 on; 0: not there yet
    uint64_t frames; // of its own, while frames_leaks counts
};

#define FRAMES_HERE                                                                                \
    ({                                                                                             \
        static struct frames_place frames_here = {                                                 \
            .file = __FILE__, .function = __func__, .line = __LINE__};                             \
        &frames_here;                                                                              \
    })

// How many places are told apart. All that come later count as one, whose file is "elsewhere".
#define FRAMES_PLACES_MAX   1022

// --- Starting

// The fields are the implementation's own.
struct frames_track {
    struct frames_track *next;
    const struct frames *frames;
    uint32_t *entries; // of each frame that has a slot, in the order of table.h
    uint32_t moment;   // the last one
};

// Bytes that the entries need; the allocator has been started.
uint64_t frames_track_bytes(const struct frames *frames);

// Starts to remember what is allocated from `frames` from now on. `memory`, `bytes` bytes that are
// aligned as uint32_t is, is used until frames_track_stop, as is *track; its contents do not
// matter. An allocator is tracked once. Error: FRAMES_ERR_METADATA, too few bytes or not aligned;
// then nothing is tracked.
[[nodiscard]] enum frames_status frames_track_start(struct frames_track *track,
                                                    const struct frames *frames, void *memory,
                                                    uint64_t bytes);

// Forgets everything of that allocator, while no other CPU uses it or lists what is allocated.
void frames_track_stop(struct frames_track *track);

// --- What is still allocated

struct frames_leak {
    const struct frames_place *place;
    uint64_t frames; // still allocated, of all that it has: at least 1
    uint64_t bytes;
};

typedef void (*frames_leak_visit)(void *context, const struct frames_leak *leak);

// The calls below are made as the allocator's are: nothing else on that CPU enters meanwhile.

// Calls `visit` (null: nothing) for each place with frames that are still allocated, by falling
// count; places of equal count in the order of file, line and function. Returns how many frames all
// of them have; 0 for an allocator that is not tracked. Scans all entries. What other CPUs do
// meanwhile may be counted or not. `visit` may allocate and free, but not list.
uint64_t frames_leaks(const struct frames *frames, frames_leak_visit visit, void *context);

// A moment, to tell what was allocated after it from what was before.
struct frames_moment {
    uint32_t index;
};

// Now. An allocator has FRAMES_MOMENTS_MAX moments; from then on this is the last one again, and
// what was allocated since seems more than it is, never less.
#define FRAMES_MOMENTS_MAX  ((UINT32_C(1) << 22) - 1)
struct frames_moment frames_track_moment(const struct frames *frames);

// As frames_leaks, of the frames that were allocated after `moment`. 0: all of them were freed.
uint64_t frames_leaks_since(const struct frames *frames, struct frames_moment moment,
                            frames_leak_visit visit, void *context);

// The same for people: a line a place, and one for the sum.
void frames_leaks_print(const struct frames *frames, struct frames_moment moment,
                        const struct sink *sink);

// Everything since frames_track_start.
#define FRAMES_MOMENT_START ((struct frames_moment){0})

// --- The calls of common/frames/frames.h and common/frames/owners.h

[[nodiscard]] enum frames_status frames_alloc_from(struct frames_place *place,
                                                   struct frames *frames, unsigned cpu,
                                                   enum frames_zone zone, paddr_t *ret_frame);
[[nodiscard]] enum frames_status frames_alloc_run_from(struct frames_place *place,
                                                       struct frames *frames, unsigned cpu,
                                                       const struct frames_request *request,
                                                       paddr_t *ret_first);
[[nodiscard]] enum frames_status frames_alloc_at_from(struct frames_place *place,
                                                      struct frames *frames, unsigned cpu,
                                                      paddr_t first, uint64_t count);
[[nodiscard]] enum frames_status frames_track_free(struct frames *frames, unsigned cpu,
                                                   paddr_t frame);
[[nodiscard]] enum frames_status frames_track_free_run(struct frames *frames, unsigned cpu,
                                                       paddr_t first, uint64_t count);

[[nodiscard]] enum frames_status frames_owners_alloc_from(struct frames_place *place,
                                                          struct frames_owners *owners,
                                                          unsigned cpu, enum frames_zone zone,
                                                          paddr_t *ret_frame);
[[nodiscard]] enum frames_status
frames_owners_alloc_run_from(struct frames_place *place, struct frames_owners *owners, unsigned cpu,
                             const struct frames_request *request, paddr_t *ret_first);
[[nodiscard]] enum frames_owners_status frames_track_owners_put(struct frames_owners *owners,
                                                                unsigned cpu, paddr_t first,
                                                                uint64_t *ret_freed);

#define frames_alloc(...)            frames_alloc_from(FRAMES_HERE, __VA_ARGS__)
#define frames_alloc_run(...)        frames_alloc_run_from(FRAMES_HERE, __VA_ARGS__)
#define frames_alloc_at(...)         frames_alloc_at_from(FRAMES_HERE, __VA_ARGS__)
#define frames_free(...)             frames_track_free(__VA_ARGS__)
#define frames_free_run(...)         frames_track_free_run(__VA_ARGS__)
#define frames_owners_alloc(...)     frames_owners_alloc_from(FRAMES_HERE, __VA_ARGS__)
#define frames_owners_alloc_run(...) frames_owners_alloc_run_from(FRAMES_HERE, __VA_ARGS__)
#define frames_owners_put(...)       frames_track_owners_put(__VA_ARGS__)

#endif
