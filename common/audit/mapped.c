// What is mapped, run by run in rising order, against the manifest and the memory map. Both are
// sorted too, so each is read once, in step with the walk.
#include "common/audit/audit_internal.h"
#include "common/base/arith.h"

// The direct map, or what is mapped one to one, as far as the walk has come.
struct direct {
    const char *name;
    uint64_t base;   // virtual address of physical address 0
    uint64_t room;   // bytes from there on that nothing else may take
    uint64_t first;  // physical addresses below are not in it
    uint64_t done;   // physical addresses below are compared with the memory map
    uint64_t region; // the first region that ends above `done`
    uint64_t range;  // the first of the loader's ranges that may end above `done`
};

#define LOWER_HALF_BYTES (UINT64_C(1) << 63)

struct runs {
    struct audit *audit;
    uint64_t mapping;                  // the manifest's current mapping,
    uint64_t mapping_done;             // and the bytes of it that were compared
    uint64_t sealed_start, sealed_end; // the manifest's sealed mappings lie between
    struct direct direct;
    struct direct identity;
};

// --- The manifest ---

// The current mapping, null when all are done.
static const struct slipway_mapping *current_mapping(struct runs *runs) {
    const struct audit_input *input = runs->audit->input;
    while (runs->mapping < input->mapping_count) {
        const struct slipway_mapping *mapping = &input->mappings[runs->mapping];
        if (runs->mapping_done < mapping->bytes)
            return mapping;
        runs->mapping++;
        runs->mapping_done = 0;
    }
    return NULL;
}

static void report_unmapped(struct runs *runs, uint64_t virt, uint64_t bytes) {
    audit_report(runs->audit, AUDIT_MANIFEST, "%lx, %lu bytes: listed and not mapped", virt, bytes);
}

static void report_unlisted(struct runs *runs, uint64_t virt, uint64_t bytes) {
    audit_report(runs->audit, AUDIT_MANIFEST, "%lx, %lu bytes: mapped and not listed", virt, bytes);
}

static void compare_attributes(struct runs *runs, const struct vmem_run *run, uint64_t virt,
                               const struct slipway_mapping *mapping) {
    uint64_t phys = run->phys.value + (virt - run->virt.value);
    uint64_t listed_phys = mapping->phys + runs->mapping_done;
    unsigned listed_rights = audit_rights_of(mapping);
    if (mapping->purpose == SLIPWAY_MAP_FIRMWARE && run->rights != VMEM_READ &&
        !audit_has_rules(runs->audit))
        audit_report(runs->audit, AUDIT_MANIFEST, "%lx: a table of the firmware's, rights %x", virt,
                     run->rights);
    if (phys != listed_phys || run->rights != listed_rights ||
        (unsigned)run->cache != mapping->cache)
        audit_report(runs->audit, AUDIT_MANIFEST,
                     "%lx: mapped to %lx, rights %x, cache type %u; listed as %lx, %x, %u", virt,
                     phys, run->rights, (unsigned)run->cache, listed_phys, listed_rights,
                     (unsigned)mapping->cache);
}

// Lengths, not ends: a run may end at 2^64.
static void compare_with_manifest(struct runs *runs, const struct vmem_run *run) {
    uint64_t virt = run->virt.value;
    for (uint64_t left = run->bytes; left > 0;) {
        const struct slipway_mapping *mapping = current_mapping(runs);
        if (mapping == NULL) {
            report_unlisted(runs, virt, left);
            return;
        }
        uint64_t listed = mapping->virt + runs->mapping_done;
        uint64_t listed_left = mapping->bytes - runs->mapping_done;
        if (listed < virt) {
            uint64_t bytes = min_u64(listed_left, virt - listed);
            report_unmapped(runs, listed, bytes);
            runs->mapping_done += bytes;
            continue;
        }
        uint64_t bytes = min_u64(left, listed - virt);
        if (bytes > 0) {
            report_unlisted(runs, virt, bytes);
        } else {
            bytes = min_u64(left, listed_left);
            compare_attributes(runs, run, virt, mapping);
            runs->mapping_done += bytes;
        }
        virt += bytes;
        left -= bytes;
    }
}

