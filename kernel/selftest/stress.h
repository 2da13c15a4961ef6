// The frame allocator under all CPUs at once, and under interrupts: on each CPU the running code
// takes and frees frames, and so does each interrupt, by a timer anywhere and by instruction
// between two operations. taker.h says how a frame that is given to two is seen.
#pragma once

#include "kernel/cpus/cpus.h"

#include <stdint.h>

struct selftest_stress_cpu {
    uint64_t operations; // frames taken, freed, handed over or asked for in vain
    uint64_t timer_interrupts;
    uint64_t raised_interrupts;
};

struct selftest_stress {
    struct selftest_stress_cpu cpu[CPUS_MAX];
    struct selftest_stress_cpu all; // the sum
    uint64_t handed_over;           // runs that one CPU took and the next one freed
    uint64_t most_frames;           // that were owned at once
};

// Runs it, and checks that all is as before. Interrupts are off before and after.
struct selftest_stress selftest_stress(void);

// From now on `look` is called on CPU 0 some times a second while frames are in use, interrupts on;
// null: no more. It must neither allocate nor free.
void selftest_stress_watch(void (*look)(void));
