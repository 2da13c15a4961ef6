#include "common/base/arith.h"
#include "common/boot/slipway_boot.h"

#include "tests/unit/support/vmem_rig.h"

#define HHDM   UINT64_C(0xffff800000000000)
#define KERNEL UINT64_C(0xffffffff80000000)

TEST("vmem: an address is split into its indices as the manual draws it") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 5);
    // Indices 5 to 1: 0x1ff 0x101 0x0fe 0x003 0x155.
    uint64_t virt = UINT64_C(0xffff) << 48 | UINT64_C(0x101) << 39 | UINT64_C(0x0fe) << 30 |
                    UINT64_C(0x003) << 21 | UINT64_C(0x155) << 12;
    struct vmem_mapping mapping = rig_mapping(virt, 0x7000, 4096);
    assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
    static const unsigned indices[] = {0, 0x155, 0x003, 0x0fe, 0x101, 0x1ff};
    uint64_t table = rig.space.root.value;
    for (unsigned level = 5; level >= 1; level--) {
        const uint64_t *entries = vmem_memory_pointer(&rig.memory, paddr(table));
        for (unsigned i = 0; i < 512; i++)
            assert_int_equal(entries[i] != 0, i == indices[level]);
        table = entries[indices[level]] & 0x000ffffffffff000;
    }
    assert_int_equal(table, 0x7000);
    rig_destroy(&rig);
}

// Bits of the leaf that a mapping makes, without its address.
static uint64_t leaf_bits(unsigned level, unsigned rights, enum vmem_cache cache, bool global) {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    uint64_t bytes = UINT64_C(4096) << (9 * (level - 1));
    struct vmem_mapping mapping = rig_mapping(HHDM, bytes, bytes);
    mapping.rights = rights;
    mapping.cache = cache;
    mapping.global = global;
    assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
    uint64_t entry = *rig_slot(&rig, HHDM, level);
    assert_int_equal(entry & bytes, bytes);
    vmem_memory_destroy(&rig.memory);
    return entry & ~bytes;
}

TEST("vmem: every right, cache type and global has its bits in leaves of every level") {
    static const uint64_t large[] = {0, 0, 0x80, 0x80};
    static const uint64_t pat[] = {0, 0x80, 0x1000, 0x1000};
    const uint64_t nx = UINT64_C(1) << 63;
    for (unsigned level = 1; level <= 3; level++) {
        uint64_t base = 1 | large[level];
        assert_int_equal(leaf_bits(level, VMEM_READ, VMEM_CACHE_WB, false), base | nx);
        assert_int_equal(leaf_bits(level, RIG_RW, VMEM_CACHE_WB, false), base | nx | 2);
        assert_int_equal(leaf_bits(level, RIG_RX, VMEM_CACHE_WB, false), base);
        assert_int_equal(leaf_bits(level, RIG_RX | VMEM_USER, VMEM_CACHE_WB, false), base | 4);
        assert_int_equal(leaf_bits(level, RIG_RX, VMEM_CACHE_WB, true), base | 0x100);
        assert_int_equal(leaf_bits(level, RIG_RX, VMEM_CACHE_WT, false), base | 8);
        assert_int_equal(leaf_bits(level, RIG_RX, VMEM_CACHE_UC_MINUS, false), base | 0x10);
        assert_int_equal(leaf_bits(level, RIG_RX, VMEM_CACHE_UC, false), base | 0x18);
        assert_int_equal(leaf_bits(level, RIG_RX, VMEM_CACHE_WP, false), base | pat[level]);
        assert_int_equal(leaf_bits(level, RIG_RX, VMEM_CACHE_WC, false), base | pat[level] | 8);
    }
}

TEST("vmem: the cache types are the entries of the PAT that the loader programs") {
    // PAT encodings (SDM 3A table 12-10) in the order of enum vmem_cache.
    static const uint8_t encoding[] = {6, 4, 7, 0, 5, 1};
    for (unsigned cache = 0; cache < ARRAY_LEN(encoding); cache++)
        assert_int_equal(SLIPWAY_PAT >> (8 * cache) & 0xff, encoding[cache]);
}

