// What start.c starts, and memory.c and counted.c serve from.
#pragma once

#include "kernel/memory/memory.h"

struct kernel_memory {
    struct frames allocator;
    struct frames_owners owners; // of frames that counted.h serves
    struct memory_facts facts;
};

extern struct kernel_memory kernel_memory;
