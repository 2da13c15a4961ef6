// Input from COM1, by interrupt where the machine delivers one, so that a prompt without a typist
// costs no CPU time; and a timer and interrupts by instruction, for the self-test. Owns the legacy
// interrupt controllers (Intel 8259A), channel 0 of the timer (8254) and the vectors they use.
//
// Interrupts are on only while input_read waits, and between interrupts_try_start and
// interrupts_try_stop: the rest of the kernel is never interrupted.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Routes COM1's interrupt (IRQ 4) to this CPU and tries it once. False if no interrupt arrives:
// input is then polled. Needs a UART.
bool input_start(void);

// Waits for one byte from COM1.
char input_read(void);

enum interrupts_source {
    INTERRUPTS_TIMER,
    INTERRUPTS_RAISED,
    INTERRUPTS_SOURCES,
};
typedef void (*interrupts_handler)(enum interrupts_source source);

// Turns interrupts on: from now on `handler` is called, with interrupts off, by the timer `hz`
// times a second (19 at least) and by interrupts_raise. A machine without a legacy timer never
// calls it by itself. Not while input_read waits.
void interrupts_try_start(unsigned hz, interrupts_handler handler);

// Raises an interrupt here and now, by INT.
void interrupts_raise(void);

// Turns interrupts off and the timer with them.
void interrupts_try_stop(void);

// Called by trap_handle for every vector that is not an exception.
void interrupts_handle(uint64_t vector);
