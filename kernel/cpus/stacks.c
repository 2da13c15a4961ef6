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

#define ISTS_BYTES  (TRAP_IST_COUNT * KERNEL_IST_BYTES)
#define ISTS_FRAMES (ISTS_BYTES / FRAME_BYTES)

// A guard page below each, and one above the last, which is the next CPU's first.
_Static_assert(ISTS_BYTES + (TRAP_IST_COUNT + 1) * FRAME_BYTES <= KERNEL_ISTS_STRIDE,
               "the interrupt stacks of a CPU fit between those of its neighbours");
_Static_assert(KERNEL_ISTS + CPUS_MAX * KERNEL_ISTS_STRIDE <= KERNEL_LINK_BASE,
               "the interrupt stacks of all CPUs fit below the image");

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

static struct { uint64_t bottom, top; } own[CPUS_MAX]; // the loader's, between two guard pages
static unsigned made = 1;                              // CPUs that have interrupt stacks

static uint64_t ist_bottom(unsigned cpu, unsigned ist) {
    if (cpu == 0)
        return (uint64_t)(uintptr_t)ists[ist - 1].bytes;
    return KERNEL_ISTS + cpu * KERNEL_ISTS_STRIDE + (ist - 1) * KERNEL_IST_BYTES +
           ist * FRAME_BYTES;
}

static struct stack stack_of(unsigned cpu, unsigned index) {
    if (index == 0)
        return (struct stack){cpu == 0 ? "boot stack" : names[0], cpu, own[cpu].bottom,
                              own[cpu].top};
    uint64_t bottom = ist_bottom(cpu, index);
    return (struct stack){names[index], cpu, bottom, bottom + KERNEL_IST_BYTES};
}

uint64_t stacks_ist_top(unsigned cpu, unsigned ist) {
    return stack_of(cpu, ist).top;
}

uint64_t stacks_top(unsigned cpu) {
    return own[cpu].top;
}

void stacks_set(unsigned cpu, uint64_t bottom, uint64_t top) {
    own[cpu].bottom = bottom;
    own[cpu].top = top;
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

static enum vmem_status map(unsigned cpu, unsigned ist, paddr_t frames) {
    struct vmem_mapping mapping = {
        .virt = vaddr(ist_bottom(cpu, ist)),
        .phys = frames,
        .bytes = KERNEL_IST_BYTES,
        .rights = VMEM_READ | VMEM_WRITE,
        .cache = VMEM_CACHE_WB,
        .largest = VMEM_4K,
    };
    return space_map(&mapping);
}

static void undo(unsigned cpu, unsigned end, paddr_t frames) {
    for (unsigned ist = 1; ist < end; ist++) {
        if (space_unmap(vaddr(ist_bottom(cpu, ist)), KERNEL_IST_BYTES) != VMEM_OK)
            panic("the %s of CPU %u cannot be unmapped", names[ist], cpu);
    }
    enum frames_status status = memory_free_run(frames, ISTS_FRAMES);
    if (status != FRAMES_OK)
        panic("the interrupt stacks of CPU %u cannot be freed: %s", cpu,
              frames_status_text(status));
}

bool stacks_make(unsigned cpu) {
    if (cpu < made)
        return true;
    struct frames_request request = {.count = ISTS_FRAMES};
    paddr_t frames;
    if (memory_alloc_run(&request, &frames) != FRAMES_OK)
        return false;
    paddr_t next = frames;
    for (unsigned ist = 1; ist <= TRAP_IST_COUNT; ist++) {
        if (map(cpu, ist, next) != VMEM_OK) {
            undo(cpu, ist, frames);
            return false;
        }
        next = paddr_add(next, KERNEL_IST_BYTES);
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

static bool is_above(const struct stack *stack, uint64_t address) {
    return address >= stack->top && address - stack->top < FRAME_BYTES;
}

// A page between two stacks is below one of them: stacks overflow more often than they underflow.
bool stacks_find_guard(uint64_t address, struct stack *ret_stack, const char **ret_side) {
    if (find(is_below, address, ret_stack)) {
        *ret_side = "below";
        return true;
    }
    if (find(is_above, address, ret_stack)) {
        *ret_side = "above";
        return true;
    }
    return false;
}
