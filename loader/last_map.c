// See last_map.h.
#include "loader/last_map.h"

#include "common/audit/audit.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/log.h"

// ---- The loader's ranges, as the kernel will read them

static void add_range(struct space *space, uint64_t start, uint64_t bytes, uint32_t purpose) {
    if (bytes == 0)
        return;
    ASSERT(space->range_count < space->range_capacity);
    space->info->ranges[space->range_count++] =
        (struct slipway_range){start, bytes, purpose, memmap_purpose_is_reclaimable(purpose)};
}

// A range that was allocated in one, and the guards in it.
static void add_allocated(struct space *space, const struct firmware_range *range) {
    uint64_t at = range->start;
    uint64_t end = range->start + range->bytes;
    uint64_t guards = plan_guard_count(&space->plan);
    for (uint64_t i = 0; i < guards; i++) {
        uint64_t guard = plan_guard_phys(&space->plan, i);
        if (guard < at || guard >= end)
            continue;
        add_range(space, at, guard - at, range->purpose);
        add_range(space, guard, FRAME_BYTES, SLIPWAY_RANGE_GUARD);
        at = guard + FRAME_BYTES;
    }
    add_range(space, at, end - at, range->purpose);
}

// Lets `range` sink into the heap below `at`, which has `count` ranges, the highest at its top.
static void sift(struct slipway_range *heap, uint64_t at, uint64_t count,
                 struct slipway_range range) {
    uint64_t below;
    while ((below = 2 * at + 1) < count) {
        if (below + 1 < count && heap[below].start_phys < heap[below + 1].start_phys)
            below++;
        if (heap[below].start_phys <= range.start_phys)
            break;
        heap[at] = heap[below];
        at = below;
    }
    heap[at] = range;
}

// In rising order. There may be thousands, and firmware allocates from the top down.
static void sort_ranges(struct space *space) {
    struct slipway_range *ranges = space->info->ranges;
    for (uint64_t at = space->range_count / 2; at-- != 0;)
        sift(ranges, at, space->range_count, ranges[at]);
    for (uint64_t last = space->range_count; last-- > 1;) {
        struct slipway_range lower = ranges[last];
        ranges[last] = ranges[0];
        sift(ranges, 0, last, lower);
    }
}

// The run of the tables has two purposes: what of it became no table is reclaimable. CPUs that are
// parked run in the loader's image.
static void list_ranges(struct space *space) {
    uint64_t count;
    const struct firmware_range *allocated = firmware_ranges(&count);
    space->range_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (allocated[i].purpose != SLIPWAY_RANGE_PAGE_TABLES)
            add_allocated(space, &allocated[i]);
    }
    const struct table_pool *pool = &space->pool;
    uint64_t used = pool->used * FRAME_BYTES;
    add_range(space, pool->start, used, SLIPWAY_RANGE_PAGE_TABLES);
    add_range(space, pool->start + used, space->pool_bytes - used, SLIPWAY_RANGE_LOADER);
    if (space->keeps_crash_room && space->crash_room != 0)
        add_range(space, space->crash_room, CRASH_ROOM_BYTES, SLIPWAY_RANGE_CRASH);
    add_range(space, space->plan.loader.phys, space->plan.loader.bytes,
              space->plan.other_cpus == 0 ? SLIPWAY_RANGE_LOADER : SLIPWAY_RANGE_CPUS);
    sort_ranges(space);
}

static EFI_STATUS fail_uncached(const struct plan_range *uncached,
                                const struct slipway_range *range) {
    return log_fail(
        EFI_COMPROMISED_DATA,
        "memory map: [0x%lx, 0x%lx), which the loader uses, is not write-back by the MTRRs from 0x%lx to 0x%lx",
        range->start_phys, range->start_phys + range->bytes, uncached->start, uncached->end);
}

// The range of the loader's that has a byte of it, or null.
static const struct slipway_range *find_range_in(const struct space *space,
                                                 const struct plan_range *found) {
    for (uint64_t i = 0; i < space->range_count; i++) {
        const struct slipway_range *range = &space->info->ranges[i];
        if (range->start_phys < found->end && found->start < range->start_phys + range->bytes)
            return range;
    }
    return NULL;
}

