// The self-test of the frame allocator, on the memory that is there.
#pragma once

#include "common/frames/frames.h"

// Checks what it gives, takes and refuses, and that every frame comes back.
void selftest_frames(void);

// Checks that so many frames or more are counted as used at once at some time.
void selftest_frames_check_peak(uint64_t least);

// Checks that since `before` everything came back, that so many requests were refused, and that the
// allocator is sound. While no other CPU uses it.
void selftest_frames_check_restored(const struct frames_statistics *before, uint64_t refusals);