// --- Two mappings of the same frames ---

static void find_sealed_mappings(struct runs *runs) {
    const struct audit_input *input = runs->audit->input;
    runs->sealed_start = input->mapping_count;
    for (uint64_t i = 0; i < input->mapping_count; i++) {
        if (!audit_is_sealed(&input->mappings[i]))
            continue;
        runs->sealed_start = min_u64(runs->sealed_start, i);
        runs->sealed_end = i + 1;
    }
}

// The first physical address that both have; false if there is none.
static bool find_common(const struct vmem_run *run, const struct slipway_mapping *mapping,
                        uint64_t *ret_phys) {
    uint64_t first = max_u64(run->phys.value, mapping->phys);
    if (first - run->phys.value >= run->bytes || first - mapping->phys >= mapping->bytes)
        return false;
    *ret_phys = first;
    return true;
}

// Compares the run with the manifest, not with the other runs: either they are the same, or the
// walk has reported where they differ. The walk meets each of two mappings of a frame; only the one
// whose turn it is reports the pair.
static void check_cache_types(struct runs *runs, const struct vmem_run *run) {
    const struct audit_input *input = runs->audit->input;
    if (run->cache == VMEM_CACHE_WB)
        return;
    for (uint64_t i = 0; i < input->mapping_count; i++) {
        const struct slipway_mapping *mapping = &input->mappings[i];
        uint64_t phys;
        if ((unsigned)run->cache == mapping->cache || !find_common(run, mapping, &phys))
            continue;
        uint64_t virt = run->virt.value + (phys - run->phys.value);
        uint64_t other = mapping->virt + (phys - mapping->phys);
        bool is_in_turn = mapping->cache == SLIPWAY_CACHE_WB || other < virt;
        if (is_in_turn && other != virt) // its own listing is compare_attributes' business
            audit_report(runs->audit, AUDIT_CACHE_TYPES,
                         "frame %lx: mapped with cache type %u by %lx, %u by %lx", phys,
                         (unsigned)run->cache, virt, (unsigned)mapping->cache, other);
    }
}

static void check_seals(struct runs *runs, const struct vmem_run *run) {
    const struct audit_input *input = runs->audit->input;
    if ((run->rights & VMEM_WRITE) == 0 ||
        (input->rules.unsealed && audit_is_in_direct(input, run->virt.value)))
        return;
    for (uint64_t i = runs->sealed_start; i < runs->sealed_end; i++) {
        const struct slipway_mapping *mapping = &runs->audit->input->mappings[i];
        uint64_t phys;
        if (audit_is_sealed(mapping) && find_common(run, mapping, &phys))
            audit_report(runs->audit, AUDIT_SEALED,
                         "frame %lx: read-only kernel page %lx, writable by %lx", phys,
                         mapping->virt + (phys - mapping->phys),
                         run->virt.value + (phys - run->phys.value));
    }
}

// --- The direct map ---

// The current region: the first that ends above `phys`; null if none does.
static const struct memmap_region *region_above(const struct runs *runs, struct direct *direct,
                                                uint64_t phys) {
    const struct audit_input *input = runs->audit->input;
    while (direct->region < input->region_count && input->regions[direct->region].end <= phys)
        direct->region++;
    return direct->region < input->region_count ? &input->regions[direct->region] : NULL;
}

// Memory that the kernel will use must not be missing.
static bool is_needed(const struct audit *audit, const struct memmap_region *region) {
    return audit_has_rules(audit) ? space_wants_kind(&audit->input->rules, region->kind)
                                  : region->kind <= SLIPWAY_MEM_PAGE_TABLES;
}

static bool is_allowed(const struct audit *audit, const struct memmap_region *region) {
    return audit_has_rules(audit) ? space_wants_kind(&audit->input->rules, region->kind)
                                  : region->direct;
}

// What is true of the address `done`, and of all that follow it up to `end`.
struct stretch {
    const struct memmap_region *region; // null: absent
    uint64_t end;
};

