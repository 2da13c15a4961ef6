// How the machine ends: reset, power off, QEMU's debug exit, or a stop.
#pragma once

#include "common/x86/trap.h"
#include "kernel/base/cmdline.h"

#include <stdbool.h>

// Says how the machine ends after a panic or a fault: with exit=debug, and while it is tested, QEMU
// ends with status 35 if it has the isa-debug-exit device; with failure=reboot the machine is
// reset, else the CPU stops.
void power_set_exit(enum cmdline_exit exit, enum cmdline_failure failure);

// From now on what is said on the console is TAP: a panic or a fault first says "Bail out!".
void power_begin_test(void);
const char *power_bail_out(void); // "Bail out! ", or nothing

// The end of a test: QEMU ends with status 33 or 35 if it has that device; else the machine is
// switched off with exit=poweroff, or the CPU stops.
[[gnu::noreturn]] void power_end_test(bool is_passed);

// Resets by the firmware's ResetSystem; where that fails by the chipset, the keyboard controller,
// and last by a triple fault.
[[gnu::noreturn]] void power_reboot(void);

// Powers off by the firmware's ResetSystem. Where that fails, says so and stops.
[[gnu::noreturn]] void power_off(void);

// Ends QEMU with status 33 through its isa-debug-exit device; stops where there is none.
[[gnu::noreturn]] void power_debug_exit(void);

// The end after a panic or a fault.
[[gnu::noreturn]] void power_stop_failed(void);

// Called by trap_handle for every fault: if it is one of the firmware's ResetSystem, says so, goes
// on without the firmware and does not return.
void power_catch_firmware_fault(const struct trap_frame *frame);
