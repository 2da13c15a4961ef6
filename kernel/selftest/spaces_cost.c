#include "kernel/selftest/spaces_cost.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "kernel/console/console.h"
#include "kernel/memory/counted.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/user.h"

#include <stdbool.h>
#include <stddef.h>

#define PAGE FRAME_BYTES

enum {
    PAGES = 64,
    BLOCKS = 4,
    CLONED_MIB = 64,
    SPARE_MIB = 16, // left free, for tables and all else
};

// A comment of TAP, since the lines may stand among some of that.
static void print(const char *what, uint64_t ticks) {
    console_print("#   %-42s %12lu\n", what, ticks);
}

// Ticks of one fault, of `count` at a distance of `step`; the first, which makes tables, is left
// out.
static uint64_t cost_of_faults(struct user_space *space, uint64_t start, uint64_t step,
                               unsigned count) {
    bool is_done = user_space_fault(space, start, PF_WRITE) == USER_SPACE_OK;
    uint64_t began = cpu_rdtsc();
    for (unsigned i = 1; i < count; i++)
        is_done &= user_space_fault(space, start + i * step, PF_WRITE) == USER_SPACE_OK;
    uint64_t ticks = cpu_rdtsc() - began;
    check(is_done, "faults are resolved");
    return ticks / (count - 1);
}

static void measure_zeroing(void) {
    paddr_t frame;
    check_frames(memory_alloc(FRAMES_ANY, &frame), FRAMES_OK, "a frame to zero");
    uint64_t began = cpu_rdtsc();
    memory_zero(frame, 1);
    print("zeroing 4 KiB", cpu_rdtsc() - began);
    check_frames(memory_free(frame), FRAMES_OK, "freeing it");
}

static void measure_faults(void) {
    struct user_space *space = user_begin();
    user_map(space, USER_SMALL, PAGES * PAGE, USER_WRITE);
    user_map(space, USER_LARGE, BLOCKS * BLOCK_BYTES, USER_WRITE);
    print("first touch of 4 KiB", cost_of_faults(space, USER_SMALL, PAGE, PAGES));
    print("first touch of 2 MiB", cost_of_faults(space, USER_LARGE, BLOCK_BYTES, BLOCKS));
    print("a fault that is over", cost_of_faults(space, USER_SMALL, PAGE, PAGES));
    struct user_space *child = user_clone(space);
    print("first write of a shared page: copied", cost_of_faults(space, USER_SMALL, PAGE, PAGES));
    print("last write of it: taken", cost_of_faults(child, USER_SMALL, PAGE, PAGES));
    user_space_destroy(child);
    user_end(space);
}

// Of a space with so many MiB of pages, each in areas of `area_bytes`.
static void measure_clone(uint64_t mib, uint64_t area_bytes, const char *what) {
    struct user_space *space = user_begin();
    for (uint64_t at = 0; at < mib << 20; at += area_bytes + PAGE)
        user_map(space, USER_LARGE + at, area_bytes, USER_WRITE);
    for (uint64_t at = 0; at < mib << 20; at += PAGE) {
        if (user_space_allows(space, USER_LARGE + at, 8, USER_WRITE))
            check_space(user_space_fault(space, USER_LARGE + at, PF_WRITE), USER_SPACE_OK,
                        "touching much");
    }
    uint64_t began = cpu_rdtsc();
    struct user_space *child = user_clone(space);
    user_space_destroy(child);
    uint64_t first = cpu_rdtsc() - began;
    began = cpu_rdtsc();
    user_space_destroy(user_clone(space));
    uint64_t second = cpu_rdtsc() - began;
    print(what, first);
    print("  and once more", second);
    user_space_load(NULL);
    began = cpu_rdtsc();
    user_space_destroy(space);
    print("  ending the space itself", cpu_rdtsc() - began);
}

void selftest_spaces_cost(void) {
    uint64_t mib = memory_free_frames() * FRAME_BYTES >> 20;
    mib = min_u64(CLONED_MIB, mib <= SPARE_MIB ? 1 : mib - SPARE_MIB) & ~UINT64_C(1);
    console_print("# Ticks                                          of each\n");
    measure_zeroing();
    if (!user_has_blocks())
        return;
    measure_faults();
    console_print("# Clone and end of a space with %lu MiB touched\n", mib);
    measure_clone(mib, mib << 20, "in pages of 2 MiB");
    measure_clone(mib, MIB(1), "in pages of 4 KiB");
}
