// Pointers to tables. Most tables lie in memory that the caller shows as a whole (struct
// vmem_direct): their pointers are computed. For every other table ops->table_pointer is asked.
#pragma once

#include "common/base/assert.h"
#include "common/vmem/entries.h"
#include "common/vmem/range.h"

// Whether this is a fast entry (entry_number), and the table that it points to is seen directly.
static inline bool vmem_is_direct(const struct vmem *space, uint64_t entry) {
    uint64_t frame = entry_number(entry) - space->direct_first;
    return __builtin_expect(frame < space->direct_frames, 1);
}

// The pointer to the table that such an entry points to.
static inline uint64_t *vmem_direct_table(const struct vmem *space, uint64_t entry) {
    ASSERT(vmem_is_direct(space, entry));
    uint64_t *table = (uint64_t *)(space->direct_origin + entry_table_address(entry).value);
    if (table == NULL) // never: this spares the callers a comparison
        __builtin_unreachable();
    return table;
}

// The pointer to a table, null if its address is none of the space's tables.
static inline uint64_t *vmem_table(const struct vmem *space, paddr_t table) {
    uint64_t entry = entry_fast(table);
    return vmem_is_direct(space, entry) ? vmem_direct_table(space, entry)
                                        : space->ops->table_pointer(space->context, table);
}

// The table that an entry of a table of `level` points to; null if it points to none, or to none of
// the space's.
static inline uint64_t *vmem_below(const struct vmem *space, unsigned level, uint64_t entry) {
    ASSERT(level >= 1 && level <= space->levels);
    if (vmem_is_direct(space, entry))
        return vmem_direct_table(space, entry);
    return entry_is_table(&space->rules, level, entry)
               ? vmem_table(space, entry_table_address(entry))
               : NULL;
}
