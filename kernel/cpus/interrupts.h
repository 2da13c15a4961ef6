// What each interrupt vector means: COM1's interrupt, those by which CPUs wake each other and have
// each other forget translations, and, for the self-test, a timer and interrupts by instruction.
// Owns the legacy interrupt controllers (Intel 8259A), and the counts of what came.
//
// Whatever comes is ended where it is in service, and nowhere else: a device that firmware left
// routed, an interrupt that was pending at the hand-over, a vector that nobody knows. One that were
// not ended would hold up all of its priority and below for good.
//
// Interrupts are on only in user mode, while a CPU sleeps (cpus.h), and between
// interrupts_try_start and interrupts_try_stop: the rest of the kernel is never interrupted.
#pragma once

#include <stdint.h>

// What wakes a CPU: there is nothing more to do in the interrupt itself.
#define INTERRUPTS_WAKE_VECTOR 0x32

// What makes a CPU forget translations (shootdown.h).
#define INTERRUPTS_SHOOTDOWN_VECTOR 0x33

// What ends a program's time: there is nothing more to do in the interrupt itself.
#define INTERRUPTS_SLICE_VECTOR 0x34

// Starts the legacy controllers with every line masked and none in service: from now on theirs are
// vectors that this kernel knows, whatever the firmware had. On the boot CPU, before its local APIC
// lets them through.
void interrupts_start(void);

// Lets COM1's interrupt (IRQ 4) through, to this CPU. From now on `handler` is called for each,
// with interrupts off.
void interrupts_start_com1(void (*handler)(void));

// --- What came

enum interrupts_kind {
    INTERRUPTS_KIND_TIMER,           // of the local APIC
    INTERRUPTS_KIND_SLICE,           // of the local APIC: a program's time is over
    INTERRUPTS_KIND_WAKE,            // from another CPU
    INTERRUPTS_KIND_SHOOTDOWN,       // from another CPU
    INTERRUPTS_KIND_COM1,            // line 4 of the legacy controllers
    INTERRUPTS_KIND_RAISED,          // by interrupts_raise
    INTERRUPTS_KIND_LEGACY,          // any other line of theirs, which was masked too late
    INTERRUPTS_KIND_SPURIOUS_LEGACY, // line 7 or 15, in service nowhere: the request went away
    INTERRUPTS_KIND_SPURIOUS_APIC,   // the local APIC's own vector for that
    INTERRUPTS_KIND_UNKNOWN, // no vector of this kernel's: a device's, another CPU's, by INT
    INTERRUPTS_KINDS,
};

// Of one CPU, which alone writes them; another reads a moment that may be past.
struct interrupts_counts {
    uint64_t of[INTERRUPTS_KINDS];
    uint64_t all;
    uint8_t last;         // vector that came
    uint8_t last_unknown; // of INTERRUPTS_KIND_UNKNOWN; 0: none
};
const struct interrupts_counts *interrupts_counts(unsigned cpu);

// Sets the counts of this CPU to what they were: for the self-test, which raises vectors that would
// be taken for a device's. Interrupts are off.
void interrupts_restore_counts(const struct interrupts_counts *before);

enum interrupts_source {
    INTERRUPTS_TIMER,
    INTERRUPTS_RAISED,
    INTERRUPTS_SOURCES,
};
typedef void (*interrupts_handler)(enum interrupts_source source);

// Turns interrupts on, on this CPU: from now on `handler` is called here, with interrupts off, by
// interrupts_raise, and by the timer, each time `microseconds` after it has returned. A CPU without
// a local APIC never calls it by itself. Not while input_read waits.
void interrupts_try_start(unsigned microseconds, interrupts_handler handler);

// Raises an interrupt here and now, by INT.
void interrupts_raise(void);

// Turns interrupts off, on this CPU, and its timer with them.
void interrupts_try_stop(void);

// Called by trap_handle for every vector that is not an exception. Ends the interrupt at whichever
// controller has it in service.
void interrupts_handle(uint64_t vector);
