// The frame allocator: which 4 KiB frames of physical memory are free. A bitmap, one cache line per
// 2 MiB block, with counters above it; only blocks that hold managed frames have metadata, so holes
// of any size cost nothing.
//
// Owns the metadata memory it was given, and nothing else: it never touches the frames it hands
// out. Pure: the same file runs on the host. Not yet safe on several CPUs.
//
// A frame is managed if its region is usable (free at first) or allocated (kernel, module, page
// tables: used at first, to be freed one day to this allocator). Reclaimable regions become managed
// by frames_reclaim. Frames below 1 MiB are managed, and given only to those who ask for them.
#pragma once

#include "common/base/addr.h"
#include "common/base/fmt.h"
#include "common/memmap/memmap.h"
#include "kernel/bit_tree.h"

#include <stdint.h>

enum frames_status {
    FRAMES_OK,
    FRAMES_ERR_NO_MEMORY, // no free frame, or no free run that fits
    FRAMES_ERR_COUNT,     // a run of 0 frames, or one that wraps
    FRAMES_ERR_ALIGN,     // an alignment that is no power of two, or a frame address that is not
                          // aligned
    FRAMES_ERR_FOREIGN,   // a frame that is not managed
    FRAMES_ERR_FREE,      // a frame that is free already (of a run: some or all are)
    FRAMES_ERR_METADATA,  // too little metadata memory, or nowhere to put it
    FRAMES_ERR_MAP,       // regions unsorted, overlapping or unaligned
};

const char *frames_status_text(enum frames_status status);

// Which part of memory an allocation may come from.
enum frames_zone {
    FRAMES_ANY,      // at or above 1 MiB; frames above 4 GiB first
    FRAMES_BELOW_4G, // at or above 1 MiB, below 4 GiB
    FRAMES_BELOW_1M, // below 1 MiB
};
#define FRAMES_ZONES 3

struct frames_statistics {
    uint64_t total_frames; // managed: free + used
    uint64_t free_frames;
    uint64_t used_frames;
    uint64_t low_free_frames;                       // below 1 MiB, part of free
    uint64_t metadata_bytes;                        // asked for by frames_metadata_bytes
    uint64_t metadata_frames;                       // that hold it: part of used
    uint64_t largest_run_frames;                    // longest run of free frames at or above 1 MiB
    uint64_t free_blocks;                           // wholly free 2 MiB blocks
    uint64_t reclaimable_frames[SLIPWAY_MEM_KINDS]; // not yet managed, by kind
    uint64_t allocations, frees;                    // calls that succeeded
    uint64_t refusals;                              // calls to allocate or free that did not
};

// What is known of a 2 MiB block beside its bits.
struct frames_block {
    uint16_t free; // its free frames
    uint16_t kind; // SLIPWAY_MEM_... of all its frames; 0: they differ, or some belong to nobody
};

// The allocator's state. The fields are the implementation's own (frames.c).
//
// Blocks that hold managed or reclaimable frames are numbered from 0 in rising address order,
// without the holes; a slot is a bit's place in the bitmap: 512 times the block's number, plus the
// frame's place in it.
struct frames {
    struct frames_span *spans; // of consecutive blocks, between holes
    uint64_t span_count;
    uint64_t *lines; // the bitmap, 1: free. A cache line of 8 words a block
    struct frames_block *blocks;
    uint64_t block_count;
    struct bit_tree some_free; // blocks with a free frame
    struct bit_tree all_free;  // blocks without a used one
    uint64_t *mixed;           // the blocks that are not of one kind, rising,
    uint64_t *mixed_lines;     // and of each of their frames, whether it is managed: 1
    uint64_t mixed_count;
    uint64_t slot_1m, slot_4g; // where the zones begin

    uint64_t total;
    uint64_t free;
    uint64_t low_free; // below 1 MiB, part of free
    uint64_t reclaimable[SLIPWAY_MEM_KINDS];
    uint32_t managed; // bit k: kind k is managed now
    uint64_t metadata_bytes;
    uint64_t metadata_first; // frame number
    uint64_t metadata_frames;
    uint64_t allocations, frees, refusals;
};

