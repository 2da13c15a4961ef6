// Failures on purpose, to see what they look like.
#pragma once

#include "kernel/base/cmdline.h"

// Provokes `test`; returns at once for CMDLINE_TEST_NONE, and panics if the failure does not come.
void provoke_failure(enum cmdline_test test);
