// What kernel/selftest/user.c lets run in ring 3: snippets that are copied to a page of their own, so
// that they are position independent. Each begins at a label and ends at the next.

        .section .rodata
        .globl  user_code, user_code_end
        .globl  user_code_pattern, user_code_flags, user_code_spin, user_code_calls, user_code_fpu
        .globl  user_code_touch

        .balign 16
user_code:

// Every register has a value of its own, from the context. Comes back twice by SYSCALL, then by #UD.
user_code_pattern:
        syscall
        syscall
        ud2

// Flags that no kernel wants, from the context's R8. SYSCALL, then #UD. TF is set by the instruction
// before SYSCALL, so that no other is trapped.
user_code_flags:
        pushq   %r8
        popfq
        syscall
        ud2

user_code_spin:
        incq    %rax
        jmp     user_code_spin

// System calls for good. RBX counts them.
user_code_calls:
        incq    %rbx
        syscall
        jmp     user_code_calls

user_code_fpu:
        fnop

// Reads the address in RDI, writes it if RSI is not 0.
user_code_touch:
        movq    (%rdi), %rax
        testq   %rsi, %rsi
        jz      1f
        movq    %rsi, (%rdi)
1:      syscall
user_code_end:

        .section .note.GNU-stack, "", @progbits
