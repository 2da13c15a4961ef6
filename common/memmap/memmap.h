// Turns an EFI memory map, in any order and however odd, into sorted disjoint regions of one kind
// each, and says which of them belong in the direct map. Pure: loader, kernel and host programs run
// the same file.
//
// Policy, by frame (4 KiB). Where sources disagree about a byte the less usable one wins:
//   1. A descriptor with 0 pages, or whose end does not fit in 64 bits, is ignored.
//   2. A descriptor that ends above `limit` is cut there. One of usable or reclaimable kind is then
//      no memory, but still makes the memory of others less usable, as a claim does.
//   3. Usable: type 7. Reclaimable: types 1, 2, 3, 4, 9. Either needs WB and neither RUNTIME nor
//      SP, else it is reserved. Everything else, known or unknown, is never general memory.
//   4. A frame is usable if one usable descriptor covers it whole and no other kind touches it;
//      reclaimable if one reclaimable descriptor covers it whole and nothing less usable touches
//      it.
//   5. Frame 0 and 0xA0000 to 0xFFFFF are reserved whatever the map says.
//   6. Direct map: frames that one descriptor of type 1, 2, 3, 4, 5, 6, 7, 9 or 10 with WB covers
//      whole and that no other kind of descriptor touches. Policy 5 does not apply. What the loader
//      claims stays in it, unless the claim makes it what is never general memory: RAM that was
//      demoted, and guards, because nothing maps them.
#pragma once

#include "common/boot/slipway_boot.h"
#include "common/memmap/descriptor.h"
#include "common/memmap/region.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the loader says of a range. A claim can only make memory less usable. Where firmware lists
// nothing a claim changes nothing: the memory stays absent.
struct memmap_claim {
    uint64_t start;
    uint64_t bytes;
    uint32_t kind; // SLIPWAY_MEM_...
};

struct memmap_input {
    struct memmap_efi efi;
    const struct memmap_claim *claims;
    uint64_t claim_count;
    uint64_t limit; // end of addressable memory: min(2^46, 2^physical width)
};

struct memmap_report {
    uint64_t descriptors;
    uint64_t odd[MEMMAP_ODDITIES];     // how often each oddity was met
    uint64_t bytes[SLIPWAY_MEM_KINDS]; // of the regions, by kind
    uint64_t direct_bytes;             // of the direct map: the RAM
    uint64_t direct_end;               // end of its highest region, 0 without any
};

enum memmap_status {
    MEMMAP_OK,
    MEMMAP_ERR_STRIDE,  // below 40, or the size is no multiple of it
    MEMMAP_ERR_LIMIT,   // not frame aligned, or 0
    MEMMAP_ERR_CLAIM,   // a claim that is empty, wraps, is unaligned or of unknown kind
    MEMMAP_ERR_SCRATCH, // less scratch than memmap_scratch_bytes says
    MEMMAP_ERR_ROOM,    // more regions than `capacity`
};

// Scratch memory, in bytes, that memmap_normalise needs for a map of this size.
uint64_t memmap_scratch_bytes(uint64_t descriptors, uint64_t claims);

// Upper bound of the number of regions for a map of this size.
uint64_t memmap_region_bound(uint64_t descriptors, uint64_t claims);

// Normalises. `scratch` is 8-byte aligned memory of the caller, of memmap_scratch_bytes at least,
// worthless afterwards. On success `regions` holds *ret_count regions, rising, disjoint, frame
// aligned, neighbours that touch differ in kind or in direct; *ret_report is filled. On failure
// both are unspecified. Time: n log n in descriptors + claims; nothing is allocated.
[[nodiscard]] enum memmap_status memmap_normalise(const struct memmap_input *input, void *scratch,
                                                  uint64_t scratch_bytes,
                                                  struct memmap_region *regions, uint64_t capacity,
                                                  uint64_t *ret_count,
                                                  struct memmap_report *ret_report);

// Name of a kind for people ("usable", "boot services", ...) and of an oddity for programs
// ("zero-pages", ...); static text.
const char *memmap_kind_text(uint32_t kind);
const char *memmap_oddity_text(enum memmap_oddity oddity);

// What a range that the loader lists is, as a claim. A purpose that is not known is never usable.
static inline uint32_t memmap_kind_of_purpose(uint32_t purpose) {
    switch (purpose) {
    case SLIPWAY_RANGE_KERNEL:
        return SLIPWAY_MEM_KERNEL;
    case SLIPWAY_RANGE_MODULE:
    case SLIPWAY_RANGE_CPUS:
    case SLIPWAY_RANGE_SYMBOLS:
    case SLIPWAY_RANGE_CRASH:
        return SLIPWAY_MEM_MODULE;
    case SLIPWAY_RANGE_PAGE_TABLES:
        return SLIPWAY_MEM_PAGE_TABLES;
    case SLIPWAY_RANGE_STACK:
    case SLIPWAY_RANGE_BOOT_INFO:
    case SLIPWAY_RANGE_LOADER:
        return SLIPWAY_MEM_LOADER;
    default: // SLIPWAY_RANGE_DEMOTED, SLIPWAY_RANGE_GUARD
        return SLIPWAY_MEM_RESERVED;
    }
}

// Whether a range may be used for something else once the kernel needs its contents no more.
static inline bool memmap_purpose_is_reclaimable(uint32_t purpose) {
    uint32_t kind = memmap_kind_of_purpose(purpose);
    return kind == SLIPWAY_MEM_LOADER || kind == SLIPWAY_MEM_MODULE;
}
