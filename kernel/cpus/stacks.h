// The kernel's stacks: one for each CPU, the loader's, between two guard pages; and for each CPU
// one interrupt stack for each fault that must not trust the stack it happened on, the kernel's
// own.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct stack {
    const char *name;
    unsigned cpu;    // whose it is
    uint64_t bottom; // lowest byte
    uint64_t top;    // end
};

// End of the interrupt stack `ist` (enum trap_ist, not TRAP_IST_NONE) of a CPU.
uint64_t stacks_ist_top(unsigned cpu, unsigned ist);

// End of the stack of a CPU.
uint64_t stacks_top(unsigned cpu);

// Makes the interrupt stacks of CPU `cpu`, which are there for good; true without a change if they
// are there already. CPUs come in the order of their numbers, from 1 on. False if there is no
// memory.
bool stacks_make(unsigned cpu);

// Makes the stack known that a CPU runs on, so that backtraces may follow it and its guard pages
// have a name.
void stacks_set(unsigned cpu, uint64_t bottom, uint64_t top);

// Unmaps the page below each interrupt stack of CPU 0. Panics if it cannot: the page tables are the
// kernel's own.
void stacks_guard_ists(void);

// The stack that `address` lies in; false if in none, then *ret_stack is untouched.
bool stacks_find(uint64_t address, struct stack *ret_stack);

// The stack whose guard page `address` lies in, and on which side; false if in none.
bool stacks_find_guard(uint64_t address, struct stack *ret_stack, const char **ret_side);
