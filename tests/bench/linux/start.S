// The first process of a Linux: it runs a program in a child, and switches the machine off when that
// has ended.

        .set    FORK, 57
        .set    WAIT4, 61
        .set    CLONE, 56
        .set    EXIT_GROUP, 231
        .set    REBOOT, 169

        .text
        .globl  _start
_start:
        movl    $FORK, %eax
        syscall
        testq   %rax, %rax
        jnz     wait
        call    main
        movl    %eax, %edi
        movl    $EXIT_GROUP, %eax
        syscall
wait:
        movq    %rax, %rdi
        xorl    %esi, %esi
        xorl    %edx, %edx
        xorl    %r10d, %r10d
        movl    $WAIT4, %eax
        syscall
        movl    $0xfee1dead, %edi       // reboot(2): three magic numbers, the last for power-off
        movl    $672274793, %esi
        movl    $0x4321fedc, %edx
        movl    $REBOOT, %eax
        syscall
        ud2

// int64_t linux_thread(void (*task)(uint64_t cpu), uint64_t cpu, void *stack_top)
        .globl  linux_thread
linux_thread:
        movq    %rdi, %r8
        movq    %rsi, %r9
        movq    %rdx, %rsi
        movl    $0x10f00, %edi          // CLONE_VM | _FS | _FILES | _SIGHAND | _THREAD
        xorl    %edx, %edx
        xorl    %r10d, %r10d
        movl    $CLONE, %eax
        syscall
        testq   %rax, %rax
        jnz     1f
        movq    %r9, %rdi
        callq   *%r8
        ud2
1:      ret

        .section .note.GNU-stack, "", @progbits
