// The frame allocator: which 4 KiB frames of physical memory are free. The truth is a bitmap, one
// cache line for each 2 MiB block; above it each arena of up to 64 blocks has counters and a lock,
// and above those three sets say which arenas have something free. Only blocks that hold managed
// frames have metadata, so holes of any size cost nothing.
//
// Owns its metadata memory, which the caller supplies, and nothing else: it never touches the
// frames that it allocates. Pure: the same files run on the host.
//
// A frame is managed if its region is usable (free at first) or allocated (kernel, module, page
// tables: used at first, to be freed one day to this allocator). Reclaimable regions become managed
// by frames_reclaim.
//
// The first 2 MiB are never handed out as a 2 MiB block: 1 MiB, where a zone begins, cuts them in
// two. Nothing is lost by it, since frame 0 is never usable in regions that memmap_normalise made.
//
// Several CPUs: every call but frames_init may be made on all CPUs at once. Each says on which CPU
// it is made, by an index below the count that frames_init got, and nothing else on that CPU may
// enter the allocator before the call returns: a kernel keeps interrupts off. A CPU allocates
// single frames from an arena that it owns, or from where it freed one last. It locks one arena at
// a time; several only for a run that lies in several, and all to reclaim. A request fails only if
// no suitable frames were free throughout the call. With one CPU there are no locks.
#pragma once

#include "common/base/addr.h"
#include "common/base/sink.h"
#include "common/frames/bit_tree.h"
#include "common/frames/index.h"
#include "common/memmap/region.h"

#include <stdint.h>

// The versions of this interface: of its source, and of what is compiled (symbols, layouts,
// values), as common/sdk/frames.abi records it. A change that users must follow raises one or both.
#define FRAMES_API_VERSION 1
#define FRAMES_ABI_VERSION 1

enum frames_status {
    FRAMES_OK,
    FRAMES_ERR_NO_MEMORY, // no free frame, or no free run that fits
    FRAMES_ERR_COUNT,     // a run of 0 frames, or one that wraps
    FRAMES_ERR_ALIGN,     // an alignment that is no power of two, or a frame address that is not
                          // aligned
    FRAMES_ERR_FOREIGN,   // a frame that is not managed
    FRAMES_ERR_FREE,      // a frame that is free already (of a run: some or all are)
    FRAMES_ERR_USED,      // a frame asked for by address is not free
    FRAMES_ERR_METADATA,  // too little metadata memory, or nowhere to put it
    FRAMES_ERR_MAP,       // regions unsorted, overlapping or unaligned
    FRAMES_ERR_CPUS,      // no CPUs, or more than FRAMES_CPUS_MAX
};

const char *frames_status_text(enum frames_status status);

// Which part of memory a frame may come from: that zone, and if there is nothing, those below it,
// the highest first. ISA DMA reaches 16 MiB, many devices 4 GiB; a CPU starts below 1 MiB.
enum frames_zone {
    FRAMES_BELOW_1M,
    FRAMES_BELOW_16M,
    FRAMES_BELOW_4G,
    FRAMES_ABOVE_4G,
    FRAMES_ANY = FRAMES_ABOVE_4G, // a request that all zones serve
};
#define FRAMES_ZONES 4

// Where a zone ends, and what people call it.
struct frames_zone_bounds {
    uint64_t end; // physical address; of the highest zone UINT64_MAX, which no frame reaches
    const char *name;
};

extern const struct frames_zone_bounds frames_zones[FRAMES_ZONES];

#define FRAMES_CPUS_MAX 4096

#define FRAMES_PER_2M UINT64_C(512)
#define FRAMES_PER_1G UINT64_C(262144)

// A run of frames that is asked for. Zero fields ask for nothing special.
struct frames_request {
    uint64_t count; // frames, contiguous
    uint64_t align; // the first frame's index is a multiple of it: a power of two; 0: as 1
    uint64_t below; // physical address at which the run must have ended; 0: anywhere
};

struct frames_zone_statistics {
    uint64_t total_frames; // managed: free + used
    uint64_t free_frames;
};

