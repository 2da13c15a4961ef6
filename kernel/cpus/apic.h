// The local APIC of each CPU: who a CPU is, how it interrupts another, and its timer. In the mode
// in which the firmware left it: xAPIC, by a page of registers, or x2APIC, by MSRs.
//
// Owns the mode and the page. Every function but apic_start and apic_name is about the CPU that
// calls, after apic_start has succeeded, and is made with interrupts off.
//
// Intel SDM 3A chapter 11: modes 11.4.3 and 11.12, registers table 11-1, interrupt command register
// 11.6.1, timer 11.5.4.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// The vector that a local APIC raises when an interrupt went away meanwhile (SDM 3A 11.9). It is
// never in service.
#define APIC_SPURIOUS_VECTOR 0xFF

// On the boot CPU: finds the mode, maps the registers, measures the timer, lets the interrupts of
// the legacy controllers through. Needs the frame allocator. False if there is no local APIC that
// is on.
bool apic_start(void);

// On another CPU: lets interrupts in. False if its local APIC is not in the boot CPU's mode.
bool apic_start_other(void);

// The mode for people: "xAPIC", "x2APIC", or "none" before apic_start has succeeded.
const char *apic_name(void);

// True if there is one, for callers that can do without.
bool apic_is_on(void);

// The ID as the local APIC has it, by which other CPUs reach it.
uint32_t apic_id(void);

// Interrupts the CPU whose local APIC has this ID: with a vector, by NMI.
void apic_send(uint32_t id, uint8_t vector);
void apic_send_nmi(uint32_t id);

// True if the local APIC has given `vector` to this CPU and waits for its end. One that is
// spurious, of the legacy controller or raised by INT is not in service.
bool apic_is_in_service(uint8_t vector);

// Ends the interrupt that has come last, with `vector`, if the local APIC has it in service, and
// returns whether it had. Until then no other of its priority or below comes. One that is not in
// service wants no end: it would be another's.
bool apic_end_of_interrupt(uint8_t vector);

// Raises `vector` here once, after so many microseconds, in place of what the timer was to do.
void apic_timer_once(uint8_t vector, uint64_t microseconds);

// The timer does nothing more; what it has raised already may still come.
void apic_timer_stop(void);
