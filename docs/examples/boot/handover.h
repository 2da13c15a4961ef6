// What boot.c hands to kernel.c: where physical memory is, and everything that its tables map.
#include <slipway_boot.h>

struct handover {
    uint64_t hhdm_base;
    uint64_t mapping_count;
    struct slipway_mapping mappings[];
};
