// What the loader handed over: checked, then read in place. boot_info stays where it is for the
// kernel's whole life: its memory is never reclaimed.
#pragma once

#include "kernel/base/boot_record.h"

#include <stdint.h>

// Validates `info` and keeps it; panics with the reason if it is not what the contract says.
// `tsc_entry`: the TSC at the kernel's first instruction.
void boot_accept(const struct slipway_boot_info *info, uint64_t tsc_entry);

// What was accepted; null before.
const struct slipway_boot_info *boot_info(void);

// The TSC at the kernel's first instruction.
uint64_t boot_tsc_entry(void);

static inline const struct slipway_mapping *boot_mapping(const struct slipway_boot_info *info,
                                                         uint64_t index) {
    return boot_record(&info->mappings, index);
}

static inline const struct slipway_range *boot_range(const struct slipway_boot_info *info,
                                                     uint64_t index) {
    return boot_record(&info->ranges, index);
}
