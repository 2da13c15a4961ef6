// The interrupt controllers of the APIC kind, made silent for a kernel: the I/O APICs, and the
// local APIC of the CPU that calls. After the exit, with interrupts off.
//
// What is masked is as after a reset beside that, but for what is delivered as an SMI: that is
// between the hardware and the firmware. For kernels of the Limine boot protocol less is touched:
// what its text names, which is interrupts alone at first, and NMIs and those of the 8259, too,
// from base revision 5 on. Before that the 8259's way through a local APIC stays open, by which
// some kernels get their interrupts. Of a local APIC's entries nothing changes then but that they
// are masked.
//
// Intel SDM 3A chapter 11: registers table 11-1, local vector table 11.5.1, modes 11.4.3 and 11.12.
// AMD APM 2, 16.3.5: extended local vector table. 82093AA data sheet, 3.1 and 3.2: I/O APIC.
#pragma once

#include "common/acpi/madt.h"
#include "loader/machine_state.h"

#include <efi.h>

#include <stdint.h>

// Masks all entries of the I/O APIC at `phys` that are to be masked, which makes them edge
// triggered: none waits for an end of its interrupt any more.
void apic_quiet_io(uint64_t phys, enum machine_state state);

// The local APIC: enabled, its spurious vector 0xFF, the task priority 0, the entries of the local
// vector table masked, the timer stopped, all interrupts ended that are in service. `phys`: its
// page; 0: it is in x2APIC mode. `lints`: MADT_LINTS of this CPU, for MACHINE_LIMINE_STRICT alone:
// a pin for NMIs stays masked, and delivers them once a kernel opens it.
void apic_quiet_local(uint64_t phys, enum machine_state state, const uint8_t *lints);

// Whether all CPUs can have the mode that is wished for; before the exit. `highest_id`: of their
// local APICs. A failure is recorded: x2APIC cannot be left.
[[nodiscard]] EFI_STATUS apic_check_mode(enum machine_apic_mode wish, uint32_t highest_id);

// IA32_APIC_BASE as it is to be for the wish: another mode than it has now, or the same. The CPU
// has a local APIC.
uint64_t apic_wished_base(enum machine_apic_mode wish);

// Gives the local APIC the mode, off included, that IA32_APIC_BASE of another CPU has; the place
// stays this CPU's own. An APIC that leaves x2APIC mode is as after a reset.
void apic_adopt_mode(uint64_t wanted_base);
