#include "loader/handover_space.h"

#include "common/audit/audit.h"
#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/enter.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/timeline.h"

enum {
    DEMOTED_MAX = 16,
    // The pages held, of which the tables make two, the loader's image, and demoted RAM.
    RANGES_MAX = FIRMWARE_RANGES_MAX + 2 + DEMOTED_MAX,
    // Tables beyond the plan: for RAM that appears or goes between the plan and the exit.
    TABLES_SPARE = 16,
};

// ---- What the loader holds, as the kernel will read it

// Inserts in rising order; there are few.
static void add_range(struct space *space, uint64_t start, uint64_t bytes, uint32_t purpose) {
    struct slipway_range *ranges = space->info->ranges;
    uint64_t at = space->range_count++;
    for (; at != 0 && ranges[at - 1].start_phys > start; at--)
        ranges[at] = ranges[at - 1];
    ranges[at] =
        (struct slipway_range){start, bytes, purpose, memmap_purpose_is_reclaimable(purpose)};
}

static void list_ranges(struct space *space) {
    uint64_t count;
    const struct firmware_range *allocated = firmware_ranges(&count);
    space->range_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (allocated[i].purpose != SLIPWAY_RANGE_PAGE_TABLES)
            add_range(space, allocated[i].start, allocated[i].bytes, allocated[i].purpose);
    }
    const struct table_pool *pool = &space->pool;
    uint64_t used = pool->used * FRAME_BYTES;
    add_range(space, pool->start, used, SLIPWAY_RANGE_PAGE_TABLES);
    add_range(space, pool->start + used, space->pool_bytes - used, SLIPWAY_RANGE_LOADER);
    add_range(space, space->plan.loader.phys, space->plan.loader.bytes, SLIPWAY_RANGE_LOADER);
}

static enum memmap_status normalise(struct space *space) {
    struct memmap_claim claims[RANGES_MAX];
    for (uint64_t i = 0; i < space->range_count; i++) {
        const struct slipway_range *range = &space->info->ranges[i];
        claims[i] = (struct memmap_claim){range->start_phys, range->bytes,
                                          memmap_kind_of_purpose(range->purpose)};
    }
    enum memmap_status status = memory_map_normalise(&space->map, claims, space->range_count);
    space->plan.regions = space->map.regions;
    space->plan.region_count = space->map.region_count;
    return status;
}

// ---- Plan and build

static EFI_STATUS fail_mapping(const char *what, const struct slipway_mapping *mapping,
                               enum vmem_status status) {
    return log_fail(EFI_LOAD_ERROR, "page tables: cannot %s 0x%lx to 0x%lx, %lu bytes: %s", what,
                    mapping->virt, mapping->phys, mapping->bytes, vmem_status_text(status));
}

// Drafts the manifest for the regions at hand and counts its tables.
static EFI_STATUS plan_manifest(struct space *space) {
    struct vmem_plan counted;
    uint64_t index;
    space->next_count = plan_make_manifest(&space->plan, space->next_mappings);
    enum vmem_status status =
        plan_count_tables(space->next_mappings, space->next_count, space->features.paging,
                          space->features.paging_levels, &counted, &index);
    if (status != VMEM_OK)
        return fail_mapping("plan", &space->next_mappings[index], status);
    space->next_tables = counted.tables;
    return EFI_SUCCESS;
}

// Makes the draft the manifest and builds its tables from the pool's start.
static EFI_STATUS build(struct space *space) {
    uint64_t index;
    memcpy(space->info->mappings, space->next_mappings,
           space->next_count * sizeof(*space->next_mappings));
    space->mapping_count = space->next_count;
    space->tables_planned = space->next_tables;
    space->pool.used = 0;
    enum vmem_status status = vmem_new(&space->vmem, &table_pool_ops, &space->pool,
                                       space->features.paging, space->features.paging_levels);
    if (status != VMEM_OK)
        return log_fail(EFI_LOAD_ERROR, "page tables: %s", vmem_status_text(status));
    status = plan_build_tables(&space->vmem, space->info->mappings, space->mapping_count, &index);
    if (status != VMEM_OK)
        return fail_mapping("map", &space->info->mappings[index], status);
    space->crossing_pool.used = 0;
    status = enter_make_crossing(&space->vmem, &space->crossing_pool, &space->crossing);
    if (status != VMEM_OK)
        return log_fail(EFI_LOAD_ERROR, "page tables of the crossing: %s",
                        vmem_status_text(status));
    return EFI_SUCCESS;
}

// ---- Memory

