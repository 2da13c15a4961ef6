// What the CPU can do, as far as paging and the hand-over care (CPUID; Intel SDM 2A, AMD APM 3
// appendix E).
#pragma once

#include "common/vmem/vmem.h"

#include <stdbool.h>

struct cpu_features {
    struct vmem_cpu paging;
    bool smep;
    bool smap;
    bool umip;
    bool mce;               // machine checks
    bool cet;               // shadow stacks or indirect branch tracking
    bool memory_encrypted;  // a guest under SEV or TDX
    unsigned paging_levels; // in use now: 5 when CR4.LA57 is set, else 4
    unsigned paging_levels_max;
};

struct cpu_features cpu_find_features(void);
