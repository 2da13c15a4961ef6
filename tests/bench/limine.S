# A kernel for Limine (its boot protocol, base revision 3) that scripts/bench measures it with: says on COM1 what
# the TSC was at its first instruction, and ends the machine through isa-debug-exit. It asks for what Slipway hands
# every kernel: the memory map, a direct map, framebuffers, the RSDP, modules and where the kernel lies. With BOTH it
# is a kernel of Slipway's protocol, too.

#ifdef BOTH
#include "common/boot/slipway_boot.h"
        SLIPWAY_KERNEL_NOTE(0, 0, 0, 0, 0)
#endif

        .set    COM1, 0x3f8
        .set    LINE_STATUS, COM1 + 5
        .set    LINE_EMPTY, 0x20
        .set    DEBUG_EXIT, 0xf4
        .set    DONE, 0x10

        .macro  request id2, id3
        .quad   0xc7b1dd30df4c8b88, 0x0a82e883a194f07b, \id2, \id3
        .quad   0, 0                            # revision, response
        .endm

        .section .data
        .balign 8
        .quad   0xf9562b2d5c95a6c8, 0x6a7b384944536bdc, 3
        request 0x67cf3d9d378a806f, 0xe304acdfc50c3c62  # memory map
        request 0x48dcf1cb8ad2b852, 0x63984e959a98244b  # direct map
        request 0x9d5827dcd881dd75, 0xa3148604f6fab11b  # framebuffers
        request 0xc5e77b6b397e7b43, 0x27637845accdcf3c  # RSDP
modules:
        request 0x3e7e279702be32af, 0xca1c4f3bd1280cee
        request 0x71ba76863cc55f63, 0xb2644a48c516a487  # kernel's address

        .section .rodata
tsc_text:
        .asciz  "LIMINE-KERNEL "
bytes_text:
        .asciz  " "

        .text
        .globl  _start
_start:
        rdtsc
        shlq    $32, %rdx
        leaq    (%rax,%rdx), %rbx
        leaq    tsc_text(%rip), %rsi
        call    print_text
        call    print_number
        leaq    bytes_text(%rip), %rsi
        call    print_text
        xorl    %ebx, %ebx                      # the size of the first module, or 0
        movq    modules + 40(%rip), %rax        # response: count at 8, files at 16
        testq   %rax, %rax
        jz      1f
        movq    16(%rax), %rax
        movq    (%rax), %rax
        movq    16(%rax), %rbx                  # file: size at 16
1:      call    print_number
        movb    $'\n', %cl
        call    print_byte
        movl    $DONE, %eax
        outl    %eax, $DEBUG_EXIT
2:      hlt
        jmp     2b

# The text at %rsi.
print_text:
        movb    (%rsi), %cl
        incq    %rsi
        testb   %cl, %cl
        jz      1f
        call    print_byte
        jmp     print_text
1:      ret

# %rbx, as 16 hexadecimal digits.
print_number:
        movl    $16, %edi
1:      rolq    $4, %rbx
        movl    %ebx, %ecx
        andl    $15, %ecx
        addl    $'0', %ecx
        cmpl    $'9', %ecx
        jbe     2f
        addl    $'a' - '9' - 1, %ecx
2:      call    print_byte
        decl    %edi
        jnz     1b
        ret

# %cl.
print_byte:
        movw    $LINE_STATUS, %dx
1:      inb     %dx, %al
        testb   $LINE_EMPTY, %al
        jz      1b
        movw    $COM1, %dx
        movb    %cl, %al
        outb    %al, %dx
        ret

        .section .note.GNU-stack, "", @progbits
