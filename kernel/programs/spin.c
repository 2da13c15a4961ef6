// Processes that wait for each other by using the CPU and nothing else: none yields. Each goes on
// to the next round when all have come to this one. So they end only if each is interrupted, and
// none is left out.
#include "kernel/programs/user.h"

enum { CHILDREN = 8, ROUNDS = 3, LINE_BYTES = 64 };

#define SHARED UINT64_C(0x20000000)
#define PAGE   UINT64_C(0x1000)

static volatile uint64_t *round_of(unsigned child) {
    return user_word(SHARED + child * LINE_BYTES);
}

static void spin(unsigned self) {
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        *round_of(self) = round;
        for (unsigned child = 0; child < CHILDREN; child++) {
            while (*round_of(child) < round)
                user_ticks();
        }
    }
}

int main(void) {
    user_check(user_share(SHARED, PAGE, SLIPWAY_READ | SLIPWAY_WRITE) == 0, "memory is shared");
    for (unsigned i = 0; i < CHILDREN; i++) {
        int64_t child = user_fork();
        user_check(child >= 0, "a child can be made");
        if (child == 0) {
            spin(i);
            user_exit(0);
        }
    }
    unsigned ended = 0;
    int status = 0;
    while (user_wait(0, &status) > 0)
        ended += status == 0;
    user_check(ended == CHILDREN, "every child spins to the end");
    user_print("spin: %u processes had their share\n", ended);
    return 0;
}
