// Random operations of the frame allocator with the sanitizers that other tests have, and so fewer.
#define OPERATIONS (1u << 17)

#include "tests/unit/frames/test_random.c"