// One run of scratch memory, for the normaliser and for a second manifest.
static EFI_STATUS alloc_scratch(struct space *space, uint64_t descriptors, uint64_t regions) {
    uint64_t regions_bytes = regions * sizeof(struct memmap_region);
    uint64_t next_bytes = plan_mapping_bound(regions) * sizeof(struct slipway_mapping);
    uint64_t scratch_bytes = memmap_scratch_bytes(descriptors, RANGES_MAX);
    uint64_t bytes = regions_bytes + next_bytes + scratch_bytes;
    uint64_t start;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "scratch memory: no room for %lu bytes (%s)", bytes,
                        log_status_text(status));
    space->map.regions = firmware_pointer(start);
    space->map.region_capacity = regions;
    start += regions_bytes;
    space->next_mappings = firmware_pointer(start);
    start += next_bytes;
    space->map.scratch = firmware_pointer(start);
    space->map.scratch_bytes = scratch_bytes;
    return EFI_SUCCESS;
}

static EFI_STATUS read_map(struct space *space) {
    EFI_STATUS status = memory_map_read(&space->map);
    if (EFI_ERROR(status))
        return log_fail(status, "memory map: cannot read it (%s)", log_status_text(status));
    enum memmap_status normal = normalise(space);
    if (normal != MEMMAP_OK)
        return log_fail(EFI_LOAD_ERROR,
                        "memory map: cannot normalise it (error %d, %lu bytes, stride %lu)",
                        (int)normal, space->map.bytes, space->map.stride);
    return EFI_SUCCESS;
}

static bool is_in_ram(const struct space *space, uint64_t start, uint64_t bytes) {
    for (uint64_t i = 0; i < space->map.region_count; i++) {
        const struct memmap_region *region = &space->map.regions[i];
        if (region->direct && region->start < start + bytes && start < region->end)
            return true;
    }
    return false;
}

// Why a framebuffer cannot be mapped; null if it can. In RAM it would have two cache types.
static const char *framebuffer_fault(const struct space *space,
                                     const struct slipway_framebuffer *framebuffer) {
    uint64_t start = align_down(framebuffer->address_phys, FRAME_BYTES);
    uint64_t width_end = UINT64_C(1) << space->features.paging.paddr_bits;
    if (framebuffer->bytes > PLAN_FRAMEBUFFER_BYTES_MAX)
        return "it is too large";
    if (start >= width_end || framebuffer->bytes > width_end - start)
        return "it lies beyond the CPU's physical addresses";
    return is_in_ram(space, start, framebuffer->bytes) ? "it lies in RAM" : NULL;
}

// Displays are optional: one that cannot be mapped is none.
static void leave_out_unfit_framebuffers(const struct space *space, struct devices *devices) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < devices->framebuffer_count; i++) {
        const struct slipway_framebuffer framebuffer = devices->framebuffers[i];
        const char *fault = framebuffer_fault(space, &framebuffer);
        if (fault == NULL)
            devices->framebuffers[kept++] = framebuffer;
        else
            log_line(CONFIG_LOG_INFO, "framebuffer at 0x%lx left out: %s", framebuffer.address_phys,
                     fault);
    }
    devices->framebuffer_count = kept;
}

static EFI_STATUS alloc_stack(struct space *space, uint64_t bytes) {
    space->plan.stack_bytes = bytes;
    EFI_STATUS status =
        firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_STACK, &space->plan.stack_phys);
    if (EFI_ERROR(status))
        return log_fail(status, "stack: no room for %lu bytes (%s)", bytes,
                        log_status_text(status));
    return EFI_SUCCESS;
}

// One run: the tables, the spare ones, those of the crossing, and the audit's bits. What is not a
// table in the end goes to the kernel as reclaimable.
static EFI_STATUS alloc_tables(struct space *space, uint64_t planned) {
    uint64_t frames = planned + TABLES_SPARE;
    uint64_t audit_bytes = align_up(frames, 64) / 8;
    uint64_t bytes = (frames + ENTER_CROSSING_TABLES) * FRAME_BYTES + audit_bytes;
    uint64_t start;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_PAGE_TABLES, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "page tables: no room for %lu frames (%s)", frames,
                        log_status_text(status));
    space->pool = (struct table_pool){.start = start, .frames = frames};
    start += frames * FRAME_BYTES;
    space->crossing_pool = (struct table_pool){.start = start, .frames = ENTER_CROSSING_TABLES};
    start += ENTER_CROSSING_TABLES * FRAME_BYTES;
    space->audit_scratch = firmware_pointer(start);
    space->audit_scratch_bytes = audit_bytes;
    space->pool_bytes = align_up(bytes, FRAME_BYTES);
    return EFI_SUCCESS;
}

