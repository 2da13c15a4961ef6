// The CPUs that run this kernel: who they are, and work for all of them at once.
//
// One CPU, number 0, boots and tells the story of main.c. The others (start.h) sleep until
// cpus_run has a task for them, and sleep again when they have done it.
//
// A CPU that sleeps misses changes of the kernel's address space, and forgets all translations when
// it wakes up (shootdown.h). A task that keeps interrupts off for long holds up whoever changes the
// space, unless it calls shootdown_serve.
#pragma once

#include "kernel/base/this_cpu.h"

#include <stdbool.h>
#include <stdint.h>

// --- Who they are

// How many run: 1, until others have been started.
unsigned cpus_started(void);

// The ID of a CPU's local APIC.
uint32_t cpus_apic_id(unsigned cpu);

// --- Work

typedef void (*cpus_task)(void *argument);

// Runs `task` once on every CPU that runs, all at the same time: it begins on none before all are
// awake, and cpus_run returns when all have finished. It begins with interrupts off and leaves them
// so. On CPU 0, outside of a task and of interrupts.
void cpus_run(cpus_task task, void *argument);

// --- Nothing to do

// Spends a while without work: runs what cpus_set_idle has set, or sleeps until an interrupt, if it
// may. For whoever looks again and again whether there is something to do, with interrupts off.
void cpus_idle(bool may_sleep);

// Sets what CPUs do that have nothing to do. It returns soon after an interrupt, which may mean
// work, and calls cpus_sleep if it has nothing either.
void cpus_set_idle(void (*idle)(bool may_sleep));

// Sleeps until an interrupt, in the sense of shootdown.h.
void cpus_sleep(void);

// --- On whose behalf a CPU runs, for reports of failures

struct cpus_program {
    uint32_t pid;
    char name[16];
};

// Notes that this CPU runs for that program; null: for none.
void cpus_set_program(const struct cpus_program *program);

// What a CPU has noted.
const struct cpus_program *cpus_program(unsigned cpu);

// --- The end

// True once cpus_stop_others has been called.
bool cpus_are_stopped(void);

// Makes the CPU that calls the only one that runs, for a report and the end of the machine. The
// first to call is; on any other the call does not return. It may be called again. The others stop
// wherever they are, in the middle of what they do, unless they have not done so in bounded time.
void cpus_stop_others(void);

// Called by trap_handle for every NMI: does not return if it is one that means stop. True if it
// means nothing.
bool cpus_handle_nmi(void);

// --- NMIs of the self-test, which come at every moment

// From now on, until it is told otherwise, an NMI that is none to stop by means nothing. Each is
// counted by the CPU to which it comes. Before the end whoever has sent one runs a task on all
// CPUs.
void cpus_try_nmis(bool are_tried);

// Sends one to another CPU.
void cpus_send_nmi(unsigned cpu);

// How many have come to a CPU.
uint64_t cpus_nmis(unsigned cpu);

// --- For those who start CPUs: descriptors.c and start.c

// Lets this_cpu() return `cpu` on this CPU, from now on. `rsp0` is where its TSS says on which
// stack interrupts of user mode come.
void cpus_make_current(unsigned cpu, uint64_t rsp0);

// Notes the local APIC of a CPU before it is started.
void cpus_set_apic_id(unsigned cpu, uint32_t id);

// One more runs: number cpus_started() before the call. It waits in cpus_serve, or will. On CPU 0,
// before the first cpus_run.
void cpus_add(void);

// What every CPU but CPU 0 does for good: sleeps, and does the tasks of cpus_run.
[[gnu::noreturn]] void cpus_serve(void);
