// The kernel's address space: planned from the memory map, its tables allocated in one run and
// built through common/vmem. Owns the tables, the memory map and the scratch memory for both.
//
// Before the exit: space_begin, space_plan, space_build, in this order. Between the last
// GetMemoryMap and ExitBootServices last_map.c calls those that need no firmware, to follow a map
// that has changed.
#pragma once

#include "common/vmem/vmem.h"
#include "common/x86/features.h"
#include "loader/cpus.h"
#include "loader/crash_room.h"
#include "loader/devices.h"
#include "loader/displays.h"
#include "loader/firmware.h"
#include "loader/firmware_pages.h"
#include "loader/info.h"
#include "loader/kernel_file.h"
#include "loader/memory_map.h"
#include "loader/plan.h"
#include "loader/table_pool.h"

#include <efi.h>

#include <stdint.h>

enum {
    // Ranges of RAM that appears too late to be mapped, and as many that are not write-back.
    SPACE_DEMOTED_MAX = 16,
    // Ranges of boot_info beyond those allocated so far: boot_info, responses, scratch memory, the
    // stack, the startup page, the tables, which make two, and the list of ranges if it moves; the
    // loader's image; the room for a report; and demoted RAM. Guards make more.
    SPACE_RANGES_MORE = 10 + 2 * SPACE_DEMOTED_MAX,
};

struct space {
    struct machine_wishes machine;
    struct cpu_features features;
    unsigned levels; // of the kernel's tables
    struct vmem vmem;
    // The upper half of vmem, and the page that switches to it, mapped one to one.
    struct vmem crossing;
    uint64_t startup;      // the startup page, if there is need of one; else 0
    uint64_t crash_room;   // its address, by the last map that was read; 0: there is none
    bool keeps_crash_room; // the kernel asks for it
    struct cpus cpus;
    struct table_pool pool;
    struct table_pool crossing_pool;
    struct plan_input plan;
    struct memory_map map;
    struct mtrr_map mtrrs;
    struct firmware_pages firmware;
    struct info *info;
    uint64_t pool_bytes; // of the run with both pools and the audit's bits
    uint64_t tables_planned;
    uint64_t mapping_count; // of info->mappings
    // The manifest that is being planned. space_build makes it that of info.
    struct slipway_mapping *next_mappings;
    uint64_t next_count;
    uint64_t next_tables;
    uint64_t range_count; // of info->ranges,
    uint64_t range_capacity;
    struct memmap_claim *claims; // of the next space_normalise; room for as many
    void *audit_scratch;
    uint64_t audit_scratch_bytes;
};

// Finds out what the plan depends on: the CPUs, the kernel, the loader's own image and the size
// of the firmware's memory map. *ret_capacity: what boot_info must have room for. Failures are
// recorded. `kernel` must outlive the space.
[[nodiscard]] EFI_STATUS space_begin(struct space *space, const struct config *config,
                                     const struct kernel *kernel, const struct devices *devices,
                                     struct info_capacity *ret_capacity);

// Reads the memory map into `info`, plans the manifest and allocates its tables. Leaves out of
// `displays` the framebuffers that cannot be mapped, and checks the kernel's wishes. `info` and
// `displays` must outlive the space. Failures are recorded.
[[nodiscard]] EFI_STATUS space_plan(struct space *space, struct info *info,
                                    const struct kernel *kernel, struct displays *displays);

// Makes the planned manifest that of boot_info and builds its tables, from the pool's start. Calls
// no firmware. Failures are recorded.
[[nodiscard]] EFI_STATUS space_build(struct space *space);

// Allocates a larger pool for the map at hand, after space_plan_manifest, and builds again. The map
// must be read again afterwards. Failures are recorded.
[[nodiscard]] EFI_STATUS space_replan(struct space *space);

// Normalises the map at hand, with the first `claim_count` of `claims`. Calls no firmware. Errors
// are those of memmap_normalise.
[[nodiscard]] enum memmap_status space_normalise(struct space *space, uint64_t claim_count);

// RAM of the normalised map that the MTRRs do not make write-back. Writes it to `ret_ranges`, which
// has room for SPACE_DEMOTED_MAX, and returns how many ranges there are. Failures are recorded:
// there are more.
[[nodiscard]] EFI_STATUS space_find_uncached(const struct space *space,
                                             struct plan_range *ret_ranges, uint64_t *ret_count);

// Plans the manifest for the normalised map and counts its tables (next_...). Calls no firmware.
// Failures are recorded: RAM lies where a framebuffer is, say.
[[nodiscard]] EFI_STATUS space_plan_manifest(struct space *space);
