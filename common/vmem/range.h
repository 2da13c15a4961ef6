// Ranges of pages, their checks, and how many tables and leaves a range takes.
//
// Inside the library an address is the index of its 4 KiB page: address >> 12, with the sign
// extension kept. That takes 52 bits, so that even the end of the address space is a page, and no
// comparison can wrap.
#pragma once

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/vmem/entry.h"
#include "common/vmem/vmem.h"

#include <stdbool.h>
#include <stdint.h>

// Pages [first, end), not empty, canonical, in one half of the address space.
struct vmem_pages {
    uint64_t first;
    uint64_t end;
};

// log2 of the pages that one entry of a table of `level` spans.
static inline unsigned level_shift(unsigned level) {
    ASSERT(level >= 1);
    return VMEM_INDEX_BITS * (level - 1);
}

static inline uint64_t level_pages(unsigned level) {
    return UINT64_C(1) << level_shift(level);
}

static inline uint64_t level_bytes(unsigned level) {
    return FRAME_BYTES << level_shift(level);
}

static inline unsigned level_index(uint64_t page, unsigned level) {
    return (unsigned)(page >> level_shift(level)) % ENTRY_COUNT;
}

// The end of the pages that the entry of `level` for page `at` translates, or the end of the range
// if that is sooner.
static inline uint64_t level_entry_end(uint64_t at, uint64_t end, unsigned level) {
    ASSERT(at < end);
    return min_u64(end, (at | (level_pages(level) - 1)) + 1);
}

// Entries of one table of `level` that [at, end) touches.
static inline uint64_t level_entries(uint64_t at, uint64_t end, unsigned level) {
    ASSERT(at < end);
    return ((end - 1) >> level_shift(level)) - (at >> level_shift(level)) + 1;
}

// The page after `count` entries of `level`, the first of which holds page `at`, or the end of the
// range if that is sooner.
static inline uint64_t level_skip(uint64_t at, uint64_t end, unsigned level, uint64_t count) {
    ASSERT(at < end && count != 0 && count <= ENTRY_COUNT);
    return min_u64(end, align_down(at, level_pages(level)) + (count << level_shift(level)));
}

// Entries of one table of `level` that [at, end) covers whole, if `at` begins one; else 0.
static inline uint64_t level_whole_entries(uint64_t at, uint64_t end, unsigned level) {
    ASSERT(at < end);
    return is_aligned(at, level_pages(level)) ? (end - at) >> level_shift(level) : 0;
}

// Whether one table of `level` holds all entries for [at, end).
static inline bool level_is_one_table(uint64_t at, uint64_t end, unsigned level) {
    return at < end && at >> level_shift(level + 1) == (end - 1) >> level_shift(level + 1);
}

// Whether [at, next), within one entry of `level`, is all of it.
static inline bool level_is_whole(uint64_t at, uint64_t next, unsigned level) {
    ASSERT(level_entry_end(at, next, level) == next);
    return next - at == level_pages(level);
}

static inline vaddr_t page_address(uint64_t page) {
    return vaddr(page << FRAME_SHIFT);
}

// All pages of the lower and of the upper half.
struct vmem_pages vmem_pages_lower(unsigned levels);
struct vmem_pages vmem_pages_upper(unsigned levels);

// Whether an address is one that a CPU with this many levels translates.
static inline bool vmem_is_canonical(vaddr_t virt, unsigned levels) {
    ASSERT(levels == 4 || levels == 5);
    unsigned unused = 64 - (FRAME_SHIFT + VMEM_INDEX_BITS * levels);
    return (uint64_t)((int64_t)(virt.value << unused) >> unused) == virt.value;
}

// Checks the level count and the physical width. Errors: VMEM_ERR_LEVELS, VMEM_ERR_PADDR_WIDTH.
[[nodiscard]] enum vmem_status vmem_check_cpu(struct vmem_cpu cpu, unsigned levels);

// Checks a virtual range. *ret_pages is untouched on failure.
// Errors: VMEM_ERR_UNALIGNED, VMEM_ERR_EMPTY, VMEM_ERR_WRAPS, VMEM_ERR_NONCANONICAL.
[[nodiscard]] enum vmem_status vmem_check_range(unsigned levels, vaddr_t virt, uint64_t bytes,
                                                struct vmem_pages *ret_pages);

// Checks that the tables can express these rights on this CPU.
// Errors: VMEM_ERR_RIGHTS, VMEM_ERR_NO_NX.
[[nodiscard]] enum vmem_status vmem_check_rights(struct vmem_cpu cpu, unsigned rights);

// Checks all of a mapping that needs no look at the tables. *ret_pages is untouched on failure.
// Errors: those of vmem_check_range and vmem_check_rights, VMEM_ERR_UNALIGNED of `phys` too,
// VMEM_ERR_PADDR_WIDTH, VMEM_ERR_CACHE, VMEM_ERR_PAGE_SIZE.
[[nodiscard]] enum vmem_status vmem_check_mapping(struct vmem_cpu cpu, unsigned levels,
                                                  const struct vmem_mapping *mapping,
                                                  struct vmem_pages *ret_pages);

// The highest level at which this mapping may have leaves. There, and at every level below, an
// entry that the range covers whole becomes a leaf; every other entry that it touches, a table.
// This is the one rule by which vmem_map and the planner choose leaves.
static inline unsigned vmem_leaf_level(const struct vmem_mapping *mapping) {
    unsigned level = (unsigned)mapping->largest + 1;
    ASSERT(level <= VMEM_PAGE_SIZES);
    uint64_t apart = (mapping->virt.value ^ mapping->phys.value) >> FRAME_SHIFT;
    while (!is_aligned(apart, level_pages(level)))
        level--;
    return level;
}

// Tables of `level` that the pages need when leaves stand no higher than leaf_level: one for each
// entry of level + 1 that is not a leaf itself.
uint64_t vmem_count_tables(struct vmem_pages pages, unsigned level, unsigned leaf_level);

// The same, of all levels below `level`: what it takes to give pages
// within one entry of `level` entries of their own.
uint64_t vmem_count_tables_below(struct vmem_pages within, unsigned level, unsigned leaf_level);

// Leaves of `level` that the pages take when leaves stand no higher than leaf_level.
uint64_t vmem_count_leaves(struct vmem_pages pages, unsigned level, unsigned leaf_level);
