// Which process runs where: one queue for all CPUs, first in, first out. A CPU that has nothing to
// do takes the first, lets it run until it ends, waits, or has had its time, and looks again
// whether there is something else to do. Owns the queue, the sleepers, and which CPU sleeps.
//
// A process has the CPU for a slice of time, by the timer of the local APIC. Without one it has it
// until it yields, waits or ends.
#pragma once

#include "kernel/process/process.h"

// From now on CPUs that have nothing to do run processes.
void scheduler_start(void);

// Lets no process run, and returns when none does: their memory stays as it is. Until
// scheduler_resume. On CPU 0, outside of scheduler_idle.
void scheduler_pause(void);
void scheduler_resume(void);

// Puts a process into the queue of those that can run. With the lock.
void scheduler_add(struct process *process);

// Takes a process out of the queue in which its state says it is. With the lock.
void scheduler_remove(struct process *process);

// Runs one process on this CPU until it has had its time, then perhaps others; or without one
// sleeps until an interrupt, or returns at once if it must not. With interrupts off.
void scheduler_idle(bool may_sleep);
