// What the memory type range registers of a CPU say of physical memory: runs of one type, from 0 to
// the end of the CPU's physical addresses. Pure.
//
// Intel SDM 3A 11.11: registers 11.11.2, precedence of types 11.11.4.1. A mapping cannot make
// memory write-back that these registers make something else (table 11-7).
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    MTRR_FIXED = 11, // registers of the fixed ranges, which are the first MiB
    MTRR_VARIABLE_MAX = 32,
};

// As the registers hold them.
struct mtrr_state {
    bool is_there; // false: the CPU has none, and the rest means nothing
    bool has_fixed;
    uint32_t variable_count;
    uint64_t default_type;
    uint64_t fixed[MTRR_FIXED]; // 64 KiB ranges, 16 KiB ranges, 4 KiB ranges
    uint64_t base[MTRR_VARIABLE_MAX];
    uint64_t mask[MTRR_VARIABLE_MAX];
};

// The types' numbers are the CPU's; SLIPWAY_MTRR_... has their names.
struct mtrr_run {
    uint64_t start;
    uint64_t end;
    uint8_t type;
};

// Each range of 4 KiB or more below 1 MiB, and both ends of each variable range.
enum { MTRR_RUNS_MAX = 88 + 2 * MTRR_VARIABLE_MAX + 2 };

struct mtrr_map {
    uint32_t count;                      // 0: the registers are off or not there, and say nothing
    struct mtrr_run runs[MTRR_RUNS_MAX]; // rising, without a gap; neighbours differ
};

// Computes the map. `paddr_bits`: the CPU's physical width, 32 to 52. Where ranges overlap in a way
// that the manual leaves undefined, the type is uncached. A variable range whose mask is no
// contiguous one counts as its lowest block.
void mtrr_map_make(const struct mtrr_state *state, unsigned paddr_bits, struct mtrr_map *ret_map);
