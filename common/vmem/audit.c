// vmem_audit: every table, entered once, and every entry in it.
#include "common/vmem/entries.h"
#include "common/vmem/window.h"

struct audit {
    const struct vmem *space;
    const struct vmem_auditor *auditor;
    struct vmem_audit_result result;
};

// An entry that the audit looks at, and where it stands.
struct place {
    unsigned level; // of the table; 0: the root pointer
    uint64_t page;  // the first that the entry translates
    uint64_t entry;
};

static void report(struct audit *audit, enum vmem_violation_kind kind, const struct place *at) {
    struct vmem_violation violation = {kind, at->level, page_address(at->page), at->entry};
    audit->result.violations++;
    audit->auditor->report(audit->auditor->context, &violation);
}

// The table at `address`, to which the entry at `at` points. If the audit may not enter it, reports
// that and returns null.
static const uint64_t *claim_table(struct audit *audit, paddr_t address, const struct place *at) {
    enum vmem_claim claim = audit->auditor->claim(audit->auditor->context, address);
    const uint64_t *table = NULL;
    if (claim == VMEM_CLAIM_OK)
        table = vmem_table(audit->space, address);
    if (claim == VMEM_CLAIM_TWICE)
        report(audit, VMEM_BAD_TABLE_TWICE, at);
    else if (table == NULL)
        report(audit, VMEM_BAD_TABLE_ADDRESS, at);
    return table;
}

// The first page that an entry translates. In the upper half of the root addresses are
// sign-extended.
static uint64_t entry_page(const struct vmem *space, uint64_t table_page, unsigned level,
                           uint64_t index) {
    uint64_t page = table_page + (index << level_shift(level));
    if (level == space->levels && index >= ENTRY_COUNT / 2)
        page += vmem_pages_upper(level).first - vmem_pages_lower(level).end;
    return page;
}

static void audit_table(struct audit *audit, const uint64_t *table, unsigned level, uint64_t page,
                        uint64_t grants);

// One entry that is present.
static void audit_entry(struct audit *audit, uint64_t entry, unsigned level, uint64_t page,
                        uint64_t grants) {
    struct place at = {level, page, entry};
    uint64_t here = grants & entry_grants(entry);
    enum entry_kind kind = entry_kind(&audit->space->rules, level, entry);
    if (kind == ENTRY_IS_BAD) {
        report(audit, VMEM_BAD_RESERVED_BITS, &at);
    } else if (kind == ENTRY_IS_TABLE) {
        const uint64_t *below = claim_table(audit, entry_table_address(entry), &at);
        if (below != NULL)
            audit_table(audit, below, level - 1, page, here);
    } else if (entry_grants_write_execute(here)) {
        report(audit, VMEM_BAD_WRITE_EXECUTE, &at);
    }
}

// Most entries are absent, or sound leaves that are alike: they are passed in groups. Leaves that
// together grant no more than is allowed do so one by one.
static void audit_table(struct audit *audit, const uint64_t *table, unsigned level, uint64_t page,
                        uint64_t grants) {
    ASSERT(level >= 1 && level <= audit->space->levels);
    const struct vmem *space = audit->space;
    audit->result.tables++;
    for (uint64_t i = 0; i < ENTRY_COUNT;) {
        i += entry_count_absent(&table[i], ENTRY_COUNT - i);
        struct entry_summary seen = {0};
        uint64_t leaves =
            entry_count_leaves(&space->rules, level, &table[i], ENTRY_COUNT - i, &seen);
        uint64_t end = min_u64(i + max_u64(leaves, 1), ENTRY_COUNT);
        if (leaves != 0 && !entry_grants_write_execute(grants & entry_summary_grants(seen)))
            i = end;
        for (; i < end; i++)
            audit_entry(audit, entry_load(&table[i]), level, entry_page(space, page, level, i),
                        grants);
    }
}

struct vmem_audit_result vmem_audit(const struct vmem *space, const struct vmem_auditor *auditor) {
    struct audit audit = {.space = space, .auditor = auditor};
    struct place at = {.entry = space->root.value};
    const uint64_t *root = claim_table(&audit, space->root, &at);
    if (root != NULL)
        audit_table(&audit, root, space->levels, 0, ENTRY_GRANTS_ALL);
    return audit.result;
}

const char *vmem_violation_text(enum vmem_violation_kind kind) {
    switch (kind) {
    case VMEM_BAD_RESERVED_BITS:
        return "a reserved bit is set";
    case VMEM_BAD_TABLE_ADDRESS:
        return "not the address of a table of this space";
    case VMEM_BAD_TABLE_TWICE:
        return "a table that is reached a second time";
    case VMEM_BAD_WRITE_EXECUTE:
        return "writable and executable";
    }
    return "unknown violation";
}
