// void interrupts_raise_vector(unsigned vector): INT takes its vector in the instruction alone, so there is
// one for each, 4 bytes from one to the next.

        .set    FIRST, 32
        .set    STUB_BYTES, 4

        .text
        .globl  interrupts_raise_vector
interrupts_raise_vector:
        subl    $FIRST, %edi
        leaq    stubs(%rip), %rax
        leaq    (%rax,%rdi,STUB_BYTES), %rax
        jmp     *%rax

        .balign 16
stubs:
        .set    vector, FIRST
        .rept   256 - FIRST
        .balign STUB_BYTES
        int     $vector
        ret
        .set    vector, vector + 1
        .endr

        .section .note.GNU-stack, "", @progbits
