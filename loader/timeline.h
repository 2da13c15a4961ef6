// The stages of the boot with their TSC values and the bytes that each moved, and how fast the TSC
// counts.
//
// The TSC's frequency comes from CPUID (leaf 0x15, or the hypervisor's leaf 0x40000010). Where
// neither leaf tells it, it is measured against the ACPI power management timer while the loader
// works: nothing waits, unless that work was too short to measure by.
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdint.h>

enum { TIMELINE_STAGES_MAX = 16 };

// Forgets everything and takes the first time stamp.
void timeline_init(void);

// The TSC, or the highest value so far where the TSC is less: some firmware writes it, and a stage
// must not end before it starts.
uint64_t timeline_now(void);

// TSC of timeline_init: the loader's first instructions.
uint64_t timeline_entry(void);

// Starts a stage; the stage before must have ended. The first 15 characters of `name` are kept.
// After TIMELINE_STAGES_MAX stages this does nothing.
void timeline_begin(const char *name);

// Ends the running stage, in which `bytes` bytes were moved, filled or examined.
void timeline_end(uint64_t bytes);

// The stages so far.
const struct slipway_stage *timeline_stages(uint32_t *ret_count);

// Starts measuring by the ACPI power management timer at this I/O port, unless CPUID tells the
// frequency. `mask`: the bits of the timer that count. Port 0: there is no timer.
void timeline_use_pm_timer(uint16_t port, uint32_t mask);

// The TSC's frequency in Hz; 0 if it is unknown. May wait up to half a millisecond, or a tenth of a
// second for a timer that stands still. Needs no firmware: call it last, when the most has been
// measured.
uint64_t timeline_tsc_hz(void);

// Where the last result of timeline_tsc_hz came from: SLIPWAY_TSC_...
uint32_t timeline_tsc_method(void);
