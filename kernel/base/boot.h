// What the loader handed over: checked, then read in place. The block stays where it is for the
// kernel's whole life (its memory is never reclaimed).
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdint.h>

// Validates `info` and keeps it; panics with the reason if it is not what the contract says.
// `tsc_entry`: the TSC at the kernel's first instruction.
void boot_accept(const struct slipway_boot_info *info, uint64_t tsc_entry);

// The block that was accepted; null before.
const struct slipway_boot_info *boot_info(void);

// The TSC at the kernel's first instruction.
uint64_t boot_tsc_entry(void);

// Record `index` of an array, which steps by the loader's stride.
static inline const void *boot_record(const struct slipway_array *array, uint64_t index) {
    return (const void *)(uintptr_t)(array->address + index * array->stride);
}

static inline const struct slipway_mapping *boot_mapping(const struct slipway_boot_info *info,
                                                         uint64_t index) {
    return boot_record(&info->mappings, index);
}

static inline const struct slipway_range *boot_range(const struct slipway_boot_info *info,
                                                     uint64_t index) {
    return boot_record(&info->ranges, index);
}

// A counted text for "%.*s": both arguments.
#define BOOT_TEXT(text) (int)(text).bytes, (const char *)(uintptr_t)(text).address
