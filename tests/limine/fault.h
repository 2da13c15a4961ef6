// The kernel's own GDT and IDT, so that a fault in a check is reported, and accesses that may
// fault.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Loads both on this CPU, after what the loader left there has been read.
void fault_start(void);

// Whether the access does not fault. A write stores back the byte that is there; a call is of a
// function without arguments. One CPU at a time.
bool probe_read(uint64_t address);
bool probe_write(uint64_t address);
bool probe_call(uint64_t address);

// One RET instruction.
extern const uint8_t return_code[];
