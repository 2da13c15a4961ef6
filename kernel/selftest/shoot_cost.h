// What a change of one page costs, by the TSC of CPU 0: under QEMU's -icount a measure of
// instructions, of all CPUs together; else of time.
#pragma once

#include <stdint.h>

struct selftest_shoot_cost {
    uint64_t ticks_asleep; // of a change, flush included, while all other CPUs sleep
    uint64_t ticks_awake;  // of the same while all others are interrupted for it
};

struct selftest_shoot_cost selftest_shoot_cost(void);
