// The contract kernels' own GDT and IDT, and accesses that are expected to fault.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum attempt { ATTEMPT_READ, ATTEMPT_WRITE, ATTEMPT_EXECUTE };

// Page-fault error code, SDM 3A 4.7.
enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_FETCH = 16 };

enum { VECTOR_PAGE_FAULT = 14 };

// What the last exception said. Written by fault.S.
struct fault {
    uint64_t vector;
    uint64_t error;
    uint64_t rip;
    uint64_t cr2;
};
extern struct fault fault;

// Loads a GDT and an IDT that lie in the kernel's image. From here on an exception that no attempt
// asked for ends the test, saying which it was.
void fault_take_over(void);

// The same for an IDT alone, whose gate for breakpoints switches to the first interrupt stack.
void fault_take_over_idt(void);

// Takes a breakpoint, from which it returns by IRET, and loads every data segment register. Returns
// RSP as it was in the handler. After fault_take_over_idt.
uint64_t fault_take_breakpoint(void);

// Makes one access of one byte. True if it faulted; `fault` then says how.
bool fault_attempt(enum attempt kind, uint64_t address);
