#include "kernel/selftest/shoot_cost.h"

#include "common/x86/cpu.h"
#include "kernel/base/layout.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"

#include <stdbool.h>

enum { CHANGES = 64 }; // an even number

static bool is_measured;

static bool change(unsigned rights) {
    return space_protect(vaddr(KERNEL_SCRATCH), FRAME_BYTES, rights) == VMEM_OK;
}

static uint64_t measure(void) {
    bool is_done = true;
    uint64_t start = cpu_rdtsc();
    for (unsigned i = 0; i < CHANGES; i += 2)
        is_done &= change(VMEM_READ) && change(VMEM_READ | VMEM_WRITE);
    uint64_t ticks = cpu_rdtsc() - start;
    check(is_done, "protecting a page many times");
    return ticks / CHANGES;
}

// The others halt, but do not sleep in the sense of shootdown.h: each change interrupts them. A
// last one makes them see that it is over.
static void measure_awake(void *ret_ticks) {
    if (this_cpu() == 0) {
        *(uint64_t *)ret_ticks = measure();
        __atomic_store_n(&is_measured, true, __ATOMIC_RELEASE);
        check(change(VMEM_READ), "protecting it once more");
        return;
    }
    while (!__atomic_load_n(&is_measured, __ATOMIC_ACQUIRE)) {
        cpu_interrupts_on_wait();
        cpu_interrupts_off();
    }
}

struct selftest_shoot_cost selftest_shoot_cost(void) {
    struct vmem_mapping mapping = {
        .virt = vaddr(KERNEL_SCRATCH),
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ | VMEM_WRITE,
        .largest = VMEM_4K,
    };
    struct selftest_shoot_cost cost;
    check_frames(memory_alloc(FRAMES_ANY, &mapping.phys), FRAMES_OK, "a frame to map");
    check_vmem(space_map(&mapping), VMEM_OK, "mapping a page");
    cpus_run(measure_awake, &cost.ticks_awake);
    cost.ticks_asleep = measure();
    check_vmem(space_unmap(mapping.virt, FRAME_BYTES), VMEM_OK, "unmapping it");
    check_frames(memory_free(mapping.phys), FRAMES_OK, "freeing its frame");
    return cost;
}
