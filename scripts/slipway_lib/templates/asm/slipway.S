# What Slipway enters. slipway_boot.h says what a kernel finds, and what it may ask for in the note.
#include <slipway_boot.h>

        SLIPWAY_KERNEL_NOTE(0, 0, 0, 0, 0)

        .set    COM1, 0x3f8
        .set    LINE_STATUS, COM1 + 5
        .set    LINE_EMPTY, 0x20
        .set    DEBUG_EXIT, 0xf4
        .set    GOOD, 0x10

        .text
        .globl  kernel_start
        .type   kernel_start, @function
kernel_start:                           # RDI: the boot info
        cmpl    $SLIPWAY_BOOT_VERSION, SLIPWAY_BOOT_OFFSET_VERSION(%rdi)
        jne     stop
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