struct frames_statistics {
    uint64_t total_frames; // managed: free + used
    uint64_t free_frames;
    uint64_t used_frames;
    uint64_t reserved_frames; // of the regions, never to be managed
    // The most that were in use: exact with one CPU, else within 1/256 of the total, or 64 frames a
    // CPU.
    uint64_t peak_used_frames;
    struct frames_zone_statistics zone[FRAMES_ZONES]; // that zone alone
    uint64_t metadata_bytes;                          // asked for by frames_metadata_bytes
    uint64_t metadata_frames;                         // of the metadata: part of used
    uint64_t largest_run_frames;                      // longest run of free frames
    uint64_t free_2m;                                 // wholly free 2 MiB blocks
    uint64_t free_1g;                                 // wholly free 1 GiB blocks
    uint64_t reclaimable_frames[SLIPWAY_MEM_KINDS];   // not yet managed, by kind
    uint64_t
        refusals; // calls that were refused, without frames_reclaim; 0 where nothing is managed
};

struct frames_arena;
struct frames_cpu;

// Frames that follow each other and whose slots do, too: a run of blocks between two holes, or up
// to 1 MiB or from there on.
struct frames_span {
    frame_t first_frame;
    slot_t first_slot;
    uint64_t frames;
};

// The allocator's state. The fields are the implementation's own; core.h has the picture.
//
// Blocks that hold managed or reclaimable frames are indexed by address, holes skipped, and each
// zone starts a new arena. A slot is a frame's place in that order: 512 times the index of the
// block, plus the frame's place in the block.
struct frames {
    struct frames_span main; // the largest span
    struct frames_arena *arenas;
    struct frames_cpu *cpus;
    uint64_t arena_count;
    uint64_t managed;  // bit k: kind k is managed now
    int64_t report_at; // a CPU reports to `used` when it has allocated, or freed, more than this
    uint32_t cpu_count;
    enum frames_zone top_zone; // the highest that has arenas
    uint64_t whole_arenas;     // how many members `whole` has
    struct bit_tree whole;     // arenas with a wholly free block
    struct bit_tree partial;   // arenas that no CPU owns, with a partly used block
    struct bit_tree some;      // arenas with a free frame
    struct frames_span *spans; // of consecutive blocks, between holes
    block_t *mixed;            // the blocks whose frames are not of one kind, rising
    uint64_t *mixed_lines;     // a line for each of those: 1 for a frame that is managed
    uint64_t *lines;           // all lines of the bitmap
    uint64_t span_count, mixed_count, line_count;
    uint64_t zone_arena[FRAMES_ZONES + 1]; // [n]: the first arena of zone n
    uint64_t end_address;                  // behind the highest frame
    uint64_t total;
    uint64_t zone_total[FRAMES_ZONES];
    uint64_t reserved;
    uint64_t reclaimable[SLIPWAY_MEM_KINDS];
    uint64_t metadata_bytes;
    frame_t metadata_first;
    uint64_t metadata_frames;
    // Written by calls, and so in other cache lines than the fields above, which every call reads.
    _Alignas(128) int64_t used; // frames, as far as CPUs have reported it
    int64_t peak;
    uint32_t reclaim_lock;
};

// Bytes of metadata that frames_init needs for these regions (sorted, disjoint, as memmap_normalise
// makes them) and CPUs; 0 when no region is managed or reclaimable, or when frames_init would
// answer FRAMES_ERR_MAP.
uint64_t frames_metadata_bytes(const struct memmap_region *regions, uint64_t count, unsigned cpus);

// Chooses where `bytes` of metadata go: whole frames of one usable region that is in the direct
// map, above 1 MiB if any fits there; the smallest that fits, so that large ones stay whole. No
// bytes need no place: *ret_phys is then PADDR_NONE. Errors: FRAMES_ERR_METADATA, then *ret_phys is
// untouched.
[[nodiscard]] enum frames_status frames_place_metadata(const struct memmap_region *regions,
                                                       uint64_t count, uint64_t bytes,
                                                       paddr_t *ret_phys);