TEST("vmem: table entries allow everything but user mode, which they allow above user leaves") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        struct vmem_mapping kernel = rig_mapping(0x1000, 0x1000, 4096);
        kernel.rights = VMEM_READ;
        assert_int_equal(rig_map(&rig, &kernel), VMEM_OK);
        for (unsigned level = 2; level <= levels; level++)
            assert_int_equal(*rig_slot(&rig, 0x1000, level) & ~UINT64_C(0x000ffffffffff000), 0x203);
        struct vmem_mapping user = rig_mapping(0x40000000, 0x2000, 4096);
        user.rights = VMEM_READ | VMEM_USER;
        assert_int_equal(rig_map(&rig, &user), VMEM_OK);
        for (unsigned level = 2; level <= levels; level++) {
            assert_int_equal(*rig_slot(&rig, 0x40000000, level) & 0xfff, 0x207);
            assert_int_equal(*rig_slot(&rig, 0x1000, level) & 0xfff, level >= 4 ? 0x207 : 0x203);
        }
        rig_expect(&rig, 0x1000, 0x1000, VMEM_4K, VMEM_READ);
        rig_expect(&rig, 0x40000000, 0x2000, VMEM_4K, VMEM_READ | VMEM_USER);
        rig_destroy(&rig);
    }
}

TEST("vmem: a user mapping widens the tables that it shares, but not when it fails") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    struct vmem_mapping kernel = rig_mapping(0x1000, 0x1000, 4096);
    assert_int_equal(rig_map(&rig, &kernel), VMEM_OK);
    struct vmem_mapping user = rig_mapping(0x1ff000, 0x2000, 0x2000); // two page tables
    user.rights = RIG_RW | VMEM_USER;
    assert_int_equal(rig_starve(&rig, rig_do_map, &user), 1);
    for (unsigned level = 2; level <= 4; level++)
        assert_int_equal(*rig_slot(&rig, 0x1ff000, level) & 0xfff, 0x207);
    assert_int_equal(*rig_slot(&rig, 0x200000, 2) & 0xfff, 0x207);
    rig_destroy(&rig);
}

TEST("vmem: a range gets the largest leaves that fit, cut by alignment, wish and CPU") {
    static const struct {
        uint64_t virt, phys, bytes;
        enum vmem_page largest;
        bool has_1g;
        uint64_t probe;
        enum vmem_page page;
    } cases[] = {
        {HHDM, 0, GIB(2), VMEM_1G, true, HHDM + GIB(1), VMEM_1G},
        {HHDM, 0, GIB(2), VMEM_2M, true, HHDM + GIB(1), VMEM_2M},
        {HHDM, 0, GIB(2), VMEM_2M, false, HHDM + GIB(1), VMEM_2M},
        {HHDM, 0, GIB(1), VMEM_4K, true, HHDM + MIB(2), VMEM_4K},
        {HHDM, MIB(2), GIB(2), VMEM_1G, true, HHDM + GIB(1), VMEM_2M},
        {HHDM, 0x1000, GIB(1), VMEM_1G, true, HHDM + MIB(2), VMEM_4K},
        {HHDM + 0x1000, 0x1000, GIB(2) - 0x2000, VMEM_1G, true, HHDM + 0x1000, VMEM_4K},
        {HHDM + 0x1000, 0x1000, GIB(2) - 0x2000, VMEM_1G, true, HHDM + MIB(2), VMEM_2M},
        {HHDM + 0x1000, 0x1000, GIB(3) - 0x2000, VMEM_1G, true, HHDM + GIB(1), VMEM_1G},
        {HHDM + MIB(2) - 4096, MIB(4) - 4096, MIB(2) + 4096, VMEM_1G, true, HHDM + MIB(2), VMEM_2M},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig rig;
        rig_make(&rig, cases[i].has_1g ? RIG_CPU : RIG_CPU_NO_1G, 4);
        struct vmem_mapping mapping = rig_mapping(cases[i].virt, cases[i].phys, cases[i].bytes);
        mapping.largest = cases[i].largest;
        assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
        uint64_t delta = cases[i].phys - cases[i].virt;
        rig_expect(&rig, cases[i].probe, cases[i].probe + delta, cases[i].page, RIG_RW);
        uint64_t last = cases[i].virt + cases[i].bytes - 1;
        struct vmem_translation end;
        assert_int_equal(vmem_translate(&rig.space, vaddr(last), &end), VMEM_OK);
        assert_int_equal(end.phys.value, last + delta);
        rig_expect_absent(&rig, cases[i].virt + cases[i].bytes);
        if (cases[i].virt != HHDM)
            rig_expect_absent(&rig, cases[i].virt - 1);
        rig_destroy(&rig);
    }
}

