/* What each CPU has of its own where GS leads to while it is in the kernel; in user mode that is
 * the base that SWAPGS swaps in. For C and assembler.
 *
 * The block is at an address of the upper half, and no process can give GS such a base: it has
 * neither WRMSR nor, as long as CR4.FSGSBASE is clear, WRGSBASE. So the sign of MSR_GS_BASE says
 * whose base it is, at every moment. */
#pragma once

#define CPU_BLOCK_NUMBER     0
#define CPU_BLOCK_CONTEXT    8
#define CPU_BLOCK_KERNEL_RSP 16
#define CPU_BLOCK_USER_RSP   24
#define CPU_BLOCK_RSP0       32

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct cpu_block {
    uint64_t number;     // of the CPU
    uint64_t context;    // of what runs in user mode: struct user_context
    uint64_t kernel_rsp; // where user_run goes on when it returns
    uint64_t user_rsp;   // for the few instructions of SYSCALL that have no place for it
    uint64_t rsp0;       // address of the field of the TSS where interrupts of user mode push
    uint32_t apic_id;
};

_Static_assert(offsetof(struct cpu_block, number) == CPU_BLOCK_NUMBER &&
                   offsetof(struct cpu_block, context) == CPU_BLOCK_CONTEXT &&
                   offsetof(struct cpu_block, kernel_rsp) == CPU_BLOCK_KERNEL_RSP &&
                   offsetof(struct cpu_block, user_rsp) == CPU_BLOCK_USER_RSP &&
                   offsetof(struct cpu_block, rsp0) == CPU_BLOCK_RSP0,
               "assembler finds the fields");

#endif
