// One EFI memory descriptor: how it is read, and what its type and attributes mean for a frame that
// it covers. UEFI specification 2.10, 7.2.3 (EFI_MEMORY_DESCRIPTOR).
#pragma once

#include "common/memmap/memmap.h"

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

#define EFI_DESCRIPTOR_BYTES 40 // as UEFI 2.10 defines it; firmware may use a larger stride

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
