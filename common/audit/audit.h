// The one audit of a hand-over: run by the loader before the jump, by the kernel after it, and by
// host tests. It walks the page tables as the CPU would and holds them against what boot_info will
// say or says. It changes nothing and trusts nothing that the tables say about themselves.
//
// What it proves:
//   1. No leaf is writable and executable; every writable or direct-map leaf is NX.
//   2. Every byte of a region that is or may become the kernel's (usable, reclaimable, allocated)
//      translates at direct-map base + address to itself, WB, read-write (read-only where kernel
//      text and read-only data lie).
//   3. Only what the manifest lists is mapped, exactly as listed; nothing reserved, MMIO or absent
//      is in the direct map but framebuffers; tables of the firmware's are read-only; the lower
//      half maps nothing.
//   4. No physical byte is mapped with two cache types.
//   5. Frames of kernel pages that are not writable have no writable alias.
//   6. The guard pages below and above the stack are not present, nor are the frames that are
//      listed as guards; stack, boot_info and entry are mapped as the contract says.
//   7. Every table lies in a range listed as page tables; none is reached twice; reserved bits are
//      zero; every listed table page is reached. If a table lies elsewhere or is reached twice, the
//      audit ends here and says nothing of 2 to 6.
//   8. The regions are sorted, disjoint and aligned, and their bytes per kind add up to the
//      report's.
//   9. The number of tables equals what was planned.
//
// By the rules of another protocol (space_rules.h) the direct map has what they say, all of it and
// nothing else, and so has the lower half if it is to have the same: that takes the place of what 2
// and 3 say of both. Leaves that 1 forbids are where the rules have them: in the direct map, or
// where the manifest has a page of the kernel with both rights. 5 does not count aliases there, if
// the rules do not. Tables of the firmware's are writable in the direct map, and nowhere else.
// Nothing but the kernel and the loader's image lies outside of it.
//
// Several checks may meet the same violation; each reports it.
#pragma once

#include "common/audit/space_rules.h"
#include "common/base/sink.h"
#include "common/boot/slipway_boot.h"
#include "common/memmap/memmap.h"
#include "common/vmem/vmem.h"

#include <stdint.h>

// What the audit proves, by the numbers above.
enum audit_invariant {
    AUDIT_WRITE_XOR_EXECUTE = 1,
    AUDIT_RAM_MAPPED = 2,
    AUDIT_MANIFEST = 3,
    AUDIT_CACHE_TYPES = 4,
    AUDIT_SEALED = 5,
    AUDIT_CONTRACT = 6,
    AUDIT_TABLES = 7,
    AUDIT_REGIONS = 8,
    AUDIT_TABLE_COUNT = 9,
};

enum audit_scope {
    AUDIT_HAND_OVER,  // everything
    AUDIT_DIRECT_MAP, // not 6: there is no stack, no boot_info and no kernel, only a direct map
};

struct audit_input {
    enum audit_scope scope;
    struct space_rules rules; // all zero: Slipway's
    const struct vmem *space; // global mappings, whatever CR3 is loaded
    uint64_t hhdm_base;
    uint64_t hhdm_room;                     // bytes from there on that can only be the direct map
    const struct slipway_mapping *mappings; // the manifest, sorted by virt
    uint64_t mapping_count;
    const struct slipway_range *ranges; // the loader's, sorted by start
    uint64_t range_count;
    const struct memmap_region *regions; // normalised, with the loader's claims
    uint64_t region_count;
    const struct memmap_report *report; // of the same normalisation
    uint64_t stack_bottom, stack_top;
    uint64_t boot_info, boot_info_bytes; // direct-map address
    uint64_t kernel_entry;
    uint64_t tables_planned;
    // One bit per page of the ranges of purpose SLIPWAY_RANGE_PAGE_TABLES, in their order; zeroed
    // by the audit.
    uint8_t *scratch;
    uint64_t scratch_bytes; // audit_scratch_bytes() at least
};

// Bytes of scratch that the audit needs for these ranges.
uint64_t audit_scratch_bytes(const struct slipway_range *ranges, uint64_t count);

// Runs every check; prints one line a violation to `sink` (null: silent), each with the invariant's
// number and the addresses concerned. Returns the number of violations. Bounded time on any tables.
// Cost: entries of all tables.
uint64_t audit_run(const struct audit_input *input, const struct sink *sink);
