// The reset that every CPU has: an exception with no IDT to deliver it shuts the CPU down, and the
// chipset answers a shutdown with a reset (SDM 3A 6.15, interrupt 8).

        .text

// void power_triple_fault(void)
        .globl  power_triple_fault
power_triple_fault:
        lidt    no_idt(%rip)
        int3
        hlt

        .section .rodata
no_idt: .word   0
        .quad   0

        .section .note.GNU-stack, "", @progbits
