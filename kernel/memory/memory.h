// The kernel's memory: from the raw EFI map and the loader's ranges to regions, and from regions to
// the frame allocator. Owns the list of regions, the audit's verdict and the allocator, which the
// rest of the kernel reaches by the functions below alone.
#pragma once

#include "common/frames/blocks.h"
#include "common/frames/track.h"
#include "common/memmap/memmap.h"

#include <stdint.h>

// Normalises, audits, starts the allocator for `cpus` CPUs. Needs the adopted space. `out` gets
// what the audit finds. Panics with the reason if any of it fails: a kernel that does not know its
// memory cannot go on.
void memory_start(unsigned cpus, const struct sink *out);

// Makes the memory of firmware's boot services available. Returns the frames gained.
uint64_t memory_reclaim_boot_services(void);

// --- Frames: the calls of common/frames/frames.h, with the same errors, after memory_start. On
// every CPU, and in interrupts too: they are off while the allocator works, and then as they were.
//
// With the build option TRACKING=1 a frame remembers the place that called (common/frames/track.h).
#define memory_alloc(...)            memory_alloc_from(FRAMES_HERE, __VA_ARGS__)
#define memory_alloc_run(...)        memory_alloc_run_from(FRAMES_HERE, __VA_ARGS__)
#define memory_alloc_at(...)         memory_alloc_at_from(FRAMES_HERE, __VA_ARGS__)
#define memory_alloc_zeroed(...)     memory_alloc_zeroed_from(FRAMES_HERE, __VA_ARGS__)
#define memory_alloc_run_zeroed(...) memory_alloc_run_zeroed_from(FRAMES_HERE, __VA_ARGS__)

[[nodiscard]] enum frames_status memory_alloc_from(struct frames_place *place,
                                                   enum frames_zone zone, paddr_t *ret_frame);
[[nodiscard]] enum frames_status memory_alloc_run_from(struct frames_place *place,
                                                       const struct frames_request *request,
                                                       paddr_t *ret_first);
[[nodiscard]] enum frames_status memory_alloc_at_from(struct frames_place *place, paddr_t first,
                                                      uint64_t count);

// The same, and every byte of the frames is 0. They are filled after the allocator has given them,
// so that it is never held up, nor are interrupts.
[[nodiscard]] enum frames_status
memory_alloc_zeroed_from(struct frames_place *place, enum frames_zone zone, paddr_t *ret_frame);
[[nodiscard]] enum frames_status memory_alloc_run_zeroed_from(struct frames_place *place,
                                                              const struct frames_request *request,
                                                              paddr_t *ret_first);

[[nodiscard]] enum frames_status memory_free(paddr_t frame);
[[nodiscard]] enum frames_status memory_free_run(paddr_t first, uint64_t count);

// Where an allocated frame is: in the direct map, as all of them are.
void *memory_frame_bytes(paddr_t frame);

// Makes every byte of allocated frames 0.
void memory_zero(paddr_t first, uint64_t count);

// The first scans the counters of all memory, the second its bitmap as well: not for interrupts.
void memory_get_statistics(struct frames_statistics *ret_statistics);
// How many frames are free, of the statistics.
uint64_t memory_free_frames(void);
uint64_t memory_verify(const struct sink *sink);

// How full each 2 MiB block is (common/frames/blocks.h).
void memory_visit_blocks(frames_see_block see, void *context);

#ifdef FRAMES_TRACKING
// Now, as a moment; and the frames that were allocated after a moment and not freed since, printed
// by place.
struct frames_moment memory_moment(void);
uint64_t memory_leaks_since(struct frames_moment moment, const struct sink *sink);
#endif

// --- What memory_start found out

struct memory_facts {
    const struct memmap_region *regions; // the kernel's own normalisation, in memory of its own
    uint64_t region_count;
    struct memmap_report report;     // of that normalisation
    uint64_t differences;            // regions that the loader sees otherwise
    uint64_t audit_violations;       // always 0: a violation stops the kernel
    struct frames_statistics frames; // just after the start, before anything was reclaimed
    uint64_t owner_frames;           // that the counts of owners take
};
const struct memory_facts *memory_facts(void);