// Bytes of metadata that frames_init needs for these regions (sorted, disjoint, as memmap_normalise
// makes them); 0 when no region is managed or reclaimable, or when frames_init would answer
// FRAMES_ERR_MAP.
uint64_t frames_metadata_bytes(const struct memmap_region *regions, uint64_t count);

// Chooses where `bytes` of metadata go: whole frames of one usable region that is in the direct
// map, above 1 MiB if any fits there; the smallest that fits, so that large ones stay whole. No
// bytes need no place: *ret_phys is then PADDR_NONE. Errors: FRAMES_ERR_METADATA, then *ret_phys is
// untouched.
[[nodiscard]] enum frames_status frames_place_metadata(const struct memmap_region *regions,
                                                       uint64_t count, uint64_t bytes,
                                                       paddr_t *ret_phys);

// Starts the allocator over `regions`. `metadata` is the pointer to `metadata_bytes` bytes at
// `metadata_phys`, both page aligned; its first frames_metadata_bytes() are used, their frames,
// which must be usable ones, are marked so, and it stays the allocator's for good. Without anything
// to manage no metadata is needed and the three are ignored. The regions are not kept. Errors:
// FRAMES_ERR_MAP, FRAMES_ERR_METADATA; `frames` is then unusable.
[[nodiscard]] enum frames_status frames_init(struct frames *frames,
                                             const struct memmap_region *regions, uint64_t count,
                                             void *metadata, uint64_t metadata_bytes,
                                             paddr_t metadata_phys);

// Allocates one frame, contents unspecified. Error: FRAMES_ERR_NO_MEMORY, then *ret_frame is
// untouched.
[[nodiscard]] enum frames_status frames_alloc(struct frames *frames, enum frames_zone zone,
                                              paddr_t *ret_frame);

// Allocates `count` contiguous frames whose first is a multiple of `align_frames` frames (a power
// of two). All or nothing. Errors: FRAMES_ERR_COUNT, FRAMES_ERR_ALIGN, FRAMES_ERR_NO_MEMORY; then
// *ret_first is untouched. Cost: a 2 MiB block is found by the counters alone; a longer run looks
// at the counters of wholly free blocks, a shorter one at the bitmaps of partly free blocks as
// well.
[[nodiscard]] enum frames_status frames_alloc_run(struct frames *frames, enum frames_zone zone,
                                                  uint64_t count, uint64_t align_frames,
                                                  paddr_t *ret_first);

// Frees one frame. Refuses, state unchanged: FRAMES_ERR_ALIGN, FRAMES_ERR_FOREIGN, FRAMES_ERR_FREE,
// and the frames of the allocator's own metadata (FRAMES_ERR_FOREIGN).
[[nodiscard]] enum frames_status frames_free(struct frames *frames, paddr_t frame);

// Frees `count` contiguous frames, all or nothing. Errors: as frames_free, FRAMES_ERR_COUNT.
[[nodiscard]] enum frames_status frames_free_run(struct frames *frames, paddr_t first,
                                                 uint64_t count);

// Makes every region of reclaimable `kind` managed and free. `regions` are those of frames_init. A
// second call for the same kind changes nothing. *ret_frames: how many frames were added. Errors:
// FRAMES_ERR_MAP when `kind` is not reclaimable or the regions of that kind are others than those
// of frames_init; then nothing changes.
[[nodiscard]] enum frames_status frames_reclaim(struct frames *frames,
                                                const struct memmap_region *regions, uint64_t count,
                                                uint32_t kind, uint64_t *ret_frames);

// Fills *ret_statistics. Scans counters for largest_run_frames.
void frames_get_statistics(const struct frames *frames, struct frames_statistics *ret_statistics);

// Self-check: every counter against a population count of the bitmap. Prints a line a disagreement
// to `sink` (null: silent) and returns their number.
uint64_t frames_check(const struct frames *frames, const struct sink *sink);
