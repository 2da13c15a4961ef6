// The file of a program for kernel/selftest/processes.c, header and all: an ELF file of one page of
// text, with the headers in it, and two pages of memory. Entries: worker, which makes children that
// write what they share with it; spin.

        .set    EXIT, 0
        .set    PID, 2
        .set    YIELD, 6
        .set    FORK, 8
        .set    WAIT, 9
        .set    MAP, 11
        .set    UNMAP, 14

        .set    BASE, 0x400000
        .set    DATA, 0x410000
        .set    MAPPED, 0x500000
        .set    CHILDREN, 3

        .section .rodata
        .globl  process_file, process_file_end, process_worker, process_spin
        .balign 8
process_file:
        .byte   0x7f, 'E', 'L', 'F', 2, 1, 1, 0
        .quad   0
        .word   2, 62                   // ET_EXEC, x86-64
        .long   1
        .quad   BASE + (process_worker - process_file)
        .quad   64, 0                   // program headers, no section headers
        .long   0
        .word   64, 56, 2, 0, 0, 0

        .long   1, 5                    // PT_LOAD, R-X
        .quad   0, BASE, BASE
        .quad   process_file_end - process_file, process_file_end - process_file, 0x1000
        .long   1, 6                    // PT_LOAD, RW-
        .quad   0, DATA, DATA
        .quad   0, 0x2000, 0x1000

// The status is the number of children whose status was 1.
process_worker:
        movl    $DATA, %ebp
        movl    $CHILDREN, %ebx
        xorl    %r12d, %r12d
1:      incq    (%rbp)
        incq    0x1000(%rbp)
        movl    $FORK, %eax
        syscall
        testq   %rax, %rax
        js      3f
        jz      process_child
        decl    %ebx
        jnz     1b
2:      movl    $WAIT, %eax
        xorl    %edi, %edi
        syscall
        testq   %rax, %rax
        js      3f
        cmpl    $1, %edx
        jne     2b
        incl    %r12d
        jmp     2b
3:      cmpq    $CHILDREN, (%rbp)       // no child has written here
        jne     process_fault
        movl    $EXIT, %eax
        movl    %r12d, %edi
        syscall

// Writes copies of its own, memory of its own, and waits for its turn.
process_child:
        movq    (%rbp), %r13
        movq    $-1, (%rbp)
        movl    $MAP, %eax
        movl    $MAPPED, %edi
        movl    $0x3000, %esi
        movl    $3, %edx                // read and write
        syscall
        testq   %rax, %rax
        jnz     process_fault
        movq    %r13, MAPPED + 0x1000
        movl    $YIELD, %eax
        syscall
        cmpq    %r13, MAPPED + 0x1000
        jne     process_fault
        cmpq    $-1, (%rbp)
        jne     process_fault
        cmpq    %r13, 0x1000(%rbp)
        jne     process_fault
        movl    $UNMAP, %eax
        movl    $MAPPED, %edi
        movl    $0x2000, %esi
        syscall
        testq   %rax, %rax
        jnz     process_fault
        movl    $EXIT, %eax
        movl    $1, %edi
        syscall

process_fault:
        ud2

process_spin:
        jmp     process_spin
process_file_end:

        .section .note.GNU-stack, "", @progbits
