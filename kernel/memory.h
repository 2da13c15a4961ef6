// The kernel's memory: from the raw EFI map and the loader's ranges to regions, and from regions to
// the frame allocator. Owns the list of regions, the audit's verdict and the allocator.
#pragma once

#include "common/memmap/memmap.h"
#include "kernel/frames.h"

#include <stdint.h>

// Normalises, audits, starts the allocator. Needs the adopted space. Panics with the reason if any
// of it fails: a kernel that does not know its memory cannot go on.
void memory_start(void);

// Makes the memory of firmware's boot services available. Returns the frames gained.
uint64_t memory_reclaim_boot_services(void);

// The allocator; usable after memory_start.
struct frames *memory_frames(void);

// What memory_start found out.
struct memory_facts {
    const struct memmap_region *regions; // the kernel's own normalisation, in memory of its own
    uint64_t region_count;
    struct memmap_report report;     // of that normalisation
    uint64_t differences;            // regions that the loader sees otherwise
    uint64_t audit_violations;       // always 0: a violation stops the kernel
    struct frames_statistics frames; // just after the start, before anything was reclaimed
};
const struct memory_facts *memory_facts(void);
