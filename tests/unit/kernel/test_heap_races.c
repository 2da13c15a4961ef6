// The heap under threads, and under the thread sanitizer (tests/unit/unit.mk), which makes all
// slower and so does less.
#define ROUNDS 6000

#include "tests/unit/kernel/test_heap_threads.c"
