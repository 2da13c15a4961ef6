// A tree of processes: each makes children, writes memory that its parent has, too, waits for all
// of them and sums up what they say. Memory that is not shared is each one's own.
#include "kernel/programs/user.h"

enum { DEPTH = 4, CHILDREN = 3, PAGES = 8, PAGE_BYTES = 4096, STATUS_MASK = 0xff };

static uint8_t memory[PAGES][PAGE_BYTES];

static void mark(uint8_t value) {
    for (unsigned page = 0; page < PAGES; page++)
        memory[page][page] = value;
}

static void check_mark(uint8_t value) {
    for (unsigned page = 0; page < PAGES; page++)
        user_check(memory[page][page] == value, "memory is each process's own");
}

// Returns how many processes are in the tree below, this one included.
static int grow(unsigned depth, uint8_t own) {
    mark(own);
    int64_t child[CHILDREN];
    for (unsigned i = 0; depth != 0 && i < CHILDREN; i++) {
        child[i] = user_fork();
        user_check(child[i] >= 0, "a child can be made");
        if (child[i] == 0) {
            check_mark(own);
            user_exit(grow(depth - 1, (uint8_t)(own * CHILDREN + i + 1)));
        }
    }
    int all = 1;
    for (unsigned i = 0; depth != 0 && i < CHILDREN; i++) {
        int status = 0;
        bool is_any = i % 2 == 0;
        int64_t ended = user_wait(is_any ? 0 : child[i], &status);
        if (!is_any && ended < 0) // it was the any of before
            continue;
        user_check(ended > 0, "children are waited for");
        all += status;
    }
    int status = 0;
    while (depth != 0 && user_wait(0, &status) > 0)
        all += status;
    check_mark(own);
    return all;
}

int main(void) {
    int expected = 0;
    for (unsigned depth = 0, row = 1; depth <= DEPTH; depth++, row *= CHILDREN)
        expected += (int)row;
    int status = 0;
    user_check(user_wait(0, &status) == SLIPWAY_ERR_PROCESS, "who has no children waits for none");
    int found = grow(DEPTH, 1);
    user_check(found == expected, "every child has said how many it has made");
    user_print("tree: %d processes\n", found);
    return 0;
}
