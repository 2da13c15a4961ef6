// The accesses of probe.h. A page fault at one of the labels continues at
// probe_access_failed (probe_recover).

        .text

// bool probe_access_read(uint64_t address)
        .globl  probe_access_read, probe_access_read_at
probe_access_read:
        movl    $1, %eax
probe_access_read_at:
        movb    (%rdi), %dl
        ret

// bool probe_access_write(uint64_t address): a write that changes nothing
        .globl  probe_access_write, probe_access_write_at
probe_access_write:
        movl    $1, %eax
probe_access_write_at:
        lock orb $0, (%rdi)
        ret

// bool probe_access_load(uint64_t address, uint64_t *ret_value)
        .globl  probe_access_load, probe_access_load_at
probe_access_load:
        movl    $1, %eax
probe_access_load_at:
        movq    (%rdi), %rdx
        movq    %rdx, (%rsi)
        ret

// bool probe_access_store(uint64_t address, uint64_t value)
        .globl  probe_access_store, probe_access_store_at
probe_access_store:
        movl    $1, %eax
probe_access_store_at:
        movq    %rsi, (%rdi)
        ret

// bool probe_access_execute(uint64_t address): the RET there returns to the caller
        .globl  probe_access_execute
probe_access_execute:
        movl    $1, %eax
        jmp     *%rdi

        .globl  probe_access_failed
probe_access_failed:
        xorl    %eax, %eax
        ret

        .section .note.GNU-stack, "", @progbits
