// What the loader left in a CPU, read before the kernel changes it.
#pragma once

#include "cpu.h"
#include "entry.h"

// What entry.S stores.
struct entry_state {
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rflags;
    uint64_t return_address; // the word at RSP
    uint64_t start;          // ENTRY_BY_...
};
_Static_assert(sizeof(struct entry_state) == ENTRY_BYTES, "as entry.h says");

struct state {
    struct entry_state entry;
    uint64_t cr0, cr3, cr4, efer;
    uint64_t pat;       // 0 without a PAT
    uint64_t apic_base; // 0 without a local APIC
    uint64_t fs_base, gs_base;
    uint64_t mtrrs; // a digest of all that there are
    uint16_t cs, ds, es, ss, fs, gs, ldtr, tr;
    struct table_register gdtr, idtr;
};

extern struct entry_state entry_state __attribute__((visibility("hidden")));

// Reads this CPU: the first thing that it does after entry.S.
void state_read(struct state *ret_state);
