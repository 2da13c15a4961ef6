// Random numbers for tests that can be repeated: the seed is printed, and SEED= in the environment
// replays it. The generator is splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, 2014).
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct random {
    uint64_t state;
};

// Starts from SEED, else from the clock, and prints the seed.
static inline struct random random_start(const char *test) {
    const char *wish = getenv("SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = wish != NULL ? strtoull(wish, NULL, 0) : (uint64_t)now.tv_nsec;
    fprintf(stderr, "# %s: SEED=%" PRIu64 "\n", test, seed);
    return (struct random){seed};
}

static inline uint64_t random_next(struct random *random) {
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

// From 0 to `bound` - 1.
static inline uint64_t random_below(struct random *random, uint64_t bound) {
    return random_next(random) % bound;
}
