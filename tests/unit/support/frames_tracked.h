// A machine whose allocator is tracked, and what it says is still allocated. The helpers of
// frames_machine.h come before the macros and so go past them, as the allocator's own files do.
#pragma once

#include "tests/unit/support/frames_machine.h"

#include "common/frames/track.h"

#ifdef FRAMES_TRACKING

static inline void track(struct frames_track *tracker, struct machine *machine) {
    uint64_t bytes = frames_track_bytes(&machine->frames);
    void *memory = malloc(bytes);
    memset(memory, 0xa5, bytes); // nobody clears it
    assert_int_equal(frames_track_start(tracker, &machine->frames, memory, bytes), FRAMES_OK);
}

static inline void untrack(struct frames_track *tracker) {
    frames_track_stop(tracker);
    free(tracker->entries);
}

#define TRACKED_MACHINE(machine, cpus, ...)                                                        \
    MACHINE(machine, cpus, __VA_ARGS__);                                                           \
    struct frames_track machine##_track;                                                           \
    track(&machine##_track, &machine)

#define TRACKED_END(machine)                                                                       \
    do {                                                                                           \
        untrack(&machine##_track);                                                                 \
        machine_end(&machine);                                                                     \
    } while (false)

enum { LEAKS_MAX = 1100 };
struct leaks {
    struct frames_leak leak[LEAKS_MAX];
    unsigned count;
    uint64_t frames; // what the call has returned
};

static inline void note(void *context, const struct frames_leak *leak) {
    struct leaks *leaks = context;
    assert_true(leaks->count < LEAKS_MAX);
    assert_int_equal(leak->bytes, leak->frames * FRAME_BYTES);
    leaks->leak[leaks->count++] = *leak;
}

static inline struct leaks leaks_since(const struct machine *machine, struct frames_moment moment) {
    struct leaks leaks = {.count = 0};
    leaks.frames = frames_leaks_since(&machine->frames, moment, note, &leaks);
    uint64_t sum = 0;
    for (unsigned i = 0; i < leaks.count; i++)
        sum += leaks.leak[i].frames;
    assert_int_equal(leaks.frames, sum);
    assert_int_equal(frames_leaks_since(&machine->frames, moment, NULL, NULL), sum);
    return leaks;
}

static inline uint64_t still_allocated(const struct machine *machine) {
    return frames_leaks(&machine->frames, NULL, NULL);
}

// The index-th place holds so many frames and is in the file that says this.
#define expect_leak(...) expect_leak_in(__FILE__, __VA_ARGS__)
static inline void expect_leak_in(const char *file, const struct leaks *leaks, unsigned index,
                                  uint64_t frames, uint32_t line, const char *function) {
    assert_true(index < leaks->count);
    const struct frames_leak *leak = &leaks->leak[index];
    assert_int_equal(leak->frames, frames);
    assert_int_equal(leak->place->line, line);
    assert_string_equal(leak->place->function, function);
    assert_string_equal(leak->place->file, file);
}

// Statements of one line each, so that the line is known.
#define ALLOC(on, ret)                                                                             \
    assert_int_equal(frames_alloc(&(on).frames, 0, FRAMES_ANY, &(ret)), FRAMES_OK)
#define ALLOC_RUN(on, n, ret)                                                                      \
    assert_int_equal(frames_alloc_run(&(on).frames, 0,                                             \
                                      &(struct frames_request){.count = (n), .align = 1}, &(ret)), \
                     FRAMES_OK)

#endif