TEST("vmem: mappings cross the boundary of every level") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned level = 1; level <= levels; level++) {
            // Between entries 508 and 509 of the last table of this level.
            uint64_t boundary = UINT64_C(0) - (UINT64_C(3) << (12 + 9 * (level - 1)));
            struct rig rig;
            rig_make(&rig, RIG_CPU, levels);
            struct vmem_mapping mapping = rig_mapping(boundary - 0x2000, 0x5000, 0x5000);
            int64_t tables = rig_starve(&rig, rig_do_map, &mapping);
            assert_int_equal(tables, levels + level - 2);
            for (unsigned page = 0; page < 5; page++)
                rig_expect(&rig, boundary - 0x2000 + page * 4096, 0x5000 + page * 4096, VMEM_4K,
                           RIG_RW);
            rig_expect_absent(&rig, boundary - 0x2001);
            rig_expect_absent(&rig, boundary + 0x3000);
            rig_destroy(&rig);
        }
    }
}

TEST("vmem: the last page of either half and of physical memory can be mapped") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        uint64_t hole = UINT64_C(1) << (12 + 9 * levels - 1);
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        struct vmem_mapping top = rig_mapping(UINT64_C(0) - 0x3000, 0x1000, 0x3000);
        struct vmem_mapping low = rig_mapping(hole - 0x1000, 0x1000, 0x1000);
        struct vmem_mapping high = rig_mapping(UINT64_C(0) - hole, 0x1000, 0x1000);
        struct vmem_mapping wide = rig_mapping(0, (UINT64_C(1) << 46) - GIB(1), GIB(1));
        assert_int_equal(rig_map(&rig, &top), VMEM_OK);
        assert_int_equal(rig_map(&rig, &low), VMEM_OK);
        assert_int_equal(rig_map(&rig, &high), VMEM_OK);
        assert_int_equal(rig_map(&rig, &wide), VMEM_OK);
        rig_expect(&rig, UINT64_MAX, 0x3fff, VMEM_4K, RIG_RW);
        rig_expect(&rig, hole - 1, 0x1fff, VMEM_4K, RIG_RW);
        rig_expect(&rig, UINT64_C(0) - hole, 0x1000, VMEM_4K, RIG_RW);
        rig_expect(&rig, GIB(1) - 1, (UINT64_C(1) << 46) - 1, VMEM_1G, RIG_RW);
        rig_destroy(&rig);
    }
}

