// Short times, by this CPU's TSC.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// The TSC of this CPU when at least that many microseconds have passed from now. A TSC of unknown
// frequency is taken for a very fast one: waits are then longer, never shorter.
uint64_t clock_after(uint64_t microseconds);

// Microseconds from now until then, at least 1; and how many a number of ticks of the TSC is.
uint64_t clock_until(uint64_t tsc);
uint64_t clock_microseconds(uint64_t ticks);

// True if the TSC has reached `tsc`.
bool clock_reached(uint64_t tsc);

// Lets at least that many microseconds pass.
void clock_wait(uint64_t microseconds);
