// What only running code can show: the allocator gives, takes and refuses, and interrupts do not
// hurt it; pages that are mapped, protected and unmapped behave so at once; rights that the
// hand-over promises really fault.
#pragma once

#include "kernel/selftest_stress.h"

struct selftest_results {
    unsigned checks; // that held
    struct selftest_stress stress;
};

// Runs every check and leaves everything as it was. Panics with the first that does not hold.
struct selftest_results selftest_run(void);
