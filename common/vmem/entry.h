// The format of page-table entries. Owns every bit: nothing outside this file touches one.
//
// Levels count from the leaves up: 1 page table, 2 page directory, 3 page-directory-pointer table,
// 4 PML4, 5 PML5. An entry of level 2 or 3 is a table or a large leaf; of level 1 always a leaf; of
// level 4 or 5 always a table.
//
// Intel SDM volume 3A 4.5.4 (tables 4-14 to 4-20), 4.6 (rights), 4.9.2 (PAT); AMD APM volume 2 5.3.
// Where the two differ, the stricter rule is taken: tables of ours are right for both.
#pragma once

#include "common/base/mem.h"
#include "common/vmem/vmem.h"

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_PRESENT   (UINT64_C(1) << 0)             // the entry says something
#define ENTRY_WRITE     (UINT64_C(1) << 1)             // writes are allowed below
#define ENTRY_USER      (UINT64_C(1) << 2)             // user mode is allowed below
#define ENTRY_PWT       (UINT64_C(1) << 3)             // cache type, index bit 0
#define ENTRY_PCD       (UINT64_C(1) << 4)             // cache type, index bit 1
#define ENTRY_ACCESSED  (UINT64_C(1) << 5)             // set by the CPU on first use
#define ENTRY_DIRTY     (UINT64_C(1) << 6)             // leaf: set by the CPU on first write
#define ENTRY_LARGE     (UINT64_C(1) << 7)             // level 2 and 3: leaf, not table
#define ENTRY_PAT_SMALL (UINT64_C(1) << 7)             // 4 KiB leaf: cache type, index bit 2
#define ENTRY_GLOBAL    (UINT64_C(1) << 8)             // leaf: survives a load of CR3
#define ENTRY_SOFTWARE  (UINT64_C(0x07f0000000000e00)) // 58:52, 11:9: ignored by the CPU
#define ENTRY_PAT_LARGE (UINT64_C(1) << 12)            // large leaf: cache type, index bit 2
#define ENTRY_ADDRESS   (UINT64_C(0x000ffffffffff000)) // 51:12: of the table or of the 4 KiB frame
#define ENTRY_KEY       (UINT64_C(0xf) << 59)          // leaf: protection key, ignored without PKE
#define ENTRY_NX        (UINT64_C(1) << 63)            // no instruction fetch below

// What CPUs set in a leaf by themselves.
#define ENTRY_MARKS (ENTRY_ACCESSED | ENTRY_DIRTY)

// One of the software bits, in an entry that points to a table: the space may free that table.
#define ENTRY_OWNED (UINT64_C(1) << 9)

// PWT, PCD and the PAT bit are one number, the index into the PAT.
#define ENTRY_CACHE_SHIFT 3

// Disjoint and complete: the sum of the masks of a 4 KiB leaf carries nowhere and fills 64 bits.
_Static_assert(ENTRY_PRESENT + ENTRY_WRITE + ENTRY_USER + ENTRY_PWT + ENTRY_PCD + ENTRY_ACCESSED +
                       ENTRY_DIRTY + ENTRY_PAT_SMALL + ENTRY_GLOBAL + ENTRY_SOFTWARE +
                       ENTRY_ADDRESS + ENTRY_KEY + ENTRY_NX ==
                   UINT64_MAX &&
               (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER | ENTRY_PWT | ENTRY_PCD | ENTRY_ACCESSED |
                ENTRY_DIRTY | ENTRY_PAT_SMALL | ENTRY_GLOBAL | ENTRY_SOFTWARE | ENTRY_ADDRESS |
                ENTRY_KEY | ENTRY_NX) == UINT64_MAX);
_Static_assert(ENTRY_LARGE == ENTRY_PAT_SMALL);
_Static_assert((ENTRY_ADDRESS & ENTRY_PAT_LARGE) != 0);
_Static_assert((ENTRY_SOFTWARE & ENTRY_OWNED) != 0);

#define ENTRY_COUNT 512

