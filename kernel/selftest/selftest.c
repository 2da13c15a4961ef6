#include "kernel/selftest/selftest.h"

#include "common/base/arith.h"
#include "kernel/base/boot.h"
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
#include "kernel/selftest/provoke.h"
#include "kernel/selftest/rights.h"
#include "kernel/selftest/ring3.h"
#include "kernel/selftest/spaces.h"
#include "kernel/selftest/spaces_cost.h"
#include "kernel/selftest/spaces_fork.h"
#include "kernel/selftest/spaces_full.h"
#include "kernel/selftest/spaces_memory.h"
#include "kernel/selftest/spaces_order.h"
#include "kernel/selftest/spaces_stress.h"
#include "kernel/stop/power.h"

#include <stddef.h>

enum { SHOOT_MS = 50, LONG_SHOOT_MS = 500 }; // unless more is asked for

static struct selftest_results results; // of the parts that tell more than that they passed
static unsigned shoot_ms;
static enum cmdline_test failure; // to be provoked

static void run_shoot(void) {
    results.shoot = selftest_shoot(shoot_ms);
    results.shoot_cost = selftest_shoot_cost();
}

static void run_long_shoot(void) {
    (void)selftest_shoot(LONG_SHOOT_MS);
}

static void run_heap(void) {
    selftest_heap();
    results.heap_ticks = selftest_heap_cost();
}

static void run_stress(void) {
    results.stress = selftest_stress();
}

static void run_exhaust(void) {
    results.exhausted_frames = selftest_exhaust();
}

static void run_provoked(void) {
    provoke_failure(failure);
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
    {.name = "spaces-order", .run = selftest_spaces_order, .flags = SELFTEST_ALWAYS},
    {.name = "spaces-all", .run = selftest_spaces_stress, .flags = SELFTEST_ALWAYS},
    {.name = "rights", .run = selftest_rights, .flags = SELFTEST_ALWAYS},
    {.name = "stacks", .run = selftest_stacks, .flags = SELFTEST_ALWAYS},
    {.name = "adoption", .run = selftest_adoption, .flags = SELFTEST_ALWAYS},
    {.name = "interrupts", .run = selftest_interrupts, .flags = SELFTEST_ALWAYS},
    {.name = "ring3", .run = selftest_ring3, .flags = SELFTEST_ALWAYS},
    {.name = "processes", .run = selftest_processes, .flags = SELFTEST_ALWAYS},
    {.name = "heap", .run = run_heap, .flags = SELFTEST_ALWAYS},
    {.name = "heap-cpus", .run = selftest_heap_cpus, .flags = SELFTEST_STRESS},
    {.name = "process-cpus", .run = selftest_process_stress, .flags = SELFTEST_STRESS},
    {.name = "stress", .run = run_stress, .flags = SELFTEST_STRESS},
    {.name = "exhaustion", .run = run_exhaust, .flags = SELFTEST_STRESS},
    {.name = "no-memory", .run = selftest_spaces_memory, .flags = SELFTEST_LONG},
    {.name = "spaces-cost", .run = selftest_spaces_cost, .flags = SELFTEST_LONG},
    {.name = "spaces-full", .run = selftest_spaces_full, .flags = SELFTEST_LONG},
    {.name = "spaces-long", .run = selftest_spaces_stress_long, .flags = SELFTEST_LONG},
    {.name = "tlb-long", .run = run_long_shoot, .flags = SELFTEST_LONG},
    {.name = "process-long", .run = selftest_process_long, .flags = SELFTEST_LONG},
    {.name = "heap-long", .run = selftest_heap_long, .flags = SELFTEST_LONG},
    {.name = "heap-exhaustion", .run = selftest_heap_exhaust, .flags = SELFTEST_LONG},
};

static void trim_heap(void *argument) {
    (void)argument;
    heap_trim();
}

// Frames that are nobody's: those that the heap has for objects to come are.
static uint64_t free_frames(const struct heap_statistics *heap) {
    return memory_free_frames() + heap->frames;
}

static void run_and_count(const struct part *part) {
    struct heap_statistics before = heap_statistics();
    uint64_t free_before = free_frames(&before);
    part->run();
    struct heap_statistics after = heap_statistics();
    check(free_frames(&after) == free_before, "every frame came back");
    check(after.objects == before.objects && after.bytes == before.bytes, "every object came back");
}

// In the debug build, and with tracking, also by the place that took what did not come back.
static void run_part(const struct part *part) {
#ifdef FRAMES_TRACKING
    cpus_run(trim_heap, NULL);
    struct frames_moment moment = memory_moment();
#endif
#ifdef SLIPWAY_DEBUG
    heap_mark();
#endif
    run_and_count(part);
#ifdef SLIPWAY_DEBUG
    check(heap_leaks(console_sink()) == 0, "no place holds an object");
#endif
#ifdef FRAMES_TRACKING
    cpus_run(trim_heap, NULL);
    check(memory_leaks_since(moment, console_sink()) == 0, "no place holds a frame");
#endif
}

// The parts with one of these flags, and with this name unless it is null.
static void run_parts(unsigned flags, const char *name) {
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        if ((parts[i].flags & flags) != 0 && (name == NULL || text_is(name, parts[i].name)))
            run_part(&parts[i]);
    }
    cpus_run(trim_heap, NULL);
}

const char *selftest_part_name(unsigned index) {
    return index < ARRAY_LEN(parts) ? parts[index].name : NULL;
}

unsigned selftest_repeat(const char *name) {
    unsigned always = SELFTEST_ALWAYS | SELFTEST_STRESS;
    unsigned before = check_count();
    shoot_ms = SHOOT_MS;
    run_parts(name == NULL ? always : always | SELFTEST_LONG, name);
    return check_count() - before;
}

struct selftest_results selftest_run(unsigned tlb_seconds) {
    shoot_ms = tlb_seconds == 0 ? SHOOT_MS : tlb_seconds * 1000;
    stages_begin("self-test");
    run_parts(SELFTEST_ALWAYS, NULL);
    stages_end(0);
    stages_begin("stress");
    run_parts(SELFTEST_STRESS, NULL);
    stages_end(0);
    results.checks = check_count();
    return results;
}

// One point of TAP.
static void run_point(unsigned number, const struct part *part) {
    unsigned checks = check_count(), failures = check_failures();
    run_part(part);
    failures = check_failures() - failures;
    console_print("%s %u - %s\n# %u checks passed\n", failures == 0 ? "ok" : "not ok", number,
                  part->name, check_count() - checks);
}

bool selftest_run_all(unsigned tlb_seconds, enum cmdline_test provoked) {
    const struct part first = {.name = "provoked", .run = run_provoked};
    unsigned number = 0;
    failure = provoked;
    shoot_ms = tlb_seconds == 0 ? SHOOT_MS : tlb_seconds * 1000;
    power_begin_test();
    check_go_on();
    console_print("TAP version 14\n1..%u\n# CPUs: %u, levels of page tables: %u\n",
                  (unsigned)ARRAY_LEN(parts) + (provoked != CMDLINE_TEST_NONE), cpus_started(),
                  boot_info()->paging_levels);
    if (provoked != CMDLINE_TEST_NONE)
        run_point(++number, &first);
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++)
        run_point(++number, &parts[i]);
    return check_failures() == 0;
}
