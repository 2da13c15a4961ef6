// What each interrupt vector means: COM1's interrupt, those by which CPUs wake each other and have
// each other forget translations, and, for the self-test, a timer and interrupts by instruction.
// Owns the legacy interrupt controllers (Intel 8259A).
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

// Starts the legacy controllers with COM1's interrupt (IRQ 4) alone let through, to this CPU, and
// none in service. From now on `handler` is called for each, with interrupts off.
void interrupts_start_com1(void (*handler)(void));

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
