// The structure of the tables: where they lie, that each is reached exactly once, and how many.
#include "common/audit/audit_internal.h"
#include "common/base/arith.h"
#include "common/base/mem.h"

static uint64_t table_pages(const struct slipway_range *range) {
    return range->purpose == SLIPWAY_RANGE_PAGE_TABLES ? range->bytes / FRAME_BYTES : 0;
}

static uint64_t listed_pages(const struct slipway_range *ranges, uint64_t count) {
    uint64_t pages = 0;
    for (uint64_t i = 0; i < count; i++)
        pages += table_pages(&ranges[i]);
    return pages;
}

uint64_t audit_scratch_bytes(const struct slipway_range *ranges, uint64_t count) {
    return (listed_pages(ranges, count) + 7) / 8;
}

struct tables {
    struct audit *audit;
    bool broken;
};

static bool is_reached(const struct audit *audit, uint64_t page) {
    return (audit->input->scratch[page / 8] >> page % 8 & 1) != 0;
}

static enum vmem_claim claim(void *context, paddr_t table) {
    const struct tables *tables = context;
    const struct audit_input *input = tables->audit->input;
    uint64_t page = 0; // of those listed, the first of the range
    for (uint64_t i = 0; i < input->range_count; i++) {
        uint64_t pages = table_pages(&input->ranges[i]);
        uint64_t index = (table.value - input->ranges[i].start_phys) / FRAME_BYTES;
        if (table.value >= input->ranges[i].start_phys && index < pages) {
            if (is_reached(tables->audit, page + index))
                return VMEM_CLAIM_TWICE;
            uint8_t *byte = &input->scratch[(page + index) / 8];
            *byte = (uint8_t)(*byte | 1u << (page + index) % 8);
            return VMEM_CLAIM_OK;
        }
        page += pages;
    }
    return VMEM_CLAIM_FOREIGN;
}

// Whether the rules have a leaf there that is writable and executable. That it is one where they do
// not say so is the manifest's business.
static bool may_write_execute(const struct audit_input *input, uint64_t virt) {
    if (audit_is_in_direct(input, virt))
        return input->rules.executes_direct;
    for (uint64_t i = 0; input->rules.writes_and_executes && i < input->mapping_count; i++) {
        const struct slipway_mapping *mapping = &input->mappings[i];
        if (mapping->purpose == SLIPWAY_MAP_KERNEL && virt - mapping->virt < mapping->bytes)
            return (mapping->rights & SLIPWAY_RIGHT_EXECUTE) != 0;
    }
    return false;
}

static void report_violation(void *context, const struct vmem_violation *violation) {
    struct tables *tables = context;
    if (violation->kind == VMEM_BAD_WRITE_EXECUTE &&
        may_write_execute(tables->audit->input, violation->virt.value))
        return;
    enum audit_invariant invariant =
        violation->kind == VMEM_BAD_WRITE_EXECUTE ? AUDIT_WRITE_XOR_EXECUTE : AUDIT_TABLES;
    audit_report(tables->audit, invariant, "level %u, %lx: entry %016lx: %s", violation->level,
                 violation->virt.value, violation->entry, vmem_violation_text(violation->kind));
    tables->broken |=
        violation->kind == VMEM_BAD_TABLE_ADDRESS || violation->kind == VMEM_BAD_TABLE_TWICE;
}

// Reports each maximal run of listed pages of a range that no entry leads to.
static void report_unreached(struct audit *audit, const struct slipway_range *range,
                             uint64_t first_page) {
    uint64_t pages = table_pages(range);
    for (uint64_t start = 0; start < pages; start++) {
        uint64_t end = start;
        while (end < pages && !is_reached(audit, first_page + end))
            end++;
        if (end == start)
            continue;
        audit_report(audit, AUDIT_TABLES, "[%lx, %lx) is listed as page tables and not reached",
                     range->start_phys + start * FRAME_BYTES,
                     range->start_phys + end * FRAME_BYTES);
        start = end;
    }
}

bool audit_tables(struct audit *audit) {
    const struct audit_input *input = audit->input;
    uint64_t needed = audit_scratch_bytes(input->ranges, input->range_count);
    if (input->scratch_bytes < needed) {
        audit_report(audit, AUDIT_TABLES, "%lu bytes of scratch, %lu are needed",
                     input->scratch_bytes, needed);
        return false;
    }
    if (needed > 0)
        memset(input->scratch, 0, needed);
    struct tables tables = {.audit = audit};
    struct vmem_auditor auditor = {claim, report_violation, &tables};
    struct vmem_audit_result result = vmem_audit(input->space, &auditor);
    uint64_t page = 0;
    for (uint64_t i = 0; i < input->range_count; i++) {
        report_unreached(audit, &input->ranges[i], page);
        page += table_pages(&input->ranges[i]);
    }
    if (result.tables != input->tables_planned)
        audit_report(audit, AUDIT_TABLE_COUNT, "%lu tables, %lu were planned", result.tables,
                     input->tables_planned);
    return !tables.broken;
}
