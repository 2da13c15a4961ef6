// Sizes and times for people. Pure: host tests run the same file.
#pragma once

#include "common/base/fmt.h"

#include <stdint.h>

// A size in the largest binary unit that leaves at least 1, with one decimal unless it is exact:
// "4 KiB", "127.5 MiB", "64 GiB". Rounds down. `storage` holds UNITS_BYTES_MAX at least; returns
// it.
#define UNITS_BYTES_MAX 16
const char *units_bytes(char *storage, uint64_t bytes);

// `ticks` of a clock of `hz` (not 0) in microseconds, rounded down.
uint64_t units_microseconds(uint64_t ticks, uint64_t hz);
