// Between the files that look at a hand-over: each asserts what holds of its part, for
// setup_expect_kernel, whose copy of boot_info it is given.
#pragma once

#include "common/vmem/vmem.h"
#include "tests/firmware/setup.h"

enum { HANDOVER_FAULT_STACK_BYTES = 8192 };

// From image.S: where the loader's image begins here.
extern const char ImageBase[];

// The map of memory is the model's, and the ranges are all that the loader holds.
void handover_check_memory(const struct slipway_boot_info *copy);

// The kernel's page tables map what is listed, with these rights, and nothing else.
void handover_check_space(const struct slipway_boot_info *copy);

// The tables of the crossing, the startup page where there is need of one, and the slide between
// both sides.
void handover_check_crossing(const struct slipway_boot_info *copy);

// GDT, TSS and IDT.
void handover_check_traps(const struct slipway_boot_info *copy);

// The other CPUs, in a hand-over that is sound but for them.
void handover_check_cpus(const struct slipway_boot_info *copy);

// Levels of the kernel's tables, and any tables of so many.
unsigned handover_levels(void);
void handover_adopt(struct vmem *ret_space, uint64_t root);

// For vmem_walk: adds the run's bytes to the uint64_t that `argument` points at.
bool handover_count_bytes(void *argument, const struct vmem_run *run);
