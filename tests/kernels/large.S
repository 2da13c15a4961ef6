/* 4 MiB of text for the large kernel: word i holds i. */
        .section .text.large, "ax"
        .balign 16
        .global large_text, large_text_end
large_text:
        .set    word, 0
        .rept   1 << 20
        .long   word
        .set    word, word + 1
        .endr
large_text_end:

        .section .note.GNU-stack, "", @progbits
