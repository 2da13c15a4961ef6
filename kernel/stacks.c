#include "kernel/stacks.h"

#include "common/base/addr.h"
#include "common/x86/trap.h"
#include "kernel/layout.h"
#include "kernel/panic.h"
#include "kernel/space.h"

// One guard page, then the stack that grows down towards it.
struct ist_stack {
    uint8_t guard[FRAME_BYTES];
    uint8_t bytes[KERNEL_IST_BYTES];
};

[[gnu::section(".bss.stacks"), gnu::aligned(4096)]] static struct ist_stack ists[TRAP_IST_COUNT];

static const char *const ist_names[TRAP_IST_COUNT] = {
    "double-fault stack",
    "NMI stack",
    "machine-check stack",
    "page-fault stack",
};

static struct stack boot_stack = {.name = "boot stack"};

static struct stack ist_stack(unsigned index) {
    uint64_t bottom = (uint64_t)(uintptr_t)ists[index].bytes;
    return (struct stack){ist_names[index], bottom, bottom + KERNEL_IST_BYTES};
}

uint64_t stacks_ist_top(unsigned ist) {
    return ist_stack(ist - 1).top;
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
            panic("guard page 0x%lx of the %s: %s", guard.value, ist_names[i],
                  vmem_status_text(status));
    }
}

static bool contains(const struct stack *stack, uint64_t address) {
    return address >= stack->bottom && address < stack->top;
}

bool stacks_find(uint64_t address, struct stack *ret_stack) {
    if (contains(&boot_stack, address)) {
        *ret_stack = boot_stack;
        return true;
    }
    for (unsigned i = 0; i < TRAP_IST_COUNT; i++) {
        struct stack stack = ist_stack(i);
        if (contains(&stack, address)) {
            *ret_stack = stack;
            return true;
        }
    }
    return false;
}

static bool is_below(const struct stack *stack, uint64_t address) {
    return address < stack->bottom && stack->bottom - address <= FRAME_BYTES;
}

bool stacks_find_guard(uint64_t address, struct stack *ret_stack, const char **ret_side) {
    for (unsigned i = 0; i < TRAP_IST_COUNT; i++) {
        struct stack stack = ist_stack(i);
        if (is_below(&stack, address)) {
            *ret_stack = stack;
            *ret_side = "below";
            return true;
        }
    }
    bool below = is_below(&boot_stack, address);
    bool above = address >= boot_stack.top && address - boot_stack.top < FRAME_BYTES;
    if (!below && !above)
        return false;
    *ret_stack = boot_stack;
    *ret_side = below ? "below" : "above";
    return true;
}
