// The firmware's runtime services, as far as a kernel needs them to end: ResetSystem (UEFI 2.10
// 8.5.1). They run at their physical addresses, which this maps in the lower half when they are
// first called; nothing is mapped there before, and the caller does not come back after.
#pragma once

#include <stdbool.h>

enum runtime_reset {
    RUNTIME_RESET_COLD = 0,
    RUNTIME_RESET_WARM = 1,
    RUNTIME_RESET_SHUTDOWN = 2,
};

// Maps the runtime regions and calls ResetSystem. Returns, with the reason in words, only if that
// could not be done.
const char *runtime_reset_system(enum runtime_reset type);

// True while firmware's code runs.
bool runtime_is_active(void);
