// What operations cost, in ticks of the TSC, the least of a few rounds: under QEMU's -icount a
// measure of instructions, else of time. Each is called as the kernel's interface has it; what is
// compared with another kernel is the operation.
#include "kernel/programs/user.h"

#define BASE   UINT64_C(0x40000000)
#define SHARED UINT64_C(0x20000000)
#define PAGE   UINT64_C(0x1000)
#define MIB    UINT64_C(0x100000)

enum {
    ROUNDS = 5,
    CALLS = 1000,
    PAGES = 1024,
    FORK_MIB = 64,
    READ_WRITE = SLIPWAY_READ | SLIPWAY_WRITE,
};

static uint64_t least(uint64_t (*measure)(void)) {
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t ticks = measure();
        if (ticks < best)
            best = ticks;
    }
    return best;
}

static uint64_t measure_call(void) {
    uint64_t start = user_ticks();
    for (unsigned i = 0; i < CALLS; i++)
        (void)user_pid();
    return (user_ticks() - start) / CALLS;
}

static uint64_t measure_yield_alone(void) {
    uint64_t start = user_ticks();
    for (unsigned i = 0; i < CALLS; i++)
        user_yield();
    return (user_ticks() - start) / CALLS;
}

// Two that yield to each other: with one CPU each yield is a switch.
static uint64_t measure_yield(void) {
    *user_word(SHARED) = 0;
    int64_t child = user_fork();
    user_check(child >= 0, "a child can be made");
    if (child == 0) {
        *user_word(SHARED) = 1;
        while (*user_word(SHARED) == 1)
            user_yield();
        user_exit(0);
    }
    while (*user_word(SHARED) == 0)
        user_yield();
    uint64_t start = user_ticks();
    for (unsigned i = 0; i < CALLS; i++)
        user_yield();
    uint64_t ticks = user_ticks() - start;
    *user_word(SHARED) = 2;
    int status;
    (void)user_wait(child, &status);
    return ticks / (2 * CALLS);
}

static void touch(uint64_t address, uint64_t bytes) {
    for (uint64_t at = address; at < address + bytes; at += PAGE)
        *user_word(at) = at;
}

static uint64_t unmap_ticks; // of the last round

// Not aligned to 2 MiB at either end, with a hole in each 2 MiB, so that all are small pages.
static uint64_t measure_small(void) {
    for (uint64_t at = BASE; at < BASE + PAGES * PAGE; at += 128 * PAGE)
        user_check(user_map(at, 127 * PAGE, READ_WRITE) == 0, "memory is mapped");
    uint64_t pages = PAGES - PAGES / 128;
    uint64_t start = user_ticks();
    for (uint64_t at = BASE; at < BASE + PAGES * PAGE; at += 128 * PAGE)
        touch(at, 127 * PAGE);
    uint64_t ticks = user_ticks() - start;
    start = user_ticks();
    user_check(user_unmap(BASE, PAGES * PAGE) == 0, "memory is unmapped");
    unmap_ticks = (user_ticks() - start) / pages;
    return ticks / pages;
}

static uint64_t measure_large(void) {
    user_check(user_map(BASE, PAGES * PAGE, READ_WRITE) == 0, "memory is mapped");
    uint64_t start = user_ticks();
    touch(BASE, PAGES * PAGE);
    uint64_t ticks = user_ticks() - start;
    start = user_ticks();
    user_check(user_unmap(BASE, PAGES * PAGE) == 0, "memory is unmapped");
    unmap_ticks = (user_ticks() - start) / PAGES;
    return ticks / PAGES;
}

static uint64_t measure_fork(void) {
    uint64_t start = user_ticks();
    int64_t child = user_fork();
    user_check(child >= 0, "a child can be made");
    if (child == 0)
        user_exit(0);
    int status;
    (void)user_wait(child, &status);
    return user_ticks() - start;
}

int main(void) {
    user_check(user_share(SHARED, PAGE, READ_WRITE) == 0, "memory is shared");
    *user_word(SHARED) = 0;
    user_print("cost getpid %lu\n", least(measure_call));
    user_print("cost yield-alone %lu\n", least(measure_yield_alone));
    user_print("cost yield %lu\n", least(measure_yield));
    user_print("cost touch-4k %lu\n", least(measure_small));
    user_print("cost unmap-4k %lu\n", unmap_ticks);
    user_print("cost touch %lu\n", least(measure_large));
    user_print("cost unmap %lu\n", unmap_ticks);
    user_print("cost fork %lu\n", least(measure_fork));
    user_check(user_map(BASE, FORK_MIB * MIB, READ_WRITE) == 0, "memory is mapped");
    touch(BASE, FORK_MIB * MIB);
    user_print("cost fork-64m %lu\n", least(measure_fork));
    return 0;
}
