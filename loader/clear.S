# Zeros for framebuffers: see clear.h.
#
# Write-combining memory takes whole lines, so the stores are of 16 bytes, and rise. A picture of 1280x800 is a
# quarter of a million of them, which is what the loop costs: its own instructions are 2 in 64.

        .text

        .set    STORE, 16
        .set    CHUNK, 64 * STORE

# void clear_memory(void *start, uint64_t bytes)
        .globl  clear_memory
        .hidden clear_memory
clear_memory:
        xorl    %eax, %eax
        pxor    %xmm0, %xmm0

        movq    %rdi, %rcx              # up to the first multiple of 16, or to the end
        negq    %rcx
        andl    $STORE - 1, %ecx
        cmpq    %rsi, %rcx
        cmovaq  %rsi, %rcx
        subq    %rcx, %rsi
        rep stosb

        movq    %rsi, %rdx
        shrq    $10, %rdx
        jz      2f
1:      .set    offset, 0
        .rept   CHUNK / STORE
        movntdq %xmm0, offset(%rdi)
        .set    offset, offset + STORE
        .endr
        addq    $CHUNK, %rdi
        decq    %rdx
        jnz     1b
        sfence                          # these stores may not overtake later ones

2:      movl    %esi, %ecx              # what is left, less than a chunk
        andl    $CHUNK - 1, %ecx
        rep stosb
        ret

        .section .note.GNU-stack, "", @progbits
