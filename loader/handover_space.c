// See handover_space.h.
#include "loader/handover_space.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/x86/mtrr.h"
#include "common/x86/regs.h"
#include "loader/enter.h"
#include "loader/firmware_tables.h"
#include "loader/kaslr.h"
#include "loader/log.h"
#include "loader/protocol/limine.h"
#include "loader/wishes.h"

enum {
    // Tables beyond the plan: for RAM that appears or goes between the plan and the exit.
    TABLES_SPARE = 16,
};

// ---- What the plan depends on

static uint64_t address_limit(struct vmem_cpu cpu) {
    return min_u64(SLIPWAY_HHDM_MAX_BYTES, UINT64_C(1) << cpu.paddr_bits);
}

static uint64_t mapping_bound(const struct space *space) {
    return plan_mapping_bound(&space->plan, space->map.region_capacity);
}

EFI_STATUS space_begin(struct space *space, const struct config *config,
                       const struct kernel *kernel, const struct devices *devices,
                       struct info_capacity *ret_capacity) {
    uint64_t descriptors;
    uint64_t stride;
    *space = (struct space){.machine = kernel->machine, .features = cpu_find_features()};
    space->map.limit = address_limit(space->features.paging);
    space->plan.rules = kernel->rules;
    space->plan.is_direct = (kernel->wishes.flags & SLIPWAY_NOTE_DIRECT) != 0;
    space->plan.elf = &kernel->elf;
    space->plan.window_base = plan_choose_window(&kernel->elf);
    space->plan.pieces = kernel->pieces;
    space->plan.piece_count = kernel->piece_count;
    space->plan.stack_bytes = kernel->wishes.stack_bytes;
    if (space->features.memory_encrypted)
        return log_fail(EFI_UNSUPPORTED,
                        "memory encryption (SEV or TDX) is on, which is not supported");
    EFI_STATUS status =
        kernel->protocol == CONFIG_PROTOCOL_LIMINE
            ? limine_choose_paging(kernel, config, &space->features, &space->levels)
            : wishes_choose_levels(&kernel->wishes, config, &space->features, &space->levels);
    if (EFI_ERROR(status))
        return status;
    status = enter_own_image(&space->plan.loader);
    if (EFI_ERROR(status))
        return status;
    status = cpus_alloc(&space->cpus, &kernel->wishes, &kernel->machine, &space->features,
                        devices->rsdp_phys, plan_has_guards(&space->plan));
    if (EFI_ERROR(status))
        return status;
    space->plan.other_cpus = cpus_others(&space->cpus);
    space->plan.other_stacks_phys = space->cpus.stacks_phys;
    struct mtrr_state mtrrs;
    mtrr_read(&mtrrs);
    mtrr_map_make(&mtrrs, space->features.paging.paddr_bits, &space->mtrrs);
    status = memory_map_probe(&descriptors, &stride);
    if (EFI_ERROR(status))
        return status;
    uint64_t allocated;
    (void)firmware_ranges(&allocated);
    // Each guard is a range, and cuts another in two.
    space->range_capacity = allocated + SPACE_RANGES_MORE + 2 * plan_guard_count(&space->plan);
    space->map.buffer_bytes = descriptors * stride;
    space->map.region_capacity = memmap_region_bound(descriptors, space->range_capacity);
    space->map.scratch_bytes = memmap_scratch_bytes(descriptors, space->range_capacity);
    *ret_capacity = (struct info_capacity){
        .mappings = mapping_bound(space),
        .memory = space->map.region_capacity,
        .ranges = space->range_capacity,
        .efi_map_bytes = space->map.buffer_bytes,
        .mtrrs = space->mtrrs.count,
    };
    return EFI_SUCCESS;
}

// ---- Memory

// One run of scratch memory, for the normaliser, what the loader claims, and a second manifest.
static EFI_STATUS alloc_scratch(struct space *space) {
    uint64_t regions_bytes = space->map.region_capacity * sizeof(struct memmap_region);
    uint64_t next_bytes = mapping_bound(space) * sizeof(struct slipway_mapping);
    uint64_t claims_bytes = space->range_capacity * sizeof(*space->claims);
    uint64_t bytes = regions_bytes + next_bytes + claims_bytes + space->map.scratch_bytes;
    uint64_t start;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "scratch memory: no room for %lu bytes (%s)", bytes,
                        log_status_text(status));
    space->map.regions = firmware_pointer(start);
    start += regions_bytes;
    space->next_mappings = firmware_pointer(start);
    start += next_bytes;
    space->claims = firmware_pointer(start);
    start += claims_bytes;
    space->map.scratch = firmware_pointer(start);
    return EFI_SUCCESS;
}

