#include "kernel/base/clock.h"

#include "common/x86/cpu.h"
#include "kernel/base/boot.h"

#define FAST_HZ UINT64_C(10000000000)
#define MHZ     UINT64_C(1000000)

uint64_t clock_after(uint64_t microseconds) {
    uint64_t hz = boot_info()->tsc_hz;
    uint64_t ticks_per_us = (hz == 0 ? FAST_HZ : hz) / MHZ + 1;
    return cpu_rdtsc() + microseconds * ticks_per_us;
}

bool clock_reached(uint64_t tsc) {
    return (int64_t)(cpu_rdtsc() - tsc) >= 0;
}

void clock_wait(uint64_t microseconds) {
    uint64_t end = clock_after(microseconds);
    while (!clock_reached(end))
        cpu_pause();
}
