# The startup page: the way from a mode without paging to the kernel's half.
#
# Two come along it. A CPU that starts, in real mode, at the beginning of the page (SDM 3A 8.4.4, 9.9.1). And the boot
# CPU, in the firmware's long mode, where the kernel's tables have another number of levels than the firmware's:
# CR4.LA57 changes only while paging is off, and long mode ends only through 32-bit code (SDM 3A 4.5, 9.8.5.4).
#
# This runs as a copy. What depends on the page's address stands in the orders, which loader/startup.c fills in, and
# nothing of the page is written here: firmware may have made it read-only, as it does with code.

#include "common/boot/slipway_boot.h"
#include "common/x86/regs.h"
#include "loader/startup.h"

#define ORDER(offset) (startup_orders - startup_begin + (offset))
#define CODE_32       0x18

        .section .rodata

        .globl  startup_begin, startup_end, startup_boot, startup_protected, startup_long, startup_gdt, startup_orders
        .hidden startup_begin, startup_end, startup_boot, startup_protected, startup_long, startup_gdt, startup_orders

        .balign 16
        .code16
startup_begin:
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        movzwl  %ax, %ebx
        shll    $4, %ebx                # the page's address, to the end
        lgdtl   ORDER(STARTUP_GDT)
        movl    $CR0_PE, %eax           # caches on as well: CD and NW are set after a reset
        movl    %eax, %cr0
        xorl    %ebp, %ebp
        ljmpl   *ORDER(STARTUP_TO_PROTECTED)

        .code64
startup_boot:
        leaq    startup_begin(%rip), %rbx
        lgdt    ORDER(STARTUP_GDT)(%rbx)
        leaq    1f(%rip), %rax
        pushq   $CODE_32
        pushq   %rax
        lretq
        .code32
1:      movl    %cr0, %eax
        andl    $~CR0_PG, %eax
        movl    %eax, %cr0
        movl    $(STARTUP_BOOT - STARTUP_OTHERS), %ebp

# 32-bit code, paging off. EBX: the page. EBP: from the others' target to the one of this CPU.
startup_protected:
        movl    $SLIPWAY_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    ORDER(STARTUP_CR4)(%ebx), %eax
        movl    %eax, %cr4
        movl    ORDER(STARTUP_ROOT)(%ebx), %eax
        movl    %eax, %cr3
        movl    $MSR_PAT, %ecx
        movl    ORDER(STARTUP_PAT)(%ebx), %eax
        movl    ORDER(STARTUP_PAT + 4)(%ebx), %edx
        wrmsr
        movl    $MSR_EFER, %ecx
        movl    ORDER(STARTUP_EFER)(%ebx), %eax
        xorl    %edx, %edx
        wrmsr
        movl    ORDER(STARTUP_CR0)(%ebx), %eax      # PG: long mode from here on
        movl    %eax, %cr0
        ljmpl   *ORDER(STARTUP_TO_LONG)(%ebx)

        .code64
startup_long:
        movl    %ebx, %ebx              # the upper halves mean nothing yet
        movl    %ebp, %ebp
        addq    %rbx, %rbp
        movq    ORDER(STARTUP_OTHERS + STARTUP_ARGUMENT)(%rbp), %rdi
        jmp     *ORDER(STARTUP_OTHERS + STARTUP_ENTRY)(%rbp)

# The selectors of the kernel's own GDT, which follows, and one more for the way there.
        .balign 8
startup_gdt:
        .quad   0
        .quad   0x00af9b000000ffff      # 64-bit code, SLIPWAY_CS
        .quad   0x00cf93000000ffff      # data, SLIPWAY_DS
        .quad   0x00cf9b000000ffff      # 32-bit code, CODE_32

        .balign 8
startup_orders:
        .skip   STARTUP_ORDERS_BYTES
startup_end:

        .section .note.GNU-stack, "", @progbits
