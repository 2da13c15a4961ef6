/* What the boot CPU tells another through the page in which that starts, for C and assembler. */
#pragma once

/* Offsets in struct trampoline_orders. */
#define TRAMPOLINE_ROOT     0
#define TRAMPOLINE_CR0      4
#define TRAMPOLINE_CR4      8
#define TRAMPOLINE_EFER     12
#define TRAMPOLINE_PAT      16
#define TRAMPOLINE_STACK    24
#define TRAMPOLINE_ENTRY    32
#define TRAMPOLINE_ARGUMENT 40

#ifndef __ASSEMBLER__

#include <stdint.h>

struct trampoline_orders {
    uint32_t root; /* of page tables that map this page at its physical address, and the kernel */
    uint32_t cr0;
    uint32_t cr4;  /* without MCE: there is no IDT yet */
    uint32_t efer; /* without LMA, which is the CPU's to set */
    uint64_t pat;
    uint64_t stack;    /* its end */
    uint64_t entry;    /* a function in C, which does not return */
    uint64_t argument; /* its argument */
};

/* The code, to be copied to the beginning of a page below 1 MiB, with the orders inside it. */
extern const char trampoline_start[], trampoline_end[], trampoline_orders[];

#endif
