// Which function of a visitor an entry is for, and how the visit goes into the tables below.
#include "common/vmem/visit.h"

enum vmem_status vmem_visit_entry(struct vmem_change *change, const struct vmem_visitor *visitor,
                                  uint64_t entry, unsigned level, struct vmem_pages within) {
    switch (entry_kind(&change->space->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        return visitor->absent != NULL ? visitor->absent(change, level, within) : VMEM_OK;
    case ENTRY_IS_LEAF:
        return visitor->leaf(change, entry, level, within);
    case ENTRY_IS_TABLE:
        return visitor->table != NULL ? visitor->table(change, entry, level, within)
                                      : vmem_visit_below(change, visitor, 0, entry, level, within);
    case ENTRY_IS_BAD:
        break;
    }
    return VMEM_ERR_CORRUPT;
}

enum vmem_status vmem_visit_below(struct vmem_change *change, const struct vmem_visitor *visitor,
                                  unsigned rights, uint64_t entry, unsigned level,
                                  struct vmem_pages within) {
    ASSERT(entry_is_table(&change->space->rules, level, entry));
    uint64_t *table;
    enum vmem_status status = vmem_enter(change->space, entry, rights, &table);
    return status == VMEM_OK ? vmem_visit(change, visitor, table, level - 1, within) : status;
}
