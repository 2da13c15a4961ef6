#include "kernel/stop/backtrace.h"

#include "common/base/arith.h"
#include "kernel/base/layout.h"
#include "kernel/cpus/stacks.h"
#include "kernel/stop/symbols.h"

#include <stdbool.h>
#include <stddef.h>

enum { LINES_MAX = 32 };

// What a function with a frame pointer leaves on the stack.
struct link {
    uint64_t caller_rbp;
    uint64_t return_address;
};

static bool is_in_text(uint64_t address) {
    return address >= layout_address(_text_start) && address < layout_address(_text_end);
}

// The rest of a line for `address`, with the place of what is `back` bytes before it.
static void print_address(const struct sink *sink, uint64_t address, uint64_t back) {
    struct symbols_place place;
    uint64_t offset = address - back - layout_address(_text_start);
    if (!is_in_text(address))
        fmt_print(sink, "0x%lx (not in the kernel's text)\n", address);
    else if (symbols_find((const uint8_t *)_symbols_start, (const uint8_t *)_symbols_end, offset,
                          &place))
        fmt_print(sink, "0x%lx %s (%s:%lu)\n", address, place.function, place.file, place.line);
    else
        fmt_print(sink, "0x%lx (kernel + 0x%lx)\n", address,
                  address - layout_address(_kernel_start));
}

void backtrace_print_address(const struct sink *sink, uint64_t rip) {
    print_address(sink, rip, 0);
}

// Of a call, which may be the last instruction of its function.
static void print_call(const struct sink *sink, uint64_t return_address) {
    fmt_print(sink, "    ");
    print_address(sink, return_address, 1);
}

static const struct link *link_at(const struct stack *stack, uint64_t rbp) {
    if (!is_aligned(rbp, 8) || rbp < stack->bottom || rbp >= stack->top ||
        stack->top - rbp < sizeof(struct link))
        return NULL;
    return (const struct link *)(uintptr_t)rbp;
}

static void print_repeated(const struct sink *sink, unsigned times) {
    if (times != 0)
        fmt_print(sink, "    ... %u times more\n", times);
}

// A recursion is one line, so that its end is seen, and what began it.
static void print_calls(const struct sink *sink, uint64_t rbp) {
    struct stack stack;
    if (!stacks_find(rbp, &stack)) {
        fmt_print(sink, "    (the frame pointer 0x%lx is on no stack)\n", rbp);
        return;
    }
    uint64_t last = 0;
    unsigned repeated = 0;
    const struct link *link;
    for (unsigned lines = 0; lines < LINES_MAX; rbp = link->caller_rbp) {
        link = link_at(&stack, rbp);
        if (link == NULL || !is_in_text(link->return_address))
            break;
        if (link->return_address == last) {
            repeated++;
        } else {
            print_repeated(sink, repeated);
            print_call(sink, link->return_address);
            last = link->return_address;
            repeated = 0;
            lines++;
        }
        if (link->caller_rbp <= rbp)
            break;
    }
    print_repeated(sink, repeated);
}

// A call to where no text is has left its return address at the top of the stack, and no frame.
static void print_wild_call(const struct sink *sink, uint64_t rsp) {
    struct stack stack;
    if (!is_aligned(rsp, 8) || !stacks_find(rsp, &stack))
        return;
    uint64_t return_address = *(const uint64_t *)(uintptr_t)rsp;
    if (is_in_text(return_address))
        print_call(sink, return_address);
}

void backtrace_print(const struct sink *sink, const struct trap_frame *frame) {
    fmt_print(sink, "  backtrace:\n    ");
    print_address(sink, frame->rip, 0);
    if (!is_in_text(frame->rip))
        print_wild_call(sink, frame->rsp);
    print_calls(sink, frame->rbp);
}

void backtrace_print_calls(const struct sink *sink, uint64_t rbp) {
    fmt_print(sink, "  backtrace:\n");
    print_calls(sink, rbp);
}
