// The format of page-table entries. Owns every bit: nothing outside this file touches one. Loops
// over entries are in entries.h.
//
// Levels count from the leaves up: 1 page table, 2 page directory, 3 page-directory-pointer table,
// 4 PML4, 5 PML5. An entry of level 2 or 3 is a table or a large leaf; of level 1 always a leaf; of
// level 4 or 5 always a table.
//
// Intel SDM volume 3A 4.5.4 (tables 4-14 to 4-20), 4.6 (rights), 4.9.2 (PAT); AMD APM volume 2 5.3.
// Where the two differ, the stricter rule is taken: tables of ours are right for both.
#pragma once

#include "common/base/assert.h"
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

// The marks: what CPUs set in a leaf by themselves.
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
static inline uint64_t entry_load(const uint64_t *cell) {
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

// A CPU that sees the entry sees what was stored before, such as the table that it points to.
static inline void entry_store(uint64_t *cell, uint64_t entry) {
    __atomic_store_n(cell, entry, __ATOMIC_RELEASE);
}

// Stores `entry` if the cell still holds *expected. Otherwise false, and *expected is what the cell
// holds. For live leaves, whose accessed and dirty bits a CPU may set at any moment.
static inline bool entry_exchange(uint64_t *cell, uint64_t *expected, uint64_t entry) {
    return __atomic_compare_exchange_n(cell, expected, entry, false, __ATOMIC_RELEASE,
                                       __ATOMIC_RELAXED);
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
    ASSERT(cpu.paddr_bits >= 32 && cpu.paddr_bits <= 52);
    uint64_t beyond_width = ENTRY_ADDRESS & (UINT64_MAX << cpu.paddr_bits);
    struct entry_rules rules = {.reserved = beyond_width | (cpu.has_nx ? 0 : ENTRY_NX)};
    rules.leaf_mask[1] = ENTRY_PRESENT | rules.reserved;
    for (unsigned level = 2; level <= (cpu.has_1g ? 3 : 2); level++) {
        // Address bits below the page size: 20:13 at level 2, 29:13 at level 3.
        uint64_t below = ((FRAME_BYTES << (VMEM_INDEX_BITS * (level - 1))) - 1) & ENTRY_ADDRESS;
        rules.leaf_mask[level] = rules.leaf_mask[1] | ENTRY_LARGE | (below & ~ENTRY_PAT_LARGE);
    }
    return rules;
}

// What an entry has under leaf_mask if it is a leaf of `level`.
static inline uint64_t entry_leaf_sign(unsigned level) {
    return level == 1 ? ENTRY_PRESENT : ENTRY_PRESENT | ENTRY_LARGE;
}

static inline bool entry_is_leaf(const struct entry_rules *rules, unsigned level, uint64_t entry) {
    ASSERT(level <= VMEM_LEVELS_MAX);
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

// A fast entry points to a table and allows everything but, perhaps, user mode: present, writable,
// not large, not global, not NX. Its number is the index of the table's frame under constant bits,
// so that one subtraction and one unsigned comparison tell whether an entry is fast and its table
// lies in a run of frames (vmem_is_direct). The number is the bits that decide, rotated by 12:
//
//     entry    63 NX ..  51:12 frame  .. 8 GLOBAL  7 LARGE .. 1 WRITE  0 PRESENT
//     number   60 GLOBAL  59 LARGE .. 53 WRITE  52 PRESENT  51 NX ..  39:0 frame
//
//     0x0000000000123023 -> 0x0030000000000123    fast; that it is accessed does not count
//     0x0000000000124007 -> 0x0030000000000124    fast, the next frame; nor does user mode
//     0x8000000000123003 -> 0x0038000000000123    not fast: NX
//
// An entry that is not fast differs in one of bits 60 to 51 of its number, and frames only in bits
// 39 to 0. So its number is at least 2^51 - 2^40 from that of any fast entry, and no run of frames
// is longer than 2^40.
static inline uint64_t entry_number(uint64_t entry) {
    uint64_t decisive = entry & (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE | ENTRY_GLOBAL |
                                 ENTRY_ADDRESS | ENTRY_NX);
    return decisive >> FRAME_SHIFT | decisive << (64 - FRAME_SHIFT);
}

// The fast entry that points to `table`.
static inline uint64_t entry_fast(paddr_t table) {
    ASSERT((table.value & ~ENTRY_ADDRESS) == 0);
    return table.value | ENTRY_PRESENT | ENTRY_WRITE;
}

// The frame of the table that a table entry points to.
static inline paddr_t entry_table_address(uint64_t entry) {
    return paddr(entry & ENTRY_ADDRESS);
}

// The first byte that a leaf of `level` maps.
static inline paddr_t entry_leaf_address(uint64_t entry, unsigned level) {
    ASSERT(level >= 1 && level <= VMEM_PAGE_SIZES);
    return paddr(entry & ENTRY_ADDRESS & ~((FRAME_BYTES << (VMEM_INDEX_BITS * (level - 1))) - 1));
}

// The entry for a table of the space's own. It allows writing and executing, so that the leaves
// alone decide. It allows user mode only if `rights` do, so that a wrong bit in a kernel leaf opens
// nothing.
static inline uint64_t entry_make_table(paddr_t table, unsigned rights) {
    ASSERT((table.value & ~ENTRY_ADDRESS) == 0);
    return table.value | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_OWNED |
           ((rights & VMEM_USER) ? ENTRY_USER : 0);
}

// Whether the space may free the table that a table entry points to.
static inline bool entry_is_owned(uint64_t entry) {
    return (entry & ENTRY_OWNED) != 0;
}

// Rights have the values of the bits that grant them, except execution: there a bit denies it.
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
    ASSERT(level >= 1 && level <= VMEM_PAGE_SIZES);
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

// An edit of a leaf: clears some bits, then sets some.
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

// Edits a live leaf and loses no bit that a CPU sets meanwhile. Returns the leaf as it was.
static inline uint64_t entry_edit_live(uint64_t *cell, struct entry_edit edit) {
    uint64_t leaf = entry_load(cell);
    while (!entry_exchange(cell, &leaf, entry_edited(leaf, edit)))
        continue;
    return leaf;
}

// The first of the 512 leaves of level - 1 that map what this leaf of `level` maps. The others
// follow at steps of their page size. In 4 KiB leaves the PAT bit has another place.
static inline uint64_t entry_split_leaf(uint64_t leaf, unsigned level) {
    ASSERT(level == 2 || level == 3);
    ASSERT((leaf & ENTRY_LARGE) != 0);
    if (level != 2)
        return leaf;
    uint64_t pat = (leaf & ENTRY_PAT_LARGE) ? ENTRY_PAT_SMALL : 0;
    return (leaf & ~(ENTRY_LARGE | ENTRY_PAT_LARGE)) | pat;
}

// The inverse: the leaf of `level` whose first part is `part`.
static inline uint64_t entry_merge_leaf(uint64_t part, unsigned level) {
    ASSERT(level == 2 || level == 3);
    ASSERT(entry_is_present(part));
    if (level != 2)
        return part;
    uint64_t pat = (part & ENTRY_PAT_SMALL) ? ENTRY_PAT_LARGE : 0;
    return (part & ~ENTRY_PAT_SMALL) | ENTRY_LARGE | pat;
}

// The leaf without the rights that the table entry `above` forbids.
static inline uint64_t entry_limit_by_parent(uint64_t leaf, uint64_t above) {
    ASSERT(entry_is_present(leaf) && entry_is_present(above));
    return (leaf & (above | ~(ENTRY_WRITE | ENTRY_USER))) | (above & ENTRY_NX);
}

// What an entry allows, as bits. The bits of all entries of a path, combined with &, are what the
// path grants; ENTRY_GRANTS_ALL is the start.
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

// The rights that are asked for and not granted.
static inline unsigned entry_missing_rights(uint64_t grants, unsigned rights) {
    return rights & ~entry_grants_rights(grants);
}

// Clears bits of a live leaf. Returns the leaf as it was.
static inline uint64_t entry_clear_live(uint64_t *cell, uint64_t bits) {
    return __atomic_fetch_and(cell, ~bits, __ATOMIC_RELEASE);
}

// Sets bits of a live entry, in which a CPU may set others meanwhile.
static inline void entry_set_live(uint64_t *cell, uint64_t bits) {
    __atomic_fetch_or(cell, bits, __ATOMIC_RELEASE);
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

// The bits that decide the translation: all but accessed, dirty, software's bits and the key.
static inline uint64_t entry_meaning(uint64_t leaf) {
    return leaf & ~(ENTRY_MARKS | ENTRY_SOFTWARE | ENTRY_KEY);
}
