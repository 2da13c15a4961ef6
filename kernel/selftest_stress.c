#include "kernel/selftest_stress.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/check.h"
#include "kernel/console.h"
#include "kernel/interrupts.h"
#include "kernel/memory.h"
#include "kernel/panic.h"

enum {
    OPERATIONS = 80000, // of the running code; each interrupt adds one
    OPERATIONS_PER_RAISE = 8,
    TIMER_US = 100,
    HELD_MAX = 192,
    RUN_FRAMES_MAX = 16,
    ZEROED_FRAMES_MAX = 2, // of runs: to fill them is most of the time
};

struct run {
    paddr_t first;
    uint64_t count;
    uint64_t mark; // no other run has the same
};

// One of the two that take frames. Neither ever touches what the other has.
struct taker {
    const char *name;
    uint64_t random;
    uint64_t mark; // of the run taken last
    uint64_t operations, refusals;
    uint64_t frames; // held now
    unsigned held_count;
    struct run held[HELD_MAX];
};

static struct taker running, interrupting;
static volatile uint64_t interrupts[INTERRUPTS_SOURCES];
static uint64_t most_frames;

// Marsaglia, Xorshift RNGs, 2003: the numbers need not be good, but the same in every boot.
static uint64_t next_random(struct taker *taker) {
    taker->random ^= taker->random << 13;
    taker->random ^= taker->random >> 7;
    taker->random ^= taker->random << 17;
    return taker->random;
}

// The mark goes into every frame of a run, with the frame's address: should two addresses lead to
// one frame, that is seen as well.
static void write_marks(const struct run *run) {
    for (uint64_t i = 0; i < run->count; i++) {
        paddr_t frame = paddr_add(run->first, i * FRAME_BYTES);
        *(uint64_t *)memory_frame_bytes(frame) = run->mark ^ frame.value;
    }
}

static void check_marks(const struct taker *taker, const struct run *run, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        paddr_t frame = paddr_add(run->first, i * FRAME_BYTES);
        uint64_t found = *(uint64_t *)memory_frame_bytes(frame) ^ frame.value;
        if (found != run->mark)
            panic("stress: frame 0x%lx of %s, mark 0x%lx, was given to another, mark 0x%lx",
                  frame.value, taker->name, run->mark, found);
    }
}

static enum frames_status check_zeroed(enum frames_status status, const struct run *run) {
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

// Asks for the frame behind one that is held: free as often as not.
static enum frames_status take_neighbour(struct taker *taker, struct run *run) {
    if (taker->held_count == 0)
        return memory_alloc(FRAMES_ANY, &run->first);
    const struct run *held = &taker->held[next_random(taker) % taker->held_count];
    run->first = paddr_add(held->first, held->count * FRAME_BYTES);
    return memory_alloc_at(run->first, 1);
}

static enum frames_status take_run(struct taker *taker, struct run *run) {
    struct frames_request request = random_request(taker);
    run->count = request.count;
    if (request.count > ZEROED_FRAMES_MAX)
        return memory_alloc_run(&request, &run->first);
    return check_zeroed(memory_alloc_run_zeroed(&request, &run->first), run);
}

static enum frames_status take_block(struct run *run) {
    struct frames_request request = {.count = FRAMES_PER_2M, .align = FRAMES_PER_2M};
    run->count = request.count;
    return memory_alloc_run(&request, &run->first);
}

static enum frames_status take_somehow(struct taker *taker, struct run *run) {
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
    struct run *run = &taker->held[taker->held_count];
    enum frames_status status = take_somehow(taker, run);
    if (status == FRAMES_ERR_NO_MEMORY || status == FRAMES_ERR_USED ||
        status == FRAMES_ERR_FOREIGN) {
        taker->refusals++;
        return;
    }
    if (status != FRAMES_OK)
        panic("stress: %lu frames for %s: %s", run->count, taker->name, frames_status_text(status));
    run->mark = ++taker->mark;
    write_marks(run);
    taker->frames += run->count;
    taker->held_count++;
}

// Frees one of the runs, or the first half of it.
static void release(struct taker *taker) {
    uint64_t random = next_random(taker);
    struct run *run = &taker->held[(random >> 1) % taker->held_count];
    uint64_t count = run->count > 1 && random % 2 == 0 ? run->count / 2 : run->count;
    check_marks(taker, run, count);
    enum frames_status status =
        count == 1 ? memory_free(run->first) : memory_free_run(run->first, count);
    if (status != FRAMES_OK)
        panic("stress: freeing %lu frames at 0x%lx of %s: %s", count, run->first.value, taker->name,
              frames_status_text(status));
    taker->frames -= count;
    run->first = paddr_add(run->first, count * FRAME_BYTES);
    run->count -= count;
    if (run->count == 0)
        *run = taker->held[--taker->held_count];
}

static void operate(struct taker *taker) {
    bool takes = next_random(taker) % 2 == 0;
    taker->operations++;
    if (taker->held_count == 0 || (takes && taker->held_count < HELD_MAX))
        take(taker);
    else
        release(taker);
}

static void handle(enum interrupts_source source) {
    interrupts[source]++;
    operate(&interrupting);
    if (cpu_interrupts_are_on())
        panic("stress: interrupts are on in an interrupt");
}

static void run_beside_interrupts(void) {
    interrupts_try_start(TIMER_US, handle);
    for (unsigned i = 1; i <= OPERATIONS; i++) {
        operate(&running);
        if (!cpu_interrupts_are_on())
            panic("stress: interrupts are off after operation %u", i);
        most_frames = max_u64(most_frames, running.frames + interrupting.frames);
        if (i % OPERATIONS_PER_RAISE == 0)
            interrupts_raise();
    }
    interrupts_try_stop();
}

static void check_counts(const struct frames_statistics *before) {
    struct frames_statistics now;
    memory_get_statistics(&now);
    uint64_t refusals = running.refusals + interrupting.refusals;
    check(now.refusals - before->refusals == refusals, "every refusal is counted");
    check(now.peak_used_frames >= before->used_frames + most_frames, "the peak is counted");
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
        check(now.zone[zone].free_frames == before->zone[zone].free_frames,
              "every frame of a zone came back");
    check(now.free_2m == before->free_2m && now.free_1g == before->free_1g &&
              now.largest_run_frames == before->largest_run_frames,
          "what was whole is whole again");
    check(memory_verify(console_sink()) == 0, "the allocator is sound after it was interrupted");
}

struct selftest_stress selftest_stress(void) {
    struct frames_statistics before;
    memory_get_statistics(&before);
    running = (struct taker){.name = "the running code", .random = 1, .mark = 0};
    interrupting = (struct taker){.name = "an interrupt", .random = 2, .mark = UINT64_C(1) << 63};
    run_beside_interrupts();
    check(memory_verify(console_sink()) == 0, "the allocator is sound with frames in use");
    while (running.held_count != 0)
        release(&running);
    while (interrupting.held_count != 0)
        release(&interrupting);
    check_counts(&before);
    check(interrupts[INTERRUPTS_RAISED] == OPERATIONS / OPERATIONS_PER_RAISE,
          "every interrupt that was raised came");
    return (struct selftest_stress){
        .operations = running.operations + interrupting.operations,
        .timer_interrupts = interrupts[INTERRUPTS_TIMER],
        .raised_interrupts = interrupts[INTERRUPTS_RAISED],
        .most_frames = most_frames,
    };
}