// An entry is read and written as one 64-bit access: CPUs walk the tables meanwhile.
static inline uint64_t entry_load(const uint64_t *slot) {
    return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

// What was stored before, such as the filled table that `entry` points to, is seen before it.
static inline void entry_store(uint64_t *slot, uint64_t entry) {
    __atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

// Stores `entry` unless the slot no longer holds *expected; then *expected is what it holds. For
// live leaves, whose accessed and dirty bits a CPU may set at any moment.
static inline bool entry_exchange(uint64_t *slot, uint64_t *expected, uint64_t entry) {
    return __atomic_compare_exchange_n(slot, expected, entry, false, __ATOMIC_RELEASE,
                                       __ATOMIC_RELAXED);
}

// Loops over the entries of a table go by groups, so that a branch decides about several.
#define ENTRY_GROUP 16

// What is known of several entries: all are as `sample` but for the bits in `apart`, in which at
// least one differs from it.
struct entry_summary {
    uint64_t sample; // one of them; 0: there is none
    uint64_t apart;
};

// Entries of which nothing is known.
#define ENTRY_SUMMARY_ANY ((struct entry_summary){ENTRY_PRESENT, UINT64_MAX})

static inline struct entry_summary entry_summary_add(struct entry_summary summary, uint64_t entry) {
    if (summary.sample == 0)
        return (struct entry_summary){entry, 0};
    return (struct entry_summary){summary.sample, summary.apart | (entry ^ summary.sample)};
}

// The bits that all of them have, and those that any has.
static inline uint64_t entry_summary_all(struct entry_summary summary) {
    return summary.sample & ~summary.apart;
}

static inline uint64_t entry_summary_any(struct entry_summary summary) {
    return summary.sample | summary.apart;
}

static inline bool entry_is_present(uint64_t entry) {
    return (entry & ENTRY_PRESENT) != 0;
}

enum entry_kind {
    ENTRY_IS_ABSENT,
    ENTRY_IS_TABLE,
    ENTRY_IS_LEAF,
    ENTRY_IS_BAD, // a bit is set that must be zero: the CPU would fault
};

static inline struct entry_rules entry_rules(struct vmem_cpu cpu) {
    uint64_t beyond_width = ENTRY_ADDRESS & (UINT64_MAX << cpu.paddr_bits);
    struct entry_rules rules = {.reserved = beyond_width | (cpu.has_nx ? 0 : ENTRY_NX)};
    rules.leaf_mask[1] = ENTRY_PRESENT | rules.reserved;
    for (unsigned level = 2; level <= (cpu.has_1g ? 3 : 2); level++) {
        // Address bits below the page size: 20:13 at level 2, 29:13 at level 3.
        uint64_t below = ((FRAME_BYTES << (9 * (level - 1))) - 1) & ENTRY_ADDRESS;
        rules.leaf_mask[level] = rules.leaf_mask[1] | ENTRY_LARGE | (below & ~ENTRY_PAT_LARGE);
    }
    return rules;
}

// What the bits of the mask are in a leaf of `level`.
static inline uint64_t entry_leaf_sign(unsigned level) {
    return level == 1 ? ENTRY_PRESENT : ENTRY_PRESENT | ENTRY_LARGE;
}

static inline bool entry_is_leaf(const struct entry_rules *rules, unsigned level, uint64_t entry) {
    return (entry & rules->leaf_mask[level]) == entry_leaf_sign(level);
}

// Whether an entry of a table of `level` points to a table, and is sound.
static inline bool entry_is_table(const struct entry_rules *rules, unsigned level, uint64_t entry) {
    uint64_t mask = ENTRY_PRESENT | ENTRY_LARGE | rules->reserved;
    if (level >= 4) // AMD reserves bit 8 of levels 4 and 5, Intel ignores it
        mask |= ENTRY_GLOBAL;
    return level > 1 && (entry & mask) == ENTRY_PRESENT;
}

// What an entry of a table of `level` is to the CPU.
static inline enum entry_kind entry_kind(const struct entry_rules *rules, unsigned level,
                                         uint64_t entry) {
    if (!entry_is_present(entry))
        return ENTRY_IS_ABSENT;
    if (entry_is_table(rules, level, entry))
        return ENTRY_IS_TABLE;
    return entry_is_leaf(rules, level, entry) ? ENTRY_IS_LEAF : ENTRY_IS_BAD;
}

// The fast entry of a table of level 2 or more points to a table and allows all but, perhaps, user
// mode. Fast entries that point to successive frames have successive numbers; all others have
// numbers that are further from these than there are frames.
static inline uint64_t entry_number(uint64_t entry) {
    uint64_t decisive = entry & (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE | ENTRY_GLOBAL |
                                 ENTRY_ADDRESS | ENTRY_NX);
    return decisive >> FRAME_SHIFT | decisive << (64 - FRAME_SHIFT);
}

// A fast entry that points to `table`.
static inline uint64_t entry_fast(paddr_t table) {
    return table.value | ENTRY_PRESENT | ENTRY_WRITE;
}

// The frame of the table that a table entry points to.
static inline paddr_t entry_table_address(uint64_t entry) {
    return paddr(entry & ENTRY_ADDRESS);
}

// The first byte that a leaf of `level` maps.
static inline paddr_t entry_leaf_address(uint64_t entry, unsigned level) {
    return paddr(entry & ENTRY_ADDRESS & ~((FRAME_BYTES << (9 * (level - 1))) - 1));
}

// An entry that points to `table`, which is the space's own. It allows everything, so that the
// leaves alone decide; user mode only where a user leaf lies below, so that no wrong bit in a
// kernel leaf opens it.
static inline uint64_t entry_make_table(paddr_t table, unsigned rights) {
    return table.value | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_OWNED |
           ((rights & VMEM_USER) ? ENTRY_USER : 0);
}

// Whether the space may free the table that a table entry points to.
static inline bool entry_is_owned(uint64_t entry) {
    return (entry & ENTRY_OWNED) != 0;
}

// Rights have the values of the bits that grant them; only execution is the absence of one.
_Static_assert(VMEM_READ == ENTRY_PRESENT && VMEM_WRITE == ENTRY_WRITE && VMEM_USER == ENTRY_USER);
_Static_assert((uint64_t)VMEM_EXECUTE << 60 == ENTRY_NX);
#define ENTRY_NX_TO_EXECUTE 60

// The bits of a leaf entry that encode rights.
static inline uint64_t entry_rights_bits(unsigned rights) {
    return (rights & (VMEM_WRITE | VMEM_USER)) | (uint64_t)(~rights & VMEM_EXECUTE)
                                                     << ENTRY_NX_TO_EXECUTE;
}

// Bit 2 of the index into the PAT, in a leaf of `level`.
static inline uint64_t entry_pat_bit(unsigned level) {
    return level == 1 ? ENTRY_PAT_SMALL : ENTRY_PAT_LARGE;
}

// The bits of a leaf of `level` that encode a cache type.
static inline uint64_t entry_cache_bits(enum vmem_cache cache, unsigned level) {
    uint64_t index = (uint64_t)cache;
    return (index & 3) << ENTRY_CACHE_SHIFT | ((index & 4) ? entry_pat_bit(level) : 0);
}

// A leaf of `level` at `phys`; accessed and dirty are left to the CPU.
static inline uint64_t entry_make_leaf(unsigned level, paddr_t phys, unsigned rights,
                                       enum vmem_cache cache, bool global) {
    return phys.value | ENTRY_PRESENT | entry_rights_bits(rights) | entry_cache_bits(cache, level) |
           (level == 1 ? 0 : ENTRY_LARGE) | (global ? ENTRY_GLOBAL : 0);
}

// What an edit does to the bits of a leaf: clears some, then sets some.
struct entry_edit {
    uint64_t clear;
    uint64_t set;
};

static inline uint64_t entry_edited(uint64_t leaf, struct entry_edit edit) {
    return (leaf & ~edit.clear) | edit.set;
}

static inline struct entry_edit entry_edit_rights(unsigned rights) {
    return (struct entry_edit){ENTRY_WRITE | ENTRY_USER | ENTRY_NX, entry_rights_bits(rights)};
}

static inline struct entry_edit entry_edit_cache(enum vmem_cache cache, unsigned level) {
    return (struct entry_edit){ENTRY_PWT | ENTRY_PCD | entry_pat_bit(level),
                               entry_cache_bits(cache, level)};
}

// Edits a live leaf and loses no bit that a CPU sets meanwhile. Returns what it was.
static inline uint64_t entry_edit_live(uint64_t *slot, struct entry_edit edit) {
    uint64_t leaf = entry_load(slot);
    while (!entry_exchange(slot, &leaf, entry_edited(leaf, edit)))
        continue;
    return leaf;
}

// The first of the 512 leaves of level - 1 that together are this leaf of `level`; the next ones
// follow at steps of their page size. The PAT bit moves when they are 4 KiB leaves.
static inline uint64_t entry_split_leaf(uint64_t leaf, unsigned level) {
    if (level != 2)
        return leaf;
    uint64_t pat = (leaf & ENTRY_PAT_LARGE) ? ENTRY_PAT_SMALL : 0;
    return (leaf & ~(ENTRY_LARGE | ENTRY_PAT_LARGE)) | pat;
}

// The inverse: the leaf of `level` of which `part` is the first.
static inline uint64_t entry_merge_leaf(uint64_t part, unsigned level) {
    if (level != 2)
        return part;
    uint64_t pat = (part & ENTRY_PAT_SMALL) ? ENTRY_PAT_LARGE : 0;
    return (part & ~ENTRY_PAT_SMALL) | ENTRY_LARGE | pat;
}

// The leaf with no more than what the table entry `above` lets through.
static inline uint64_t entry_limit_by_parent(uint64_t leaf, uint64_t above) {
    return (leaf & (above | ~(ENTRY_WRITE | ENTRY_USER))) | (above & ENTRY_NX);
}

// What an entry allows, as bits to be combined with & along a walk; start with ENTRY_GRANTS_ALL.
#define ENTRY_GRANTS_ALL (ENTRY_WRITE | ENTRY_USER | ENTRY_NX)
static inline uint64_t entry_grants(uint64_t entry) {
    return (entry ^ ENTRY_NX) & ENTRY_GRANTS_ALL;
}

static inline unsigned entry_grants_rights(uint64_t grants) {
    return VMEM_READ | (unsigned)(grants & (ENTRY_WRITE | ENTRY_USER)) |
           (unsigned)(grants >> ENTRY_NX_TO_EXECUTE & VMEM_EXECUTE);
}

// The rights that a leaf has on its own.
static inline unsigned entry_leaf_rights(uint64_t leaf) {
    return (unsigned)(leaf & (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER)) |
           (unsigned)(~leaf >> ENTRY_NX_TO_EXECUTE & VMEM_EXECUTE);
}

// Whether a leaf that is granted this can be written and executed.
static inline bool entry_grants_write_execute(uint64_t grants) {
    return (grants & (ENTRY_WRITE | ENTRY_NX)) == (ENTRY_WRITE | ENTRY_NX);
}

// Those of the rights that are not granted.
static inline unsigned entry_missing_rights(uint64_t grants, unsigned rights) {
    return rights & ~entry_grants_rights(grants);
}

// Clears bits of a live leaf and returns what it was.
static inline uint64_t entry_clear_live(uint64_t *slot, uint64_t bits) {
    return __atomic_fetch_and(slot, ~bits, __ATOMIC_RELEASE);
}

// Sets bits of a live entry, of which a CPU may set others meanwhile.
static inline void entry_set_live(uint64_t *slot, uint64_t bits) {
    __atomic_fetch_or(slot, bits, __ATOMIC_RELEASE);
}

// Entries 6 and 7 of the PAT repeat 2 and 3 (SLIPWAY_PAT).
static inline enum vmem_cache entry_cache(uint64_t leaf, unsigned level) {
    unsigned high = (leaf & entry_pat_bit(level)) ? 4 : 0;
    unsigned index = (unsigned)(leaf >> ENTRY_CACHE_SHIFT & 3) | high;
    return (enum vmem_cache)(index < 6 ? index : index - 4);
}

static inline bool entry_is_global(uint64_t leaf) {
    return (leaf & ENTRY_GLOBAL) != 0;
}

// The marks as the flags of vmem.h.
static inline unsigned entry_marks(uint64_t leaf) {
    return ((leaf & ENTRY_ACCESSED) ? VMEM_ACCESSED : 0U) |
           ((leaf & ENTRY_DIRTY) ? VMEM_DIRTY : 0U);
}

static inline uint64_t entry_marks_bits(unsigned marks) {
    return ((marks & VMEM_ACCESSED) ? ENTRY_ACCESSED : 0) |
           ((marks & VMEM_DIRTY) ? ENTRY_DIRTY : 0);
}

static inline bool entry_is_accessed(uint64_t entry) {
    return (entry & ENTRY_ACCESSED) != 0;
}

static inline bool entry_is_dirty(uint64_t leaf) {
    return (leaf & ENTRY_DIRTY) != 0;
}

// The entry without what does not change the translation: accessed, dirty, software's bits, key.
static inline uint64_t entry_meaning(uint64_t leaf) {
    return leaf & ~(ENTRY_MARKS | ENTRY_SOFTWARE | ENTRY_KEY);
}

// Fills `count` entries from `slot` on with leaves; each maps `step` bytes more than the one
// before.
static inline void entry_fill(uint64_t *slot, uint64_t count, uint64_t leaf, uint64_t step) {
    for (; count >= 8; count -= 8) {
#pragma GCC unroll 8
        for (unsigned i = 0; i < 8; i++, leaf += step)
            entry_store(slot++, leaf);
    }
    for (; count != 0; count--, leaf += step)
        entry_store(slot++, leaf);
}

// Inverts bits of `count` leaves in which a CPU sets no more: plain stores do.
static inline void entry_invert(uint64_t *slot, uint64_t count, uint64_t bits) {
    for (; count >= ENTRY_GROUP; count -= ENTRY_GROUP) {
#pragma GCC unroll 16
        for (unsigned i = 0; i < ENTRY_GROUP; i++, slot++)
            entry_store(slot, entry_load(slot) ^ bits);
    }
    for (; count != 0; count--, slot++)
        entry_store(slot, entry_load(slot) ^ bits);
}

// Makes `count` entries from `slot` on absent.
static inline void entry_clear(uint64_t *slot, uint64_t count) {
    entry_fill(slot, count, 0, 0);
}

// The same in a table to which nothing leads yet: no CPU can see a part of a store.
static inline void entry_clear_unseen(uint64_t *slot, uint64_t count) {
    memset(slot, 0, count * sizeof(*slot));
}

// How many of the `count` entries from `slot` on are absent before the first present one.
static inline uint64_t entry_count_absent(const uint64_t *slot, uint64_t count) {
    uint64_t absent = 0;
    for (; count - absent >= ENTRY_GROUP; absent += ENTRY_GROUP) {
        uint64_t any = 0;
#pragma GCC unroll 16
        for (unsigned i = 0; i < ENTRY_GROUP; i++)
            any |= entry_load(&slot[absent + i]);
        if (entry_is_present(any))
            break;
    }
    while (absent < count && !entry_is_present(entry_load(&slot[absent])))
        absent++;
    return absent;
}

// How many of the `count` entries of a table of `level` from `slot` on are sound leaves, before the
// first that is not. They are added to *summary, which has been made by this function or is zero.
static inline uint64_t entry_count_leaves(const struct entry_rules *rules, unsigned level,
                                          const uint64_t *slot, uint64_t count,
                                          struct entry_summary *summary) {
    uint64_t sample = summary->sample != 0 || count == 0 ? summary->sample : entry_load(slot);
    if (!entry_is_leaf(rules, level, sample))
        return 0;
    uint64_t apart = summary->apart;
    uint64_t leaves = 0;
    for (; count - leaves >= ENTRY_GROUP; leaves += ENTRY_GROUP) {
        uint64_t group = apart;
#pragma GCC unroll 16
        for (unsigned i = 0; i < ENTRY_GROUP; i++)
            group |= entry_load(&slot[leaves + i]) ^ sample;
        if ((group & rules->leaf_mask[level]) != 0)
            break;
        apart = group;
    }
    for (; leaves < count; leaves++) {
        uint64_t entry = entry_load(&slot[leaves]);
        if (!entry_is_leaf(rules, level, entry))
            break;
        apart |= entry ^ sample;
    }
    if (leaves != 0)
        *summary = (struct entry_summary){sample, apart};
    return leaves;
}
