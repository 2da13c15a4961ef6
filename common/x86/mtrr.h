// The memory type range registers of a CPU. All CPUs of a machine must have the same (Intel SDM 3A
// 11.11.8); the firmware sees to that, and whoever starts CPUs makes sure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    MTRR_FIXED = 11, // registers of the fixed ranges
    MTRR_VARIABLE_MAX = 32,
};

// As the registers hold them (SDM 3A 11.11.2).
struct mtrr_state {
    bool is_there; // false: the CPU has none, and the rest means nothing
    bool has_fixed;
    uint32_t variable_count;
    uint64_t default_type;
    uint64_t fixed[MTRR_FIXED];
    uint64_t base[MTRR_VARIABLE_MAX];
    uint64_t mask[MTRR_VARIABLE_MAX];
};

// Reads those of this CPU. Of more than MTRR_VARIABLE_MAX variable ranges the first are read.
void mtrr_read(struct mtrr_state *ret_state);

// Gives this CPU the state that another has: nothing happens if it has that already. Interrupts are
// off, and CR3 maps the caller as write-back.
void mtrr_adopt(const struct mtrr_state *state);
