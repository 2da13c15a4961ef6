// Which CPU executes this.
#pragma once

#include "common/x86/cpu.h"

// CPUs beyond these are left out. A bit each in a word is enough for a set of them.
#define CPUS_MAX 64

// The index of the CPU that asks, below cpus_started(). It holds as long as the caller stays on
// that CPU, which all code of this kernel does.
static inline unsigned this_cpu(void) {
    return (unsigned)cpu_read_gs_word();
}
