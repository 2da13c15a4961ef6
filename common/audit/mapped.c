// What is mapped, run by run in rising order, against the manifest and the memory map. Both are
// sorted too, so each is read once, in step with the walk.
#include "common/audit/audit_internal.h"
#include "common/base/arith.h"

struct runs {
    struct audit *audit;
    uint64_t mapping;                  // the manifest's current mapping,
    uint64_t mapping_done;             // and the bytes of it that were compared
    uint64_t region;                   // the first region that ends above direct_done
    uint64_t direct_done;              // physical addresses below are compared with the direct map
    uint64_t sealed_start, sealed_end; // the manifest's sealed mappings lie between
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
    if (mapping->purpose == SLIPWAY_MAP_FIRMWARE && run->rights != VMEM_READ)
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
    if ((run->rights & VMEM_WRITE) == 0)
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
static const struct memmap_region *region_above(struct runs *runs, uint64_t phys) {
    const struct audit_input *input = runs->audit->input;
    while (runs->region < input->region_count && input->regions[runs->region].end <= phys)
        runs->region++;
    return runs->region < input->region_count ? &input->regions[runs->region] : NULL;
}

// [direct_done, end) is not mapped. Memory that the kernel will use must not lie there.
static void expect_unneeded(struct runs *runs, uint64_t end) {
    const struct memmap_region *region;
    while (runs->direct_done < end && (region = region_above(runs, runs->direct_done)) != NULL &&
           region->start < end) {
        uint64_t start = max_u64(region->start, runs->direct_done);
        uint64_t stop = min_u64(region->end, end);
        if (region->kind <= SLIPWAY_MEM_PAGE_TABLES)
            audit_report(runs->audit, AUDIT_RAM_MAPPED, "[%lx, %lx), %s: not in the direct map",
                         start, stop, memmap_kind_text(region->kind));
        runs->direct_done = stop;
    }
    runs->direct_done = max_u64(runs->direct_done, end);
}

// [direct_done, end) is mapped: all of it must be RAM.
static void expect_ram(struct runs *runs, uint64_t end) {
    while (runs->direct_done < end) {
        const struct memmap_region *region = region_above(runs, runs->direct_done);
        bool is_absent = region == NULL || region->start > runs->direct_done;
        uint64_t stop = end;
        if (region != NULL)
            stop = min_u64(end, is_absent ? region->start : region->end);
        if (is_absent || !region->direct)
            audit_report(runs->audit, AUDIT_MANIFEST, "[%lx, %lx), %s: in the direct map",
                         runs->direct_done, stop,
                         is_absent ? "absent" : memmap_kind_text(region->kind));
        runs->direct_done = stop;
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
static bool is_framebuffer(const struct runs *runs, const struct vmem_run *run) {
    const struct audit_input *input = runs->audit->input;
    for (uint64_t i = 0; run->cache == VMEM_CACHE_WC && i < input->mapping_count; i++) {
        const struct slipway_mapping *mapping = &input->mappings[i];
        if (mapping->purpose == SLIPWAY_MAP_FRAMEBUFFER && run->virt.value >= mapping->virt &&
            run->virt.value - mapping->virt < mapping->bytes)
            return true;
    }
    return false;
}

// `bytes` bytes from `offset` in the direct map's window, which is what `run` maps there.
static void check_direct(struct runs *runs, const struct vmem_run *run, uint64_t phys,
                         uint64_t offset, uint64_t bytes) {
    struct audit *audit = runs->audit;
    if (phys != offset) {
        audit_report(audit, AUDIT_RAM_MAPPED, "direct map at %lx: translates to %lx", offset, phys);
        return;
    }
    if ((run->rights & VMEM_EXECUTE) != 0)
        audit_report(audit, AUDIT_WRITE_XOR_EXECUTE, "[%lx, %lx): executable in the direct map",
                     offset, offset + bytes);
    if (is_framebuffer(runs, run))
        return;
    if (run->cache != VMEM_CACHE_WB)
        audit_report(audit, AUDIT_RAM_MAPPED, "[%lx, %lx): cache type %u in the direct map", offset,
                     offset + bytes, (unsigned)run->cache);
    if ((run->rights & VMEM_WRITE) == 0)
        expect_sealed(runs, phys, bytes);
    expect_unneeded(runs, offset);
    expect_ram(runs, offset + bytes);
}

static bool visit(void *argument, const struct vmem_run *run) {
    struct runs *runs = argument;
    uint64_t base = runs->audit->input->hhdm_base;
    uint64_t window = runs->audit->input->hhdm_room;
    uint64_t virt = run->virt.value;
    if (virt >> 63 == 0)
        audit_report(runs->audit, AUDIT_MANIFEST, "%lx, %lu bytes: mapped in the lower half", virt,
                     run->bytes);
    compare_with_manifest(runs, run);
    check_cache_types(runs, run);
    check_seals(runs, run);
    uint64_t before = virt < base ? base - virt : 0; // bytes of the run below the window
    uint64_t offset = virt + before - base;
    if (before < run->bytes && offset < window)
        check_direct(runs, run, run->phys.value + before, offset,
                     min_u64(run->bytes - before, window - offset));
    return true;
}

void audit_runs(struct audit *audit) {
    struct runs runs = {.audit = audit};
    find_sealed_mappings(&runs);
    enum vmem_status status = vmem_walk(audit->input->space, vaddr(0), 0, visit, &runs);
    if (status != VMEM_OK)
        audit_report(audit, AUDIT_TABLES, "the walk ended early: %s", vmem_status_text(status));
    expect_unneeded(&runs, UINT64_MAX);
    const struct slipway_mapping *mapping;
    while ((mapping = current_mapping(&runs)) != NULL) {
        report_unmapped(&runs, mapping->virt + runs.mapping_done,
                        mapping->bytes - runs.mapping_done);
        runs.mapping_done = mapping->bytes;
    }
}
