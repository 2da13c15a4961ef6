/* Exception entry, and accesses that may fault. Nothing returns from an exception by IRET: either
 * an attempt is under way, then its caller goes on from a known stack, or the test is over. */
        .text
        .macro  STUB vector, has_error
        .balign 16
        .if     !\has_error
        push    $0
        .endif
        push    $\vector
        jmp     enter
        .endm

        .global fault_stubs
        .hidden fault_stubs
        .balign 16
fault_stubs:
        .altmacro
        .set    number, 0
        .rept   32
        .if     number == 8 || (number >= 10 && number <= 14) || number == 17 || number == 21 || number == 29 || number == 30
        STUB    %number, 1
        .else
        STUB    %number, 0
        .endif
        .set    number, number + 1
        .endr

enter:
        push    %rax
        mov     8(%rsp), %rax
        mov     %rax, fault + 0(%rip)
        mov     16(%rsp), %rax
        mov     %rax, fault + 8(%rip)
        mov     24(%rsp), %rax
        mov     %rax, fault + 16(%rip)
        mov     %cr2, %rax
        mov     %rax, fault + 24(%rip)
        mov     recover_stack(%rip), %rax
        test    %rax, %rax
        jz      1f
        mov     %rax, %rsp
        movq    $0, recover_stack(%rip)
        mov     $1, %eax
        jmp     finish
1:      and     $-16, %rsp
        call    fault_unexpected
        ud2

/* bool fault_attempt(enum attempt kind, uint64_t address) */
        .global fault_attempt
fault_attempt:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, recover_stack(%rip)
        cmp     $1, %edi
        je      1f
        ja      2f
        mov     (%rsi), %al
        jmp     3f
1:      movb    $0xcc, (%rsi)
        jmp     3f
2:      call    *%rsi
3:      movq    $0, recover_stack(%rip)
        xor     %eax, %eax
finish:
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/* void fault_load_tables(const void *gdt, const void *idt): operands of LGDT and LIDT; the selectors
 * are those of the hand-over, the TSS stays as it is. */
        .global fault_load_tables
fault_load_tables:
        lgdt    (%rdi)
        lidt    (%rsi)
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     %eax, %fs
        mov     %eax, %gs
        pop     %rax
        push    $0x08
        push    %rax
        lretq

/* The handler of breakpoints that come back. */
        .global fault_breakpoint
        .hidden fault_breakpoint
fault_breakpoint:
        mov     %rsp, breakpoint_stack(%rip)
        iretq

/* uint64_t fault_take_breakpoint(void) */
        .global fault_take_breakpoint
fault_take_breakpoint:
        int3
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     %eax, %fs
        mov     %eax, %gs
        mov     breakpoint_stack(%rip), %rax
        ret

/* void fault_switch_tables(uint64_t offset, uint64_t root): as slipway_boot.h shows. */
        .global fault_switch_tables
fault_switch_tables:
        add     %rdi, %rsp
        mov     %cr4, %rax
        mov     %rax, %rcx
        and     $~0x80, %rax
        mov     %rax, %cr4
        mov     %rsi, %cr3
        mov     %rcx, %cr4
        ret

/* void fault_on_stack(void *top, void (*function)(void)): does not return. */
        .global fault_on_stack
fault_on_stack:
        mov     %rdi, %rsp
        xor     %ebp, %ebp
        call    *%rsi
        ud2

/* bool fault_sse_works(void): moves a pattern through an XMM register. */
        .global fault_sse_works
fault_sse_works:
        movabs  $0x0123456789abcdef, %rax
        movq    %rax, %xmm0
        paddq   %xmm0, %xmm0
        movq    %xmm0, %rcx
        add     %rax, %rax
        cmp     %rax, %rcx
        sete    %al
        movzbl  %al, %eax
        ret

        .section .bss
        .balign 8
        .global fault
        .hidden fault
fault:  .skip   32
recover_stack:
        .skip   8
breakpoint_stack:
        .skip   8

        .section .note.GNU-stack, "", @progbits
