// Threads that use one frame allocator, each as a CPU of its own, and a map of who has what. What
// is wrong is counted and told at the end: a failing assertion would leave the thread only.
//
// The map is written without order between threads, and a word for each frame, which its holder
// writes, is no atomic at all: it is the allocator that has to order what one holder of a frame
// does before what the next one does. The thread sanitizer sees whether it does.
#pragma once

#include "tests/unit/support/frames_machine.h"
#include "tests/unit/support/random.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS_MAX = 8, FRAMES_MAX = (1 << 20) + (1 << 16), EXCHANGE = 32 };

struct run {
    uint64_t first, count; // frames
};

struct team {
    struct machine machine;
    unsigned threads;
    pthread_barrier_t barrier;
    _Atomic(const char *) wrong; // null: nothing
    atomic_uint turn;
    // Runs on their way from one thread to another: first << 16 | count; 0: none.
    _Atomic uint64_t exchange[EXCHANGE];
    _Atomic uint8_t is_allocated[FRAMES_MAX]; // by frame index
    uint32_t word[FRAMES_MAX];
};

struct member {
    struct team *team;
    struct frames *frames;
    unsigned cpu;
    struct random random;
    struct run *hoard; // what it has
    uint64_t runs, allocated;
};

static inline void team_is_wrong(struct team *team, const char *what) {
    atomic_store_explicit(&team->wrong, what, memory_order_relaxed);
}

// --- Holding frames

static inline void note_allocated(struct team *team, const struct run *run) {
    for (uint64_t frame = run->first; frame < run->first + run->count; frame++) {
        if (frame >= FRAMES_MAX) {
            team_is_wrong(team, "a frame was given that is none");
            return;
        }
        if (atomic_exchange_explicit(&team->is_allocated[frame], 1, memory_order_relaxed) != 0)
            team_is_wrong(team, "a frame is allocated twice");
        if (team->word[frame] != 0)
            team_is_wrong(team, "a frame was written by who did not hold it");
        team->word[frame] = 1;
    }
}

static inline void mark_given(struct team *team, const struct run *run) {
    for (uint64_t frame = run->first; frame < run->first + run->count; frame++) {
        if (team->word[frame] != 1)
            team_is_wrong(team, "a frame was written by who does not hold it");
        team->word[frame] = 0;
        if (atomic_exchange_explicit(&team->is_allocated[frame], 0, memory_order_relaxed) != 1)
            team_is_wrong(team, "a frame was not allocated");
    }
}

// Puts what was allocated into the hoard; false if it was refused.
static inline bool keep(struct member *member, enum frames_status status, paddr_t first,
                        uint64_t count) {
    if (status != FRAMES_OK)
        return false;
    struct run run = {first.value / FRAME_BYTES, count};
    note_allocated(member->team, &run);
    member->hoard[member->runs++] = run;
    member->allocated += count;
    return true;
}

static inline bool take_one(struct member *member, enum frames_zone zone) {
    paddr_t frame = PADDR_NONE;
    return keep(member, frames_alloc(member->frames, member->cpu, zone, &frame), frame, 1);
}

static inline bool take_run(struct member *member, uint64_t count, uint64_t align) {
    paddr_t first = PADDR_NONE;
    struct frames_request request = {count, align, 0};
    return keep(member, frames_alloc_run(member->frames, member->cpu, &request, &first), first,
                count);
}

static inline bool take_at(struct member *member, uint64_t first, uint64_t count) {
    paddr_t frame = paddr(first * FRAME_BYTES);
    return keep(member, frames_alloc_at(member->frames, member->cpu, frame, count), frame, count);
}

static inline void give(struct member *member, struct run run) {
    mark_given(member->team, &run);
    paddr_t first = paddr(run.first * FRAME_BYTES);
    enum frames_status status =
        run.count == 1 ? frames_free(member->frames, member->cpu, first)
                       : frames_free_run(member->frames, member->cpu, first, run.count);
    if (status != FRAMES_OK)
        team_is_wrong(member->team, "what was allocated could not be freed");
}

