// Who called whom, by frame pointers.
#pragma once

#include "common/base/fmt.h"

#include <stdint.h>

// Prints `rip` and the return addresses found from the frame pointer `rbp` upwards, a line each,
// with function, file and line: of a return address those of the call. Follows only aligned, rising
// frame pointers inside the kernel's own stacks, so that a wild one ends the list and does no harm.
void backtrace_print(const struct sink *sink, uint64_t rip, uint64_t rbp);

// The same without a first instruction: who called the function whose frame pointer `rbp` is, and
// so on.
void backtrace_print_calls(const struct sink *sink, uint64_t rbp);
