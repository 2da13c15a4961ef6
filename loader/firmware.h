// The firmware as the loader sees it: its tables, and every page that the loader allocates from it.
//
// Owns the list of pages allocated, which grows, into pages of its own: after a failure all of them
// are freed, after a success the kernel is told about each. Pages are the only memory that the
// loader allocates: no pools, no memory types of its own (some firmware hangs on those at
// ExitBootServices).
#pragma once

#include "common/base/addr.h"
#include "common/boot/slipway_boot.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

// Valid until ExitBootServices; null afterwards, so that a late use faults at once.
extern EFI_BOOT_SERVICES *BS;
extern EFI_SYSTEM_TABLE *ST;
extern EFI_HANDLE firmware_image;

// One range of pages that the loader has allocated.
struct firmware_range {
    uint64_t start; // physical address
    uint64_t bytes;
    uint32_t purpose; // SLIPWAY_RANGE_...

    // What firmware_make_executable has changed.
    uint64_t code_bytes;      // from the start on; 0: nothing
    uint64_t code_attributes; // that they have no more, or now: EFI_MEMORY_XP, EFI_MEMORY_RO
};

// Remembers the tables, disarms the watchdog that would reset the machine after five minutes
// (UEFI 2.9, 3.1.2), and drops to TPL_APPLICATION, at which ExitBootServices must be called.
void firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

// Allocates `bytes`, rounded up to pages, of EfiLoaderData for `purpose`, aligned to `align` bytes
// (a power of two of at least 4 KiB). The contents are unspecified. On failure *ret_start is
// untouched and nothing is allocated. *ret_start is never 0.
[[nodiscard]] EFI_STATUS firmware_alloc_pages(uint64_t bytes, uint64_t align, uint32_t purpose,
                                              uint64_t *ret_start);

// The same at the address `start`, page aligned, if these pages are free.
[[nodiscard]] EFI_STATUS firmware_alloc_pages_at(uint64_t start, uint64_t bytes, uint32_t purpose);

// The same for memory that is executed, of EfiLoaderCode, below the physical address `limit`: page
// aligned, whole pages. The firmware maps it executable, in the end.
[[nodiscard]] EFI_STATUS firmware_alloc_code(uint64_t bytes, uint64_t limit, uint32_t purpose,
                                             uint64_t *ret_start);

// Frees the range that starts at `start`. Does nothing with 0.
void firmware_free_pages(uint64_t start);

// Makes the first `bytes`, a multiple of 4 KiB, of the range that starts at `start` executable and
// read-only, once for a range: what is to run there has been written. The rest stays data. Does so
// by the firmware's EFI_MEMORY_ATTRIBUTE_PROTOCOL (UEFI 2.10). Without it the pages stay as they
// are, and nothing says whether they can be executed. A failure is recorded, and they cannot.
// Freed, they are again what they were.
[[nodiscard]] EFI_STATUS firmware_make_executable(uint64_t start, uint64_t bytes);

// Frees all ranges.
void firmware_free_all(void);

// Restores the task priority that the firmware called with. The last call before returning to it.
void firmware_return(void);

// The ranges allocated, in no particular order. Valid until the next is allocated.
const struct firmware_range *firmware_ranges(uint64_t *ret_count);

// The configuration table with this GUID, or null.
void *firmware_table(const EFI_GUID *guid);

// Forgets the boot services: ExitBootServices has succeeded.
void firmware_forget(void);

// The pointer to physical memory, while the firmware's identity mapping is in force.
static inline void *firmware_pointer(uint64_t physical) {
    return (void *)(uintptr_t)physical;
}
