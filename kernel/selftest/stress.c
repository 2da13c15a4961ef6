#include "kernel/selftest/stress.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/base/panic.h"
#include "kernel/console/console.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/frames.h"
#include "kernel/selftest/taker.h"

enum {
    OPERATIONS = 80000, // of the running code of all CPUs; each interrupt adds one
    OPERATIONS_PER_RAISE = 8,
    TIMER_US = 20,
    OPERATIONS_PER_LOOK = 64,
    LOOK_US = 100000,
    TIMER_LIMIT_US = 2000000, // a virtual CPU waits for a turn on a busy machine
};

// What each CPU does it with, in frames for as long as it takes.
struct workplace {
    struct taker running, interrupting;
    uint64_t interrupts[INTERRUPTS_SOURCES];
};
static struct workplace *workplaces;

static struct {
    void (*look)(void);
    uint64_t next; // TSC
} watch;

void selftest_stress_watch(void (*look)(void)) {
    watch.look = look;
    watch.next = clock_after(0);
}

static void look(void) {
    if (watch.look == NULL || this_cpu() != 0 || !clock_reached(watch.next))
        return;
    watch.look();
    watch.next = clock_after(LOOK_US);
}

static struct workplace *workplace_of(unsigned cpu) {
    return &workplaces[cpu % cpus_started()];
}

static struct frames_request workplaces_request(void) {
    uint64_t bytes = cpus_started() * sizeof(struct workplace);
    return (struct frames_request){.count = align_up(bytes, FRAME_BYTES) / FRAME_BYTES};
}

// No two seeds are the same, nor two marks.
static paddr_t open_workplaces(void) {
    struct frames_request request = workplaces_request();
    paddr_t frames;
    enum frames_status status = memory_alloc_run_zeroed(&request, &frames);
    if (status != FRAMES_OK)
        panic("stress: no %lu frames to work with: %s", request.count, frames_status_text(status));
    workplaces = memory_frame_bytes(frames);
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        uint64_t mark = (uint64_t)cpu << 48;
        taker_start(&workplaces[cpu].running, "the running code", 2 * cpu + 1, mark,
                    &workplace_of(cpu + 1)->running);
        taker_start(&workplaces[cpu].interrupting, "an interrupt", 2 * cpu + 2,
                    mark | UINT64_C(1) << 63, &workplace_of(cpu + 1)->interrupting);
    }
    return frames;
}

static void close_workplaces(paddr_t frames) {
    check_frames(memory_free_run(frames, workplaces_request().count), FRAMES_OK,
                 "freeing what the stress worked with");
}

static void handle(enum interrupts_source source) {
    struct workplace *here = workplace_of(this_cpu());
    here->interrupts[source]++;
    taker_operate(&here->interrupting);
    if (cpu_interrupts_are_on())
        panic("stress: interrupts are on in an interrupt");
}

// With little work for each CPU the first timer interrupt may come after it.
static void wait_for_timer(const struct workplace *here) {
    uint64_t end = clock_after(TIMER_LIMIT_US);
    while (here->interrupts[INTERRUPTS_TIMER] == 0 && !clock_reached(end))
        cpu_pause();
}

static void work_here(void *argument) {
    (void)argument;
    struct workplace *here = workplace_of(this_cpu());
    interrupts_try_start(TIMER_US, handle);
    for (unsigned i = 1; i <= OPERATIONS / cpus_started(); i++) {
        taker_operate(&here->running);
        if (!cpu_interrupts_are_on())
            panic("stress: interrupts are off after operation %u", i);
        if (i % OPERATIONS_PER_RAISE == 0)
            interrupts_raise();
        if (i % OPERATIONS_PER_LOOK == 0)
            look();
    }
    if (apic_is_on())
        wait_for_timer(here);
    interrupts_try_stop();
}

// Each CPU frees what the next one holds.
static void free_for_next(void *argument) {
    (void)argument;
    struct workplace *next = workplace_of(this_cpu() + 1);
    taker_release_all(&next->running);
    taker_release_all(&next->interrupting);
}

static void add(struct selftest_stress_cpu *sum, const struct selftest_stress_cpu *more) {
    sum->operations += more->operations;
    sum->timer_interrupts += more->timer_interrupts;
    sum->raised_interrupts += more->raised_interrupts;
}

static struct selftest_stress sum_up(uint64_t *ret_refusals) {
    struct selftest_stress stress = {.most_frames = taker_most_frames()};
    *ret_refusals = 0;
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        const struct workplace *it = &workplaces[cpu];
        stress.cpu[cpu] = (struct selftest_stress_cpu){
            .operations = it->running.operations + it->interrupting.operations,
            .timer_interrupts = it->interrupts[INTERRUPTS_TIMER],
            .raised_interrupts = it->interrupts[INTERRUPTS_RAISED],
        };
        add(&stress.all, &stress.cpu[cpu]);
        stress.handed_over += it->running.handed_over + it->interrupting.handed_over;
        *ret_refusals += it->running.refusals + it->interrupting.refusals;
        check(stress.cpu[cpu].raised_interrupts ==
                  OPERATIONS / cpus_started() / OPERATIONS_PER_RAISE,
              "every interrupt that was raised came");
        check(stress.cpu[cpu].timer_interrupts != 0 || !apic_is_on(),
              "the timer interrupted every CPU that has one");
    }
    return stress;
}

struct selftest_stress selftest_stress(void) {
    paddr_t frames = open_workplaces();
    struct frames_statistics before;
    memory_get_statistics(&before);
    cpus_run(work_here, NULL);
    check(memory_verify(console_sink()) == 0, "the allocator is sound with frames in use");
    cpus_run(free_for_next, NULL);
    uint64_t refusals;
    struct selftest_stress stress = sum_up(&refusals);
    selftest_frames_check_restored(&before, refusals);
    selftest_frames_check_peak(before.used_frames + stress.most_frames);
    close_workplaces(frames);
    return stress;
}
