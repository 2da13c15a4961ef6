// 64 bytes for the kernel's random numbers, from all sources that the machine has: the firmware's
// generator, the CPU's, and the TSC values of this boot.
#pragma once

#include <stdint.h>

#define ENTROPY_BYTES 64

// Fills `ret_entropy`; returns its sources, SLIPWAY_ENTROPY_... A source counts if it gave all that
// it was asked for, and no number twice in a row. Keeps nothing of it. Needs the boot
// services; no failure stops the boot.
uint32_t entropy_gather(uint8_t ret_entropy[ENTROPY_BYTES]);
