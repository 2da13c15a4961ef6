// The self-test of the frame allocator, on the memory that is there.
#pragma once

// Checks what it gives, takes and refuses, and that every frame comes back.
void selftest_frames(void);
