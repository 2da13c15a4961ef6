#include "kernel/selftest/selftest.h"

#include "common/base/arith.h"
#include "kernel/base/stages.h"
#include "kernel/base/text.h"
#include "kernel/console/console.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/exhaust.h"
#include "kernel/selftest/frames.h"
#include "kernel/selftest/heap.h"
#include "kernel/selftest/interrupts.h"
#include "kernel/selftest/mapping.h"
#include "kernel/selftest/processes.h"
#include "kernel/selftest/rights.h"
#include "kernel/selftest/ring3.h"
#include "kernel/selftest/spaces.h"
#include "kernel/selftest/spaces_cost.h"
#include "kernel/selftest/spaces_fork.h"
#include "kernel/selftest/spaces_full.h"
#include "kernel/selftest/spaces_memory.h"
#include "kernel/selftest/spaces_order.h"
#include "kernel/selftest/spaces_stress.h"

#include <stddef.h>

enum { SHOOT_MS = 50, LONG_SHOOT_MS = 2000 }; // unless more is asked for

static struct selftest_results results; // of the parts that tell more than that they passed
static unsigned shoot_ms;

static void run_shoot(void) {
    results.shoot = selftest_shoot(shoot_ms);
    results.shoot_cost = selftest_shoot_cost();
}

static void run_long_shoot(void) {
    (void)selftest_shoot(LONG_SHOOT_MS);
}

static void run_stress(void) {
    results.stress = selftest_stress();
}

static void run_exhaust(void) {
    results.exhausted_frames = selftest_exhaust();
}

// When a part runs by itself. Any runs by its name.
enum {
    SELFTEST_ALWAYS = 1, // short: in each boot, in the stage "self-test"
    SELFTEST_STRESS = 2, // in each boot, in the stage "stress"
    SELFTEST_LONG = 4,   // takes seconds: never by itself
};

static const struct part {
    const char *name; // one word
    void (*run)(void);
    unsigned flags;
} parts[] = {
    {.name = "frames", .run = selftest_frames, .flags = SELFTEST_ALWAYS},
    {.name = "mapping", .run = selftest_mapping, .flags = SELFTEST_ALWAYS},
    {.name = "flush", .run = selftest_flush, .flags = SELFTEST_ALWAYS},
    {.name = "cpus", .run = selftest_other_cpus, .flags = SELFTEST_ALWAYS},
    {.name = "caches", .run = selftest_caches, .flags = SELFTEST_ALWAYS},
    {.name = "clone", .run = selftest_clone, .flags = SELFTEST_ALWAYS},
    {.name = "tlb", .run = run_shoot, .flags = SELFTEST_ALWAYS},
    {.name = "spaces", .run = selftest_spaces, .flags = SELFTEST_ALWAYS},
    {.name = "fork", .run = selftest_spaces_fork, .flags = SELFTEST_ALWAYS},
    {.name = "no-memory", .run = selftest_spaces_memory, .flags = SELFTEST_LONG},
    {.name = "spaces-order", .run = selftest_spaces_order, .flags = SELFTEST_ALWAYS},
    {.name = "spaces-all", .run = selftest_spaces_stress, .flags = SELFTEST_ALWAYS},
    {.name = "rights", .run = selftest_rights, .flags = SELFTEST_ALWAYS},
    {.name = "stacks", .run = selftest_stacks, .flags = SELFTEST_ALWAYS},
    {.name = "adoption", .run = selftest_adoption, .flags = SELFTEST_ALWAYS},
    {.name = "interrupts", .run = selftest_interrupts, .flags = SELFTEST_ALWAYS},
    {.name = "ring3", .run = selftest_ring3, .flags = SELFTEST_ALWAYS},
    {.name = "processes", .run = selftest_processes, .flags = SELFTEST_ALWAYS},
    {.name = "heap", .run = selftest_heap, .flags = SELFTEST_ALWAYS},
    {.name = "heap-cpus", .run = selftest_heap_cpus, .flags = SELFTEST_STRESS},
    {.name = "process-cpus", .run = selftest_process_stress, .flags = SELFTEST_STRESS},
    {.name = "stress", .run = run_stress, .flags = SELFTEST_STRESS},
    {.name = "exhaustion", .run = run_exhaust, .flags = SELFTEST_STRESS},
    {.name = "spaces-cost", .run = selftest_spaces_cost, .flags = SELFTEST_LONG},
    {.name = "spaces-full", .run = selftest_spaces_full, .flags = SELFTEST_LONG},
    {.name = "spaces-long", .run = selftest_spaces_stress_long, .flags = SELFTEST_LONG},
    {.name = "tlb-long", .run = run_long_shoot, .flags = SELFTEST_LONG},
    {.name = "process-long", .run = selftest_process_long, .flags = SELFTEST_LONG},
    {.name = "heap-long", .run = selftest_heap_long, .flags = SELFTEST_LONG},
    {.name = "heap-exhaustion", .run = selftest_heap_exhaust, .flags = SELFTEST_LONG},
};

// Frames that are nobody's: those that the heap has for objects to come are.
static uint64_t free_frames(const struct heap_statistics *heap) {
    return memory_free_frames() + heap->frames;
}

static void run_part(const struct part *part) {
    struct heap_statistics before = heap_statistics();
    uint64_t free_before = free_frames(&before);
    part->run();
    struct heap_statistics after = heap_statistics();
    check(free_frames(&after) == free_before, "every frame came back");
    check(after.objects == before.objects && after.bytes == before.bytes, "every object came back");
}

// The parts with one of these flags, and with this name unless it is null.
static void run_parts(unsigned flags, const char *name) {
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        if ((parts[i].flags & flags) != 0 && (name == NULL || text_is(name, parts[i].name)))
            run_part(&parts[i]);
    }
}

static void trim_heap(void *argument) {
    (void)argument;
    heap_trim();
}

// The checks; in the debug build, and with tracking, also that each place gave back what it took.
static void run_tracked(unsigned flags, const char *name) {
#ifdef FRAMES_TRACKING
    struct frames_moment moment = memory_moment();
#endif
#ifdef SLIPWAY_DEBUG
    heap_mark();
#endif
    run_parts(flags, name);
    cpus_run(trim_heap, NULL);
#ifdef SLIPWAY_DEBUG
    check(heap_leaks(console_sink()) == 0, "no place holds an object");
#endif
#ifdef FRAMES_TRACKING
    check(memory_leaks_since(moment, console_sink()) == 0, "no place holds a frame");
#endif
}

const char *selftest_part_name(unsigned index) {
    return index < ARRAY_LEN(parts) ? parts[index].name : NULL;
}

unsigned selftest_repeat(const char *name) {
    unsigned always = SELFTEST_ALWAYS | SELFTEST_STRESS;
    unsigned before = check_count();
    shoot_ms = SHOOT_MS;
    run_tracked(name == NULL ? always : always | SELFTEST_LONG, name);
    return check_count() - before;
}

struct selftest_results selftest_run(unsigned tlb_seconds) {
    shoot_ms = tlb_seconds == 0 ? SHOOT_MS : tlb_seconds * 1000;
    stages_begin("self-test");
    run_tracked(SELFTEST_ALWAYS, NULL);
    stages_end(0);
    stages_begin("stress");
    run_tracked(SELFTEST_STRESS, NULL);
    stages_end(0);
    results.checks = check_count();
    return results;
}
