// The heap, on the machine's frames: parts of the self-test.
#pragma once

#include <stdint.h>

// Sizes, contents, rights, what comes back; in the debug build that leaks are told by place.
void selftest_heap(void);

// What an allocation and a free cost together that no slab is asked for, by the TSC: under QEMU's
// -icount a measure of instructions.
uint64_t selftest_heap_cost(void);

// All CPUs and their interrupts at once, each freeing what another has allocated.
void selftest_heap_cpus(void);
void selftest_heap_long(void); // for longer

// Until there is no memory: null then, and nothing is lost.
void selftest_heap_exhaust(void);
