// Bringing up the CPUs that the firmware lists: found in the MADT before the frame allocator
// starts, which wants their number; started once it runs, one after the other, by INIT and SIPI.
// Whatever goes wrong with a CPU, the kernel goes on with the CPUs that run.
//
// Each has a stack, interrupt stacks with guard pages, a GDT and a TSS of its own, the registers
// that the hand-over promises with the values of the boot CPU, and the kernel's IDT and page
// tables. MTRRs are the firmware's.
#pragma once

#include <stdint.h>

// Finds out how many CPUs there are. Needs the adopted space; the tables may lie in memory that is
// reclaimed later. `absent` more are made up, to see what becomes of CPUs that never answer.
void cpus_find(unsigned absent);

// How many may be started, the boot CPU included: numbers for the frame allocator. From cpus_find
// on.
unsigned cpus_count(void);

// Starts the local APIC of this CPU, and the other CPUs, which then sleep. After memory_start, and
// once.
void cpus_start(void);

struct cpus_facts {
    uint32_t found;     // that the firmware lists, this one included
    uint32_t left_out;  // of these
    const char *reason; // why some were left out or not found, the first reason of several; null
    uint64_t frames;    // for their stacks, and for the tables that map those and the local APIC
};
struct cpus_facts cpus_facts(void);
