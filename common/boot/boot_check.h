// Validates a boot_info block before anything in it is believed. Pure: used by the kernel at entry
// and by host tests. Reads the block only, and only after the sizes it reads by have been proved to
// lie inside it.
//
// It checks that the block is sound in itself and agrees with the contract in slipway_boot.h. That
// the tables at CR3 are what the manifest says is proved by the audit.
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdint.h>

enum boot_check {
    BOOT_CHECK_OK,
    BOOT_CHECK_NULL, // no block, or its address is not 8-byte aligned
    BOOT_CHECK_MAGIC,
    BOOT_CHECK_VERSION,
    BOOT_CHECK_SIZE,       // header or total size too small, or too large to be true
    BOOT_CHECK_ARRAY,      // an array or text lies outside the block, its stride is too small, or
                           // no NUL follows the text
    BOOT_CHECK_DIRECT_MAP, // base not aligned or not in the upper half, or end is not where the
                           // highest direct mapping ends
    BOOT_CHECK_LEVELS,     // neither 4 nor 5
    BOOT_CHECK_MAPPINGS,   // manifest unsorted, overlapping, unaligned, writable and executable, or
                           // not what the contract says for the purpose
    BOOT_CHECK_MEMORY,     // memory map unsorted, overlapping, unaligned, of unknown kind, or its
                           // direct-mapped part is not in the manifest
    BOOT_CHECK_RANGES,     // loader's ranges unsorted, overlapping, unaligned, of unknown purpose,
                           // wrongly reclaimable, or listed as usable memory too
    BOOT_CHECK_EFI_MAP,    // stride below 40, or size not a multiple of it, or outside the block
    BOOT_CHECK_KERNEL,  // image, entry or stack not covered by the manifest as the contract says,
                        // or thread-local data outside the image
    BOOT_CHECK_PLACES,  // the window's base is not aligned or not in the upper half, or two of
                        // direct map, window and kernel share addresses
    BOOT_CHECK_TABLES,  // the root or the number of tables does not fit the page-table ranges
    BOOT_CHECK_MODULES, // a module outside the direct map or its range, or its texts outside
    BOOT_CHECK_FRAMEBUFFERS, // a framebuffer without a mapping of its own, too small for itself,
                             // not of a mode in its list, or whose EDID or modes lie outside the
                             // block
    BOOT_CHECK_STAGES,       // a stage without a proper name, or that ends before it starts
    BOOT_CHECK_FIRMWARE,     // RSDP, SMBIOS or system table not where its physical address says
    BOOT_CHECK_MTRRS,        // the map of the MTRRs has a gap, or an unknown type
    BOOT_CHECK_CPUS,         // the records of the CPUs outside the direct map or their range
    BOOT_CHECK_APIC,         // the local APIC is in a mode that there is not
    BOOT_CHECK_FACTS,        // a fact of an unknown kind, or the TPM's log outside the block
    BOOT_CHECK_SYMBOLS,      // symbols or section headers outside the direct map or their range, or
                             // symbols without names
    BOOT_CHECK_CRASH,        // the room for a report outside the direct map or its range
};

// Checks `info`. `ret_index`, if not null, receives the index of the offending record where the
// result is about a record, the offset of the field in struct slipway_boot_info where it is
// BOOT_CHECK_ARRAY, else 0. The block itself must be readable up to its total_bytes (at least the
// first 24 bytes always). Results come in the order of the enumeration's checks: the first thing
// wrong is reported. Time: n log n in the number of records.
[[nodiscard]] enum boot_check boot_check_info(const struct slipway_boot_info *info,
                                              uint64_t *ret_index);

// What contradicts what in a mode's size, pitch and masks, for people; static text, or null if
// nothing does.
const char *boot_check_mode(const struct slipway_display_mode *mode);

// The same for a framebuffer: what contradicts what in its size, pitch, masks and memory. Whether
// and where it is mapped is not looked at, nor its EDID and its list of modes.
const char *boot_check_framebuffer(const struct slipway_framebuffer *screen);

// What a result means, for people; static text.
const char *boot_check_text(enum boot_check result);