TEST("vmem: map refuses what it cannot do, precisely, and changes nothing") {
    const uint64_t hole = UINT64_C(1) << 47;
    const uint64_t width = UINT64_C(1) << 46;
    struct rig rig;
    rig_make(&rig, RIG_CPU_NO_1G, 4);
    struct vmem_mapping there = rig_mapping(MIB(4), MIB(4), MIB(2));
    there.largest = VMEM_2M;
    assert_int_equal(rig_map(&rig, &there), VMEM_OK);
    // With a page table where most of the requests go: the short way for one page refuses, too.
    struct vmem_mapping beside = rig_mapping(0x8000, 0x8000, 0x1000);
    beside.largest = VMEM_2M;
    assert_int_equal(rig_map(&rig, &beside), VMEM_OK);
    struct {
        enum vmem_status want;
        struct vmem_mapping mapping;
    } cases[] = {
        {VMEM_ERR_UNALIGNED, rig_mapping(0x1001, 0x1000, 0x1000)},
        {VMEM_ERR_UNALIGNED, rig_mapping(0x1000, 0x1800, 0x1000)},
        {VMEM_ERR_UNALIGNED, rig_mapping(0x1000, 0x1000, 0x1001)},
        {VMEM_ERR_UNALIGNED, rig_mapping(0x1000, 0x1000, 1)},
        {VMEM_ERR_EMPTY, rig_mapping(0x1000, 0x1000, 0)},
        {VMEM_ERR_WRAPS, rig_mapping(UINT64_C(0) - 0x1000, 0, 0x2000)},
        {VMEM_ERR_WRAPS, rig_mapping(0x2000, 0, UINT64_C(0) - 0x1000)},
        {VMEM_ERR_NONCANONICAL, rig_mapping(hole, 0, 0x1000)},
        {VMEM_ERR_NONCANONICAL, rig_mapping(hole - 0x1000, 0, 0x2000)},
        {VMEM_ERR_NONCANONICAL, rig_mapping(UINT64_C(0) - hole - 0x1000, 0, 0x2000)},
        {VMEM_ERR_NONCANONICAL, rig_mapping(0x1000, 0, UINT64_C(0) - 0x2000)},
        {VMEM_ERR_PADDR_WIDTH, rig_mapping(0, width, 0x1000)},
        {VMEM_ERR_PADDR_WIDTH, rig_mapping(0, width - 0x1000, 0x2000)},
        {VMEM_ERR_PADDR_WIDTH, rig_mapping(0, UINT64_C(0) - 0x1000, 0x2000)},
        {VMEM_ERR_MAPPED, rig_mapping(MIB(4), MIB(4), 0x1000)},
        {VMEM_ERR_MAPPED, rig_mapping(MIB(4), MIB(4), MIB(2))},
        {VMEM_ERR_MAPPED, rig_mapping(MIB(6) - 0x1000, 0, 0x2000)},
        {VMEM_ERR_MAPPED, rig_mapping(0, 0, GIB(4))},
        {VMEM_ERR_UNALIGNED, rig_mapping(0, 0x800, 0x1000)},
        {VMEM_ERR_UNALIGNED, rig_mapping(0, 1, 0x1000)},
        {VMEM_ERR_PADDR_WIDTH, rig_mapping(0, UINT64_C(1) << 52, 0x1000)},
        {VMEM_ERR_PADDR_WIDTH, rig_mapping(0, UINT64_C(1) << 63, 0x1000)},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cases[i].mapping.largest = VMEM_2M;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        rig_refuse(&rig, rig_do_map, &cases[i].mapping, cases[i].want);
    rig_destroy(&rig);
}

TEST(
    "vmem: map refuses rights, a cache type and a page size that do not exist or that a CPU lacks") {
    struct {
        enum vmem_status want;
        unsigned rights;
        enum vmem_cache cache;
        enum vmem_page largest;
    } cases[] = {
        {VMEM_ERR_RIGHTS, VMEM_WRITE, VMEM_CACHE_WB, VMEM_2M},
        {VMEM_ERR_RIGHTS, VMEM_READ | 16, VMEM_CACHE_WB, VMEM_2M},
        {VMEM_ERR_CACHE, RIG_RW, (enum vmem_cache)6, VMEM_2M},
        {VMEM_ERR_PAGE_SIZE, RIG_RW, VMEM_CACHE_WB, VMEM_1G},
        {VMEM_ERR_PAGE_SIZE, RIG_RW, VMEM_CACHE_WB, (enum vmem_page)3},
    };
    struct rig rig;
    rig_make(&rig, RIG_CPU_NO_1G, 4);
    struct vmem_mapping beside = rig_mapping(0x8000, 0x8000, 0x1000); // the fast path leads there
    beside.largest = VMEM_4K;
    assert_int_equal(rig_map(&rig, &beside), VMEM_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vmem_mapping mapping = rig_mapping(0, 0, 0x1000);
        mapping.rights = cases[i].rights;
        mapping.cache = cases[i].cache;
        mapping.largest = cases[i].largest;
        rig_refuse(&rig, rig_do_map, &mapping, cases[i].want);
    }
    rig_destroy(&rig);
}

TEST("vmem: a CPU without NX is asked for no NX, and one with it gets it where not executable") {
    struct rig rig;
    rig_make(&rig, (struct vmem_cpu){.paddr_bits = 46}, 4);
    struct vmem_mapping mapping = rig_mapping(0x1000, 0x1000, 0x1000);
    mapping.largest = VMEM_4K;
    rig_refuse(&rig, rig_do_map, &mapping, VMEM_ERR_NO_NX);
    mapping.rights = RIG_RX;
    assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
    assert_int_equal(*rig_slot(&rig, 0x1000, 1), 0x1001);
    struct vmem_mapping beside = rig_mapping(0x2000, 0x2000, 0x1000);
    beside.largest = VMEM_4K;
    rig_refuse(&rig, rig_do_map, &beside, VMEM_ERR_NO_NX);
    struct rig_range range = {0x1000, 0x1000, VMEM_READ};
    rig_refuse(&rig, rig_do_protect, &range, VMEM_ERR_NO_NX);
    rig_destroy(&rig);
}

TEST("vmem: map finds the one page that is in the way, wherever in the range it is") {
    static const uint64_t at[] = {0,      0x1000,          MIB(2) - 0x1000,
                                  MIB(2), MIB(2) + 0x1000, GIB(1) - 0x1000,
                                  GIB(1), GIB(2) - 0x1000};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        struct vmem_mapping page = rig_mapping(KERNEL + at[i] - GIB(1), 0x1000, 0x1000);
        assert_int_equal(rig_map(&rig, &page), VMEM_OK);
        struct vmem_mapping all = rig_mapping(KERNEL - GIB(1), 0, GIB(2));
        rig_refuse(&rig, rig_do_map, &all, VMEM_ERR_MAPPED);
        all.largest = VMEM_4K;
        rig_refuse(&rig, rig_do_map, &all, VMEM_ERR_MAPPED);
        rig_destroy(&rig);
    }
}

