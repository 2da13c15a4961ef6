// A CPU that remembers: translations, and the way to tables (the paging-structure caches), until it
// is told to forget them. After a change has been flushed, nothing that it remembers may differ
// from what the tables say; and it counts what it was told, so that too much is seen as well.
//
// It reads the tables by the manual's numbers, independent of the library (SDM 3A 4.10). Header
// only, so that the fuzz targets, which link no test framework, can use it too.
#pragma once

#include "tests/unit/support/vmem_memory.h"

#define VMEM_TLB_ENTRIES 32

#define VMEM_TLB_ADDRESS UINT64_C(0x000ffffffffff000)
#define VMEM_TLB_GRANTS  (UINT64_C(1) << 63 | 6) // NX, user, write

struct vmem_tlb_entry {
    uint64_t virt;   // first byte that it translates
    unsigned level;  // of the entry; 0: nothing is remembered here
    uint64_t entry;  // as it stood; a table's entry in a paging-structure cache
    uint64_t grants; // of the whole way
};

struct vmem_tlb {
    struct vmem_memory *memory;
    uint64_t root;
    unsigned levels;
    bool sets_marks;       // accessed and dirty, as CPUs do
    struct vmem_tlb *next; // another CPU that a flush reaches too
    struct vmem_tlb_entry leaf[VMEM_TLB_ENTRIES];
    struct vmem_tlb_entry table[VMEM_TLB_ENTRIES];
    unsigned next_leaf, next_table;
    uint64_t strays; // walks into memory that is no table
    uint64_t executed, page_flushes, full_flushes, global_flushes; // counted
};

static inline void vmem_tlb_make(struct vmem_tlb *tlb, struct vmem_memory *memory,
                                 const struct vmem *space) {
    *tlb = (struct vmem_tlb){.memory = memory, .root = space->root.value, .levels = space->levels};
}

static inline uint64_t vmem_tlb_base(uint64_t virt, unsigned level) {
    return virt >> (12 + 9 * (level - 1)) << (12 + 9 * (level - 1));
}

static inline bool vmem_tlb_is_leaf(uint64_t entry, unsigned level) {
    return level == 1 || (level <= 3 && (entry & 0x80) != 0);
}

static inline uint64_t vmem_tlb_join(uint64_t grants, uint64_t entry) {
    return grants & (entry ^ UINT64_C(1) << 63) & VMEM_TLB_GRANTS;
}

// The entry of `level` on the way to `virt`, from the root, if the way is there.
static inline bool vmem_tlb_find(const struct vmem_tlb *tlb, uint64_t virt, unsigned level,
                                 struct vmem_tlb_entry *ret_entry) {
    uint64_t grants = VMEM_TLB_GRANTS;
    uint64_t table = tlb->root;
    for (unsigned at = tlb->levels;; at--) {
        uint32_t frame = vmem_memory_frame(tlb->memory, paddr(table));
        if (frame == tlb->memory->count)
            return false;
        uint64_t entry = tlb->memory->frames[frame][virt >> (12 + 9 * (at - 1)) & 0x1ff];
        if ((entry & 1) == 0)
            return false;
        grants = vmem_tlb_join(grants, entry);
        if (at == level) {
            *ret_entry = (struct vmem_tlb_entry){vmem_tlb_base(virt, at), at, entry, grants};
            return true;
        }
        if (vmem_tlb_is_leaf(entry, at))
            return false;
        table = entry & VMEM_TLB_ADDRESS;
    }
}

static inline void vmem_tlb_keep(struct vmem_tlb_entry *entries, unsigned *next,
                                 struct vmem_tlb_entry entry) {
    entries[*next] = entry;
    *next = (*next + 1) % VMEM_TLB_ENTRIES;
}

// What is remembered of `virt` in the entries; the lowest level wins. Null if nothing is.
static inline struct vmem_tlb_entry *vmem_tlb_recall(struct vmem_tlb_entry *entries,
                                                     uint64_t virt) {
    struct vmem_tlb_entry *best = NULL;
    for (unsigned i = 0; i < VMEM_TLB_ENTRIES; i++) {
        struct vmem_tlb_entry *at = &entries[i];
        if (at->level != 0 && vmem_tlb_base(virt, at->level) == at->virt &&
            (best == NULL || at->level < best->level))
            best = at;
    }
    return best;
}

// Accesses `virt` as a CPU would and remembers all that it saw. False: a page fault.
static inline bool vmem_tlb_access(struct vmem_tlb *tlb, uint64_t virt, bool writes) {
    uint64_t sign = virt >> (12 + 9 * tlb->levels - 1);
    if (sign != 0 && sign != UINT64_MAX >> (12 + 9 * tlb->levels - 1))
        return false; // not canonical
    const struct vmem_tlb_entry *known = vmem_tlb_recall(tlb->leaf, virt);
    if (known != NULL && (!writes || (known->entry & 0x40) != 0))
        return true;
    const struct vmem_tlb_entry *way = vmem_tlb_recall(tlb->table, virt);
    uint64_t table = way != NULL ? way->entry & VMEM_TLB_ADDRESS : tlb->root;
    uint64_t grants = way != NULL ? way->grants : VMEM_TLB_GRANTS;
    for (unsigned level = way != NULL ? way->level - 1 : tlb->levels;; level--) {
        uint32_t frame = vmem_memory_frame(tlb->memory, paddr(table));
        if (frame == tlb->memory->count) {
            tlb->strays++;
            return false;
        }
        uint64_t *cell = &tlb->memory->frames[frame][virt >> (12 + 9 * (level - 1)) & 0x1ff];
        if ((*cell & 1) == 0)
            return false;
        grants = vmem_tlb_join(grants, *cell);
        bool is_leaf = vmem_tlb_is_leaf(*cell, level);
        bool can_write = (grants & 2) != 0;
        if (tlb->sets_marks)
            *cell |= is_leaf && writes && can_write ? 0x60 : 0x20;
        struct vmem_tlb_entry seen = {vmem_tlb_base(virt, level), level, *cell, grants};
        if (is_leaf) {
            vmem_tlb_keep(tlb->leaf, &tlb->next_leaf, seen);
            return !writes || can_write;
        }
        vmem_tlb_keep(tlb->table, &tlb->next_table, seen);
        table = *cell & VMEM_TLB_ADDRESS;
    }
}