static EFI_STATUS normalise(struct space *space) {
    for (uint64_t i = 0; i < space->range_count; i++) {
        const struct slipway_range *range = &space->info->ranges[i];
        space->claims[i] = (struct memmap_claim){range->start_phys, range->bytes,
                                                 memmap_kind_of_purpose(range->purpose)};
    }
    enum memmap_status status = space_normalise(space, space->range_count);
    if (status != MEMMAP_OK)
        return log_fail(
            EFI_COMPROMISED_DATA,
            "memory map: cannot normalise the last one (error %d, %lu bytes, stride %lu)",
            (int)status, space->map.bytes, space->map.stride);
    return EFI_SUCCESS;
}

// RAM that is not write-back becomes ranges of its own.
static EFI_STATUS demote_uncached_ram(struct space *space) {
    struct plan_range ranges[SPACE_DEMOTED_MAX];
    uint64_t count = 0;
    EFI_STATUS status = space_find_uncached(space, ranges, &count);
    if (EFI_ERROR(status) || count == 0)
        return status;
    for (uint64_t i = 0; i < count; i++) {
        const struct slipway_range *range = find_range_in(space, &ranges[i]);
        if (range != NULL)
            return fail_uncached(&ranges[i], range);
    }
    for (uint64_t i = 0; i < count; i++)
        add_range(space, ranges[i].start, ranges[i].end - ranges[i].start, SLIPWAY_RANGE_DEMOTED);
    sort_ranges(space);
    return normalise(space);
}

// The room is nobody's until now: what has been allocated since it was found may lie there.
static void check_crash_room(struct space *space) {
    uint64_t count;
    const struct firmware_range *allocated = firmware_ranges(&count);
    for (uint64_t i = 0; i < count; i++) {
        if (allocated[i].start < space->crash_room + CRASH_ROOM_BYTES &&
            space->crash_room < allocated[i].start + allocated[i].bytes)
            space->crash_room = 0;
    }
}

static bool has_crash_room(const struct space *space) {
    for (uint64_t i = 0; i < space->map.region_count; i++) {
        const struct memmap_region *region = &space->map.regions[i];
        if (region->start <= space->crash_room && space->crash_room < region->end)
            return region->direct && space->crash_room + CRASH_ROOM_BYTES <= region->end &&
                   region->kind ==
                       (space->keeps_crash_room ? SLIPWAY_MEM_MODULE : SLIPWAY_MEM_USABLE);
    }
    return false;
}

// In the odd case that the firmware has taken the room, too, all is done again without.
static EFI_STATUS claim_ranges(struct space *space) {
    check_crash_room(space);
    list_ranges(space);
    EFI_STATUS status = normalise(space);
    if (!EFI_ERROR(status) && space->crash_room != 0 && !has_crash_room(space)) {
        space->crash_room = 0;
        list_ranges(space);
        status = normalise(space);
    }
    return EFI_ERROR(status) ? status : demote_uncached_ram(space);
}

// ---- Whether the tables fit

// Of demoted RAM and guards nobody expects that.
static bool is_in_use(const struct slipway_range *range) {
    return memmap_kind_of_purpose(range->purpose) <= SLIPWAY_MEM_PAGE_TABLES;
}

// A range of what the loader uses that is not all RAM of the map, or null. The kernel would not
// find it in the direct map.
static const struct slipway_range *find_range_beside_ram(const struct space *space) {
    uint64_t next = 0; // both lists rise
    for (uint64_t i = 0; i < space->range_count; i++) {
        const struct slipway_range *range = &space->info->ranges[i];
        uint64_t at = range->start_phys;
        uint64_t end = at + range->bytes;
        while (at < end && is_in_use(range)) {
            if (next == space->map.region_count)
                return range;
            const struct memmap_region *region = &space->map.regions[next];
            next += region->end < end;
            if (region->end <= at)
                continue;
            if (region->start > at || !region->direct)
                return range;
            at = region->end;
        }
    }
    return NULL;
}

static EFI_STATUS check_ranges(const struct space *space) {
    const struct slipway_range *range = find_range_beside_ram(space);
    if (range == NULL)
        return EFI_SUCCESS;
    return log_fail(
        EFI_COMPROMISED_DATA,
        "memory map: the last one does not fit the page tables: [0x%lx, 0x%lx), which the loader uses, is not all RAM",
        range->start_phys, range->start_phys + range->bytes);
}

