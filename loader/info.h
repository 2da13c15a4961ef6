// The boot_info block, in one run of pages. Owns its layout and what stands in it, save the records
// of `mappings`, `ranges` and `efi_map`: the address space writes those in place. There is room for
// what the last memory map can bring. The block is filled in two steps, as the facts become known.
#pragma once

#include "common/boot/slipway_boot.h"
#include "loader/boot_source.h"
#include "loader/choice.h"
#include "loader/cpus.h"
#include "loader/crash_room.h"
#include "loader/devices.h"
#include "loader/displays.h"
#include "loader/kernel_file.h"
#include "loader/memory_map.h"
#include "loader/plan.h"
#include "loader/tpm.h"

#include <efi.h>

#include <stdint.h>

// Room that the block must have.
struct info_capacity {
    uint64_t mappings;
    uint64_t memory;
    uint64_t ranges;
    uint64_t efi_map_bytes;
    uint64_t mtrrs;
};

// What is known before the block is made.
struct info_known {
    const struct config *config;
    const struct choice *choice;
    const struct kernel *kernel;
    const struct devices *devices;
    const struct displays *displays;
    const struct boot_source *source;
    const struct tpm_log *tpm_log;
};

struct info {
    uint64_t phys;
    uint64_t bytes;
    uint64_t hhdm_base; // once it has been described
    // The parts, in their order in the block, as pointers that are valid now (identity mapping).
    struct slipway_boot_info *head;
    struct slipway_mapping *mappings;
    struct slipway_memory *memory;
    struct slipway_range *ranges;
    struct slipway_piece *pieces;
    struct slipway_module *modules;
    struct slipway_framebuffer *framebuffers;
    char *display_data; // where the next list of modes or EDID goes
    struct slipway_stage *stages;
    struct slipway_mtrr *mtrrs;
    void *efi_map;
    char *log;
    void *tpm_log;
    char *texts; // where the next text goes
};

// Allocates pages for the block (SLIPWAY_RANGE_BOOT_INFO), no more than it needs, and lays it out.
// Of `displays` any may be left out afterwards. Failures are recorded.
[[nodiscard]] EFI_STATUS info_make(struct info *info, const struct info_capacity *capacity,
                                   const struct info_known *known);

// Fills in what is known before ExitBootServices: places, texts, kernel, modules, devices,
// displays, stack, entropy. The framebuffers of `plan` are those of `known`.
void info_describe(struct info *info, const struct info_known *known,
                   const struct plan_input *plan);

// What is known only after ExitBootServices.
struct info_facts {
    const struct memory_map *map; // the last one, normalised
    uint64_t mapping_count;       // records in `mappings` of the block
    uint64_t range_count;         // records in `ranges` of the block
    uint64_t root_phys;
    unsigned paging_levels;
    uint64_t table_pages; // reachable from the root, which is included
    uint32_t exit_attempts;
    uint64_t tsc_exit_done;
    const struct cpus *cpus;
    const struct mtrr_map *mtrrs;
    struct enter_tables tables;
    uint32_t apic_mode;  // SLIPWAY_APIC_...
    uint64_t crash_room; // 0: there is none
    bool keeps_crash_room;
};

// Fills in these facts, the firmware's record of its own times, which is complete now, and the
// report that a kernel has left. The firmware's identity mapping is in force.
void info_finish(struct info *info, const struct info_facts *facts);

// Fills in the rest: the timeline and the log as they are now. May wait as long as timeline_tsc_hz
// does.
void info_close(struct info *info);

// The direct-map address of the block: what the kernel receives.
uint64_t info_address(const struct info *info);
