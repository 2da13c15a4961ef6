// What kernel/selftest/ring3.c lets run in ring 3: snippets that are copied to a page of their own, so
// that they are position independent. Each begins at a label and ends at the next.

        .section .rodata
        .globl  ring3_code, ring3_code_end
        .globl  ring3_code_pattern, ring3_code_flags, ring3_code_spin, ring3_code_calls, ring3_code_fpu
        .globl  ring3_code_touch

        .balign 16
ring3_code:

// Every register has a value of its own, from the context. Comes back twice by SYSCALL, then by #UD.
ring3_code_pattern:
        syscall
        syscall
        ud2

// Flags that no kernel wants, from the context's R8. SYSCALL, then #UD. TF is set by the instruction
// before SYSCALL, so that no other is trapped.
ring3_code_flags:
        pushq   %r8
        popfq
        syscall
        ud2

ring3_code_spin:
        incq    %rax
        jmp     ring3_code_spin

// System calls for good. RBX counts them.
ring3_code_calls:
        incq    %rbx
        syscall
        jmp     ring3_code_calls

ring3_code_fpu:
        fnop

// Reads the address in RDI, writes it if RSI is not 0.
ring3_code_touch:
        movq    (%rdi), %rax
        testq   %rsi, %rsi
        jz      1f
        movq    %rsi, (%rdi)
1:      syscall
ring3_code_end:

        .section .note.GNU-stack, "", @progbits
