/* Entry of the contract kernels: stores what the loader left in the CPU before anything changes it. */
#include "entry.h"

        .macro  ENTER function
        mov     %rax, entry_state + 0 * 8(%rip)
        mov     %rcx, entry_state + 1 * 8(%rip)
        mov     %rdx, entry_state + 2 * 8(%rip)
        mov     %rbx, entry_state + 3 * 8(%rip)
        mov     %rsp, entry_state + 4 * 8(%rip)
        mov     %rbp, entry_state + 5 * 8(%rip)
        mov     %rsi, entry_state + 6 * 8(%rip)
        mov     %rdi, entry_state + 7 * 8(%rip)
        mov     %r8, entry_state + 8 * 8(%rip)
        mov     %r9, entry_state + 9 * 8(%rip)
        mov     %r10, entry_state + 10 * 8(%rip)
        mov     %r11, entry_state + 11 * 8(%rip)
        mov     %r12, entry_state + 12 * 8(%rip)
        mov     %r13, entry_state + 13 * 8(%rip)
        mov     %r14, entry_state + 14 * 8(%rip)
        mov     %r15, entry_state + 15 * 8(%rip)
        pushfq
        popq    entry_state + ENTRY_RFLAGS(%rip)
        mov     (%rsp), %rax
        mov     %rax, entry_state + ENTRY_RETURN(%rip)
        /* Selectors fit in a byte here: the GDT at entry has five slots. */
        mov     %cs, %eax
        mov     %al, entry_state + ENTRY_SELECTORS + 0(%rip)
        mov     %ds, %eax
        mov     %al, entry_state + ENTRY_SELECTORS + 1(%rip)
        mov     %ss, %eax
        mov     %al, entry_state + ENTRY_SELECTORS + 2(%rip)
        mov     %es, %eax
        mov     %al, entry_state + ENTRY_SELECTORS + 3(%rip)
        mov     %fs, %eax
        mov     %al, entry_state + ENTRY_SELECTORS + 4(%rip)
        mov     %gs, %eax
        mov     %al, entry_state + ENTRY_SELECTORS + 5(%rip)
        /* The promised stack is that of a function just called, so C can be jumped to. */
        jmp     \function
        .endm

        .section .text.entry, "ax"
        .global _start
_start:
        ENTER   kernel_main

        /* Where a released CPU starts. One at a time: what it finds goes to the same place. */
        .global cpu_start
        .hidden cpu_start
cpu_start:
        ENTER   cpu_main

        .section .bss
        .balign 8
        .global entry_state
        .hidden entry_state
entry_state:
        .skip   ENTRY_BYTES

        .section .note.GNU-stack, "", @progbits