// The stretch ends at `end` at the latest.
static struct stretch stretch_from(const struct runs *runs, struct direct *direct, uint64_t end) {
    const struct memmap_region *region = region_above(runs, direct, direct->done);
    if (region == NULL)
        return (struct stretch){NULL, end};
    bool is_absent = region->start > direct->done;
    return (struct stretch){is_absent ? NULL : region,
                            min_u64(end, is_absent ? region->start : region->end)};
}

static const char *stretch_text(struct stretch stretch) {
    return stretch.region == NULL ? "absent" : memmap_kind_text(stretch.region->kind);
}

// Every address below, if the rules want all of them.
static uint64_t all_end(const struct runs *runs) {
    return runs->audit->input->rules.all_below_4g ? SPACE_BELOW_4G : 0;
}

// The end of the guard in which `done` lies; or `done`, and *end is the start of the next guard if
// that is lower. Where it is asked for, guards are the one thing that is left out.
static uint64_t pass_guard(const struct runs *runs, struct direct *direct, uint64_t *end) {
    const struct audit_input *input = runs->audit->input;
    for (; direct->range < input->range_count; direct->range++) {
        const struct slipway_range *range = &input->ranges[direct->range];
        uint64_t range_end = range->start_phys + range->bytes;
        if (range->purpose != SLIPWAY_RANGE_GUARD || range_end <= direct->done)
            continue;
        if (range->start_phys <= direct->done)
            return range_end;
        *end = min_u64(*end, range->start_phys);
        break;
    }
    return direct->done;
}

// [done, end) is not mapped. What must be mapped must not lie there.
static void expect_unneeded(struct runs *runs, struct direct *direct, uint64_t end) {
    struct audit *audit = runs->audit;
    const uint64_t all = all_end(runs);
    while (direct->done < end) {
        uint64_t stop = end;
        if (audit_has_rules(audit)) {
            uint64_t guard_end = pass_guard(runs, direct, &stop);
            if (guard_end != direct->done) {
                direct->done = guard_end;
                continue;
            }
        }
        bool is_in_all = direct->done < all;
        if (is_in_all)
            stop = min_u64(stop, all);
        struct stretch stretch = stretch_from(runs, direct, stop);
        if (is_in_all || (stretch.region != NULL && is_needed(audit, stretch.region)))
            audit_report(audit, AUDIT_RAM_MAPPED, "[%lx, %lx), %s: not in the %s", direct->done,
                         stretch.end, stretch_text(stretch), direct->name);
        direct->done = stretch.end;
    }
}

// A mapping of the manifest in the direct map that has `phys`, with this purpose there; or null.
static const struct slipway_mapping *find_mapping(const struct runs *runs,
                                                  const struct direct *direct, uint64_t phys,
                                                  uint32_t purpose) {
    const struct audit_input *input = runs->audit->input;
    uint64_t virt = direct->base + phys;
    for (uint64_t i = 0; i < input->mapping_count; i++) {
        const struct slipway_mapping *mapping = &input->mappings[i];
        uint32_t listed = mapping->purpose & ~(uint32_t)SPACE_MAP_IDENTITY;
        if (listed == purpose && virt - mapping->virt < mapping->bytes)
            return mapping;
    }
    return NULL;
}

// Tables of the firmware's are in the direct map by some rules, wherever they lie.
static uint64_t firmware_end(const struct runs *runs, const struct direct *direct) {
    enum space_firmware firmware = runs->audit->input->rules.firmware;
    if (firmware != SPACE_FIRMWARE_ACPI && firmware != SPACE_FIRMWARE_ALL)
        return direct->done;
    const struct slipway_mapping *mapping =
        find_mapping(runs, direct, direct->done, SLIPWAY_MAP_FIRMWARE);
    return mapping == NULL ? direct->done : mapping->phys + mapping->bytes;
}

