# SHA-256 by the CPU's own instructions (SDM 2B, SHA256RNDS2, SHA256MSG1, SHA256MSG2): see digest.h.
#
# The state is kept as these want it, highest word first: A B E F in XMM1, C D G H in XMM2. XMM0 is their operand: two
# words of the schedule with their constants. Code that was called by firmware owns XMM0 to XMM5 (UEFI 2.9, 2.3.4), and
# keeps the others.

        .text

        .set    KEPT, 5 * 16

# void sha256_ni_blocks(uint32_t state[8], const uint8_t *data, uint64_t blocks)
        .globl  sha256_ni_blocks
        .hidden sha256_ni_blocks

# Four rounds; \w holds their words.
        .macro  ROUNDS group, w
        .set    offset, 16 * (\group)
        movdqa  sha256_k + offset(%rip), %xmm0
        paddd   \w, %xmm0
        sha256rnds2 %xmm1, %xmm2        # the new A B E F; C D G H is what was A B E F
        pshufd  $0x0e, %xmm0, %xmm0
        sha256rnds2 %xmm2, %xmm1        # so their names are again what they were
        .endm

# The first 16 words come from the message.
        .macro  FIRST group, w
        .set    offset, 16 * (\group)
        movdqu  offset(%rsi), \w
        pshufb  %xmm7, \w
        ROUNDS  \group, \w
        .endm

# \w holds the words of four groups before, \next of three, \before of two, \last of one.
        .macro  NEXT group, w, next, before, last
        sha256msg1 \next, \w
        movdqa  \last, %xmm8
        palignr $4, \before, %xmm8
        paddd   %xmm8, \w
        sha256msg2 \last, \w
        ROUNDS  \group, \w
        .endm

sha256_ni_blocks:
        testq   %rdx, %rdx
        jz      2f
        subq    $KEPT, %rsp
        .set    at, 0
        .irp    reg, 6, 7, 8, 9, 10
        movups  %xmm\reg, at(%rsp)
        .set    at, at + 16
        .endr
        movdqa  swap(%rip), %xmm7

        movdqu  (%rdi), %xmm1           # A B C D, lowest first
        movdqu  16(%rdi), %xmm2         # E F G H
        pshufd  $0x1b, %xmm1, %xmm1     # D C B A
        pshufd  $0x1b, %xmm2, %xmm2     # H G F E
        movdqa  %xmm2, %xmm0
        punpckhqdq %xmm1, %xmm2         # F E B A
        punpcklqdq %xmm1, %xmm0         # H G D C
        movdqa  %xmm2, %xmm1
        movdqa  %xmm0, %xmm2

1:      movdqa  %xmm1, %xmm9
        movdqa  %xmm2, %xmm10
        FIRST   0, %xmm3
        FIRST   1, %xmm4
        FIRST   2, %xmm5
        FIRST   3, %xmm6
        .irp    group, 4, 8, 12
        NEXT    "\group + 0", %xmm3, %xmm4, %xmm5, %xmm6
        NEXT    "\group + 1", %xmm4, %xmm5, %xmm6, %xmm3
        NEXT    "\group + 2", %xmm5, %xmm6, %xmm3, %xmm4
        NEXT    "\group + 3", %xmm6, %xmm3, %xmm4, %xmm5
        .endr
        paddd   %xmm9, %xmm1
        paddd   %xmm10, %xmm2
        addq    $64, %rsi
        decq    %rdx
        jnz     1b

        movdqa  %xmm2, %xmm0
        punpckhqdq %xmm1, %xmm2         # D C B A
        punpcklqdq %xmm1, %xmm0         # H G F E
        pshufd  $0x1b, %xmm2, %xmm2
        pshufd  $0x1b, %xmm0, %xmm0
        movdqu  %xmm2, (%rdi)
        movdqu  %xmm0, 16(%rdi)

        .set    at, 0
        .irp    reg, 6, 7, 8, 9, 10
        movups  at(%rsp), %xmm\reg
        .set    at, at + 16
        .endr
        addq    $KEPT, %rsp
2:      ret

        .section .rodata.sha256_ni, "a"
        .balign 16
swap:   .byte   3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12

        .section .note.GNU-stack, "", @progbits