TEST("vmem: whatever allocation fails while mapping, nothing has happened") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        struct vmem_mapping edges = rig_mapping(HHDM + 0x1000, 0x1000, GIB(513) + MIB(4));
        // 4K and 2M tables at both edges, two directories, two PDPTs, and with 5 levels a PML4.
        assert_int_equal(rig_starve(&rig, rig_do_map, &edges), levels == 4 ? 6 : 7);
        struct vmem_mapping into = rig_mapping(KERNEL, 0x1000, 0x3000);
        into.rights = RIG_RX | VMEM_USER;
        rig_starve(&rig, rig_do_map, &into);
        struct vmem_mapping small = rig_mapping(0x1000, MIB(64), MIB(8));
        small.largest = VMEM_4K;
        rig_starve(&rig, rig_do_map, &small);
        rig_destroy(&rig);
    }
}

TEST("vmem: new and adopt refuse what is no address space") {
    struct vmem_memory memory = vmem_memory_make(4);
    struct vmem space;
    memset(&space, 0x5a, sizeof(space));
    struct vmem before = space;
    assert_int_equal(vmem_new(&space, &vmem_memory_ops, &memory, RIG_CPU, 3), VMEM_ERR_LEVELS);
    assert_int_equal(vmem_new(&space, &vmem_memory_ops, &memory, RIG_CPU, 6), VMEM_ERR_LEVELS);
    struct vmem_cpu narrow = {.paddr_bits = 31};
    struct vmem_cpu wide = {.paddr_bits = 53};
    assert_int_equal(vmem_new(&space, &vmem_memory_ops, &memory, narrow, 4), VMEM_ERR_PADDR_WIDTH);
    assert_int_equal(vmem_new(&space, &vmem_memory_ops, &memory, wide, 4), VMEM_ERR_PADDR_WIDTH);
    memory.may_alloc = 0;
    assert_int_equal(vmem_new(&space, &vmem_memory_ops, &memory, RIG_CPU, 4), VMEM_ERR_NO_MEMORY);
    memory.may_alloc = -1;
    assert_int_equal(vmem_adopt(&space, &vmem_memory_ops, &memory, RIG_CPU, 4, VMEM_MEMORY_BASE),
                     VMEM_ERR_ROOT);
    assert_int_equal(memory.used_count, 0);
    assert_int_equal(vmem_memory_alloc(&memory).value, VMEM_MEMORY_BASE);
    assert_int_equal(vmem_adopt(&space, &vmem_memory_ops, &memory, RIG_CPU, 3, VMEM_MEMORY_BASE),
                     VMEM_ERR_LEVELS);
    assert_int_equal(vmem_adopt(&space, &vmem_memory_ops, &memory, wide, 4, VMEM_MEMORY_BASE),
                     VMEM_ERR_PADDR_WIDTH);
    assert_memory_equal(&space, &before, sizeof(space));
    // CR3 with PCID and LAM bits, and one just above the width.
    uint64_t cr3 = VMEM_MEMORY_BASE | UINT64_C(3) << 61 | UINT64_C(1) << 46 | 0xfff;
    assert_int_equal(vmem_adopt(&space, &vmem_memory_ops, &memory, RIG_CPU, 5, cr3), VMEM_OK);
    assert_int_equal(space.root.value, VMEM_MEMORY_BASE);
    assert_int_equal(space.levels, 5);
    vmem_memory_destroy(&memory);
}

