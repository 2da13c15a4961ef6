# A kernel of the Limine boot protocol, base revision 3. What it asks for stands in requests: the
# loader finds each by its id and stores the address of the answer into its last word.

        .section .data
        .balign 8
base_revision:
        .quad   0xf9562b2d5c95a6c8, 0x6a7b384944536bdc, 3
hhdm_request:                           # where the direct map is
        .quad   0xc7b1dd30df4c8b88, 0x0a82e883a194f07b, 0x48dcf1cb8ad2b852, 0x63984e959a98244b
        .quad   0, 0                    # revision, response

        .set    COM1, 0x3f8
        .set    LINE_STATUS, COM1 + 5
        .set    LINE_EMPTY, 0x20
        .set    DEBUG_EXIT, 0xf4
        .set    GOOD, 0x10

        .text
        .globl  kernel_start
        .type   kernel_start, @function
kernel_start:
        cmpq    $0, base_revision + 16(%rip)    # not known to the loader
        jne     stop
        cmpq    $0, hhdm_request + 40(%rip)     # not answered
        je      stop
        leaq    hello(%rip), %rsi
        call    print
        movl    $DEBUG_EXIT, %edx       # ends QEMU, if `slipway` has started it
        movb    $GOOD, %al
        outb    %al, %dx
stop:   cli
        hlt
        jmp     stop
        .size   kernel_start, . - kernel_start

# Prints the text at RSI.
        .type   print, @function
print:  movb    (%rsi), %cl
        incq    %rsi
        testb   %cl, %cl
        jz      2f
        movl    $LINE_STATUS, %edx
1:      inb     %dx, %al
        testb   $LINE_EMPTY, %al
        jz      1b
        movl    $COM1, %edx
        movb    %cl, %al
        outb    %al, %dx
        jmp     print
2:      ret
        .size   print, . - print

        .section .rodata
hello:  .asciz  "Hello from @NAME@.\n"

        .section .note.GNU-stack,"",@progbits