// Takes a run out of the hoard.
static inline struct run drop(struct member *member, uint64_t index) {
    struct run run = member->hoard[index];
    member->hoard[index] = member->hoard[--member->runs];
    member->allocated -= run.count;
    return run;
}

static inline void give_all(struct member *member) {
    while (member->runs != 0)
        give(member, drop(member, member->runs - 1));
}

// Hands a run of the hoard to whoever comes next, and gives back what was there.
static inline void pass_on(struct member *member, uint64_t index) {
    struct run run = drop(member, index);
    _Atomic uint64_t *slot = &member->team->exchange[random_below(&member->random, EXCHANGE)];
    uint64_t other =
        atomic_exchange_explicit(slot, run.first << 16 | run.count, memory_order_acq_rel);
    if (other != 0)
        give(member, (struct run){other >> 16, other & 0xffff});
}

// --- Teams

static inline struct team *team_make(const struct memmap_region *regions, uint64_t count,
                                     unsigned cpus) {
    struct team *team = calloc(1, sizeof(*team));
    assert_non_null(team);
    team->machine = machine_make(regions, count, cpus);
    machine_start(&team->machine);
    return team;
}

#define TEAM(name, cpus, ...)                                                                      \
    const struct memmap_region name##_regions[] = {__VA_ARGS__};                                   \
    struct team *name = team_make(name##_regions, ARRAY_LEN(name##_regions), cpus)

typedef void (*team_work)(struct member *member);

struct team_start {
    struct member member;
    team_work work;
};

static inline void *team_enter(void *argument) {
    struct team_start *start = argument;
    pthread_barrier_wait(&start->member.team->barrier);
    start->work(&start->member);
    return NULL;
}

// Lets each thread do its work, starting together. Returns how many frames they hold after it; all
// of these are then given back.
static inline uint64_t team_run(struct team *team, unsigned threads, uint64_t seed,
                                const team_work *work) {
    pthread_t thread[THREADS_MAX];
    struct team_start start[THREADS_MAX];
    uint64_t allocated = 0;
    team->threads = threads;
    assert_int_equal(pthread_barrier_init(&team->barrier, NULL, threads), 0);
    for (unsigned i = 0; i < threads; i++) {
        start[i] =
            (struct team_start){{team, &team->machine.frames, i, {seed + i}, NULL, 0, 0}, work[i]};
        start[i].member.hoard = calloc(team->machine.frames.line_count * 512, sizeof(struct run));
        assert_non_null(start[i].member.hoard);
        assert_int_equal(pthread_create(&thread[i], NULL, team_enter, &start[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (unsigned i = 0; i < threads; i++) {
        allocated += start[i].member.allocated;
        give_all(&start[i].member);
        free(start[i].member.hoard);
    }
    pthread_barrier_destroy(&team->barrier);
    return allocated;
}

// All of them the same work.
static inline uint64_t team_run_all(struct team *team, unsigned threads, uint64_t seed,
                                    team_work work) {
    team_work each[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++)
        each[i] = work;
    return team_run(team, threads, seed, each);
}

// What must be so when nobody has anything any more.
static inline void team_check(struct team *team, uint64_t free_frames) {
    if (team->wrong != NULL)
        fail_msg("%s", team->wrong);
    assert_int_equal(statistics(&team->machine).free_frames, free_frames);
    assert_int_equal(frames_verify(&team->machine.frames, NULL), 0);
    static const unsigned char nothing[FRAMES_MAX * sizeof(uint32_t)];
    assert_int_equal(memcmp(nothing, team->word, sizeof(team->word)), 0);
}

static inline void team_end(struct team *team, uint64_t free_frames) {
    team_check(team, free_frames);
    machine_end(&team->machine);
    free(team);
}
