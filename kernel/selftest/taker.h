// One who takes frames and gives them back, at random, and sees whether another was given the same:
// whoever takes a frame writes a word of its own into it, and whoever frees it finds that word.
//
// Takers stand in a ring, on as many CPUs as there are: some runs go to the next one, who frees
// what another CPU has allocated. Each is used in one place at a time, with interrupts as they are.
#pragma once

#include "common/base/addr.h"

#include <stdint.h>

enum { TAKER_OWNED_MAX = 192, TAKER_INBOX_RUNS = 16 };

struct taker_run {
    paddr_t first;
    uint64_t count;
    uint64_t mark; // no other run has the same
};

struct taker {
    const char *name;
    struct taker *next;
    uint64_t random;
    uint64_t mark; // of the run taken last
    uint64_t operations, refusals, handed_over;
    unsigned owned_count;
    struct taker_run owned[TAKER_OWNED_MAX];
    struct taker_run inbox[TAKER_INBOX_RUNS]; // what the one before has handed over
    uint32_t inbox_put, inbox_taken;          // each only grows, and is written by one of the two
};

// Starts a taker, which has no frames yet. `seed`, not 0, decides what it does; `mark` is one below
// that of its first run; it hands over to `next`, which may be itself.
void taker_start(struct taker *taker, const char *name, uint64_t seed, uint64_t mark,
                 struct taker *next);

// Takes a run, frees one or a part of one, or hands one over. Panics if a frame was given to two.
void taker_operate(struct taker *taker);

// Frees all that it owns, and what lies in its inbox; on any CPU.
void taker_release_all(struct taker *taker);

// The most frames that all takers owned at once.
uint64_t taker_most_frames(void);
