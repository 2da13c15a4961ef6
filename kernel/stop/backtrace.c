#include "kernel/stop/backtrace.h"

#include "common/base/arith.h"
#include "kernel/base/layout.h"
#include "kernel/cpus/stacks.h"

#include <stdbool.h>
#include <stddef.h>

enum { FRAMES_MAX = 32 };

// What a function with a frame pointer leaves on the stack.
struct link {
    uint64_t caller_rbp;
    uint64_t return_address;
};

// False, and nothing is printed, if `address` is not in the kernel's text.
static bool print_text_address(const struct sink *sink, uint64_t address) {
    if (address < layout_address(_text_start) || address >= layout_address(_text_end))
        return false;
    fmt_print(sink, "    0x%lx (kernel + 0x%lx)\n", address,
              address - layout_address(_kernel_start));
    return true;
}

static const struct link *link_at(const struct stack *stack, uint64_t rbp) {
    if (!is_aligned(rbp, 8) || rbp < stack->bottom || rbp >= stack->top ||
        stack->top - rbp < sizeof(struct link))
        return NULL;
    return (const struct link *)(uintptr_t)rbp;
}

void backtrace_print(const struct sink *sink, uint64_t rip, uint64_t rbp) {
    fmt_print(sink, "  backtrace:\n");
    if (!print_text_address(sink, rip))
        fmt_print(sink, "    0x%lx (not in the kernel's text)\n", rip);
    struct stack stack;
    if (!stacks_find(rbp, &stack)) {
        fmt_print(sink, "    (the frame pointer 0x%lx is on no stack)\n", rbp);
        return;
    }
    for (unsigned depth = 0; depth < FRAMES_MAX; depth++) {
        const struct link *link = link_at(&stack, rbp);
        if (link == NULL || !print_text_address(sink, link->return_address) ||
            link->caller_rbp <= rbp)
            return;
        rbp = link->caller_rbp;
    }
    fmt_print(sink, "    ...\n");
}
