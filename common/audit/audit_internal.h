// What the audit's files share: the audit in progress, and how a violation is reported.
#pragma once

#include "common/audit/audit.h"
#include "common/base/arith.h"

struct audit {
    const struct audit_input *input;
    const struct sink *sink; // null: silent
    uint64_t violations;
};

// Counts a violation of `invariant` and prints it, one line.
[[gnu::format(printf, 3, 4)]] void audit_report(struct audit *audit, enum audit_invariant invariant,
                                                const char *format, ...);

// Invariants 7, 9 and the first half of 1. False if a table lies where none may, or is reached
// twice: then nobody may walk the tables, because the walk might not end in useful time.
[[nodiscard]] bool audit_tables(struct audit *audit);

// Invariants 2 to 5 and the second half of 1, in one walk of everything that is mapped.
void audit_runs(struct audit *audit);

// Invariant 6.
void audit_contract(struct audit *audit);

// Invariant 8.
void audit_regions(struct audit *audit);

// The rights that a manifest's mapping asks for, as VMEM_... rights.
static inline unsigned audit_rights_of(const struct slipway_mapping *mapping) {
    unsigned rights = VMEM_READ;
    if ((mapping->rights & SLIPWAY_RIGHT_WRITE) != 0)
        rights |= VMEM_WRITE;
    if ((mapping->rights & SLIPWAY_RIGHT_EXECUTE) != 0)
        rights |= VMEM_EXECUTE;
    return rights;
}

static inline bool audit_has_rules(const struct audit *audit) {
    return space_has_rules(&audit->input->rules);
}

// In the direct map or, by rules, where the same pages are mapped one to one.
static inline bool audit_is_in_direct(const struct audit_input *input, uint64_t virt) {
    bool is_identity = input->rules.identity && virt >> 63 == 0;
    return is_identity || virt - input->hhdm_base < input->hhdm_room;
}

// Kernel text or read-only data: no alias of it may be writable.
static inline bool audit_is_sealed(const struct slipway_mapping *mapping) {
    return mapping->purpose == SLIPWAY_MAP_KERNEL && (mapping->rights & SLIPWAY_RIGHT_WRITE) == 0;
}