// In the direct map with a guard frame below and above.
static EFI_STATUS alloc_stack(struct space *space) {
    uint64_t guard_bytes = plan_has_guards(&space->plan) ? FRAME_BYTES : 0;
    uint64_t bytes = guard_bytes + space->plan.stack_bytes + guard_bytes;
    uint64_t start;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_STACK, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "stack: no room for %lu bytes (%s)", bytes,
                        log_status_text(status));
    space->plan.stack_phys = start + guard_bytes;
    return EFI_SUCCESS;
}

// What is not set in CR4 waits for enter_loaded: MCE for an IDT, PGE until no tables change any
// more.
static void write_startup(const struct space *space) {
    uint64_t slide = enter_slide(plan_loader_virt(&space->plan));
    const struct startup startup = {
        .page = space->startup,
        .root = space->crossing_pool.start,
        .cr4 = CR4_PAE | (space->levels == 5 ? CR4_LA57 : 0),
        .others = cpus_startup_target(slide),
        .boot = enter_startup_target(slide),
    };
    startup_write(&startup);
}

// Where the boot CPU changes its paging levels, or other CPUs start, which they do below 1 MiB.
// One run: the startup page and, since its code loads CR3 before long mode, the tables of the
// crossing.
static EFI_STATUS alloc_startup(struct space *space) {
    const uint64_t tables = space->cpus.apic_page == 0 ? ENTER_CROSSING_TABLES_WITH_STARTUP
                                                       : ENTER_CROSSING_TABLES_WITH_APIC;
    const uint64_t bytes = (1 + tables) * FRAME_BYTES;
    bool has_others = space->plan.other_cpus != 0;
    uint64_t start;
    if (!has_others && space->levels == space->features.paging_levels)
        return EFI_SUCCESS;
    uint64_t limit = has_others ? MIB(1) : GIB(4);
    EFI_STATUS status = firmware_alloc_code(bytes, limit, SLIPWAY_RANGE_LOADER, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "startup page: no room for %lu bytes below %s (%s)", bytes,
                        has_others ? "1 MiB" : "4 GiB", log_status_text(status));
    space->startup = start;
    start += FRAME_BYTES;
    space->crossing_pool = (struct table_pool){.start = start, .frames = tables};
    write_startup(space);
    // Other CPUs come there without paging, the boot CPU by the firmware's tables.
    if (space->levels == space->features.paging_levels)
        return EFI_SUCCESS;
    return firmware_make_executable(space->startup, FRAME_BYTES);
}

// One run: the tables of the plan, the spare ones, those of the crossing unless they lie beside the
// startup page, and the audit's bits. What of it is not a table in the end goes to the kernel as
// reclaimable.
static EFI_STATUS alloc_tables(struct space *space) {
    uint64_t frames = space->next_tables + TABLES_SPARE;
    uint64_t audit_bytes = align_up(frames, 64) / 8;
    uint64_t crossing_frames = space->startup == 0 ? ENTER_CROSSING_TABLES : 0;
    uint64_t bytes = (frames + crossing_frames) * FRAME_BYTES + audit_bytes;
    uint64_t start;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_PAGE_TABLES, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "page tables: no room for %lu frames (%s)", frames,
                        log_status_text(status));
    space->pool = (struct table_pool){.start = start, .frames = frames};
    start += frames * FRAME_BYTES;
    if (space->startup == 0)
        space->crossing_pool = (struct table_pool){.start = start, .frames = crossing_frames};
    start += crossing_frames * FRAME_BYTES;
    space->audit_scratch = firmware_pointer(start);
    space->audit_scratch_bytes = audit_bytes;
    space->pool_bytes = align_up(bytes, FRAME_BYTES);
    return EFI_SUCCESS;
}

// ---- Plan

enum memmap_status space_normalise(struct space *space, uint64_t claim_count) {
    enum memmap_status status = memory_map_normalise(&space->map, space->claims, claim_count);
    space->plan.regions = space->map.regions;
    space->plan.region_count = space->map.region_count;
    return status;
}

EFI_STATUS space_find_uncached(const struct space *space, struct plan_range *ret_ranges,
                               uint64_t *ret_count) {
    uint64_t count = plan_find_uncached(&space->plan, &space->mtrrs, ret_ranges, SPACE_DEMOTED_MAX);
    if (count > SPACE_DEMOTED_MAX)
        return log_fail(
            EFI_UNSUPPORTED,
            "memory map: the MTRRs make %lu ranges of RAM something else than write-back, more than %d",
            count, SPACE_DEMOTED_MAX);
    *ret_count = count;
    return EFI_SUCCESS;
}

