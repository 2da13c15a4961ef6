// The last memory map, the one that the firmware agrees to: whether the tables fit it, and the
// proof that they do. Owns the loader's ranges in boot_info. Calls no firmware: all of this runs
// between the last GetMemoryMap and ExitBootServices, so that what is handed over has been proved
// against the very map that the firmware left behind.
#pragma once

#include "loader/handover_space.h"

#include <efi.h>

#include <stdbool.h>

enum last_map {
    LAST_MAP_FITS,
    LAST_MAP_OUTGROWN, // it needs more tables than the pool has: space_replan
    LAST_MAP_FAILED,   // the tables do not fit it, and cannot be built again; the cause is recorded
};

// Checks the map that was just read against the tables. Where RAM has changed, builds the tables
// again in the same pool. Where the pool is too small for that, the answer is LAST_MAP_OUTGROWN or,
// with `may_replan` false, RAM that the tables do not map is listed as SLIPWAY_RANGE_DEMOTED.
enum last_map last_map_check(struct space *space, bool may_replan);

// Audits tables, manifest and the map that was checked. Violations are recorded.
[[nodiscard]] EFI_STATUS last_map_audit(const struct space *space);
