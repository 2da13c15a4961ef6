// Where the stubs of common/x86/trap_stubs.S lead in the loader: there is no user mode, so that all
// interrupts are alike. Position independent, as the stubs are.

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
        pushq   %rax
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        cld
        movq    %rsp, %rdi
        call    trap_handle
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        addq    $16, %rsp               // vector and error code
        iretq

        .section .note.GNU-stack, "", @progbits
