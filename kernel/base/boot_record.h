// How the arrays and texts of boot_info are read in place.
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdint.h>

// Record `index` of an array, which steps by the loader's stride.
static inline const void *boot_record(const struct slipway_array *array, uint64_t index) {
    return (const void *)(uintptr_t)(array->address + index * array->stride);
}

// A counted text for "%.*s": both arguments.
#define BOOT_TEXT(text) (int)(text).bytes, (const char *)(uintptr_t)(text).address
