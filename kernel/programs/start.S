// The first instructions of a program: the kernel starts it with every register 0 but the stack's,
// which is aligned to 16.

        .text
        .globl  _start
_start:
        call    main
        movl    %eax, %edi
        xorl    %eax, %eax              // SLIPWAY_EXIT
        syscall
        ud2

        .section .note.GNU-stack, "", @progbits