// [done, end) is mapped: all of it must be RAM, or what the rules want.
static void expect_ram(struct runs *runs, struct direct *direct, uint64_t end) {
    const uint64_t all = all_end(runs);
    direct->done = min_u64(max_u64(direct->done, all), max_u64(direct->done, end));
    while (direct->done < end) {
        struct stretch stretch = stretch_from(runs, direct, end);
        if (stretch.region == NULL || !is_allowed(runs->audit, stretch.region)) {
            uint64_t stop = min_u64(firmware_end(runs, direct), stretch.end);
            if (stop > direct->done)
                stretch.end = stop;
            else
                audit_report(runs->audit, AUDIT_MANIFEST, "[%lx, %lx), %s: in the %s", direct->done,
                             stretch.end, stretch_text(stretch), direct->name);
        }
        direct->done = stretch.end;
    }
}

// A part of the direct map is read-only: all of it must be read-only pages of the kernel.
static void expect_sealed(struct runs *runs, uint64_t phys, uint64_t bytes) {
    const struct audit_input *input = runs->audit->input;
    while (bytes > 0) {
        uint64_t sealed = 0;
        for (uint64_t i = runs->sealed_start; i < runs->sealed_end && sealed == 0; i++) {
            const struct slipway_mapping *mapping = &input->mappings[i];
            if (audit_is_sealed(mapping) && phys >= mapping->phys &&
                phys - mapping->phys < mapping->bytes)
                sealed = min_u64(bytes, mapping->bytes - (phys - mapping->phys));
        }
        if (sealed == 0) {
            audit_report(runs->audit, AUDIT_RAM_MAPPED, "[%lx, %lx): read-only in the direct map",
                         phys, phys + bytes);
            return;
        }
        phys += sealed;
        bytes -= sealed;
    }
}

// With SLIPWAY_NOTE_DIRECT framebuffers lie in the direct map's window, and are no part of it. Two
// may be one run, but then they are one mapping, too.
static bool is_framebuffer(const struct runs *runs, const struct direct *direct,
                           const struct vmem_run *run) {
    return run->cache == VMEM_CACHE_WC && find_mapping(runs, direct, run->virt.value - direct->base,
                                                       SLIPWAY_MAP_FRAMEBUFFER) != NULL;
}

// By rules a framebuffer takes the place of what else there would be; but not that of RAM.
static void pass_framebuffer(struct runs *runs, struct direct *direct, uint64_t phys,
                             uint64_t bytes) {
    expect_unneeded(runs, direct, phys);
    while (direct->done < phys + bytes) {
        struct stretch stretch = stretch_from(runs, direct, phys + bytes);
        if (stretch.region != NULL && stretch.region->direct)
            audit_report(runs->audit, AUDIT_RAM_MAPPED, "[%lx, %lx), %s: is a framebuffer's",
                         direct->done, stretch.end, stretch_text(stretch));
        direct->done = stretch.end;
    }
}

// By rules tables of the firmware's may be uncached, and are then a mapping of their own.
static bool is_uncached_table(const struct runs *runs, const struct direct *direct,
                              const struct vmem_run *run) {
    return run->cache == VMEM_CACHE_UC && audit_has_rules(runs->audit) &&
           find_mapping(runs, direct, run->virt.value - direct->base, SLIPWAY_MAP_FIRMWARE) != NULL;
}

