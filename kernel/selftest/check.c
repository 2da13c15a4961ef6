#include "kernel/selftest/check.h"

#include "kernel/base/panic.h"

static unsigned passed;

void check(bool holds, const char *what) {
    if (!holds)
        panic("self-test %u does not hold: %s", passed + 1, what);
    passed++;
}

void check_frames(enum frames_status status, enum frames_status expected, const char *what) {
    if (status != expected)
        panic("self-test %u: %s: expected \"%s\", got \"%s\"", passed + 1, what,
              frames_status_text(expected), frames_status_text(status));
    passed++;
}

void check_vmem(enum vmem_status status, enum vmem_status expected, const char *what) {
    if (status != expected)
        panic("self-test %u: %s: expected \"%s\", got \"%s\"", passed + 1, what,
              vmem_status_text(expected), vmem_status_text(status));
    passed++;
}

void check_space(enum user_space_status status, enum user_space_status expected, const char *what) {
    if (status != expected)
        panic("self-test %u: %s: expected \"%s\", got \"%s\"", passed + 1, what,
              user_space_status_text(expected), user_space_status_text(status));
    passed++;
}

unsigned check_count(void) {
    return passed;
}
