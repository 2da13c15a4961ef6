// The CPUs that run this kernel: one; the loader hands over on it, and the others stay where the
// firmware left them. Whoever starts more counts them here.
#pragma once

#define CPUS 1

// The number of the CPU that asks, below CPUS. It holds as long as the caller stays on that CPU:
// with interrupts off.
static inline unsigned cpus_current(void) {
    return 0;
}