static EFI_STATUS normalise(struct space *space, uint64_t claim_count) {
    enum memmap_status status = space_normalise(space, claim_count);
    if (status != MEMMAP_OK)
        return log_fail(EFI_LOAD_ERROR,
                        "memory map: cannot normalise it (error %d, %lu bytes, stride %lu)",
                        (int)status, space->map.bytes, space->map.stride);
    return EFI_SUCCESS;
}

// A claim that takes RAM out of the direct map: no mapping of it is to be planned.
static void claim_gap(struct space *space, uint64_t *claim_count, uint64_t start, uint64_t bytes) {
    ASSERT(*claim_count < space->range_capacity);
    space->claims[(*claim_count)++] = (struct memmap_claim){start, bytes, SLIPWAY_MEM_RESERVED};
}

// What the MTRRs do not make write-back is no RAM: nobody can map it as what the contract says.
static EFI_STATUS leave_out_uncached(struct space *space, uint64_t claim_count) {
    struct plan_range ranges[SPACE_DEMOTED_MAX];
    uint64_t count = 0;
    EFI_STATUS status = space_find_uncached(space, ranges, &count);
    if (EFI_ERROR(status) || count == 0)
        return status;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t bytes = ranges[i].end - ranges[i].start;
        log_line(CONFIG_LOG_INFO,
                 "RAM at 0x%lx, %lu bytes, is not write-back by the MTRRs: not usable",
                 ranges[i].start, bytes);
        claim_gap(space, &claim_count, ranges[i].start, bytes);
    }
    return normalise(space, claim_count);
}

// Of what the loader allocated guards alone need a claim here: the rest is RAM of the loader's in
// the firmware's map.
static EFI_STATUS read_map(struct space *space) {
    uint64_t claim_count = 0;
    uint64_t guards = plan_guard_count(&space->plan);
    EFI_STATUS status = memory_map_read(&space->map);
    if (EFI_ERROR(status))
        return log_fail(status, "memory map: cannot read it (%s)", log_status_text(status));
    for (uint64_t i = 0; i < guards; i++)
        claim_gap(space, &claim_count, plan_guard_phys(&space->plan, i), FRAME_BYTES);
    status = normalise(space, claim_count);
    return EFI_ERROR(status) ? status : leave_out_uncached(space, claim_count);
}

// The list stays as it is, whatever becomes of the memory map: so do the addresses.
static void find_firmware_tables(struct space *space, const struct displays *displays) {
    const struct firmware_memory memory = {
        .efi = {space->map.buffer, space->map.bytes, space->map.stride},
        .regions = space->map.regions,
        .region_count = space->map.region_count,
        .framebuffers = displays->framebuffers,
        .framebuffer_count = displays->count,
    };
    space->firmware = (struct firmware_pages){.limit = space->map.limit};
    firmware_tables_find(&space->firmware, &space->features, space->plan.rules.firmware);
    uint64_t left_out = firmware_pages_set_cache(&space->firmware, &memory);
    if (left_out != 0)
        log_line(CONFIG_LOG_INFO,
                 "firmware's tables: %lu bytes left out: they are in too many parts", left_out);
    space->plan.firmware = space->firmware.ranges;
    space->plan.firmware_count = space->firmware.count;
}

static EFI_STATUS fail_mapping(const char *what, const struct slipway_mapping *mapping,
                               enum vmem_status status) {
    return log_fail(EFI_LOAD_ERROR, "page tables: cannot %s 0x%lx to 0x%lx, %lu bytes: %s", what,
                    mapping->virt, mapping->phys, mapping->bytes, vmem_status_text(status));
}

// In RAM the direct map has no place for them. In a window the audit finds them, by two cache types
// of a frame.
static EFI_STATUS check_framebuffers(const struct space *space) {
    for (uint32_t i = 0; space->plan.is_direct && i < space->plan.framebuffer_count; i++) {
        const struct slipway_framebuffer *framebuffer = &space->plan.framebuffers[i];
        uint64_t start = align_down(framebuffer->address_phys, FRAME_BYTES);
        if (memory_map_has_ram(&space->map, start, framebuffer->bytes))
            return log_fail(EFI_COMPROMISED_DATA,
                            "memory map: RAM has appeared in the framebuffer at 0x%lx, %lu bytes",
                            start, framebuffer->bytes);
    }
    return EFI_SUCCESS;
}

