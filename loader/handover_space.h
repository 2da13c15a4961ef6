// The kernel's address space: planned, its tables allocated in one run, built through common/vmem,
// and audited.
//
// space_prepare does all that needs the firmware. space_check_last_map needs none of it and runs
// between the last GetMemoryMap and ExitBootServices, so that what is handed over has been proved
// against the very map that the firmware agreed to.
#pragma once

#include "common/vmem/vmem.h"
#include "common/x86/features.h"
#include "loader/devices.h"
#include "loader/info.h"
#include "loader/kernel_file.h"
#include "loader/memory_map.h"
#include "loader/plan.h"
#include "loader/table_pool.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

struct space {
    struct cpu_features features;
    struct vmem vmem;
    struct vmem
        crossing; // the upper half of vmem, and the page that switches to it, mapped one to one
    struct table_pool pool;
    struct table_pool crossing_pool;
    struct plan_input plan;
    struct memory_map map;
    struct info *info;
    uint64_t pool_bytes; // of the run that holds both pools and the audit's bits
    uint64_t tables_planned;
    uint64_t mapping_count;                // of info->mappings
    struct slipway_mapping *next_mappings; // the manifest that is being planned
    uint64_t next_count;
    uint64_t next_tables;
    uint64_t range_count; // of info->ranges
    void *audit_scratch;
    uint64_t audit_scratch_bytes;
};

// Takes what is needed, plans and builds. `info` receives the manifest. Failures are recorded.
[[nodiscard]] EFI_STATUS space_prepare(struct space *space, struct info *info,
                                       const struct config *config, const struct kernel *kernel,
                                       struct devices *devices);

enum space_verdict {
    SPACE_SOUND,  // the tables fit the map that was read
    SPACE_REPLAN, // the map has changed beyond what the pool of tables can follow
    SPACE_BROKEN, // they do not, and cannot be made to
};

// Holds the map that was just read against the tables. Follows a change of RAM by building the
// tables again in the same pool; where that is too small, asks for a larger one, or, with
// `may_replan` false, demotes the RAM that the tables do not map. Calls no firmware.
enum space_verdict space_check_last_map(struct space *space, bool may_replan);

// Audits tables, manifest and the map that was settled. Calls no firmware. Violations are recorded.
[[nodiscard]] EFI_STATUS space_audit(const struct space *space);

// After SPACE_REPLAN: takes a larger pool for the map at hand and builds again. The map must be
// read again afterwards. Failures are recorded.
[[nodiscard]] EFI_STATUS space_replan(struct space *space);
