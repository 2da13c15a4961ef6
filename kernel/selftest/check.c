#include "kernel/selftest/check.h"

#include "kernel/base/panic.h"
#include "kernel/console/console.h"

static unsigned passed, failed;
static bool goes_on;

static unsigned number(void) {
    return passed + failed + 1;
}

void check(bool holds, const char *what) {
    if (holds) {
        passed++;
        return;
    }
    if (!goes_on)
        panic("self-test %u does not hold: %s", number(), what);
    console_print("# self-test %u does not hold: %s\n", number(), what);
    failed++;
}

// A call that was refused as it should be, or not.
static void check_status(bool is_expected, bool is_needed, const char *what, const char *expected,
                         const char *got) {
    if (is_expected) {
        passed++;
        return;
    }
    if (!goes_on || is_needed)
        panic("self-test %u: %s: expected \"%s\", got \"%s\"", number(), what, expected, got);
    console_print("# self-test %u: %s: expected \"%s\", got \"%s\"\n", number(), what, expected,
                  got);
    failed++;
}

void check_frames(enum frames_status status, enum frames_status expected, const char *what) {
    check_status(status == expected, expected == FRAMES_OK, what, frames_status_text(expected),
                 frames_status_text(status));
}

void check_vmem(enum vmem_status status, enum vmem_status expected, const char *what) {
    check_status(status == expected, expected == VMEM_OK, what, vmem_status_text(expected),
                 vmem_status_text(status));
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

void check_go_on(void) {
    goes_on = true;
}

unsigned check_failures(void) {
    return failed;
}
