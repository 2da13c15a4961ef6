// Loops over the entries of one table, and what they find out of several entries at once.
#pragma once

#include "common/base/mem.h"
#include "common/vmem/entry.h"

// The loops go by groups of entries, so that a branch decides about several.
#define ENTRY_GROUP 16

// What is known of several entries.
struct entry_summary {
    uint64_t sample; // one of them; 0: there is none
    uint64_t apart;  // bits in which some entry differs from `sample`
};

// Entries of which nothing is known.
#define ENTRY_SUMMARY_ANY ((struct entry_summary){ENTRY_PRESENT, UINT64_MAX})

static inline struct entry_summary entry_summary_add(struct entry_summary summary, uint64_t entry) {
    if (summary.sample == 0)
        return (struct entry_summary){entry, 0};
    return (struct entry_summary){summary.sample, summary.apart | (entry ^ summary.sample)};
}

// The bits that all entries have.
static inline uint64_t entry_summary_all(struct entry_summary summary) {
    return summary.sample & ~summary.apart;
}

// The bits that any entry has.
static inline uint64_t entry_summary_any(struct entry_summary summary) {
    return summary.sample | summary.apart;
}

// What the entries together grant (see entry_grants): NX takes away only if all have it.
static inline uint64_t entry_summary_grants(struct entry_summary summary) {
    uint64_t none = entry_summary_all(summary) & ENTRY_NX;
    return entry_grants((entry_summary_any(summary) & ~ENTRY_NX) | none);
}

// Fills `count` entries from `cell` on. Each is `step` more than the one before: leaves that map
// memory without a gap.
static inline void entry_fill(uint64_t *cell, uint64_t count, uint64_t leaf, uint64_t step) {
    ASSERT(count <= ENTRY_COUNT);
    for (; count >= 8; count -= 8) {
#pragma GCC unroll 8
        for (unsigned i = 0; i < 8; i++, leaf += step)
            entry_store(cell++, leaf);
    }
    for (; count != 0; count--, leaf += step)
        entry_store(cell++, leaf);
}

// Inverts bits of `count` leaves, by loads and stores: a bit that a CPU sets in between would be
// lost.
static inline void entry_invert(uint64_t *cell, uint64_t count, uint64_t bits) {
    ASSERT(count <= ENTRY_COUNT);
    for (; count >= ENTRY_GROUP; count -= ENTRY_GROUP) {
#pragma GCC unroll 16
        for (unsigned i = 0; i < ENTRY_GROUP; i++, cell++)
            entry_store(cell, entry_load(cell) ^ bits);
    }
    for (; count != 0; count--, cell++)
        entry_store(cell, entry_load(cell) ^ bits);
}

// Makes `count` entries from `cell` on absent.
static inline void entry_clear(uint64_t *cell, uint64_t count) {
    entry_fill(cell, count, 0, 0);
}

// The same in a table to which nothing leads yet: no CPU can see a store in parts.
static inline void entry_clear_unseen(uint64_t *cell, uint64_t count) {
    ASSERT(count <= ENTRY_COUNT);
    memset(cell, 0, count * sizeof(*cell));
}

// How many of the `count` entries from `cell` on are absent before the first present one.
static inline uint64_t entry_count_absent(const uint64_t *cell, uint64_t count) {
    ASSERT(count <= ENTRY_COUNT);
    uint64_t absent = 0;
    for (; count - absent >= ENTRY_GROUP; absent += ENTRY_GROUP) {
        uint64_t any = 0;
#pragma GCC unroll 16
        for (unsigned i = 0; i < ENTRY_GROUP; i++)
            any |= entry_load(&cell[absent + i]);
        if (entry_is_present(any))
            break;
    }
    while (absent < count && !entry_is_present(entry_load(&cell[absent])))
        absent++;
    return absent;
}

// How many of the `count` entries of a table of `level` from `cell` on are sound leaves, before the
// first that is not. *summary, which this function has made or which is zero, tells of them, too.
static inline uint64_t entry_count_leaves(const struct entry_rules *rules, unsigned level,
                                          const uint64_t *cell, uint64_t count,
                                          struct entry_summary *summary) {
    ASSERT(level <= VMEM_LEVELS_MAX && count <= ENTRY_COUNT);
    uint64_t sample = summary->sample != 0 || count == 0 ? summary->sample : entry_load(cell);
    if (!entry_is_leaf(rules, level, sample))
        return 0;
    uint64_t apart = summary->apart;
    uint64_t leaves = 0;
    for (; count - leaves >= ENTRY_GROUP; leaves += ENTRY_GROUP) {
        uint64_t group = apart;
#pragma GCC unroll 16
        for (unsigned i = 0; i < ENTRY_GROUP; i++)
            group |= entry_load(&cell[leaves + i]) ^ sample;
        if ((group & rules->leaf_mask[level]) != 0)
            break;
        apart = group;
    }
    for (; leaves < count; leaves++) {
        uint64_t entry = entry_load(&cell[leaves]);
        if (!entry_is_leaf(rules, level, entry))
            break;
        apart |= entry ^ sample;
    }
    if (leaves != 0)
        *summary = (struct entry_summary){sample, apart};
    return leaves;
}
