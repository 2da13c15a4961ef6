// Zeros for framebuffers.
#pragma once

#include <stdint.h>

// Fills [start, start + bytes) with zeros, by stores that bypass the caches where they can. Needs
// SSE, and uses XMM0. Position independent.
void clear_memory(void *start, uint64_t bytes);
