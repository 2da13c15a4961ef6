// Input from COM1, by interrupt where the machine delivers one, so that a prompt without a typist
// costs no CPU time.
#pragma once

#include <stdbool.h>

// Has COM1's interrupt routed to this CPU and tries it once. False if no interrupt arrives: input
// is then polled. Needs a UART.
bool input_start(void);

// Waits for one byte from COM1; INPUT_LOST where others were lost, because they came faster than
// they were read. (A terminal sends that byte for a break, if ever.) Meanwhile this CPU does what
// CPUs do that have nothing to do (cpus.h).
#define INPUT_LOST '\0'
char input_read(void);

// A byte that has come already, or -1: does not wait.
int input_poll(void);
