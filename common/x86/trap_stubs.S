// The machine side of trap.h: 256 entry stubs, the path they share, and the loading of GDT, TSS and
// IDT. Position independent: only relative jumps, no address that was fixed at link time.

        .hidden trap_stubs
        .hidden trap_load
        .hidden trap_handle

        .text

// Vectors for which the CPU itself pushes an error code (SDM 3A table 6-1, APM 2 8.2). For the
// others the stub pushes 0, so that every frame has one shape.
#define HAS_ERROR(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21 ||            \
                      (v) == 29 || (v) == 30)

// 256 stubs of 16 bytes (TRAP_STUB_BYTES): at most two pushes and a jump, 12 bytes.
        .balign 16
        .globl  trap_stubs
trap_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !HAS_ERROR(vector)
        pushq   $0
        .endif
        pushq   $vector
        jmp     trap_common
        .set    vector, vector + 1
        .endr

// Saves the registers as struct trap_frame, calls trap_handle(frame), restores them and returns.
// The CPU aligned RSP to 16 before it pushed 48 bytes (error code included); vector and registers
// are another 128, so the call happens on an aligned stack, as the ABI wants.
        .balign 16
trap_common:
        pushq   %rax
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        cld
        movq    %rsp, %rdi
        call    trap_handle
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        addq    $16, %rsp               // vector and error code
        iretq

// void trap_load(const struct trap_table_pointer *gdt, const struct trap_table_pointer *idt, uint16_t code,
//                uint16_t data, uint16_t task)
        .globl  trap_load
trap_load:
        lgdt    (%rdi)
        movl    %ecx, %ss
        movl    %ecx, %ds
        movl    %ecx, %es
        movl    %ecx, %fs
        movl    %ecx, %gs
        leaq    1f(%rip), %rax
        movzwl  %dx, %edx
        pushq   %rdx
        pushq   %rax
        lretq                           // the only way to load CS in 64-bit mode without an IRET
1:      xorl    %eax, %eax
        lldt    %ax
        ltr     %r8w
        lidt    (%rsi)
        ret

        .section .note.GNU-stack, "", @progbits
