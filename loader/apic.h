// The interrupt controllers of the APIC kind, made silent for a kernel: the I/O APICs, and the
// local APIC of the CPU that calls. After the exit, with interrupts off.
//
// What is masked is as after a reset beside that, but for what is delivered as an SMI: that is
// between the hardware and the firmware.
//
// Intel SDM 3A chapter 11: registers table 11-1, local vector table 11.5.1, modes 11.4.3 and 11.12.
// AMD APM 2, 16.3.5: extended local vector table. 82093AA data sheet, 3.1 and 3.2: I/O APIC.
#pragma once

#include <stdint.h>

// Masks all entries of the I/O APIC at `phys`, which makes them edge triggered: none waits for an
// end of its interrupt any more.
void apic_quiet_io(uint64_t phys);

// The local APIC: enabled, its spurious vector 0xFF, the task priority 0, all entries of the local
// vector table masked, the timer stopped, all interrupts ended that are in service. `phys`: its
// page; 0: it is in x2APIC mode.
void apic_quiet_local(uint64_t phys);
