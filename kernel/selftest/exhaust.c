#include "kernel/selftest/exhaust.h"

#include "common/base/arith.h"
#include "kernel/base/panic.h"
#include "kernel/console/console.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/frames.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    ROUNDS = 8,
    TIMER_US = 20,
    FRAMES_PER_RAISE = 8,
};

// What is in a frame that was taken.
struct link {
    paddr_t next;  // taken before by the same
    uint64_t mark; // its own address, and whose it is
};

// The frames that one takes; two on each CPU.
struct hoard {
    paddr_t last;
    uint64_t count;
    uint64_t refusals;
};
static struct hoard running[CPUS_MAX], interrupting[CPUS_MAX];

static bool is_exhausted; // a request has been refused

static uint64_t mark_of(const struct hoard *hoard, paddr_t frame) {
    return (uint64_t)(uintptr_t)hoard ^ frame.value;
}

// False if there is nothing more to take.
static bool take(struct hoard *hoard) {
    bool was_exhausted = __atomic_load_n(&is_exhausted, __ATOMIC_ACQUIRE);
    paddr_t frame;
    enum frames_status status = memory_alloc(FRAMES_BELOW_16M, &frame);
    if (status == FRAMES_ERR_NO_MEMORY) {
        __atomic_store_n(&is_exhausted, true, __ATOMIC_RELEASE);
        hoard->refusals++;
        return false;
    }
    if (status != FRAMES_OK)
        panic("exhaustion: a frame below 16 MiB: %s", frames_status_text(status));
    if (was_exhausted)
        panic("exhaustion: frame 0x%lx was free when another request was refused", frame.value);
    if (frame.value >= MIB(16))
        panic("exhaustion: frame 0x%lx is not below 16 MiB", frame.value);
    struct link *link = memory_frame_bytes(frame);
    *link = (struct link){hoard->last, mark_of(hoard, frame)};
    hoard->last = frame;
    hoard->count++;
    return true;
}

static void handle(enum interrupts_source source) {
    (void)source;
    (void)take(&interrupting[this_cpu()]);
}

static void take_all(void *argument) {
    (void)argument;
    struct hoard *hoard = &running[this_cpu()];
    interrupts_try_start(TIMER_US, handle);
    while (take(hoard)) {
        if (hoard->count % FRAMES_PER_RAISE == 0)
            interrupts_raise();
    }
    interrupts_raise();
    interrupts_try_stop();
}

static void free_hoard(struct hoard *hoard) {
    while (!paddr_is_none(hoard->last)) {
        paddr_t frame = hoard->last;
        const struct link *link = memory_frame_bytes(frame);
        if (link->mark != mark_of(hoard, frame))
            panic("exhaustion: frame 0x%lx was given to another", frame.value);
        hoard->last = link->next;
        enum frames_status status = memory_free(frame);
        if (status != FRAMES_OK)
            panic("exhaustion: freeing frame 0x%lx: %s", frame.value, frames_status_text(status));
    }
}

// Each CPU frees what the next one has taken.
static void free_all_of_next(void *argument) {
    (void)argument;
    unsigned next = (this_cpu() + 1) % cpus_started();
    free_hoard(&running[next]);
    free_hoard(&interrupting[next]);
}

static uint64_t free_below_16m(const struct frames_statistics *statistics) {
    return statistics->zone[FRAMES_BELOW_1M].free_frames +
           statistics->zone[FRAMES_BELOW_16M].free_frames;
}

static void check_exhausted(const struct frames_statistics *before, uint64_t taken) {
    struct frames_statistics now;
    memory_get_statistics(&now);
    check(free_below_16m(&now) == 0, "nothing is left below 16 MiB");
    check(taken == free_below_16m(before), "all that was free below 16 MiB was taken, once");
    check(now.free_frames == before->free_frames - taken, "and nothing else");
    check(memory_verify(console_sink()) == 0, "the allocator is sound with zones exhausted");
}

static uint64_t exhaust_once(void) {
    struct frames_statistics before;
    memory_get_statistics(&before);
    uint64_t taken = 0;
    uint64_t refusals = 0;
    is_exhausted = false;
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
        running[cpu] = interrupting[cpu] = (struct hoard){.last = PADDR_NONE};
    cpus_run(take_all, NULL);
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        taken += running[cpu].count + interrupting[cpu].count;
        refusals += running[cpu].refusals + interrupting[cpu].refusals;
    }
    check_exhausted(&before, taken);
    cpus_run(free_all_of_next, NULL);
    selftest_frames_check_restored(&before, refusals);
    return taken;
}

uint64_t selftest_exhaust(void) {
    uint64_t taken = exhaust_once();
    for (unsigned round = 1; round < ROUNDS; round++)
        check(exhaust_once() == taken, "as much can be taken again");
    return taken;
}
