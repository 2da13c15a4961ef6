/* Entry of the conformance kernel, of each kind; exceptions; and accesses that may fault.
 *
 * What the loader left in the registers is stored before anything changes it. CPUs come one at a
 * time, so that one place is enough. */
#include "entry.h"

        .macro  ENTER start, function
        mov     %rax, entry_state + 0 * 8(%rip)
        mov     %rcx, entry_state + 1 * 8(%rip)
        mov     %rdx, entry_state + 2 * 8(%rip)
        mov     %rbx, entry_state + 3 * 8(%rip)
        mov     %rsp, entry_state + 4 * 8(%rip)
        mov     %rbp, entry_state + 5 * 8(%rip)
        mov     %rsi, entry_state + 6 * 8(%rip)
        mov     %rdi, entry_state + 7 * 8(%rip)
        mov     %r8, entry_state + 8 * 8(%rip)
        mov     %r9, entry_state + 9 * 8(%rip)
        mov     %r10, entry_state + 10 * 8(%rip)
        mov     %r11, entry_state + 11 * 8(%rip)
        mov     %r12, entry_state + 12 * 8(%rip)
        mov     %r13, entry_state + 13 * 8(%rip)
        mov     %r14, entry_state + 14 * 8(%rip)
        mov     %r15, entry_state + 15 * 8(%rip)
        pushfq
        popq    entry_state + ENTRY_RFLAGS(%rip)
        mov     (%rsp), %rax
        mov     %rax, entry_state + ENTRY_RETURN(%rip)
        movq    $\start, entry_state + ENTRY_START(%rip)
        cld
        and     $-16, %rsp
        call    \function
        ud2
        .endm

        .section .text.entry, "ax"
        .global _start
_start:
        ENTER   ENTRY_BY_FILE, kernel_main

        .global requested_entry
        .hidden requested_entry
requested_entry:
        ENTER   ENTRY_BY_REQUEST, kernel_main

        .global cpu_start
        .hidden cpu_start
cpu_start:
        ENTER   ENTRY_BY_INFO, cpu_main

        .text
/* Exceptions. One that interrupts a probe makes it return; any other ends the test. */
        .macro  STUB vector, has_error
        .balign 16
        .if     !\has_error
        push    $0
        .endif
        push    $\vector
        jmp     caught
        .endm

        .global fault_stubs
        .hidden fault_stubs
        .balign 16
fault_stubs:
        .altmacro
        .set    number, 0
        .rept   32
        .if     number == 8 || (number >= 10 && number <= 14) || number == 17 || number == 21 || \
                number == 29 || number == 30
        STUB    %number, 1
        .else
        STUB    %number, 0
        .endif
        .set    number, number + 1
        .endr

caught: mov     probe_stack(%rip), %rax
        test    %rax, %rax
        jz      1f
        mov     %rax, %rsp
        jmp     faulted
1:      mov     0(%rsp), %rdi           /* vector */
        mov     8(%rsp), %rsi           /* error code */
        mov     16(%rsp), %rdx          /* RIP */
        mov     %cr2, %rcx
        and     $-16, %rsp
        call    fault_unexpected
        ud2

/* bool probe_read(uint64_t address), probe_write(address), probe_call(address): whether it did not
 * fault. A write stores back the byte that is there; a call is of a function without arguments. */
        .macro  PROBE name, access:vararg
        .global \name
        .hidden \name
\name:  call    probe_begin
        \access
        jmp     unhurt
        .endm
        .noaltmacro
        PROBE   probe_read, movb (%rdi), %al
        PROBE   probe_write, lock orb $0, (%rdi)
        PROBE   probe_call, call *%rdi

/* Keeps what a function of C must keep below the return address of the probe's caller. */
probe_begin:
        pop     %rax
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, probe_stack(%rip)
        jmp     *%rax
unhurt: mov     $1, %eax
        jmp     1f
faulted:
        xor     %eax, %eax
1:      movq    $0, probe_stack(%rip)
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/* void fault_load_tables(const void *gdt, const void *idt): operands of LGDT and LIDT; the
 * selectors stay those of the protocol. */
        .global fault_load_tables
        .hidden fault_load_tables
fault_load_tables:
        lgdt    (%rdi)
        lidt    (%rsi)
        mov     $0x30, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        pop     %rax
        push    $0x28
        push    %rax
        lretq

/* What a probe copies elsewhere and calls. */
        .section .rodata
        .global return_code
        .hidden return_code
return_code:
        ret

        .section .bss
        .balign 8
        .global entry_state
        .hidden entry_state
entry_state:
        .skip   ENTRY_BYTES
probe_stack:
        .skip   8

        .section .note.GNU-stack, "", @progbits
