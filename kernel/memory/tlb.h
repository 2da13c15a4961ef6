// The TLB of this CPU. tlb.c is the only file that executes INVLPG or reloads a paging register
// after the tables changed; shootdown.h says when each CPU has to. All with interrupts off.
//
// Where the CPU has process-context identifiers (PCID), each remembers the translations of a few
// spaces at once, each under an identifier of its own: they are chosen by CPU and space.
#pragma once

#include "common/vmem/vmem.h"

#include <stdint.h>

// A space with a lower half of its own, as CPUs know it. It shares the upper half of the kernel's.
// Made by tlb_space_make.
struct tlb_space {
    paddr_t root;
    uint64_t cpus;    // bit n: CPU n has the root loaded
    uint64_t changes; // of its lower half, so far
    uint64_t id;      // no other space has, or had, the same
};

// A space that no CPU has loaded.
struct tlb_space tlb_space_make(paddr_t root);

// Makes this CPU forget what the record names. Null: it is of the kernel half, or of the kernel's
// own space.
void tlb_forget(const struct tlb_space *space, const struct vmem_flush *flush);

// Makes this CPU forget every translation, global ones too.
void tlb_forget_all(void);

// Lets this CPU use the tables of a space, in which all that it runs on is mapped as it is now;
// null: those at `kernel_root`. The CPU is in the space's mask already: from that moment on it is
// asked to forget what changes, and what changed before is forgotten here.
void tlb_load(struct tlb_space *space, paddr_t kernel_root);
