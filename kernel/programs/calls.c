// System calls with arguments that are no good: each answers with an error, and nothing else
// happens. A process that can be told apart from one that asked for nothing would be a fault.
#include "kernel/programs/user.h"

#define PAGE UINT64_C(0x1000)
#define BASE UINT64_C(0x10000000)
#define END  UINT64_C(0x7ffffffff000) // of what a process may have

static const uint64_t nowhere[] = {
    0,
    1,
    PAGE - 1,
    BASE - 1,
    BASE + PAGE - 1, // its first byte is there, and no other
    END - 1,
    END,
    END + PAGE,
    UINT64_C(0x800000000000),
    UINT64_C(0xffff7fffffffffff),
    UINT64_C(0xffff800000000000),
    UINT64_C(0xffffffff80000000),
    UINT64_MAX - 1,
    UINT64_MAX,
};

static const uint64_t many[] = {
    2, SLIPWAY_PRINT_MAX, SLIPWAY_PRINT_MAX + 1, PAGE, END, UINT64_C(1) << 63, UINT64_MAX,
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void check_text(void) {
    user_check(user_call(SLIPWAY_PRINT, 0, 0, 0) == 0, "no text is at any address");
    for (unsigned i = 0; i < COUNT(nowhere); i++) {
        for (unsigned j = 0; j < COUNT(many); j++) {
            int64_t expected =
                many[j] > SLIPWAY_PRINT_MAX ? SLIPWAY_ERR_RANGE : SLIPWAY_ERR_POINTER;
            user_check(user_call(SLIPWAY_PRINT, nowhere[i], many[j], 0) == expected,
                       "text that is nowhere is refused");
        }
    }
    user_check(user_protect(BASE, PAGE, 0) == 0 &&
                   user_call(SLIPWAY_PRINT, BASE, 1, 0) == SLIPWAY_ERR_POINTER,
               "text that the process cannot read, the kernel does not");
    user_check(user_protect(BASE, PAGE, SLIPWAY_READ | SLIPWAY_WRITE) == 0, "it can again");
}

static void check_numbers(void) {
    static const uint64_t bad[] = {SLIPWAY_CALLS,     SLIPWAY_CALLS + 1, 255,       256,
                                   UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
    for (unsigned i = 0; i < COUNT(bad); i++)
        user_check(user_call((int64_t)bad[i], BASE, PAGE, 1) == SLIPWAY_ERR_CALL,
                   "a number that is no call's is refused");
}

// A good address with a bad size, a bad address with a good size, and rights that there are not.
static int64_t map_call(int64_t number, uint64_t address, uint64_t bytes) {
    return user_call(number, address, bytes, SLIPWAY_READ);
}

static void check_ranges(int64_t number) {
    static const uint64_t sizes[] = {0,         1, PAGE - 1, PAGE + 1, END, UINT64_MAX - PAGE + 1,
                                     UINT64_MAX};
    for (unsigned i = 0; i < COUNT(sizes); i++)
        user_check(map_call(number, BASE, sizes[i]) == SLIPWAY_ERR_RANGE, "a bad size is refused");
    for (unsigned i = 0; i < COUNT(nowhere); i++) {
        int64_t result = map_call(number, nowhere[i], PAGE);
        user_check(result == SLIPWAY_ERR_RANGE, "an address that nobody may have is refused");
    }
    if (number == SLIPWAY_UNMAP || number == SLIPWAY_GUARD)
        return;
    static const uint64_t rights[] = {SLIPWAY_WRITE, SLIPWAY_EXECUTE, 6, 7, 8, UINT64_MAX};
    for (unsigned i = 0; i < COUNT(rights); i++)
        user_check(user_call(number, BASE, PAGE, rights[i]) == SLIPWAY_ERR_RIGHTS,
                   "rights that there are not are refused");
}

static void check_relatives(void) {
    static const uint64_t pids[] = {0, 1000000, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
    int status = 0;
    for (unsigned i = 0; i < COUNT(pids); i++) {
        user_check(user_kill((int64_t)pids[i]) == SLIPWAY_ERR_PROCESS, "nobody else is ended");
        user_check(user_wait((int64_t)pids[i], &status) == SLIPWAY_ERR_PROCESS,
                   "nobody is waited for");
    }
    user_check(user_wait(user_pid(), &status) == SLIPWAY_ERR_PROCESS, "nor oneself");
    user_check(user_call(SLIPWAY_SLEEP, 0, 0, 0) == 0, "no time passes at once");
}

static void end_self(uint64_t nothing) {
    (void)nothing;
    (void)user_kill(user_pid());
}

// The exit status is a byte, whatever a process says.
static void check_ends(void) {
    user_check(user_try(end_self, 0) == SLIPWAY_KILLED, "a process ends itself");
    int64_t child = user_fork();
    if (child == 0)
        user_exit(0x7fff1234);
    int status = 0;
    user_check(user_wait(child, &status) == child && status == 0x34, "a status is a byte");
    child = user_fork();
    if (child == 0) {
        for (;;)
            user_ticks();
    }
    user_check(user_kill(child) == 0 && user_wait(child, &status) == child &&
                   status == SLIPWAY_KILLED,
               "a child that spins is ended");
    child = user_fork();
    if (child == 0) {
        user_sleep(UINT64_MAX);
        user_exit(0);
    }
    user_sleep(1000);
    user_check(user_kill(child) == 0 && user_wait(child, &status) == child &&
                   status == SLIPWAY_KILLED,
               "and one that sleeps");
    user_check(user_kill(child) == SLIPWAY_ERR_PROCESS, "once");
}

int main(void) {
    static const int64_t ranges[] = {SLIPWAY_MAP, SLIPWAY_GUARD, SLIPWAY_SHARE, SLIPWAY_UNMAP,
                                     SLIPWAY_PROTECT};
    user_check(user_map(BASE, PAGE, SLIPWAY_READ | SLIPWAY_WRITE) == 0, "memory is mapped");
    check_text();
    check_numbers();
    for (unsigned i = 0; i < COUNT(ranges); i++)
        check_ranges(ranges[i]);
    check_relatives();
    check_ends();
    user_print("calls: all that is no good is refused\n");
    return 0;
}
