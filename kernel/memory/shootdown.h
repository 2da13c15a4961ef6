// The TLBs of all CPUs: who has to forget what, and who waits for it (docs/design.md, "The TLBs of
// several CPUs"). Owns which CPUs there are, which are asleep, and which space each runs in.
//
// A CPU that changes tables gives its record to each CPU that may remember something of it, and
// waits until all have forgotten. Whoever waits, here or for a lock that is held across a
// shoot-down, calls shootdown_serve meanwhile: so two CPUs that wait for each other both go on.
#pragma once

#include "common/base/fmt.h"
#include "kernel/memory/tlb.h"

#include <stdint.h>

// Makes every CPU that may have used the tables forget what the record names, and returns when all
// have. An op of vmem_flush_ops: the context is the `struct tlb_space` whose lower half changed, or
// null where it is the kernel half, or the kernel's own space. With interrupts off. In an interrupt
// too, but not in an NMI or a machine check.
void shootdown_execute(void *space, const struct vmem_flush *flush);

// Forgets what other CPUs ask this one to forget. For whoever waits with interrupts off, and what
// the interrupt that `interrupt` of shootdown_start raises does.
void shootdown_serve(void);

// Loads the root of a space; null: the kernel's. A space is destroyed after the last CPU has left.
void shootdown_switch(struct tlb_space *space);

// --- Sleep. A CPU that sleeps is not interrupted for translations: it forgets all when it wakes
// up, if it has missed any. Between the two it touches nothing whose translation ever changes, in
// an interrupt neither; its stack, the kernel's image and the local APIC are fine. With interrupts
// off, both.
void shootdown_sleep(void);
void shootdown_wake(void);

// --- Start

// Called by CPU 0, alone until then. `interrupt` makes a CPU call shootdown_serve soon; called with
// interrupts off. `late` is told of a CPU that lets another wait for a second.
void shootdown_start(void (*interrupt)(unsigned cpu), const struct sink *late);

// Called by every other CPU, once, when it can be interrupted: from now on it is asked.
void shootdown_join(void);

struct shootdown_counts {
    uint64_t records;    // executed
    uint64_t requests;   // of these, given to another CPU, each to each
    uint64_t interrupts; // that took; one can bring several requests, and who polls needs none
    uint64_t missed;     // flushes of everything by CPUs that woke up
};
struct shootdown_counts shootdown_counts(void);
