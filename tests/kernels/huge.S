/* 3 GiB of zeroed memory for the huge kernel, the last of its image. */
        .section .huge, "aw", @nobits
        .balign 4096
        .global huge_start, huge_end
huge_start:
        .skip   3 << 30
huge_end:

        .section .note.GNU-stack, "", @progbits