// True when RAM of the map is exactly what the tables map as RAM.
static bool ram_is_unchanged(const struct space *space) {
    const struct slipway_mapping *mappings = space->info->mappings;
    uint64_t count = space->mapping_count;
    return plan_find_unmapped(&space->plan, mappings, count, NULL, 0) == 0 &&
           plan_find_stale(&space->plan, mappings, count, NULL, 0) == 0;
}

// By rules the direct map may have more than RAM: the manifest that was just planned tells.
static bool manifest_is_unchanged(const struct space *space) {
    return space->next_count == space->mapping_count &&
           memcmp(space->next_mappings, space->info->mappings,
                  space->mapping_count * sizeof(*space->next_mappings)) == 0;
}

// ---- Where RAM has changed

static EFI_STATUS rebuild_for_changed_map(struct space *space) {
    EFI_STATUS status = space_build(space);
    if (EFI_ERROR(status))
        return status;
    return claim_ranges(space); // more or fewer of the pool's frames are tables
}

// The tables stay. A kernel never uses RAM that they do not map, if it is told; but it would use
// what they map as RAM and what is none any more.
static EFI_STATUS demote_unmapped_ram(struct space *space) {
    struct plan_range ranges[SPACE_DEMOTED_MAX];
    if (plan_find_stale(&space->plan, space->info->mappings, space->mapping_count, ranges, 1) != 0)
        return log_fail(
            EFI_COMPROMISED_DATA,
            "memory map: the last one does not fit the page tables: they map [0x%lx, 0x%lx), which is no longer RAM, and %lu frames are too few for %lu tables",
            ranges[0].start, ranges[0].end, space->pool.frames, space->next_tables);
    uint64_t count = plan_find_unmapped(&space->plan, space->info->mappings, space->mapping_count,
                                        ranges, SPACE_DEMOTED_MAX);
    if (count > SPACE_DEMOTED_MAX)
        return log_fail(
            EFI_COMPROMISED_DATA,
            "memory map: the last one does not fit the page tables: %lu ranges of RAM appeared, more than %d, and %lu frames are too few for %lu tables",
            count, SPACE_DEMOTED_MAX, space->pool.frames, space->next_tables);
    for (uint64_t i = 0; i < count; i++) {
        log_line(CONFIG_LOG_INFO, "RAM at 0x%lx, %lu bytes, appeared too late: not usable",
                 ranges[i].start, ranges[i].end - ranges[i].start);
        add_range(space, ranges[i].start, ranges[i].end - ranges[i].start, SLIPWAY_RANGE_DEMOTED);
    }
    sort_ranges(space);
    return normalise(space);
}

enum last_map last_map_check(struct space *space, bool may_replan) {
    if (EFI_ERROR(claim_ranges(space)) || EFI_ERROR(check_ranges(space)))
        return LAST_MAP_FAILED;
    bool has_rules = space_has_rules(&space->plan.rules);
    if (!has_rules && ram_is_unchanged(space))
        return LAST_MAP_FITS;
    if (EFI_ERROR(space_plan_manifest(space)))
        return LAST_MAP_FAILED;
    if (has_rules && manifest_is_unchanged(space))
        return LAST_MAP_FITS;
    bool has_tables = space->next_tables <= space->pool.frames;
    if (!has_tables && may_replan)
        return LAST_MAP_OUTGROWN;
    EFI_STATUS status = has_tables ? rebuild_for_changed_map(space) : demote_unmapped_ram(space);
    return EFI_ERROR(status) ? LAST_MAP_FAILED : LAST_MAP_FITS;
}

// ---- The proof

static int first_line_bytes(const char *text) {
    int bytes = 0;
    while (text[bytes] != '\0' && text[bytes] != '\n')
        bytes++;
    return bytes;
}

EFI_STATUS last_map_audit(const struct space *space) {
    char text[160];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    const struct audit_input input = {
        .rules = space->plan.rules,
        .space = &space->vmem,
        .hhdm_base = space->plan.hhdm_base,
        .hhdm_room = plan_direct_map_room(&space->plan),
        .mappings = space->info->mappings,
        .mapping_count = space->mapping_count,
        .ranges = space->info->ranges,
        .range_count = space->range_count,
        .regions = space->map.regions,
        .region_count = space->map.region_count,
        .report = &space->map.report,
        .stack_bottom = plan_stack_bottom(&space->plan),
        .stack_top = plan_stack_bottom(&space->plan) + space->plan.stack_bytes,
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
