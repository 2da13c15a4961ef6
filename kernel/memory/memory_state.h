// What start.c starts and memory.c serves from.
#pragma once

#include "kernel/memory/memory.h"

struct kernel_memory {
    struct frames allocator;
    struct memory_facts facts;
};

extern struct kernel_memory kernel_memory;
