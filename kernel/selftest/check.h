// The self-test's checks: each holds, or the kernel panics with its number and words. On CPU 0.
#pragma once

#include "common/frames/frames.h"
#include "common/vmem/vmem.h"
#include "kernel/process/user_space.h"

#include <stdbool.h>

void check(bool holds, const char *what);
void check_frames(enum frames_status status, enum frames_status expected, const char *what);
void check_vmem(enum vmem_status status, enum vmem_status expected, const char *what);
void check_space(enum user_space_status status, enum user_space_status expected, const char *what);

// How many have passed so far.
unsigned check_count(void);

// From now on the self-test goes on where it can when a check does not hold: what was wrong is a
// line of TAP's diagnostics on the console. It still panics where a call fails that was to succeed:
// what comes next needs what is not there.
void check_go_on(void);

// How many have not held since.
unsigned check_failures(void);