// Whether the tables say now what is remembered. Marks may have been added, not taken away.
static inline bool vmem_tlb_is_true(const struct vmem_tlb *tlb, const struct vmem_tlb_entry *seen) {
    const uint64_t software = UINT64_C(0x07f0000000000e00);
    struct vmem_tlb_entry now;
    if (seen->level == 0)
        return true;
    if (!vmem_tlb_find(tlb, seen->virt, seen->level, &now) || now.grants != seen->grants)
        return false;
    return ((now.entry ^ seen->entry) & ~(software | 0x60)) == 0 &&
           (seen->entry & 0x60 & ~now.entry) == 0;
}

// Whether this CPU remembers nothing that is not so any more.
static inline bool vmem_tlb_is_fresh(const struct vmem_tlb *tlb) {
    for (unsigned i = 0; i < VMEM_TLB_ENTRIES; i++)
        if (!vmem_tlb_is_true(tlb, &tlb->leaf[i]) || !vmem_tlb_is_true(tlb, &tlb->table[i]))
            return false;
    return true;
}

static inline void vmem_tlb_forget_ways(struct vmem_tlb *tlb) {
    memset(tlb->table, 0, sizeof(tlb->table));
}

// Forgets all and has counted nothing.
static inline void vmem_tlb_reset(struct vmem_tlb *tlb) {
    memset(tlb->leaf, 0, sizeof(tlb->leaf));
    vmem_tlb_forget_ways(tlb);
    tlb->executed = tlb->page_flushes = tlb->full_flushes = tlb->global_flushes = 0;
}

static inline void vmem_tlb_forget_page(struct vmem_tlb *tlb, uint64_t virt) {
    tlb->page_flushes++;
    for (unsigned i = 0; i < VMEM_TLB_ENTRIES; i++)
        if (tlb->leaf[i].level != 0 && vmem_tlb_base(virt, tlb->leaf[i].level) == tlb->leaf[i].virt)
            tlb->leaf[i].level = 0;
    vmem_tlb_forget_ways(tlb);
}

static inline void vmem_tlb_forget_all(struct vmem_tlb *tlb, bool global) {
    *(global ? &tlb->global_flushes : &tlb->full_flushes) += 1;
    for (unsigned i = 0; i < VMEM_TLB_ENTRIES; i++)
        if (global || (tlb->leaf[i].entry & 0x100) == 0)
            tlb->leaf[i].level = 0;
    vmem_tlb_forget_ways(tlb);
}

// Does what the record says, on this CPU and the next ones.
static inline void vmem_tlb_execute(struct vmem_tlb *tlb, const struct vmem_flush *flush) {
    for (; tlb != NULL; tlb = tlb->next) {
        tlb->executed++;
        if (flush->full)
            vmem_tlb_forget_all(tlb, flush->global);
        for (unsigned i = 0; !flush->full && i < flush->range_count; i++) {
            const struct vmem_flush_range *range = &flush->range[i];
            for (uint64_t at = 0; at < range->bytes; at += vmem_page_bytes(range->page))
                vmem_tlb_forget_page(tlb, range->virt.value + at);
        }
        if (!flush->full && flush->range_count == 0 && flush->structures)
            vmem_tlb_forget_page(tlb, 0);
    }
}

// Whether no CPU would still reach the memory of the run, or walk through the table.
static inline bool vmem_tlb_is_released(const struct vmem_tlb *tlb, const struct vmem_run *run) {
    for (; tlb != NULL; tlb = tlb->next)
        for (unsigned i = 0; i < VMEM_TLB_ENTRIES; i++) {
            const struct vmem_tlb_entry *seen = &tlb->leaf[i];
            uint64_t phys = seen->entry & VMEM_TLB_ADDRESS & ~UINT64_C(0x1000);
            phys |= seen->level == 1 ? seen->entry & 0x1000 : 0;
            if (seen->level != 0 && seen->virt - run->virt.value < run->bytes &&
                seen->virt - run->virt.value == phys - run->phys.value &&
                !vmem_tlb_is_true(tlb, seen))
                return false;
        }
    return true;
}

static inline bool vmem_tlb_is_unused(const struct vmem_tlb *tlb, paddr_t table) {
    for (; tlb != NULL; tlb = tlb->next)
        for (unsigned i = 0; i < VMEM_TLB_ENTRIES; i++)
            if (tlb->table[i].level != 0 && (tlb->table[i].entry & VMEM_TLB_ADDRESS) == table.value)
                return false;
    return true;
}
