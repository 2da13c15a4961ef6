// Where the stubs of common/x86/trap_stubs.S lead in the loader: there is no user mode, so that all
// interrupts are alike. Position independent, as the stubs are.

#include "common/x86/trap_registers.inc"

        .hidden trap_entry
        .hidden trap_entry_anywhere
        .hidden trap_handle

        .text

// Saves the registers as struct trap_frame, calls trap_handle(frame), restores them and returns.
// The CPU aligned RSP to 16 before it pushed 48 bytes (error code included); vector and registers
// are another 128, so the call happens on an aligned stack, as the ABI wants.
        .balign 16
        .globl  trap_entry, trap_entry_anywhere
trap_entry:
trap_entry_anywhere:
        PUSH_REGISTERS
        cld
        movq    %rsp, %rdi
        call    trap_handle
        POP_REGISTERS_BUT_RAX
        popq    %rax
        addq    $16, %rsp               // vector and error code
        iretq

        .section .note.GNU-stack, "", @progbits
