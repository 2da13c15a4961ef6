// From the stubs of common/x86/trap_stubs.S into the kernel, from SYSCALL into the kernel, and into
// user mode. See user.h and cpu_block.h.
//
//      interrupt or exception of ring 3    the CPU pushes into the context of the program, since
//                                          TSS.RSP0 is its end; user_run returns
//      page fault of ring 3                the same, but it comes on a stack of its own: copied
//      SYSCALL                             the same, pushed by hand
//      NMI, machine check, double fault    on a stack of its own, at any moment; comes back to it
//      all that comes in the kernel        the same, on the stack that is in use or its own
//
// What comes at any moment cannot know by CS whose base GS has: between SYSCALL and SWAPGS CS is the
// kernel's and GS the program's. It looks at the base.

#include "common/boot/slipway_boot.h"
#include "common/x86/regs.h"
#include "common/x86/trap_registers.inc"
#include "kernel/cpus/cpu_block.h"
#include "kernel/cpus/user_layout.h"

#define FRAME_CS 24 /* from the vector, which the stubs push last */

        .text

// A program may have set AC, with which the kernel could touch its memory by mistake. Changes flags.
        .macro  FORBID_USER_ACCESS
        cmpb    $0, user_has_smap(%rip)
        je      9f
        clac
9:
        .endm

        .balign 16
        .globl  trap_entry
        .hidden trap_entry
trap_entry:
        testb   $3, FRAME_CS(%rsp)
        jnz     from_user
        // falls through

// The CPU aligned RSP to 16 before it pushed 48 bytes (error code included); vector and registers
// are another 128, so the call happens on an aligned stack, as the ABI wants.
        .globl  trap_entry_anywhere
        .hidden trap_entry_anywhere
trap_entry_anywhere:
        PUSH_REGISTERS
        cld
        FORBID_USER_ACCESS
        movl    $MSR_GS_BASE, %ecx
        rdmsr
        movl    %edx, %ebx              // the upper half of the base: RBX stays over the call
        testl   %ebx, %ebx
        js      1f
        swapgs
1:      movq    %rsp, %rdi
        call    trap_handle
        testl   %ebx, %ebx
        js      2f
        swapgs
2:      POP_REGISTERS_BUT_RAX
        popq    %rax
        addq    $16, %rsp               // vector and error code
        iretq

// Nothing but what has a stack of its own comes before the kernel's stack is back: interrupts are
// off, and the memory of contexts is mapped.
        .balign 16
from_user:
        swapgs
        PUSH_REGISTERS
        cld
        FORBID_USER_ACCESS
        movq    %gs:CPU_BLOCK_CONTEXT, %rdi
        cmpq    %rdi, %rsp
        je      leave_user
        movq    %rsp, %rsi
        movl    $USER_CONTEXT_BYTES / 8, %ecx
        rep movsq
        // falls through

leave_user:
        movq    %gs:CPU_BLOCK_CONTEXT, %rdi
        movq    %gs:CPU_BLOCK_KERNEL_RSP, %rsp
        movl    USER_CONTEXT_VECTOR(%rdi), %eax
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret

// SYSCALL has put RIP into RCX and the flags into R11, cleared those of MSR_FMASK, and left RSP.
        .balign 16
        .globl  user_syscall_entry
user_syscall_entry:
        swapgs
        movq    %rsp, %gs:CPU_BLOCK_USER_RSP
        movq    %gs:CPU_BLOCK_CONTEXT, %rsp
        addq    $USER_CONTEXT_BYTES, %rsp
        pushq   $USER_DS
        pushq   %gs:CPU_BLOCK_USER_RSP
        pushq   %r11
        pushq   $USER_CS
        pushq   %rcx
        pushq   $0
        pushq   $USER_SYSCALL
        PUSH_REGISTERS
        jmp     leave_user

// unsigned user_enter(struct user_context *context)
//
// What came by SYSCALL goes back by SYSRET, which loads RIP and flags from RCX and R11, as the
// program expects; all else by IRET. Every register is the program's.
        .balign 16
        .globl  user_enter
user_enter:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, %gs:CPU_BLOCK_KERNEL_RSP
        movq    %rdi, %gs:CPU_BLOCK_CONTEXT
        leaq    USER_CONTEXT_BYTES(%rdi), %rax
        movq    %gs:CPU_BLOCK_RSP0, %rcx
        movq    %rax, (%rcx)
        movq    %rdi, %rsp
        POP_REGISTERS_BUT_RAX
        swapgs
        cmpl    $USER_SYSCALL, USER_CONTEXT_VECTOR - USER_CONTEXT_RAX(%rsp)
        popq    %rax
        jne     1f
        movq    16(%rsp), %rcx          // RIP
        movq    32(%rsp), %r11          // flags
        movq    40(%rsp), %rsp
        sysretq
1:      addq    $16, %rsp               // vector and error code
        iretq

// void user_clear_segments(void): a null selector. Of GS the base goes with the selector, so that it
// is loaded while the base of the program is.
        .balign 16
        .globl  user_clear_segments
user_clear_segments:
        xorl    %eax, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        swapgs
        movl    %eax, %gs
        swapgs
        ret

// bool user_copy(void *to, const void *from, uint64_t bytes, uint64_t *ret_fault)
//
// A page fault at user_copy_at goes on at user_copy_failed, with its address in RAX
// (user_copy_recover).
        .balign 16
        .globl  user_copy, user_copy_at, user_copy_failed
user_copy:
        movq    %rcx, %r8
        movq    %rdx, %rcx
        cmpb    $0, user_has_smap(%rip)
        je      1f
        stac
1:
user_copy_at:
        rep movsb
        movl    $1, %edx
2:      cmpb    $0, user_has_smap(%rip)
        je      3f
        clac
3:      movl    %edx, %eax
        ret
user_copy_failed:
        movq    %rax, (%r8)
        xorl    %edx, %edx
        jmp     2b

        .section .note.GNU-stack, "", @progbits
