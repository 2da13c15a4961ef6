# From the startup page to a CPU's own area, before there is a stack.

#include "loader/park.h"

        .text

# RDI: struct park_table. The ID is the one of CPUID: leaf 0xB, where it is, has all its bits (SDM 2A, CPUID).
        .globl  park_find
        .hidden park_find
park_find:
        xorl    %eax, %eax
        cpuid
        cmpl    $0xb, %eax
        jb      1f
        movl    $0xb, %eax
        xorl    %ecx, %ecx
        cpuid
        testl   %ebx, %ebx
        jnz     2f
1:      movl    $1, %eax
        cpuid
        shrl    $24, %ebx
        movl    %ebx, %edx

2:      movl    PARK_AREA_COUNT(%rdi), %ecx
        movq    PARK_AREAS(%rdi), %rsi
3:      subl    $1, %ecx
        jb      4f
        cmpl    %edx, PARK_AREA_APIC_ID(%rsi)
        je      5f
        addq    $PARK_AREA_BYTES, %rsi
        jmp     3b
5:      movq    %rsi, %rdi
        jmp     enter_loaded

4:      movl    $1, %eax
        lock xaddl %eax, PARK_UNLISTED(%rdi)
        cmpl    $PARK_UNLISTED_MAX, %eax
        jae     6f
        movl    %edx, PARK_UNLISTED_IDS(%rdi, %rax, 4)
6:      cli
        hlt
        jmp     6b

        .section .note.GNU-stack, "", @progbits
