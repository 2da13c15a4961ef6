// Who called whom, by frame pointers.
#pragma once

#include "common/base/fmt.h"
#include "common/x86/trap.h"

#include <stdint.h>

// Prints where the instruction is at which `frame` was made, and the return addresses found from
// its frame pointer upwards, a line each, with function, file and line: of a return address those
// of the call. Follows only aligned, rising frame pointers inside the kernel's own stacks, so that
// a wild one ends the list and does no harm.
void backtrace_print(const struct sink *sink, const struct trap_frame *frame);

// The same without that instruction: who called the function whose frame pointer `rbp` is, and so
// on.
void backtrace_print_calls(const struct sink *sink, uint64_t rbp);

// The address of an instruction with function, file and line, and a newline.
void backtrace_print_address(const struct sink *sink, uint64_t rip);
