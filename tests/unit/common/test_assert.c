// Assertions of a debug build, which host tests are.
#include "common/base/assert.h"

#include "tests/unit/support/test.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void asserts(bool condition) {
    ASSERT(condition);
}

// The signal that ended a child which made this assertion; 0 if it went on.
static int signal_after(bool condition) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGILL, SIG_DFL);
        asserts(condition);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST("assert: in a debug build a condition that is false traps at its place") {
    assert_int_equal(signal_after(true), 0);
    assert_int_equal(signal_after(false), SIGILL);
}
