#include "kernel/base/clock.h"

#include "common/x86/cpu.h"
#include "kernel/base/boot.h"

#define FAST_HZ UINT64_C(10000000000)
#define MHZ     UINT64_C(1000000)

static uint64_t ticks_per_us(void) {
    uint64_t hz = boot_info()->tsc_hz;
    return (hz == 0 ? FAST_HZ : hz) / MHZ + 1;
}

uint64_t clock_after(uint64_t microseconds) {
    return cpu_rdtsc() + microseconds * ticks_per_us();
}

uint64_t clock_microseconds(uint64_t ticks) {
    return ticks / ticks_per_us();
}

uint64_t clock_until(uint64_t tsc) {
    int64_t ticks = (int64_t)(tsc - cpu_rdtsc());
    return ticks <= 0 ? 1 : clock_microseconds((uint64_t)ticks) + 1;
}

bool clock_reached(uint64_t tsc) {
    return (int64_t)(cpu_rdtsc() - tsc) >= 0;
}

void clock_wait(uint64_t microseconds) {
    uint64_t end = clock_after(microseconds);
    while (!clock_reached(end))
        cpu_pause();
}
