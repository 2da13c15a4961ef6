// One turn of a process: what it asks for and what happens to it, until it leaves the CPU.
#pragma once

#include "kernel/process/process.h"

// Why a turn ended.
enum run_end {
    RUN_GOES_ON, // it has not
    RUN_YIELDS,  // others first
    RUN_SLEEPS,  // until wakes_at
    RUN_WAITS,   // for a child: waits_for
    RUN_ENDS,    // for good: status
    RUN_SLICE,   // its time may be over
    RUN_STOPS,   // an interrupt came that may mean other work
};

// Runs a process, whose space is loaded, until something other than RUN_GOES_ON. After that, but
// with RUN_SLICE, its state is to be changed.
enum run_end run_process(struct process *process);

// A system call, whose arguments and result are in the registers.
enum run_end run_call(struct process *process);
