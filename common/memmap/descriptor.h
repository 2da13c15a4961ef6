// The EFI memory map and its descriptors: how one is read, what its type and attributes mean for a
// frame that it covers, and what is odd about it. The policy is memmap.h's. UEFI
// specification 2.10, 7.2.3 (EFI_MEMORY_DESCRIPTOR).
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdbool.h>
#include <stdint.h>

// EFI_MEMORY_TYPE.
enum {
    EFI_TYPE_RESERVED = 0,
    EFI_TYPE_LOADER_CODE = 1,
    EFI_TYPE_LOADER_DATA = 2,
    EFI_TYPE_BOOT_SERVICES_CODE = 3,
    EFI_TYPE_BOOT_SERVICES_DATA = 4,
    EFI_TYPE_RUNTIME_CODE = 5,
    EFI_TYPE_RUNTIME_DATA = 6,
    EFI_TYPE_CONVENTIONAL = 7,
    EFI_TYPE_UNUSABLE = 8,
    EFI_TYPE_ACPI_RECLAIM = 9,
    EFI_TYPE_ACPI_NVS = 10,
    EFI_TYPE_MMIO = 11,
    EFI_TYPE_MMIO_PORTS = 12,
    EFI_TYPE_PAL_CODE = 13,
    EFI_TYPE_PERSISTENT = 14,
    EFI_TYPE_UNACCEPTED = 15,
    EFI_TYPES = 16, // above are unknown, OEM and OS types
};

// EFI_MEMORY_... attributes.
#define EFI_ATTRIBUTE_UC        UINT64_C(0x1)
#define EFI_ATTRIBUTE_WC        UINT64_C(0x2)
#define EFI_ATTRIBUTE_WT        UINT64_C(0x4)
#define EFI_ATTRIBUTE_WB        UINT64_C(0x8)
#define EFI_ATTRIBUTE_UCE       UINT64_C(0x10)
#define EFI_ATTRIBUTE_CACHE     UINT64_C(0x1f)     // any of the five above
#define EFI_ATTRIBUTE_FLAGS     UINT64_C(0x1ff000) // WP RP XP NV MORE_RELIABLE RO SP CRYPTO HOT
#define EFI_ATTRIBUTE_SP        UINT64_C(0x40000)  // for a special purpose: not general memory
#define EFI_ATTRIBUTE_ISA       UINT64_C(0x0ffff00000000000)
#define EFI_ATTRIBUTE_ISA_VALID UINT64_C(0x4000000000000000) // the ISA bits mean something
#define EFI_ATTRIBUTE_RUNTIME   UINT64_C(0x8000000000000000)
_Static_assert((EFI_ATTRIBUTE_CACHE ^ EFI_ATTRIBUTE_FLAGS ^ EFI_ATTRIBUTE_ISA ^
                EFI_ATTRIBUTE_ISA_VALID ^ EFI_ATTRIBUTE_RUNTIME) ==
                   EFI_ATTRIBUTE_CACHE + EFI_ATTRIBUTE_FLAGS + EFI_ATTRIBUTE_ISA +
                       EFI_ATTRIBUTE_ISA_VALID + EFI_ATTRIBUTE_RUNTIME,
               "the attributes are disjoint");

#define EFI_DESCRIPTOR_BYTES 40 // as UEFI 2.10 defines it; firmware may use a larger stride

// The EFI memory map as GetMemoryMap gave it. Read by `stride`, never by the size of a structure.
struct memmap_efi {
    const void *descriptors;
    uint64_t bytes;
    uint64_t stride; // EFI_DESCRIPTOR_BYTES at least
};

// Video memory and option ROMs of a PC: 640 KiB to 1 MiB.
#define MEMMAP_LEGACY_START UINT64_C(0xa0000)
#define MEMMAP_LEGACY_END   UINT64_C(0x100000)

enum memmap_oddity {
    MEMMAP_ODD_ZERO_PAGES,        // descriptors with 0 pages
    MEMMAP_ODD_WRAPS,             // end does not fit in 64 bits
    MEMMAP_ODD_BEYOND_LIMIT,      // ends above the limit
    MEMMAP_ODD_UNALIGNED,         // start is not frame aligned
    MEMMAP_ODD_UNSORTED,          // starts below its predecessor
    MEMMAP_ODD_OVERLAP,           // frames covered by more than one descriptor (counted by region)
    MEMMAP_ODD_FRAME_0,           // frame 0 is given as usable
    MEMMAP_ODD_LEGACY_HOLE,       // 0xA0000 to 0xFFFFF is given as usable or reclaimable
    MEMMAP_ODD_UNKNOWN_TYPE,      // type above 15, OEM and OS types included
    MEMMAP_ODD_UNKNOWN_ATTRIBUTE, // attribute bits that the UEFI specification does not define
    MEMMAP_ODD_RAM_WITHOUT_WB,    // RAM type without the WB attribute
    MEMMAP_ODD_RUNTIME_ON_RAM,    // RUNTIME on a usable or reclaimable type
    MEMMAP_ODD_SOFT_RESERVED,     // SP on a usable or reclaimable type
    MEMMAP_ODD_MMIO_UNCACHED,     // MMIO without any cacheability attribute
    MEMMAP_ODD_UNMERGED,          // neighbours in the map that could have been one descriptor
    MEMMAP_ODD_EMPTY,             // no descriptor at all
    MEMMAP_ODDITIES,
};

struct memmap_descriptor {
    uint32_t type;
    uint64_t start;
    uint64_t pages;
    uint64_t attributes;
};

// Reads descriptor `index`, which lies inside `efi`. No alignment is asked of the map.
struct memmap_descriptor memmap_descriptor_read(const struct memmap_efi *efi, uint64_t index);

// The SLIPWAY_MEM_... kind that its type and attributes make it (policy 3).
uint32_t memmap_descriptor_kind(const struct memmap_descriptor *descriptor);

// True for what belongs in the direct map (policy 6): a type of RAM, cacheable write-back.
bool memmap_descriptor_is_direct(const struct memmap_descriptor *descriptor);

// The end of the descriptor's bytes. False when there is none: no pages, or an end that does not
// fit in 64 bits (policy 1); *ret_end is then untouched.
[[nodiscard]] bool memmap_descriptor_end(const struct memmap_descriptor *descriptor,
                                         uint64_t *ret_end);

// Adds to `odd` what is odd about the descriptor alone (not beside others, not about its end).
// `kind` is memmap_descriptor_kind of it, `end` the end of its bytes.
void memmap_descriptor_count_oddities(const struct memmap_descriptor *descriptor, uint32_t kind,
                                      uint64_t end, uint64_t odd[MEMMAP_ODDITIES]);
