// Changes of all that the firmware's page tables map, for applications that stand for other
// firmware. Entries: SDM 3A 4.5.
#pragma once

#include <efi.h>

#include "common/x86/cpu.h"
#include "common/x86/regs.h"

#define TABLES_USER   (UINT64_C(1) << 2)
#define TABLES_GLOBAL (UINT64_C(1) << 8)
#define TABLES_NX     (UINT64_C(1) << 63)

struct tables_change {
    UINT64 set;      // in every entry that is present
    UINT64 clear;    // in the same
    UINT64 set_leaf; // in those that map a page
};

// Returns how many entries of the table and below were not like this before. A 1 GiB leaf is at
// level 3, a 2 MiB one at level 2.
static inline UINT64 tables_change_from(UINT64 table, unsigned level,
                                        const struct tables_change *change) {
    enum { ENTRIES = 512, PRESENT = 1 << 0, LARGE = 1 << 7 };
    const UINT64 address = 0x000ffffffffff000;
    UINT64 *entries = (UINT64 *)table;
    UINT64 changed = 0;
    for (unsigned i = 0; i < ENTRIES; i++) {
        UINT64 before = entries[i];
        if (!(before & PRESENT))
            continue;
        int is_leaf = level == 1 || (level <= 3 && before & LARGE);
        entries[i] = (before & ~change->clear) | change->set | (is_leaf ? change->set_leaf : 0);
        changed += entries[i] != before;
        if (!is_leaf)
            changed += tables_change_from(before & address, level - 1, change);
    }
    return changed;
}

static inline void tables_write_cr0(UINT64 value) {
    __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory");
}

// The firmware may have mapped its page tables read-only: WP is off meanwhile.
static inline UINT64 tables_change_all(struct tables_change change) {
    UINT64 cr0 = cpu_read_cr0(), cr3 = cpu_read_cr3();
    tables_write_cr0(cr0 & ~(UINT64)CR0_WP);
    UINT64 changed = tables_change_from(cr3 & CR3_ROOT, cpu_read_cr4() & CR4_LA57 ? 5 : 4, &change);
    tables_write_cr0(cr0);
    cpu_write_cr3(cr3);
    return changed;
}
