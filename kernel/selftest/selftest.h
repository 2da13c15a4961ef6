// What only running code can show: the allocator gives, takes and refuses, and neither other CPUs
// nor interrupts hurt it; every stack has its guard page; pages that are mapped, protected and
// unmapped behave so at once, on every CPU, whether it sleeps or uses them meanwhile; rights that
// the hand-over promises really fault.
//
// The self-test has parts, in a table (selftest.c). A part is a function without arguments in a
// file of its own, kernel/selftest/NAME.[ch], that says by check.h what holds. It runs on CPU 0
// with interrupts off, while the others sleep; cpus_run brings them in. It leaves all as it found
// it: that no frame is missing afterwards is checked around every part.
#pragma once

#include "kernel/base/cmdline.h"
#include "kernel/selftest/shoot.h"
#include "kernel/selftest/shoot_cost.h"
#include "kernel/selftest/stress.h"

#include <stdbool.h>

struct selftest_results {
    unsigned checks; // that passed
    struct selftest_shoot shoot;
    struct selftest_shoot_cost shoot_cost;
    struct selftest_stress stress;
    uint64_t heap_ticks;       // of an allocation and a free, by the TSC
    uint64_t exhausted_frames; // that all CPUs together took, to the last
};

// Runs the parts that each boot runs; the one of shoot.h for so many seconds, 0 means for a moment.
// Panics with the first check that does not hold.
struct selftest_results selftest_run(unsigned tlb_seconds);

// Runs all parts, also those that take seconds, with `provoked` as the first unless that is none,
// and tells them on the console in TAP (version 14, testanything.org): a point is a part, and what
// did not hold stands before it. Where it cannot go on it bails out, and the machine ends as after
// a panic. Returns whether all has held.
bool selftest_run_all(unsigned tlb_seconds, enum cmdline_test provoked);

// The parts, by name; null behind the last.
const char *selftest_part_name(unsigned index);

// Runs one part once more, one that takes seconds, too; or with a null pointer those that each boot
// runs: as selftest_run on failure. Returns the number of checks that passed; 0: there is no such
// part.
unsigned selftest_repeat(const char *name);
