// The kernel's first instructions. The loader jumps here with boot_info in RDI, a stack, and
// everything else as common/boot/slipway_boot.h says; the return address on the stack is 0, which
// ends every backtrace.

        .section .text.entry, "ax", @progbits
        .globl  kernel_entry
        .type   kernel_entry, @function
kernel_entry:
        rdtsc                           // before anything else: the loader's time ends here
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, %rsi
        xorl    %ebp, %ebp
        jmp     kernel_main             // void kernel_main(boot_info, tsc): does not return

        .section .note.GNU-stack, "", @progbits
