// Takes over the CPUs that the loader has parked: releases them one after the other, once the frame
// allocator runs. Whatever goes wrong with a CPU, the kernel goes on with the CPUs that run. Those
// that it cannot use halt.
//
// Each runs on the stack that the loader gave it, on the loader's tables, with the registers that
// the hand-over promises; interrupt stacks with guard pages, GDT, TSS and IDT are the kernel's.
#pragma once

#include "common/base/fmt.h"

#include <stdint.h>

// How many may be started, the boot CPU included: numbers for the frame allocator. From boot_accept
// on.
unsigned cpus_count(void);

// Starts the local APIC of this CPU, and the other CPUs, which then sleep. After memory_start, and
// once. `late` is told of CPUs that let others wait for long (shootdown.h).
void cpus_start(const struct sink *late);

struct cpus_facts {
    uint32_t found;     // that the loader lists, this one included
    uint32_t left_out;  // of these
    const char *reason; // why some were left out, the first reason of several; null
    uint64_t frames; // for interrupt stacks, and for the tables that map those and the local APIC
};
struct cpus_facts cpus_facts(void);
