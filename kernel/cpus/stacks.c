#include "kernel/cpus/stacks.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/x86/trap.h"
#include "kernel/base/layout.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"

// Those of one CPU: 0 is the stack that it runs on, the others are those of enum trap_ist.
enum { STACKS = 1 + TRAP_IST_COUNT };

#define STACKS_BYTES  (KERNEL_STACK_BYTES + TRAP_IST_COUNT * KERNEL_IST_BYTES)
#define STACKS_FRAMES (STACKS_BYTES / FRAME_BYTES)

// A guard page below each, and one above the last, which is the next CPU's first.
_Static_assert(STACKS_BYTES + (STACKS + 1) * FRAME_BYTES <= KERNEL_STACKS_STRIDE,
               "the stacks of a CPU fit between those of its neighbours");
_Static_assert(KERNEL_STACKS + CPUS_MAX * KERNEL_STACKS_STRIDE <= KERNEL_LINK_BASE,
               "the stacks of all CPUs fit below the image");

// Those of CPU 0 have to be there before there is memory: one guard page, then the stack that grows
// down towards it.
struct ist_stack {
    uint8_t guard[FRAME_BYTES];
    uint8_t bytes[KERNEL_IST_BYTES];
};

[[gnu::section(".bss.stacks"), gnu::aligned(4096)]] static struct ist_stack ists[TRAP_IST_COUNT];

static const char *const names[STACKS] = {
    "stack", "double-fault stack", "NMI stack", "machine-check stack", "page-fault stack",
};

static struct stack boot_stack = {.name = "boot stack"};
static unsigned made = 1; // CPUs that have stacks

static uint64_t bytes_of(unsigned index) {
    return index == 0 ? KERNEL_STACK_BYTES : KERNEL_IST_BYTES;
}

static uint64_t bottom_of(unsigned cpu, unsigned index) {
    if (cpu == 0)
        return (uint64_t)(uintptr_t)ists[index - 1].bytes;
    uint64_t before = index == 0 ? 0 : KERNEL_STACK_BYTES + (index - 1) * KERNEL_IST_BYTES;
    return KERNEL_STACKS + cpu * KERNEL_STACKS_STRIDE + before + (index + 1) * FRAME_BYTES;
}

static struct stack stack_of(unsigned cpu, unsigned index) {
    if (cpu == 0 && index == 0)
        return boot_stack;
    uint64_t bottom = bottom_of(cpu, index);
    return (struct stack){names[index], cpu, bottom, bottom + bytes_of(index)};
}

uint64_t stacks_ist_top(unsigned cpu, unsigned ist) {
    return stack_of(cpu, ist).top;
}

uint64_t stacks_top(unsigned cpu) {
    return stack_of(cpu, 0).top;
}

void stacks_set_boot(uint64_t bottom, uint64_t top) {
    boot_stack.bottom = bottom;
    boot_stack.top = top;
}

void stacks_guard_ists(void) {
    for (unsigned i = 0; i < TRAP_IST_COUNT; i++) {
        vaddr_t guard = vaddr((uint64_t)(uintptr_t)ists[i].guard);
        enum vmem_status status = space_unmap(guard, FRAME_BYTES);
        if (status != VMEM_OK)
            panic("guard page 0x%lx of the %s: %s", guard.value, names[i + 1],
                  vmem_status_text(status));
    }
}

static enum vmem_status map(unsigned cpu, unsigned index, paddr_t frames) {
    struct vmem_mapping mapping = {
        .virt = vaddr(bottom_of(cpu, index)),
        .phys = frames,
        .bytes = bytes_of(index),
        .rights = VMEM_READ | VMEM_WRITE,
        .cache = VMEM_CACHE_WB,
        .largest = VMEM_4K,
    };
    return space_map(&mapping);
}

static void undo(unsigned cpu, unsigned mapped, paddr_t frames) {
    for (unsigned index = 0; index < mapped; index++) {
        if (space_unmap(vaddr(bottom_of(cpu, index)), bytes_of(index)) != VMEM_OK)
            panic("the %s of CPU %u cannot be unmapped", names[index], cpu);
    }
    enum frames_status status = memory_free_run(frames, STACKS_FRAMES);
    if (status != FRAMES_OK)
        panic("the stacks of CPU %u cannot be freed: %s", cpu, frames_status_text(status));
}

bool stacks_make(unsigned cpu) {
    if (cpu < made)
        return true;
    struct frames_request request = {.count = STACKS_FRAMES};
    paddr_t frames;
    if (memory_alloc_run(&request, &frames) != FRAMES_OK)
        return false;
    paddr_t next = frames;
    for (unsigned index = 0; index < STACKS; index++) {
        if (map(cpu, index, next) != VMEM_OK) {
            undo(cpu, index, frames);
            return false;
        }
        next = paddr_add(next, bytes_of(index));
    }
    made = cpu + 1;
    return true;
}

// Which of all stacks satisfies `holds`: the first.
static bool find(bool (*holds)(const struct stack *stack, uint64_t address), uint64_t address,
                 struct stack *ret_stack) {
    for (unsigned i = 0; i < made * STACKS; i++) {
        struct stack stack = stack_of(i / STACKS, i % STACKS);
        if (holds(&stack, address)) {
            *ret_stack = stack;
            return true;
        }
    }
    return false;
}

static bool contains(const struct stack *stack, uint64_t address) {
    return address >= stack->bottom && address < stack->top;
}

static bool is_below(const struct stack *stack, uint64_t address) {
    return address < stack->bottom && stack->bottom - address <= FRAME_BYTES;
}

bool stacks_find(uint64_t address, struct stack *ret_stack) {
    return find(contains, address, ret_stack);
}

// A page between two stacks is below one of them: stacks overflow more often than they underflow.
bool stacks_find_guard(uint64_t address, struct stack *ret_stack, const char **ret_side) {
    if (find(is_below, address, ret_stack)) {
        *ret_side = "below";
        return true;
    }
    if (address >= boot_stack.top && address - boot_stack.top < FRAME_BYTES) {
        *ret_stack = boot_stack;
        *ret_side = "above";
        return true;
    }
    return false;
}
