// Sizes and times for people. Pure: host tests run the same file.
#pragma once

#include "common/base/fmt.h"

#include <stdint.h>

// A size in the largest binary unit that leaves at least 1, with one decimal unless it is exact:
// "4 KiB", "127.5 MiB", "64 GiB". Rounds down. `storage` holds UNITS_BYTES_MAX at least; returns
// it.
#define UNITS_BYTES_MAX 16
const char *units_bytes(char *storage, uint64_t bytes);

// What part of `whole` `part` is, in percent with one decimal: "99.9%". Rounds down, so that only
// all of it is "100.0%". Of nothing everything is "0.0%". `part` is at most `whole`, and that at
// most UNITS_PERCENT_WHOLE_MAX, which is far more than frames in 2^64 bytes. `storage` holds
// UNITS_PERCENT_MAX at least; returns it.
#define UNITS_PERCENT_MAX       8
#define UNITS_PERCENT_WHOLE_MAX (UINT64_MAX / 1000)
const char *units_percent(char *storage, uint64_t part, uint64_t whole);

// `ticks` of a clock of `hz` (not 0) in microseconds, rounded down.
uint64_t units_microseconds(uint64_t ticks, uint64_t hz);
