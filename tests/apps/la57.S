# CR4.LA57 cannot change while the CPU is in long mode, and long mode cannot be left from 64-bit code: so the way leads
# through compatibility mode to paging off, and back (SDM 3A 10.8.5).

#include "common/x86/regs.h"

#define CODE_64 0x08
#define CODE_32 0x10

        .text

# void la57_switch(uint64_t cr3, uint64_t cr4)
        .globl  la57_switch
        .hidden la57_switch
la57_switch:
        pushfq
        cli
        movl    %cs, %eax
        movl    %eax, firmware_cs(%rip)
        sgdt    firmware_gdt(%rip)
        leaq    gdt(%rip), %rax
        movq    %rax, gdt_pointer + 2(%rip)
        leaq    2f(%rip), %rax
        movl    %eax, to_long(%rip)
        movq    %rsp, stack(%rip)       # upper halves of registers do not survive 32-bit code
        leaq    to_long(%rip), %rdx
        lgdt    gdt_pointer(%rip)
        leaq    1f(%rip), %rax
        pushq   $CODE_32
        pushq   %rax
        lretq

        .code32
1:      movl    %cr0, %eax
        andl    $~CR0_PG, %eax
        movl    %eax, %cr0
        movl    %esi, %cr4
        movl    %edi, %cr3
        movl    %cr0, %eax
        orl     $CR0_PG, %eax
        movl    %eax, %cr0
        ljmpl   *(%edx)

        .code64
2:      movq    stack(%rip), %rsp
        lgdt    firmware_gdt(%rip)
        movl    firmware_cs(%rip), %eax
        pushq   %rax
        leaq    3f(%rip), %rax
        pushq   %rax
        lretq
3:      popfq
        ret

# The other segment registers keep what they hold of the firmware's descriptors.
        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00af9b000000ffff      # 64-bit code
        .quad   0x00cf9b000000ffff      # 32-bit code
gdt_pointer:
        .word   . - gdt - 1
        .quad   0
to_long:
        .long   0
        .word   CODE_64
firmware_gdt:
        .word   0
        .quad   0
firmware_cs:
        .long   0
stack:  .quad   0

        .section .note.GNU-stack, "", @progbits
