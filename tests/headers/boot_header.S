# The constants of the hand-over header, as a stranger's entry code uses them.
#include "slipway_boot.h"

    .text
    .globl header_check
header_check:
    movabs $SLIPWAY_BOOT_MAGIC, %rax
    cmp %rax, SLIPWAY_BOOT_OFFSET_MAGIC(%rdi)
    jne 1f
    cmpl $SLIPWAY_BOOT_VERSION, SLIPWAY_BOOT_OFFSET_VERSION(%rdi)
    jne 1f
    mov SLIPWAY_BOOT_OFFSET_HHDM_BASE(%rdi), %rax
1:  ret

# What a CPU does that is parked. RDI: its record.
    .globl header_wait
header_wait:
    mov SLIPWAY_CPU_OFFSET_ENTRY(%rdi), %rax
    test %rax, %rax
    jz header_wait
    mov SLIPWAY_CPU_OFFSET_ARGUMENT(%rdi), %rsi
    jmp *%rax

    .data
    .quad SLIPWAY_PAT, SLIPWAY_HHDM_BASE, SLIPWAY_HHDM_MAX_BYTES, SLIPWAY_WINDOW_BASE
    .quad SLIPWAY_WINDOW_END, SLIPWAY_KERNEL_MIN, SLIPWAY_KERNEL_MAX, SLIPWAY_KERNEL_DEFAULT
    .long SLIPWAY_CS, SLIPWAY_DS, SLIPWAY_TSS
    .long SLIPWAY_CPU_BOOT, SLIPWAY_CPU_PARKED, SLIPWAY_CPU_ABSENT, SLIPWAY_RANGE_CPUS
    .section .note.GNU-stack, "", @progbits
