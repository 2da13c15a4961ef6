// From the reset of a CPU to the kernel's C: real mode, protected mode, long mode (SDM 3A 9.4.3,
// 10.9.1, 10.8.5). Runs as a copy in a page below 1 MiB. CS points to the beginning of that page, and
// EBX keeps its address. Every address in the page is computed here, so that the copy works in any
// page, and for one CPU after another.

#include "common/boot/slipway_boot.h"
#include "common/x86/regs.h"
#include "kernel/cpus/trampoline.h"

#define AT(label)     ((label) - trampoline_start)
#define ORDER(offset) (trampoline_orders - trampoline_start + (offset))
#define CODE_32       0x18

        .section .rodata

        .globl  trampoline_start, trampoline_end, trampoline_orders
        .balign 16
        .code16
trampoline_start:
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        movzwl  %ax, %ebx
        shll    $4, %ebx
        leal    AT(gdt)(%ebx), %eax
        movl    %eax, AT(gdt_base)
        leal    AT(protected)(%ebx), %eax
        movl    %eax, AT(to_protected)
        leal    AT(long)(%ebx), %eax
        movl    %eax, AT(to_long)
        lgdtl   AT(gdt_limit)
        movl    $CR0_PE, %eax           // caches on as well: CD and NW are set after a reset
        movl    %eax, %cr0
        ljmpl   *AT(to_protected)

        .code32
protected:
        movl    $SLIPWAY_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    ORDER(TRAMPOLINE_CR4)(%ebx), %eax   // PAE, and LA57 where the tables want it
        movl    %eax, %cr4
        movl    ORDER(TRAMPOLINE_ROOT)(%ebx), %eax
        movl    %eax, %cr3
        movl    $MSR_PAT, %ecx
        movl    ORDER(TRAMPOLINE_PAT)(%ebx), %eax
        movl    ORDER(TRAMPOLINE_PAT + 4)(%ebx), %edx
        wrmsr
        movl    $MSR_EFER, %ecx
        movl    ORDER(TRAMPOLINE_EFER)(%ebx), %eax
        xorl    %edx, %edx
        wrmsr
        movl    ORDER(TRAMPOLINE_CR0)(%ebx), %eax   // PG: long mode from here on
        movl    %eax, %cr0
        ljmpl   *AT(to_long)(%ebx)

        .code64
long:
        movl    %ebx, %ebx              // its upper half means nothing yet
        movq    ORDER(TRAMPOLINE_STACK)(%rbx), %rsp
        movq    ORDER(TRAMPOLINE_ARGUMENT)(%rbx), %rdi
        xorl    %ebp, %ebp
        pushq   $0                      // the return address that ends every backtrace
        jmp     *ORDER(TRAMPOLINE_ENTRY)(%rbx)

// The selectors of the kernel's own GDT, which follows, and one more for the way there.
        .balign 8
gdt:    .quad   0
        .quad   0x00af9b000000ffff      // 64-bit code, SLIPWAY_CS
        .quad   0x00cf93000000ffff      // data, SLIPWAY_DS
        .quad   0x00cf9b000000ffff      // 32-bit code, CODE_32
gdt_end:

gdt_limit:
        .word   gdt_end - gdt - 1
gdt_base:
        .long   0
to_protected:
        .long   0
        .word   CODE_32
to_long:
        .long   0
        .word   SLIPWAY_CS

        .balign 8
trampoline_orders:
        .skip   TRAMPOLINE_ARGUMENT + 8
trampoline_end:

        .section .note.GNU-stack, "", @progbits
