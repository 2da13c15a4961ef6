// Every interrupt vector that is no exception, on every CPU: it comes once, by the local APIC and
// by INT, is ended where it was in service, and holds up nothing that comes later.
#pragma once

// Runs it. Interrupts are off before and after.
void selftest_interrupts(void);

// Raises `vector`, 32 to 255, by INT.
void interrupts_raise_vector(unsigned vector);
