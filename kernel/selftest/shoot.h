// All CPUs, and their interrupts, change pages that all others use meanwhile, in the kernel half
// and in the lower halves of two spaces: and no CPU reads or writes through a translation that is
// gone.
#pragma once

#include <stdint.h>

struct selftest_shoot {
    uint64_t milliseconds;
    uint64_t changes;  // of a page, each flushed
    uint64_t accesses; // to pages that change, each judged
    uint64_t faults;   // of these, that rightly faulted
    uint64_t naps;
    uint64_t records, requests, interrupts, missed; // struct shootdown_counts
};

// Runs it for `milliseconds`, and leaves all as it was. Panics with the first access that is wrong.
struct selftest_shoot selftest_shoot(unsigned milliseconds);