static uint64_t address_limit(struct vmem_cpu cpu) {
    return min_u64(SLIPWAY_HHDM_MAX_BYTES, UINT64_C(1) << cpu.paddr_bits);
}

static EFI_STATUS check_wishes(const struct space *space, const struct kernel *kernel,
                               const struct devices *devices) {
    const struct slipway_note_wishes *wishes = &kernel->wishes;
    unsigned levels = space->features.paging_levels;
    if (wishes->paging_levels != 0 && wishes->paging_levels != levels)
        return log_fail(EFI_UNSUPPORTED,
                        "the kernel wants %u paging levels, the machine runs with %u",
                        wishes->paging_levels, levels);
    if ((wishes->flags & SLIPWAY_NOTE_FRAMEBUFFER) && devices->framebuffer_count == 0)
        return log_fail(EFI_UNSUPPORTED, "the kernel wants a framebuffer, and there is none");
    if (space->map.report.direct_end > SLIPWAY_WINDOW_BASE - wishes->hhdm_base)
        return log_fail(
            EFI_UNSUPPORTED,
            "the kernel wants its direct map at 0x%lx, where RAM up to 0x%lx has no room",
            wishes->hhdm_base, space->map.report.direct_end);
    if (space->map.report.direct_bytes < wishes->ram_floor_bytes)
        return log_fail(EFI_UNSUPPORTED, "the kernel wants %lu bytes of RAM, the machine has %lu",
                        wishes->ram_floor_bytes, space->map.report.direct_bytes);
    return EFI_SUCCESS;
}

static EFI_STATUS alloc_memory(struct space *space, struct info *info, const struct config *config,
                               const struct kernel *kernel) {
    uint64_t descriptors;
    uint64_t stride;
    EFI_STATUS status = memory_map_probe(&descriptors, &stride);
    if (EFI_ERROR(status))
        return status;
    uint64_t regions = memmap_region_bound(descriptors, RANGES_MAX);
    const struct info_capacity capacity = {
        .mappings = plan_mapping_bound(regions),
        .memory = regions,
        .ranges = RANGES_MAX,
        .efi_map_bytes = descriptors * stride,
    };
    status = info_make(info, &capacity, config, kernel->wishes.hhdm_base);
    if (EFI_ERROR(status))
        return status;
    space->map.buffer = info->efi_map;
    space->map.buffer_bytes = capacity.efi_map_bytes;
    status = alloc_scratch(space, descriptors, regions);
    if (EFI_ERROR(status))
        return status;
    return alloc_stack(space, kernel->wishes.stack_bytes);
}

static EFI_STATUS plan_space(struct space *space, const struct config *config,
                             const struct kernel *kernel, struct devices *devices) {
    EFI_STATUS status = alloc_memory(space, space->info, config, kernel);
    if (!EFI_ERROR(status))
        status = read_map(space);
    if (EFI_ERROR(status))
        return status;
    leave_out_unfit_framebuffers(space, devices);
    space->plan.framebuffers = devices->framebuffers;
    space->plan.framebuffer_count = devices->framebuffer_count;
    status = check_wishes(space, kernel, devices);
    if (!EFI_ERROR(status))
        status = plan_manifest(space);
    return EFI_ERROR(status) ? status : alloc_tables(space, space->next_tables);
}

EFI_STATUS space_prepare(struct space *space, struct info *info, const struct config *config,
                         const struct kernel *kernel, struct devices *devices) {
    *space = (struct space){.info = info, .features = cpu_find_features()};
    space->map.limit = address_limit(space->features.paging);
    space->plan.hhdm_base = kernel->wishes.hhdm_base;
    space->plan.elf = &kernel->elf;
    space->plan.kernel_phys = kernel->phys;
    if (space->features.memory_encrypted)
        return log_fail(EFI_UNSUPPORTED,
                        "memory encryption (SEV or TDX) is on, which is not supported");
    timeline_begin("plan");
    EFI_STATUS status = enter_own_image(&space->plan.loader);
    if (!EFI_ERROR(status))
        status = plan_space(space, config, kernel, devices);
    timeline_end(space->map.bytes);
    if (EFI_ERROR(status))
        return status;
    timeline_begin("tables");
    status = build(space);
    timeline_end(space->pool.used * FRAME_BYTES);
    return status;
}

