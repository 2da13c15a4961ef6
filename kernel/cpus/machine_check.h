// Machine checks: errors that the hardware has found in itself. Each CPU notes its own; what it has
// corrected, or could go on from, is told at the prompt, anything else ends the kernel in one
// report, whichever CPUs it has struck.
//
// Owns the machine-check registers of all CPUs, from machine_check_start on. Intel SDM 3B chapter
// 16: registers 16.3, initialisation 16.8, handler 16.10.3.
#pragma once

#include "common/base/fmt.h"

#include <stdbool.h>
#include <stdint.h>

// On every CPU, once: notes the errors that it has kept from before the kernel, even from before a
// reset, and has it report all that it can. CR4.MCE is the hand-over's, where the CPU has it.
void machine_check_start(void);

// Called by trap_handle for every machine check: notes the errors of this CPU. True if they are
// dealt with, and the code that was interrupted may go on; false if a report has to follow. Then
// the registers still have the errors, and other CPUs have had a moment to note theirs.
bool machine_check_handle(void);

// Looks for errors that were corrected without an exception, on every CPU, and prints a line for
// each that has been noted and not yet printed. On CPU 0, outside of a task and of interrupts.
void machine_check_poll(const struct sink *sink);

// How many errors a CPU has noted.
uint64_t machine_check_count(unsigned cpu);

// For the report of a machine check: a line for each error that another CPU has noted in the same
// machine check.
void machine_check_print_others(const struct sink *sink);
