// Input from COM1, by interrupt where the machine delivers one, so that a prompt without a typist
// costs no CPU time. Owns the legacy interrupt controllers (Intel 8259A) and the vectors they use.
//
// Interrupts are on only while input_read waits: the rest of the kernel is never interrupted.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Routes COM1's interrupt (IRQ 4) to this CPU and tries it once. False if no interrupt arrives:
// input is then polled. Needs a UART.
bool input_start(void);

// Waits for one byte from COM1.
char input_read(void);

// Called by trap_handle for every vector that is not an exception.
void interrupts_handle(uint64_t vector);
