// The memory type range registers of this CPU. All CPUs of a machine must have the same (Intel SDM
// 3A 11.11.8); the firmware sees to that, and whoever starts CPUs makes sure.
#pragma once

#include "common/mtrr/mtrr_map.h"

// Reads those of this CPU. Of more than MTRR_VARIABLE_MAX variable ranges the first are read.
void mtrr_read(struct mtrr_state *ret_state);

// Gives this CPU the state that another has: nothing happens if it has that already. Interrupts are
// off, and CR3 maps the caller as write-back.
void mtrr_adopt(const struct mtrr_state *state);