EFI_STATUS space_replan(struct space *space) {
    firmware_free_pages(space->pool.start);
    EFI_STATUS status = plan_manifest(space);
    if (!EFI_ERROR(status))
        status = alloc_tables(space, space->next_tables);
    return EFI_ERROR(status) ? status : build(space);
}

// ---- Between the last GetMemoryMap and the exit

// True when all that the loader holds is RAM of the map still. The kernel would find what is not
// outside the direct map.
static bool ranges_are_ram(const struct space *space) {
    uint64_t next = 0; // both lists rise
    for (uint64_t i = 0; i < space->range_count; i++) {
        const struct slipway_range *range = &space->info->ranges[i];
        uint64_t at = range->start_phys;
        uint64_t end = at + range->bytes;
        while (at < end) {
            if (next == space->map.region_count)
                return false;
            const struct memmap_region *region = &space->map.regions[next];
            next += region->end < end;
            if (region->end <= at)
                continue;
            if (region->start > at || !region->direct)
                return false;
            at = region->end;
        }
    }
    return true;
}

// True when RAM of the map is exactly what the tables map as RAM.
static bool ram_is_unchanged(const struct space *space) {
    struct plan_range difference[1];
    return plan_find_unmapped(&space->plan, space->info->mappings, space->mapping_count, difference,
                              1) == 0 &&
           plan_find_stale(&space->plan, space->info->mappings, space->mapping_count, difference,
                           1) == 0;
}

// RAM that the tables do not map is never usable; RAM that they map and that is none any more
// cannot be helped.
static bool demote_unmapped_ram(struct space *space) {
    struct plan_range ranges[DEMOTED_MAX];
    if (plan_find_stale(&space->plan, space->info->mappings, space->mapping_count, ranges, 1) != 0)
        return false;
    uint64_t count = plan_find_unmapped(&space->plan, space->info->mappings, space->mapping_count,
                                        ranges, DEMOTED_MAX);
    if (count > DEMOTED_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        log_line(CONFIG_LOG_INFO, "RAM at 0x%lx, %lu bytes, appeared too late: not usable",
                 ranges[i].start, ranges[i].end - ranges[i].start);
        add_range(space, ranges[i].start, ranges[i].end - ranges[i].start, SLIPWAY_RANGE_DEMOTED);
    }
    return normalise(space) == MEMMAP_OK;
}

// Follows a change of RAM since the plan.
static enum space_verdict rebuild_for_changed_map(struct space *space, bool may_replan) {
    if (EFI_ERROR(plan_manifest(space)))
        return SPACE_BROKEN;
    if (space->next_tables <= space->pool.frames) {
        if (EFI_ERROR(build(space)))
            return SPACE_BROKEN;
        list_ranges(space);
        return normalise(space) == MEMMAP_OK ? SPACE_SOUND : SPACE_BROKEN;
    }
    if (may_replan)
        return SPACE_REPLAN;
    return demote_unmapped_ram(space) ? SPACE_SOUND : SPACE_BROKEN;
}

static int first_line_bytes(const char *text) {
    int bytes = 0;
    while (text[bytes] != '\0' && text[bytes] != '\n')
        bytes++;
    return bytes;
}

EFI_STATUS space_audit(const struct space *space) {
    char text[160];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    const struct audit_input input = {
        .space = &space->vmem,
        .hhdm_base = space->plan.hhdm_base,
        .mappings = space->info->mappings,
        .mapping_count = space->mapping_count,
        .ranges = space->info->ranges,
        .range_count = space->range_count,
        .regions = space->map.regions,
        .region_count = space->map.region_count,
        .report = &space->map.report,
        .stack_bottom = plan_stack_bottom(),
        .stack_top = plan_stack_bottom() + space->plan.stack_bytes,
        .boot_info = info_address(space->info),
        .boot_info_bytes = space->info->bytes,
        .kernel_entry = space->plan.elf->entry,
        .tables_planned = space->tables_planned,
        .scratch = space->audit_scratch,
        .scratch_bytes = space->audit_scratch_bytes,
    };
    uint64_t violations = audit_run(&input, &sink);
    if (violations == 0)
        return EFI_SUCCESS;
    return log_fail(EFI_COMPROMISED_DATA, "audit: %lu violations, the first: %.*s", violations,
                    first_line_bytes(text), text);
}

enum space_verdict space_check_last_map(struct space *space, bool may_replan) {
    list_ranges(space);
    if (normalise(space) != MEMMAP_OK || !ranges_are_ram(space))
        return SPACE_BROKEN;
    return ram_is_unchanged(space) ? SPACE_SOUND : rebuild_for_changed_map(space, may_replan);
}
