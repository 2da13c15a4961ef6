// What only running code can show: the allocator gives, takes and refuses, and neither other CPUs
// nor interrupts hurt it; every stack has its guard page; pages that are mapped, protected and
// unmapped behave so at once, and on every CPU that slept meanwhile; rights that the hand-over
// promises really fault.
#pragma once

#include "kernel/selftest/stress.h"

struct selftest_results {
    unsigned checks; // that passed
    struct selftest_stress stress;
    uint64_t exhausted_frames; // that all CPUs together took, to the last
};

// Runs every check and leaves everything as it was. Panics with the first that does not hold.
struct selftest_results selftest_run(void);
