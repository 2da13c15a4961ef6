#include "kernel/selftest/provoke.h"

#include "common/x86/cpu.h"
#include "kernel/base/boot.h"
#include "kernel/base/clock.h"
#include "kernel/base/layout.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/selftest/check.h"

#include <stddef.h>
#include <stdint.h>

// A word of data that holds a RET instruction.
static volatile uint64_t data_word = 0xC3;

static void read_at(uint64_t address) {
    (void)*(volatile uint8_t *)(uintptr_t)address;
}

static void write_at(uint64_t address) {
    *(volatile uint8_t *)(uintptr_t)address = 0;
}

static void execute_at(uint64_t address) {
    ((void (*)(void))(uintptr_t)address)();
}

// Uses more stack at every level and something of it after the call, so that it stays a recursion;
// the compiler cannot know that it has no end.
static uint64_t overflow(uint64_t depth) {
    volatile uint64_t ballast[32];
    ballast[depth % 32] = depth;
    if (data_word == 0)
        return depth;
    return overflow(depth + 1) + ballast[depth % 32];
}

// What the last CPU does while the others wait for it in vain, and are seen to.
static void fail_on_last(void *failure) {
    static uint32_t waiting;
    if (this_cpu() != cpus_started() - 1) {
        __atomic_fetch_add(&waiting, 1, __ATOMIC_RELEASE);
        for (;;)
            cpu_pause();
    }
    while (__atomic_load_n(&waiting, __ATOMIC_ACQUIRE) != cpus_started() - 1)
        cpu_pause();
    if (*(const enum cmdline_test *)failure == CMDLINE_TEST_CPU_OVERFLOW)
        (void)overflow(0);
    read_at(0);
}

static void panic_everywhere(void *argument) {
    (void)argument;
    panic("provoked on every CPU");
}

enum { LATE_US = 1500000 };

// The last CPU cannot be interrupted for a while, in which CPU 0 changes a page.
static void unmap_while_one_is_deaf(void *page) {
    if (this_cpu() == cpus_started() - 1)
        clock_wait(LATE_US);
    else if (this_cpu() == 0)
        (void)space_unmap(vaddr(*(const uint64_t *)page), FRAME_BYTES);
}

static void map_and_unmap_late(void) {
    uint64_t page = KERNEL_SCRATCH;
    struct vmem_mapping mapping = {
        .virt = vaddr(page),
        .phys = space_kernel()->root,
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ,
        .largest = VMEM_4K,
    };
    if (space_map(&mapping) != VMEM_OK)
        panic("the scratch page cannot be mapped");
    cpus_run(unmap_while_one_is_deaf, &page);
    panic("CPU 0 has waited for CPU %u, as it should", cpus_started() - 1);
}

static void free_twice(void) {
    void *object = heap_alloc(40);
    heap_free(object);
    heap_free(object);
}

void provoke_failure(enum cmdline_test test) {
    const struct slipway_boot_info *info = boot_info();
    uint64_t text = layout_address(_text_start);
    switch (test) {
    case CMDLINE_TEST_NONE:
        return;
    case CMDLINE_TEST_PANIC:
        panic("provoked on purpose");
    case CMDLINE_TEST_DOUBLE_ADOPT:
        panic("second adoption: %s", space_status_text(space_adopt(info)));
    case CMDLINE_TEST_NULL_READ:
        read_at(0);
        break;
    case CMDLINE_TEST_WRITE_TEXT:
        write_at(text);
        break;
    case CMDLINE_TEST_WRITE_TEXT_ALIAS:
        write_at(space_direct_alias(text));
        break;
    case CMDLINE_TEST_EXEC_DATA:
        execute_at((uint64_t)(uintptr_t)&data_word);
        break;
    case CMDLINE_TEST_EXEC_DIRECT:
        execute_at(space_direct_alias(text));
        break;
    case CMDLINE_TEST_STACK_OVERFLOW:
        (void)overflow(0);
        break;
    case CMDLINE_TEST_GUARD_ABOVE:
        read_at(info->stack_top);
        break;
    case CMDLINE_TEST_NONCANONICAL:
        read_at(UINT64_C(0x8000000000000000));
        break;
    case CMDLINE_TEST_INVALID_OPCODE:
        __builtin_trap();
    case CMDLINE_TEST_CPU_FAULT:
    case CMDLINE_TEST_CPU_OVERFLOW:
        cpus_run(fail_on_last, &test);
        break;
    case CMDLINE_TEST_CPU_PANICS:
        cpus_run(panic_everywhere, NULL);
        break;
    case CMDLINE_TEST_CPU_LATE:
        map_and_unmap_late();
        break;
    case CMDLINE_TEST_SELFTEST_FAILS:
        check(false, "provoked on purpose");
        return;
    case CMDLINE_TEST_HEAP_TWICE:
        free_twice();
    }
    panic("the provoked failure %d did not happen", (int)test);
}
