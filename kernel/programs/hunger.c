// Takes all memory, and as many processes as there can be: the one that asks for too much is ended
// or refused, and all the others go on.
#include "kernel/programs/user.h"

#define BASE  UINT64_C(0x100000000)
#define BYTES UINT64_C(0x10000000000)
#define BLOCK UINT64_C(0x200000)
#define PAGE  UINT64_C(0x1000)

enum { CHILDREN_MAX = 2000, READ_WRITE = SLIPWAY_READ | SLIPWAY_WRITE };

// In whole blocks first, then in pages, which are found where no block is.
static void eat(uint64_t nothing) {
    (void)nothing;
    user_check(user_map(BASE, BYTES, READ_WRITE) == 0, "more is mapped than there is");
    for (uint64_t at = BASE; at < BASE + BYTES; at += PAGE)
        *user_word(at) = at;
}

static int64_t child[CHILDREN_MAX];

static unsigned make_children(void) {
    unsigned count = 0;
    while (count < CHILDREN_MAX && (child[count] = user_fork()) >= 0) {
        if (child[count] == 0) {
            user_sleep(UINT64_MAX);
            user_exit(0);
        }
        count++;
    }
    user_check(count < CHILDREN_MAX, "there are not as many processes as one likes");
    user_check(child[count] == SLIPWAY_ERR_MANY || child[count] == SLIPWAY_ERR_NO_MEMORY,
               "one that is too much is refused");
    return count;
}

static void end_children(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        int status = 0;
        (void)user_kill(child[i]);
        user_check(user_wait(child[i], &status) == child[i], "each child is waited for");
        user_check(status == SLIPWAY_KILLED || status == SLIPWAY_NO_MEMORY, "and was ended");
    }
}

int main(void) {
    for (unsigned i = 0; i < 2; i++) {
        user_check(user_try(eat, 0) == SLIPWAY_NO_MEMORY, "who eats all memory is ended");
        unsigned count = make_children();
        user_check(count > 10, "many processes can be made");
        end_children(count);
    }
    user_print("hunger: all memory came back\n");
    return 0;
}