EFI_STATUS space_plan_manifest(struct space *space) {
    struct vmem_plan counted;
    uint64_t index;
    uint64_t direct_end = plan_direct_map_end(&space->plan, space->map.report.direct_end);
    if (direct_end > plan_direct_map_room(&space->plan))
        return log_fail(
            EFI_COMPROMISED_DATA,
            "memory map: RAM up to 0x%lx has appeared, more than the direct map has room for",
            direct_end);
    if (EFI_ERROR(check_framebuffers(space)))
        return EFI_COMPROMISED_DATA;
    space->next_count = plan_make_manifest(&space->plan, space->next_mappings);
    const struct plan_list list =
        plan_list_of(&space->plan.rules, space->next_mappings, space->next_count, &space->mtrrs);
    enum vmem_status status =
        plan_count_tables(&list, space->features.paging, space->levels, &counted, &index);
    if (status != VMEM_OK)
        return fail_mapping("plan", &space->next_mappings[index], status);
    space->next_tables = counted.tables;
    return EFI_SUCCESS;
}

// Where the direct map ends, from its base on, with all that it is to have: tables of the
// firmware's and framebuffers may lie above RAM.
static uint64_t all_direct_end(const struct space *space) {
    const struct plan_input *plan = &space->plan;
    uint64_t end = plan_direct_map_end(plan, space->map.report.direct_end);
    for (uint32_t i = 0; plan->is_direct && i < plan->framebuffer_count; i++) {
        uint64_t start = align_down(plan->framebuffers[i].address_phys, FRAME_BYTES);
        end = max_u64(end, start + plan->framebuffers[i].bytes);
    }
    return end;
}

EFI_STATUS space_plan(struct space *space, struct info *info, const struct kernel *kernel,
                      struct displays *displays) {
    space->info = info;
    space->map.buffer = info->efi_map;
    EFI_STATUS status = alloc_scratch(space);
    if (EFI_ERROR(status))
        return status;
    status = alloc_stack(space);
    if (EFI_ERROR(status))
        return status;
    status = alloc_startup(space);
    if (EFI_ERROR(status))
        return status;
    status = read_map(space);
    if (EFI_ERROR(status))
        return status;
    space->crash_room = crash_room_find(space->map.regions, space->map.region_count);
    space->keeps_crash_room = (kernel->wishes.flags & SLIPWAY_NOTE_CRASH) != 0;
    status = wishes_choose_direct_map(
        &kernel->wishes, &space->plan, space->levels,
        plan_direct_map_end(&space->plan, space->map.report.direct_end), &space->plan.hhdm_base);
    if (EFI_ERROR(status))
        return status;
    wishes_leave_out_framebuffers(displays, &space->plan, &space->map, space->features.paging);
    space->plan.framebuffers = displays->framebuffers;
    space->plan.framebuffer_count = displays->count;
    find_firmware_tables(space, displays);
    status = wishes_check(&kernel->wishes, &space->map, displays);
    if (EFI_ERROR(status))
        return status;
    space->plan.hhdm_base =
        kaslr_place_direct_map(kernel, &space->plan, all_direct_end(space), space->levels);
    status = space_plan_manifest(space);
    return EFI_ERROR(status) ? status : alloc_tables(space);
}

// ---- Build

EFI_STATUS space_build(struct space *space) {
    const struct enter_pages pages = {space->startup, space->cpus.apic_page};
    uint64_t index;
    memcpy(space->info->mappings, space->next_mappings,
           space->next_count * sizeof(*space->next_mappings));
    space->mapping_count = space->next_count;
    space->tables_planned = space->next_tables;
    space->pool.used = 0;
    enum vmem_status status = vmem_new(&space->vmem, &table_pool_ops, &space->pool,
                                       space->features.paging, space->levels);
    if (status != VMEM_OK)
        return log_fail(EFI_LOAD_ERROR, "page tables: %s", vmem_status_text(status));
    const struct plan_list list = plan_list_of(&space->plan.rules, space->info->mappings,
                                               space->mapping_count, &space->mtrrs);
    status = plan_build_tables(&space->vmem, &list, &index);
    if (status != VMEM_OK)
        return fail_mapping("map", &space->info->mappings[index], status);
    space->crossing_pool.used = 0;
    status = enter_make_crossing(&space->vmem, &pages, &space->crossing_pool, &space->crossing);
    if (status != VMEM_OK)
        return log_fail(EFI_LOAD_ERROR, "page tables of the crossing: %s",
                        vmem_status_text(status));
    return EFI_SUCCESS;
}

EFI_STATUS space_replan(struct space *space) {
    firmware_free_pages(space->pool.start);
    EFI_STATUS status = alloc_tables(space);
    return EFI_ERROR(status) ? status : space_build(space);
}
