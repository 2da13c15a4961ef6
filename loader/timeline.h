// The stages of the boot with their TSC values and the bytes each moved; and how fast the TSC
// counts.
//
// The TSC's frequency comes from CPUID (leaf 0x15, or the hypervisor's leaf 0x40000010). Where
// neither says, it is measured against the ACPI power management timer over the loader's own work,
// so that no time is spent waiting unless the work was too short to measure.
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdint.h>

enum { TIMELINE_STAGES_MAX = 16 };

// Forgets everything and takes the first time stamp.
void timeline_init(void);

// The TSC, but never less than it was before: firmware is known that writes it, and a stage must
// not end before it starts.
uint64_t timeline_now(void);

// TSC of timeline_init: the loader's first instructions.
uint64_t timeline_entry(void);

// Starts a stage; the one that runs must have ended. Of `name` 15 characters are kept. What comes
// after TIMELINE_STAGES_MAX stages is none.
void timeline_begin(const char *name);

// Ends the running stage. `bytes`: moved, filled or examined in it.
void timeline_end(uint64_t bytes);

// The stages so far.
const struct slipway_stage *timeline_stages(uint32_t *ret_count);

// Tells which I/O port and width the ACPI power management timer has, and starts measuring, unless
// CPUID knows the frequency. Port 0: there is none.
void timeline_use_pm_timer(uint16_t port, uint32_t mask);

// The TSC's frequency in Hz, 0 when nothing could tell. May wait up to half a
// millisecond, or a tenth of a second for a timer that stands still. Needs no
// firmware: call it last, when the most has been measured.
uint64_t timeline_tsc_hz(void);
