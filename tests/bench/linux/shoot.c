// What it costs Linux to take the right to write from a page that is in use on all CPUs, and to
// give it back: other threads of the process spin, as PAUSE lets each go on when another waits for
// it.
#include "kernel/programs/user.h"

#define PAGE_AT UINT64_C(0x40000000)

enum { CPUS_MAX = 64, STACK_BYTES = 4096, ROUNDS = 5, CHANGES = 64, PAGE_BYTES = 4096 };

static uint8_t stacks[CPUS_MAX][STACK_BYTES] __attribute__((aligned(16)));
static volatile unsigned arrived;

static void spin(uint64_t cpu) {
    linux_stay_on(cpu);
    (void)__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
    for (;;)
        __asm__ volatile("pause");
}

static uint64_t measure(void) {
    uint64_t start = user_ticks();
    for (unsigned i = 0; i < CHANGES; i++) {
        user_check(user_protect(PAGE_AT, PAGE_BYTES, SLIPWAY_READ) == 0, "a right is taken");
        user_check(user_protect(PAGE_AT, PAGE_BYTES, SLIPWAY_READ | SLIPWAY_WRITE) == 0,
                   "a right is given");
    }
    return (user_ticks() - start) / CHANGES;
}

int main(void) {
    unsigned cpus = linux_cpus();
    linux_stay_on(0);
    user_check(user_map(PAGE_AT, PAGE_BYTES, SLIPWAY_READ | SLIPWAY_WRITE) == 0,
               "memory is mapped");
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        user_check(linux_thread(spin, cpu, stacks[cpu] + STACK_BYTES) > 0, "a thread can be made");
        while (arrived != cpu)
            __asm__ volatile("pause");
    }
    *user_word(PAGE_AT) = 1;
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t ticks = measure();
        if (ticks < best)
            best = ticks;
    }
    user_print("cost shoot %lu\n", best);
    return 0;
}