TEST("vmem: an adopted table entry that forbids what a leaf is to have is refused, not opened") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    struct vmem_mapping page = rig_mapping(0x1000, 0x1000, 0x1000);
    assert_int_equal(rig_map(&rig, &page), VMEM_OK);
    *rig_slot(&rig, 0x1000, 3) |= UINT64_C(1) << 63;
    struct vmem_mapping execute = rig_mapping(0x2000, 0x2000, 0x1000);
    execute.rights = RIG_RX;
    rig_refuse(&rig, rig_do_map, &execute, VMEM_ERR_RIGHTS);
    struct vmem_mapping across = rig_mapping(GIB(1) - 0x1000, 0x2000, 0x2000);
    across.rights = RIG_RX;
    rig_refuse(&rig, rig_do_map, &across, VMEM_ERR_RIGHTS);
    *rig_slot(&rig, 0x1000, 3) ^= UINT64_C(1) << 63 | 2;
    struct vmem_mapping write = rig_mapping(0x2000, 0x2000, 0x1000);
    rig_refuse(&rig, rig_do_map, &write, VMEM_ERR_RIGHTS);
    struct rig_range protect = {0x1000, 0x1000, RIG_RW};
    rig_refuse(&rig, rig_do_protect, &protect, VMEM_ERR_RIGHTS);
    write.rights = VMEM_READ;
    assert_int_equal(rig_map(&rig, &write), VMEM_OK);
    rig_destroy(&rig);
}

TEST("vmem: an empty table is used where a large leaf would fit") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    struct vmem_mapping page = rig_mapping(HHDM + GIB(1), GIB(1), 0x1000);
    assert_int_equal(rig_map(&rig, &page), VMEM_OK);
    *rig_slot(&rig, HHDM + GIB(1), 1) = 0;
    struct vmem_mapping all = rig_mapping(HHDM, 0, GIB(3));
    assert_int_equal(rig_map(&rig, &all), VMEM_OK);
    rig_expect(&rig, HHDM, 0, VMEM_1G, RIG_RW);
    rig_expect(&rig, HHDM + GIB(1), GIB(1), VMEM_4K, RIG_RW);
    rig_expect(&rig, HHDM + GIB(1) + MIB(2), GIB(1) + MIB(2), VMEM_2M, RIG_RW);
    rig_expect(&rig, HHDM + GIB(2), GIB(2), VMEM_1G, RIG_RW);
    rig_destroy(&rig);
}

TEST("vmem: every status has words of its own") {
    for (int a = VMEM_OK; a <= VMEM_ERR_STOPPED; a++)
        for (int b = VMEM_OK; b < a; b++)
            assert_string_not_equal(vmem_status_text((enum vmem_status)a),
                                    vmem_status_text((enum vmem_status)b));
    assert_string_equal(vmem_status_text((enum vmem_status)99), "unknown status");
}
