// Accesses that may fault, for tests of rights and for reading where nothing may be: a page fault
// inside one is an answer, not an end.
#pragma once

#include "common/x86/trap.h"

#include <stdbool.h>
#include <stdint.h>

// True if the byte at `address` can be read.
bool probe_read(uint64_t address);

// True if the byte at `address` can be written; writes the value that it has.
bool probe_write(uint64_t address);

// True if the 8 bytes at `address` can be read: *ret_value is what they are.
bool probe_load(uint64_t address, uint64_t *ret_value);

// True if the 8 bytes at `address` can be written: they are `value` now.
bool probe_store(uint64_t address, uint64_t value);

// On one CPU at a time, unlike the others: true if the byte at `address`, which must be a RET
// instruction, can be executed.
bool probe_execute(uint64_t address);

// Called by the fault handler. True if the page fault in `frame` was a probe's: it now returns to
// the probe, which answers false.
bool probe_recover(struct trap_frame *frame);