// Starts the allocator over `regions`, for CPUs with indices from 0 to cpus - 1. `metadata` is the
// pointer to `metadata_bytes` bytes at `metadata_phys`, both page aligned; its first
// frames_metadata_bytes() are used, their frames, which must be usable ones, become used, and it
// stays the allocator's for good. Without anything to manage no metadata is needed and the three
// are ignored. The regions are not kept. Errors: FRAMES_ERR_MAP, FRAMES_ERR_METADATA,
// FRAMES_ERR_CPUS; `frames` is then unusable.
[[nodiscard]] enum frames_status frames_init(struct frames *frames,
                                             const struct memmap_region *regions, uint64_t count,
                                             unsigned cpus, void *metadata, uint64_t metadata_bytes,
                                             paddr_t metadata_phys);

// Allocates one frame, contents unspecified. Fills partly used 2 MiB blocks before it breaks a
// whole one, except blocks of arenas that other CPUs own. Error: FRAMES_ERR_NO_MEMORY, then
// *ret_frame is untouched.
[[nodiscard]] enum frames_status frames_alloc(struct frames *frames, unsigned cpu,
                                              enum frames_zone zone, paddr_t *ret_frame);

// Allocates a run, all or nothing: from the highest zone that has one. Up to 64 frames, aligned to
// 64 at most, fill partly used 2 MiB blocks before a whole one is broken, except blocks of arenas
// that other CPUs own. Longer runs come from the lowest place that this CPU knows of. 512 frames
// aligned to 512 are a 2 MiB block, found by the counters alone. Errors: FRAMES_ERR_COUNT,
// FRAMES_ERR_ALIGN, FRAMES_ERR_NO_MEMORY; then *ret_first is untouched.
[[nodiscard]] enum frames_status frames_alloc_run(struct frames *frames, unsigned cpu,
                                                  const struct frames_request *request,
                                                  paddr_t *ret_first);

// Allocates exactly these frames, all or nothing. Errors: FRAMES_ERR_ALIGN, FRAMES_ERR_COUNT,
// FRAMES_ERR_FOREIGN, FRAMES_ERR_USED.
[[nodiscard]] enum frames_status frames_alloc_at(struct frames *frames, unsigned cpu, paddr_t first,
                                                 uint64_t count);

// Frees one frame, whichever CPU allocated it. Refuses, state unchanged: FRAMES_ERR_ALIGN,
// FRAMES_ERR_FOREIGN, FRAMES_ERR_FREE, and the frames of the allocator's own metadata
// (FRAMES_ERR_FOREIGN).
[[nodiscard]] enum frames_status frames_free(struct frames *frames, unsigned cpu, paddr_t frame);

// Frees `count` contiguous frames, all or nothing; they may be a part of an allocated run, or
// several. Errors: as frames_free, FRAMES_ERR_COUNT.
[[nodiscard]] enum frames_status frames_free_run(struct frames *frames, unsigned cpu, paddr_t first,
                                                 uint64_t count);

// Makes every region of reclaimable `kind` managed and free. `regions` are those of frames_init. A
// second call for the same kind changes nothing. *ret_frames: how many frames were added. Errors:
// FRAMES_ERR_MAP when `kind` is not reclaimable or the regions of that kind are others than those
// of frames_init; then nothing changes.
[[nodiscard]] enum frames_status frames_reclaim(struct frames *frames,
                                                const struct memmap_region *regions, uint64_t count,
                                                uint32_t kind, uint64_t *ret_frames);

// Fills *ret_statistics. Scans counters for the largest run and the whole blocks. What other CPUs
// do meanwhile may be counted or not.
void frames_get_statistics(const struct frames *frames, struct frames_statistics *ret_statistics);

// Compares every counter and set with a population count of the bitmap, while no other CPU calls.
// Prints a line to `sink` (null: silent) for each violation, with the number and the name of the
// invariant as core.h lists them; returns how many there are.
uint64_t frames_verify(const struct frames *frames, const struct sink *sink);
