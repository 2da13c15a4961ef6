// The frame allocator under interrupts: the running code takes and frees frames, and so does each
// interrupt, by a timer anywhere and by instruction between two operations.
//
// That no frame is held twice is seen in the frames: whoever takes one writes a word of its own
// into it, and finds that word when it gives it back.
#pragma once

#include <stdint.h>

struct selftest_stress {
    uint64_t operations; // frames taken, freed or asked for in vain
    uint64_t timer_interrupts;
    uint64_t raised_interrupts;
    uint64_t most_frames; // that were held at once
};

// Runs it, and checks that all is as before. Interrupts are off before and after.
struct selftest_stress selftest_stress(void);
