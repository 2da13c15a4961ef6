// The kernel's own timeline: the stages of its boot, after the loader's.
#pragma once

#include <stdint.h>

struct stage {
    const char *name;
    uint64_t tsc_start;
    uint64_t tsc_end;
    uint64_t bytes; // examined or filled; 0 where that says nothing
};

// Opens a stage; `name` is static text. Stages do not nest.
void stages_begin(const char *name);

// Closes it.
void stages_end(uint64_t bytes);

// The stages so far, in the order of their starts.
const struct stage *stages_get(unsigned *ret_count);
