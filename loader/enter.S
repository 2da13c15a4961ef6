# The switch from the firmware's page tables to the kernel's.
#
# The kernel's tables map nothing in the lower half, where this code runs. So there is a step between: tables with the
# kernel's upper half and this one page, one to one. Under those the code goes on at its address in the kernel half,
# and from there it loads the kernel's own root. Where the kernel's tables have another number of levels, the way to
# them leads through the startup page, which takes the place of this one.

#include "common/x86/regs.h"
#include "loader/enter_cpu.h"

        .text

# void enter_switch(const struct enter_cpu *cpu)
        .balign 256                     # smaller than that, so it never straddles a page
        .globl  enter_switch, enter_switch_start, enter_switch_end, enter_loaded, enter_jump
        .hidden enter_switch, enter_switch_start, enter_switch_end, enter_loaded, enter_jump
enter_switch_start:
enter_switch:
        cli
        cld

        # Firmware may have mapped pages as global. Clearing PGE flushes those too (SDM 3A 4.10.4.1), and no tables
        # with global pages are loaded before it is set again. It may have mapped its memory, and so this code, as
        # user pages: SMEP and SMAP wait as well.
        movq    ENTER_CROSSING_CR4(%rdi), %rax
        movq    %rax, %cr4

        # NXE before the first table with NX set is loaded: there it would be a reserved bit.
        movl    $MSR_EFER, %ecx
        movl    ENTER_EFER(%rdi), %eax
        movl    ENTER_EFER+4(%rdi), %edx
        wrmsr

        # Entries 0 to 3 stay what they are at reset, which is what the firmware's tables use.
        movl    $MSR_PAT, %ecx
        movl    ENTER_PAT(%rdi), %eax
        movl    ENTER_PAT+4(%rdi), %edx
        wrmsr

        movq    ENTER_STARTUP(%rdi), %rax
        testq   %rax, %rax
        jz      1f
        jmp     *%rax                   # back at enter_loaded

1:      movq    ENTER_SLIDE(%rdi), %rdx
        movq    ENTER_CROSSING_ROOT(%rdi), %rax
        leaq    enter_loaded(%rip), %rcx
        addq    %rdx, %rcx
        addq    %rdx, %rdi              # *cpu, too, is in the loader's image
        movq    %rax, %cr3
        jmp     *%rcx

# At its address in the kernel half, under tables that map this. RDI: *cpu there.
enter_loaded:
        movq    ENTER_ROOT(%rdi), %rax
        movq    %rax, %cr3
        movq    ENTER_CR0(%rdi), %rax
        movq    %rax, %cr0
        movq    ENTER_CR4(%rdi), %rax
        orl     $CR4_OSFXSR, %eax       # until clear_memory and LDMXCSR are done
        movq    %rax, %cr4
        jmp     enter_kernel_half
enter_switch_end:

# Here only the kernel half is mapped. RDI: *cpu.
enter_kernel_half:
        movq    ENTER_STACK_TOP(%rdi), %rsp
        movq    %rdi, %rbx
        movq    ENTER_IDT(%rbx), %rsi
        movq    ENTER_GDT(%rbx), %rdi
        movzwl  ENTER_SELECTORS+SELECTORS_CODE(%rbx), %edx
        movzwl  ENTER_SELECTORS+SELECTORS_DATA(%rbx), %ecx
        movzwl  ENTER_SELECTORS+SELECTORS_TASK(%rbx), %r8d
        call    trap_load               # clears the bases of FS and GS, too (SDM 3A 3.4.4)

        # Through the kernel's own mappings, which are write-combining; a fault here is reported. From here on
        # nothing is drawn by the loader but such a report.
        leaq    ENTER_CLEARS(%rbx), %rbp
1:      movq    (%rbp), %rdi
        movq    8(%rbp), %rsi
        testq   %rsi, %rsi
        jz      2f
        call    clear_memory
        addq    $16, %rbp
        jmp     1b

2:      movl    $MSR_KERNEL_GS, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $DR7_RESET, %eax
        movq    %rax, %dr7
        fninit
        ldmxcsr initial_mxcsr(%rip)
        movq    ENTER_CR4(%rbx), %rax
        movq    %rax, %cr4
        movq    %rbx, %rdi

# void enter_jump(const struct enter_cpu *cpu)
enter_jump:
        movq    %rdi, %rbx

        # The kernel's entry sees what a call would leave: a return address, here 0, at RSP, which is 8 below a
        # multiple of 16.
        movq    ENTER_STACK_TOP(%rbx), %rsp
        pushq   $0
        pushq   ENTER_ENTRY(%rbx)
        movq    ENTER_BOOT_INFO(%rbx), %rdi
        xorl    %eax, %eax
        xorl    %ebx, %ebx
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xorl    %esi, %esi
        xorl    %ebp, %ebp
        xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        xorl    %r10d, %r10d
        xorl    %r11d, %r11d
        xorl    %r12d, %r12d
        xorl    %r13d, %r13d
        xorl    %r14d, %r14d
        xorl    %r15d, %r15d
        pushq   $2                      # RFLAGS: all clear but the bit that is always set
        popfq
        ret

        .section .rodata
        .balign 4
initial_mxcsr:
        .long   0x1f80                  # all exceptions masked, round to nearest (SDM 1 10.2.3)

        .section .note.GNU-stack, "", @progbits
