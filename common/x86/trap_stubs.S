// The machine side of trap.h: 256 entry stubs, and the loading of GDT, TSS and IDT. Position
// independent: only relative jumps, no address that was fixed at link time.

        .hidden trap_stubs
        .hidden trap_load
        .hidden trap_entry
        .hidden trap_entry_anywhere

        .text

// Vectors for which the CPU itself pushes an error code (SDM 3A table 6-1, APM 2 8.2). For the
// others the stub pushes 0, so that every frame has one shape.
#define HAS_ERROR(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21 ||            \
                      (v) == 29 || (v) == 30)

// What comes at any moment, also in the first and the last instructions of the kernel on behalf of
// user mode, and has a stack of its own for that: double fault, NMI, machine check.
#define COMES_ANYWHERE(v) ((v) == 8 || (v) == 2 || (v) == 18)

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
        .if     COMES_ANYWHERE(vector)
        jmp     trap_entry_anywhere
        .else
        jmp     trap_entry
        .endif
        .set    vector, vector + 1
        .endr

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
