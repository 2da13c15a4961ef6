#include "kernel/selftest/taker.h"

#include "common/base/arith.h"
#include "kernel/base/panic.h"
#include "kernel/memory/memory.h"

enum {
    RUN_FRAMES_MAX = 16,
    ZEROED_FRAMES_MAX = 2, // of runs: to fill them is most of the time
    OPERATIONS_PER_HAND_OVER = 16,
};

static uint64_t owned_frames, most_owned_frames; // by all

// Counted when they have been allocated, and no more before they are freed: never more than are in
// use.
static void count_taken(uint64_t frames) {
    uint64_t now = __atomic_add_fetch(&owned_frames, frames, __ATOMIC_RELAXED);
    uint64_t most = __atomic_load_n(&most_owned_frames, __ATOMIC_RELAXED);
    while (now > most && !__atomic_compare_exchange_n(&most_owned_frames, &most, now, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

uint64_t taker_most_frames(void) {
    return most_owned_frames;
}

void taker_start(struct taker *taker, const char *name, uint64_t seed, uint64_t mark,
                 struct taker *next) {
    *taker = (struct taker){.name = name, .next = next, .random = seed, .mark = mark};
}

// Marsaglia, Xorshift RNGs, 2003: the numbers need not be good, but the same in every boot.
static uint64_t next_random(struct taker *taker) {
    taker->random ^= taker->random << 13;
    taker->random ^= taker->random >> 7;
    taker->random ^= taker->random << 17;
    return taker->random;
}

// The mark goes into every frame of a run, with the frame's address: should two addresses lead to
// one frame, that is seen as well.
static void write_marks(const struct taker_run *run) {
    for (uint64_t i = 0; i < run->count; i++) {
        paddr_t frame = paddr_add(run->first, i * FRAME_BYTES);
        *(uint64_t *)memory_frame_bytes(frame) = run->mark ^ frame.value;
    }
}

static void check_marks(const struct taker *taker, const struct taker_run *run, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        paddr_t frame = paddr_add(run->first, i * FRAME_BYTES);
        uint64_t found = *(uint64_t *)memory_frame_bytes(frame) ^ frame.value;
        if (found != run->mark)
            panic("stress: frame 0x%lx of %s, mark 0x%lx, was given to another, mark 0x%lx",
                  frame.value, taker->name, run->mark, found);
    }
}

static enum frames_status check_zeroed(enum frames_status status, const struct taker_run *run) {
    for (uint64_t i = 0; status == FRAMES_OK && i < run->count; i++) {
        paddr_t frame = paddr_add(run->first, i * FRAME_BYTES);
        if (*(uint64_t *)memory_frame_bytes(frame) != 0)
            panic("stress: frame 0x%lx was asked for zeroed and is not", frame.value);
    }
    return status;
}

static struct frames_request random_request(struct taker *taker) {
    uint64_t random = next_random(taker);
    return (struct frames_request){
        .count = 1 + random % RUN_FRAMES_MAX,
        .align = UINT64_C(1) << (random >> 8) % 4,
        .below = (random >> 16 & 1) != 0 ? GIB(4) : 0,
    };
}

// Asks for the frame behind one that is owned: free as often as not.
static enum frames_status take_neighbour(struct taker *taker, struct taker_run *run) {
    if (taker->owned_count == 0)
        return memory_alloc(FRAMES_ANY, &run->first);
    const struct taker_run *owned = &taker->owned[next_random(taker) % taker->owned_count];
    run->first = paddr_add(owned->first, owned->count * FRAME_BYTES);
    return memory_alloc_at(run->first, 1);
}

static enum frames_status take_run(struct taker *taker, struct taker_run *run) {
    struct frames_request request = random_request(taker);
    run->count = request.count;
    if (request.count > ZEROED_FRAMES_MAX)
        return memory_alloc_run(&request, &run->first);
    return check_zeroed(memory_alloc_run_zeroed(&request, &run->first), run);
}

static enum frames_status take_block(struct taker_run *run) {
    struct frames_request request = {.count = FRAMES_PER_2M, .align = FRAMES_PER_2M};
    run->count = request.count;
    return memory_alloc_run(&request, &run->first);
}

static enum frames_status take_somehow(struct taker *taker, struct taker_run *run) {
    uint64_t random = next_random(taker);
    enum frames_zone zone = (enum frames_zone)((random >> 16) % FRAMES_ZONES);
    run->count = 1;
    uint64_t dice = random % 512;
    if (dice < 1)
        return take_block(run);
    if (dice < 128)
        return take_run(taker, run);
    if (dice < 224)
        return take_neighbour(taker, run);
    if (dice < 232)
        return check_zeroed(memory_alloc_zeroed(zone, &run->first), run);
    return memory_alloc(zone, &run->first);
}

static void take(struct taker *taker) {
    struct taker_run *run = &taker->owned[taker->owned_count];
    enum frames_status status = take_somehow(taker, run);
    if (status == FRAMES_ERR_NO_MEMORY || status == FRAMES_ERR_USED ||
        status == FRAMES_ERR_FOREIGN) {
        taker->refusals++;
        return;
    }
    if (status != FRAMES_OK)
        panic("stress: %lu frames for %s: %s", run->count, taker->name, frames_status_text(status));
    count_taken(run->count);
    run->mark = ++taker->mark;
    write_marks(run);
    taker->owned_count++;
}

// Frees the first `count` frames of a run, which becomes that much shorter.
static void free_first(const struct taker *taker, struct taker_run *run, uint64_t count) {
    check_marks(taker, run, count);
    __atomic_sub_fetch(&owned_frames, count, __ATOMIC_RELAXED);
    enum frames_status status =
        count == 1 ? memory_free(run->first) : memory_free_run(run->first, count);
    if (status != FRAMES_OK)
        panic("stress: freeing %lu frames at 0x%lx of %s: %s", count, run->first.value, taker->name,
              frames_status_text(status));
    run->first = paddr_add(run->first, count * FRAME_BYTES);
    run->count -= count;
}

static void drop(struct taker *taker, struct taker_run *run) {
    *run = taker->owned[--taker->owned_count];
}

// Frees one of the runs, or the first half of it.
static void release(struct taker *taker) {
    uint64_t random = next_random(taker);
    struct taker_run *run = &taker->owned[(random >> 1) % taker->owned_count];
    bool is_half = run->count > 1 && random % 2 == 0;
    free_first(taker, run, is_half ? run->count / 2 : run->count);
    if (run->count == 0)
        drop(taker, run);
}

// Gives one of the runs to the next in the ring. False if there is none, or no place for it.
static bool hand_over(struct taker *taker) {
    struct taker *next = taker->next;
    uint32_t put = next->inbox_put;
    uint32_t waiting = put - __atomic_load_n(&next->inbox_taken, __ATOMIC_ACQUIRE);
    if (taker->owned_count == 0 || waiting == TAKER_INBOX_RUNS)
        return false;
    struct taker_run *run = &taker->owned[next_random(taker) % taker->owned_count];
    next->inbox[put % TAKER_INBOX_RUNS] = *run;
    __atomic_store_n(&next->inbox_put, put + 1, __ATOMIC_RELEASE);
    drop(taker, run);
    taker->handed_over++;
    return true;
}

// Frees a run that the one before has handed over. False if there is none.
static bool free_from_inbox(struct taker *taker) {
    uint32_t taken = taker->inbox_taken;
    if (__atomic_load_n(&taker->inbox_put, __ATOMIC_ACQUIRE) == taken)
        return false;
    struct taker_run run = taker->inbox[taken % TAKER_INBOX_RUNS];
    __atomic_store_n(&taker->inbox_taken, taken + 1, __ATOMIC_RELEASE);
    free_first(taker, &run, run.count);
    return true;
}

void taker_operate(struct taker *taker) {
    uint64_t random = next_random(taker);
    taker->operations++;
    if (free_from_inbox(taker))
        return;
    if ((random >> 8) % OPERATIONS_PER_HAND_OVER == 0 && hand_over(taker))
        return;
    if (taker->owned_count == 0 || (random % 2 == 0 && taker->owned_count < TAKER_OWNED_MAX))
        take(taker);
    else
        release(taker);
}

void taker_release_all(struct taker *taker) {
    while (free_from_inbox(taker))
        ;
    while (taker->owned_count != 0)
        release(taker);
}
