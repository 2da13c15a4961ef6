// The audit's order, and the checks that need no walk: the regions and the entry contract.
#include "common/audit/audit.h"

#include "common/audit/audit_internal.h"
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/fmt.h"

void audit_report(struct audit *audit, enum audit_invariant invariant, const char *format, ...) {
    audit->violations++;
    if (audit->sink == NULL)
        return;
    fmt_print(audit->sink, "audit %u: ", (unsigned)invariant);
    va_list arguments;
    va_start(arguments, format);
    fmt_vprint(audit->sink, format, arguments);
    va_end(arguments);
    fmt_print(audit->sink, "\n");
}

void audit_regions(struct audit *audit) {
    const struct audit_input *input = audit->input;
    uint64_t bytes[SLIPWAY_MEM_KINDS] = {0};
    uint64_t last_end = 0;
    for (uint64_t i = 0; i < input->region_count; i++) {
        const struct memmap_region *region = &input->regions[i];
        if (region->start < last_end || region->end <= region->start ||
            !is_aligned(region->start | region->end, FRAME_BYTES) || region->kind == 0 ||
            region->kind >= SLIPWAY_MEM_KINDS) {
            audit_report(
                audit, AUDIT_REGIONS,
                "region %lu [%lx, %lx) of kind %u: unsorted, empty, unaligned or of unknown kind",
                i, region->start, region->end, region->kind);
            continue;
        }
        last_end = region->end;
        bytes[region->kind] += region->end - region->start;
    }
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++) {
        if (bytes[kind] != input->report->bytes[kind])
            audit_report(audit, AUDIT_REGIONS, "%s memory: the regions have %lu bytes, the map %lu",
                         memmap_kind_text(kind), bytes[kind], input->report->bytes[kind]);
    }
}

struct coverage {
    struct audit *audit;
    const char *what;
    uint64_t covered; // bytes with the right rights and cache type
};

static bool cover(void *argument, const struct vmem_run *run) {
    struct coverage *coverage = argument;
    unsigned rights = VMEM_READ | VMEM_WRITE;
    if (coverage->audit->input->rules.executes_direct)
        rights |= VMEM_EXECUTE;
    if (run->rights == rights && run->cache == VMEM_CACHE_WB)
        coverage->covered += run->bytes;
    return true;
}

// Reports unless every page that holds a byte of the range is mapped WB, RW and NX. By rules all of
// it lies in the direct map, and is as executable as that is.
static void require_data(struct audit *audit, const char *what, uint64_t virt, uint64_t bytes) {
    uint64_t end;
    if (bytes == 0 || add_overflows(virt, bytes, &end) || end > UINT64_MAX - FRAME_BYTES) {
        audit_report(audit, AUDIT_CONTRACT, "%s: %lu bytes at %lx", what, bytes, virt);
        return;
    }
    uint64_t start = align_down(virt, FRAME_BYTES);
    uint64_t whole = align_up(end, FRAME_BYTES) - start;
    struct coverage coverage = {audit, what, 0};
    enum vmem_status status = vmem_walk(audit->input->space, vaddr(start), whole, cover, &coverage);
    if (status != VMEM_OK || coverage.covered != whole)
        audit_report(audit, AUDIT_CONTRACT,
                     "%s [%lx, %lx): %lu of %lu bytes are mapped WB, RW and NX (%s)", what, start,
                     start + whole, coverage.covered, whole, vmem_status_text(status));
}

static void require_guard(struct audit *audit, const char *side, uint64_t virt) {
    struct vmem_translation translation;
    if (audit->input->rules.has_no_guards)
        return;
    enum vmem_status status = vmem_translate(audit->input->space, vaddr(virt), &translation);
    if (status != VMEM_ERR_NOT_MAPPED)
        audit_report(audit, AUDIT_CONTRACT, "guard page %s the stack, %lx: %s", side, virt,
                     status == VMEM_OK ? "is present" : vmem_status_text(status));
}

// Of the stacks that are not the boot CPU's. That they are mapped as they are listed is the
// manifest's business.
static void require_other_guards(struct audit *audit) {
    const struct audit_input *input = audit->input;
    for (uint64_t i = 0; i < input->mapping_count; i++) {
        const struct slipway_mapping *mapping = &input->mappings[i];
        if (mapping->purpose != SLIPWAY_MAP_STACK || mapping->virt == input->stack_bottom)
            continue;
        require_guard(audit, "below", mapping->virt - FRAME_BYTES);
        require_guard(audit, "above", mapping->virt + mapping->bytes);
    }
}

// Guards in the direct map, of whichever stack.
static void require_guard_frames(struct audit *audit) {
    const struct audit_input *input = audit->input;
    for (uint64_t i = 0; i < input->range_count; i++) {
        const struct slipway_range *range = &input->ranges[i];
        if (range->purpose != SLIPWAY_RANGE_GUARD)
            continue;
        require_guard(audit, "beside", input->hhdm_base + range->start_phys);
        if (input->rules.identity)
            require_guard(audit, "beside", range->start_phys);
    }
}

static void require_entry(struct audit *audit) {
    uint64_t entry = audit->input->kernel_entry;
    struct vmem_translation translation;
    enum vmem_status status = vmem_translate(audit->input->space, vaddr(entry), &translation);
    if (status != VMEM_OK) {
        audit_report(audit, AUDIT_CONTRACT, "entry point %lx: %s", entry, vmem_status_text(status));
        return;
    }
    enum vmem_cache cache = vmem_translation_cache(&translation);
    unsigned rights = translation.rights;
    if (audit->input->rules.writes_and_executes)
        rights &= ~(unsigned)VMEM_WRITE;
    if (rights != (VMEM_READ | VMEM_EXECUTE) || cache != VMEM_CACHE_WB)
        audit_report(audit, AUDIT_CONTRACT, "entry point %lx: rights %x, cache type %u", entry,
                     translation.rights, (unsigned)cache);
}

void audit_contract(struct audit *audit) {
    const struct audit_input *input = audit->input;
    uint64_t bottom = input->stack_bottom, top = input->stack_top;
    if (bottom >= top || !is_aligned(bottom | top, FRAME_BYTES)) {
        audit_report(audit, AUDIT_CONTRACT, "stack [%lx, %lx): empty or unaligned", bottom, top);
    } else {
        require_data(audit, "stack", bottom, top - bottom);
        require_guard(audit, "below", bottom - FRAME_BYTES);
        require_guard(audit, "above", top);
    }
    require_other_guards(audit);
    require_guard_frames(audit);
    require_data(audit, "boot_info", input->boot_info, input->boot_info_bytes);
    uint64_t offset = input->boot_info - input->hhdm_base;
    uint64_t window = input->hhdm_room;
    if (offset >= window || window - offset < input->boot_info_bytes)
        audit_report(audit, AUDIT_CONTRACT, "boot_info %lx: not in the direct map",
                     input->boot_info);
    require_entry(audit);
}

uint64_t audit_run(const struct audit_input *input, const struct sink *sink) {
    struct audit audit = {.input = input, .sink = sink};
    audit_regions(&audit);
    if (!audit_tables(&audit))
        return audit.violations;
    audit_runs(&audit);
    if (input->scope == AUDIT_HAND_OVER)
        audit_contract(&audit);
    return audit.violations;
}
