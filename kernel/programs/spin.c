// Uses the CPU and nothing else: as many processes as its children are, for a while. Each says how
// far it came, and the parent compares them: nobody may have been left out.
#include "kernel/programs/user.h"

enum { CHILDREN = 8, MICROSECONDS = 400000, LEAST = 8 }; // a part of the mean that each must have

#define SHARED UINT64_C(0x20000000)
#define PAGE   UINT64_C(0x1000)

static void spin(volatile uint64_t *count, uint64_t end) {
    while (user_time() < end) {
        for (unsigned i = 0; i < 1000; i++)
            *count = *count + 1;
    }
}

int main(void) {
    user_check(user_share(SHARED, PAGE, SLIPWAY_READ | SLIPWAY_WRITE) == 0, "memory is shared");
    uint64_t end = user_time() + MICROSECONDS;
    for (unsigned i = 0; i < CHILDREN; i++) {
        int64_t child = user_fork();
        user_check(child >= 0, "a child can be made");
        if (child == 0) {
            spin(user_word(SHARED + i * 64), end);
            user_exit(0);
        }
    }
    int status = 0;
    while (user_wait(0, &status) > 0)
        user_check(status == 0, "a child spins to the end");
    uint64_t sum = 0;
    for (unsigned i = 0; i < CHILDREN; i++)
        sum += *user_word(SHARED + i * 64);
    for (unsigned i = 0; i < CHILDREN; i++)
        user_check(*user_word(SHARED + i * 64) * LEAST * CHILDREN >= sum, "each has its share");
    user_print("spin: %u processes had their share\n", (unsigned)CHILDREN);
    return 0;
}
