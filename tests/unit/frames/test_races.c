// The frame allocator under threads, and under the thread sanitizer (tests/unit/unit.mk), which
// makes all slower and so does less.
#define ROUNDS 2

#include "tests/unit/frames/test_threads.c"
