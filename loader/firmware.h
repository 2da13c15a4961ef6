// The firmware as the loader sees it: its tables, and every page that the loader takes from it.
//
// Owns the list of pages taken, so that a failure can give all of them back and a success can tell
// the kernel about each. Pages are the only memory the loader asks for: no pools, no custom memory
// types (some firmware hangs on those at ExitBootServices).
#pragma once

#include "common/base/addr.h"
#include "common/boot/slipway_boot.h"
#include "loader/config.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

// Valid until ExitBootServices; null afterwards, so that a late use faults instead of half-working.
extern EFI_BOOT_SERVICES *BS;
extern EFI_SYSTEM_TABLE *ST;
extern EFI_HANDLE firmware_image;

// The config, its modules, the kernel, and of the loader's own: boot_info, scratch memory, the
// stack and the tables.
enum { FIRMWARE_RANGES_MAX = CONFIG_MODULES_MAX + 6 };

// One range of pages that the loader holds.
struct firmware_range {
    uint64_t start; // physical address
    uint64_t bytes;
    uint32_t purpose; // SLIPWAY_RANGE_...
};

// Remembers the tables, disarms the watchdog that would reset the machine after five minutes
// (UEFI 2.9, 3.1.2), and drops to TPL_APPLICATION, at which ExitBootServices must be called.
void firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

// Allocates `bytes`, rounded up to pages, of EfiLoaderData for `purpose`, aligned to `align` bytes
// (a power of two of at least 4 KiB). The contents are unspecified. On failure *ret_start is
// untouched and nothing is held. Never returns physical address 0.
[[nodiscard]] EFI_STATUS firmware_alloc_pages(uint64_t bytes, uint64_t align, uint32_t purpose,
                                              uint64_t *ret_start);

// Gives one range back, named by its start; 0 names none.
void firmware_free_pages(uint64_t start);

// Gives all pages back.
void firmware_free_all(void);

// Before returning to the firmware, with all pages given back: the task priority that it called
// with.
void firmware_return(void);

// The ranges held, in no particular order.
const struct firmware_range *firmware_ranges(uint64_t *ret_count);

// The configuration table with this GUID, or null.
void *firmware_table(const EFI_GUID *guid);

// Forgets the boot services: ExitBootServices has succeeded.
void firmware_forget(void);

// The pointer to physical memory, while the firmware's identity mapping is in force.
static inline void *firmware_pointer(uint64_t physical) {
    return (void *)(uintptr_t)physical;
}
