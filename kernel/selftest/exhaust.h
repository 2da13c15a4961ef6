// The frame allocator at its end: all CPUs together, and their interrupts, take frames below 16 MiB
// until there are none, some times over. Not one may be left then, nor one be there that was not;
// and once one request has been refused, so is every later one, on every CPU.
#pragma once

#include <stdint.h>

// Runs it, and checks that all is as before. Returns how many frames there were to take.
uint64_t selftest_exhaust(void);