// `bytes` bytes from `offset` in the direct map's window, which is what `run` maps there.
static void check_direct(struct runs *runs, struct direct *direct, const struct vmem_run *run,
                         uint64_t phys, uint64_t offset, uint64_t bytes) {
    struct audit *audit = runs->audit;
    const struct space_rules *rules = &audit->input->rules;
    if (phys != offset) {
        audit_report(audit, AUDIT_RAM_MAPPED, "%s at %lx: translates to %lx", direct->name, offset,
                     phys);
        return;
    }
    if (offset < direct->first)
        audit_report(audit, AUDIT_MANIFEST, "[%lx, %lx): in the %s", offset,
                     min_u64(direct->first, offset + bytes), direct->name);
    if ((run->rights & VMEM_EXECUTE) != 0 && !rules->executes_direct)
        audit_report(audit, AUDIT_WRITE_XOR_EXECUTE, "[%lx, %lx): executable in the %s", offset,
                     offset + bytes, direct->name);
    if (is_framebuffer(runs, direct, run)) {
        if (audit_has_rules(audit))
            pass_framebuffer(runs, direct, phys, bytes);
        return;
    }
    if (run->cache != VMEM_CACHE_WB && !is_uncached_table(runs, direct, run))
        audit_report(audit, AUDIT_RAM_MAPPED, "[%lx, %lx): cache type %u in the %s", offset,
                     offset + bytes, (unsigned)run->cache, direct->name);
    if ((run->rights & VMEM_WRITE) == 0 && rules->unsealed)
        audit_report(audit, AUDIT_RAM_MAPPED, "[%lx, %lx): read-only in the %s", offset,
                     offset + bytes, direct->name);
    else if ((run->rights & VMEM_WRITE) == 0)
        expect_sealed(runs, phys, bytes);
    expect_unneeded(runs, direct, offset);
    expect_ram(runs, direct, offset + bytes);
}

// What a run maps in the direct map's window.
static void check_window(struct runs *runs, struct direct *direct, const struct vmem_run *run) {
    uint64_t virt = run->virt.value;
    uint64_t before = virt < direct->base ? direct->base - virt : 0; // bytes of the run below it
    uint64_t offset = virt + before - direct->base;
    if (before < run->bytes && offset < direct->room)
        check_direct(runs, direct, run, run->phys.value + before, offset,
                     min_u64(run->bytes - before, direct->room - offset));
}

static bool visit(void *argument, const struct vmem_run *run) {
    struct runs *runs = argument;
    uint64_t virt = run->virt.value;
    bool is_identity = runs->audit->input->rules.identity && virt >> 63 == 0;
    if (virt >> 63 == 0 && !is_identity)
        audit_report(runs->audit, AUDIT_MANIFEST, "%lx, %lu bytes: mapped in the lower half", virt,
                     run->bytes);
    compare_with_manifest(runs, run);
    check_cache_types(runs, run);
    check_seals(runs, run);
    check_window(runs, is_identity ? &runs->identity : &runs->direct, run);
    return true;
}

// By rules nothing but the kernel and the loader's image lies outside of the direct map.
static void check_purposes(struct audit *audit) {
    const struct audit_input *input = audit->input;
    for (uint64_t i = 0; audit_has_rules(audit) && i < input->mapping_count; i++) {
        const struct slipway_mapping *mapping = &input->mappings[i];
        bool is_own =
            mapping->purpose == SLIPWAY_MAP_KERNEL || mapping->purpose == SLIPWAY_MAP_LOADER;
        if (!is_own && !audit_is_in_direct(input, mapping->virt))
            audit_report(audit, AUDIT_MANIFEST,
                         "%lx, %lu bytes: of purpose %u, outside of the direct map", mapping->virt,
                         mapping->bytes, mapping->purpose);
    }
}

void audit_runs(struct audit *audit) {
    const struct audit_input *input = audit->input;
    struct runs runs = {
        .audit = audit,
        .direct = {.name = "direct map", .base = input->hhdm_base, .room = input->hhdm_room},
        .identity = {.name = "identity map",
                     .room = LOWER_HALF_BYTES,
                     .first = FRAME_BYTES,
                     .done = FRAME_BYTES},
    };
    find_sealed_mappings(&runs);
    check_purposes(audit);
    enum vmem_status status = vmem_walk(input->space, vaddr(0), 0, visit, &runs);
    if (status != VMEM_OK)
        audit_report(audit, AUDIT_TABLES, "the walk ended early: %s", vmem_status_text(status));
    expect_unneeded(&runs, &runs.direct, UINT64_MAX);
    if (input->rules.identity)
        expect_unneeded(&runs, &runs.identity, UINT64_MAX);
    const struct slipway_mapping *mapping;
    while ((mapping = current_mapping(&runs)) != NULL) {
        report_unmapped(&runs, mapping->virt + runs.mapping_done,
                        mapping->bytes - runs.mapping_done);
        runs.mapping_done = mapping->bytes;
    }
}
