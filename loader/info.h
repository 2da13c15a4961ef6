// The boot_info block: laid out once, in one run of pages, with room for whatever the last memory
// map brings; filled in three steps as the facts become known.
#pragma once

#include "common/boot/slipway_boot.h"
#include "loader/devices.h"
#include "loader/kernel_file.h"
#include "loader/memory_map.h"

#include <efi.h>

#include <stdint.h>

// Room that the block must have.
struct info_capacity {
    uint64_t mappings;
    uint64_t memory;
    uint64_t ranges;
    uint64_t efi_map_bytes;
};

struct info {
    uint64_t phys;
    uint64_t bytes;
    uint64_t hhdm_base;
    // The parts, in their order in the block, as pointers that are valid now (identity mapping).
    struct slipway_boot_info *head;
    struct slipway_mapping *mappings;
    struct slipway_memory *memory;
    struct slipway_range *ranges;
    struct slipway_module *modules;
    struct slipway_framebuffer *framebuffers;
    struct slipway_stage *stages;
    void *efi_map;
    char *log;
    char *texts; // where the next one goes
};

// Takes pages for the block (SLIPWAY_RANGE_BOOT_INFO), no more than it needs, and lays it out.
// Failures are recorded.
[[nodiscard]] EFI_STATUS info_make(struct info *info, const struct info_capacity *capacity,
                                   const struct config *config, uint64_t hhdm_base);

// Fills in what is known before the tables are built: texts, kernel, modules, devices, stack.
void info_describe(struct info *info, const struct config *config, const struct kernel *kernel,
                   const struct devices *devices);

// Fills in what is known after ExitBootServices: the memory map. `ranges` and `mappings` of the
// block hold `range_count` and `mapping_count` records already.
void info_finish(struct info *info, const struct memory_map *map, uint64_t mapping_count,
                 uint64_t range_count);

// The last step: timeline and log, whatever was added since.
void info_seal(struct info *info);

// The direct-map address of the block: what the kernel receives.
uint64_t info_address(const struct info *info);
