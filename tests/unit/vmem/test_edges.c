// Corners that the scenarios and the random operations seldom reach.
#include "common/base/arith.h"
#include "tests/unit/support/vmem_rig.h"

static void map_4k(struct rig *rig, uint64_t virt, uint64_t bytes) {
    struct vmem_mapping mapping = rig_mapping(virt, virt, bytes);
    mapping.largest = VMEM_4K;
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

static void unmap_unloaded(struct rig *rig, uint64_t virt, uint64_t bytes) {
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    assert_int_equal(vmem_unmap(&rig->space, vaddr(virt), bytes, &flush), VMEM_OK);
    vmem_flush_finish(&rig->space, &flush);
}

TEST("vmem: unmap clears whatever stands in a page table, and frees the table") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_4k(&rig, MIB(4), 0x1000);
    *rig_slot(&rig, MIB(4), 1) |= UINT64_C(1) << 46; // beyond the physical width
    unmap_unloaded(&rig, MIB(4), 0x1000);
    assert_int_equal(rig.memory.used_count, 1);
    // The same at the ends of a range over several tables.
    map_4k(&rig, MIB(4) - 0x1000, 0x3000);
    *rig_slot(&rig, MIB(4) - 0x1000, 1) |= UINT64_C(1) << 46;
    *rig_slot(&rig, MIB(4), 1) |= UINT64_C(1) << 46;
    unmap_unloaded(&rig, MIB(4) - 0x1000, 0x2000);
    assert_int_equal(*rig_slot(&rig, MIB(4), 1), 0);
    rig_expect(&rig, MIB(4) + 0x1000, MIB(4) + 0x1000, VMEM_4K, RIG_RW);
    assert_int_equal(rig.memory.used_count, 4); // the first page table is gone
    unmap_unloaded(&rig, MIB(4) - 0x1000, 0x3000);
    assert_int_equal(rig.memory.used_count, 1);
    rig_destroy(&rig);
}

// Of the three tables below the root, the first is the space's own, of the others as asked for;
// what leads to each is not entry 0. Then all is unmapped, and not yet flushed.
struct dropped {
    struct rig rig;
    struct vmem_flush flush;
    uint64_t *table[4]; // [n]: of level n
    uint64_t before[4]; // [n]: the entry in it that leads down
};

#define OWNED UINT64_C(0x200)

static void drop_tables(struct dropped *dropped, bool owns_2, bool owns_1) {
    struct rig *rig = &dropped->rig;
    const uint64_t virt = GIB(3) + MIB(6) + 0x5000;
    rig_make(rig, RIG_CPU, 4);
    map_4k(rig, virt, 0x1000);
    if (!owns_2)
        *rig_slot(rig, virt, 3) &= ~OWNED;
    if (!owns_1)
        *rig_slot(rig, virt, 2) &= ~OWNED;
    for (unsigned level = 1; level <= 3; level++) {
        uint64_t *cell = rig_slot(rig, virt, level);
        dropped->before[level] = *cell;
        dropped->table[level] = cell;
    }
    vmem_flush_begin(&dropped->flush, &vmem_unloaded, NULL);
    assert_int_equal(vmem_unmap(&rig->space, vaddr(0), TIB(1), &dropped->flush), VMEM_OK);
    rig_expect_absent(rig, virt);
}

TEST("vmem: a table that is detached stays as it was, but for entry 0, until the flush") {
    struct dropped dropped;
    drop_tables(&dropped, true, true);
    for (unsigned level = 1; level <= 3; level++)
        assert_int_equal(*dropped.table[level], dropped.before[level]);
    assert_int_equal(dropped.flush.table_count, 3);
    paddr_t table = dropped.flush.tables;
    for (unsigned i = 0; i < 3; i++) { // entry 0 leads from table to table, and is absent
        const uint64_t *entries = vmem_memory_pointer(&dropped.rig.memory, table);
        assert_int_equal(entries[0] & 1, 0);
        table = paddr(entries[0]);
    }
    vmem_flush_finish(&dropped.rig.space, &dropped.flush);
    assert_int_equal(dropped.rig.memory.used_count, 1);
    rig_destroy(&dropped.rig);
}

TEST("vmem: a table of somebody else that is dropped leads to no table that is freed") {
    struct dropped dropped;
    drop_tables(&dropped, false, true);
    assert_int_equal(*dropped.table[2], 0);
    assert_int_equal(*dropped.table[3], dropped.before[3]);
    vmem_flush_finish(&dropped.rig.space, &dropped.flush);
    assert_int_equal(dropped.rig.memory.used_count, 2); // the root, and the table of level 2
    vmem_memory_destroy(&dropped.rig.memory);
}

TEST("vmem: a table of somebody else that is dropped keeps what is not freed") {
    struct dropped dropped;
    drop_tables(&dropped, false, false);
    for (unsigned level = 1; level <= 3; level++)
        assert_int_equal(*dropped.table[level], dropped.before[level]);
    vmem_flush_finish(&dropped.rig.space, &dropped.flush);
    assert_int_equal(dropped.rig.memory.used_count, 3);
    vmem_memory_destroy(&dropped.rig.memory);
}

TEST("vmem: unmap looks at the table that comes after a run of large leaves") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    struct vmem_mapping large = rig_mapping(GIB(1), GIB(1), GIB(2));
    struct vmem_mapping small = rig_mapping(GIB(3), GIB(3), MIB(4));
    assert_int_equal(rig_map(&rig, &large), VMEM_OK);
    assert_int_equal(rig_map(&rig, &small), VMEM_OK);
    struct rig_range range = {GIB(1), GIB(2) + MIB(2) + 0x1000, 0}; // cuts a 2 MiB leaf
    assert_int_equal(rig_starve(&rig, rig_do_unmap, &range), 1);
    rig_expect_absent(&rig, GIB(3) + MIB(2));
    rig_expect(&rig, GIB(3) + MIB(2) + 0x1000, GIB(3) + MIB(2) + 0x1000, VMEM_4K, RIG_RW);
    rig_destroy(&rig);
}

TEST("vmem: a range that ends one page into the next entry of any level reaches that page") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned level = 2; level <= levels; level++) {
            uint64_t boundary = UINT64_C(1) << (12 + 9 * (level - 1));
            struct rig rig;
            rig_make(&rig, RIG_CPU, levels);
            struct vmem_mapping last = rig_mapping(boundary, 0x7000, 0x1000);
            map_4k(&rig, 0, 0x1000);
            assert_int_equal(rig_map(&rig, &last), VMEM_OK);
            assert_int_equal(rig_unmap(&rig, vaddr(0), boundary + 0x1000), VMEM_OK);
            rig_expect_absent(&rig, 0);
            rig_expect_absent(&rig, boundary);
            assert_int_equal(rig.memory.used_count, 1);
            rig_destroy(&rig);
        }
    }
}

TEST("vmem: of a leaf that is split one page is flushed") {
    for (unsigned page = VMEM_2M; page <= VMEM_1G; page++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
        struct vmem_mapping mapping = rig_mapping(bytes, bytes, 2 * bytes);
        assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
        assert_int_equal(rig_split(&rig, vaddr(bytes + 0x5000), 0x1000, (enum vmem_page)(page - 1)),
                         VMEM_OK);
        assert_int_equal(rig.tlb.executed, 1);
        assert_int_equal(rig.tlb.page_flushes, 1);
        rig_destroy(&rig);
    }
}

TEST("vmem: split looks at no leaf that is small enough") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_4k(&rig, MIB(4), 0x2000);
    *rig_slot(&rig, MIB(4), 1) |= UINT64_C(1) << 46; // malformed
    struct vmem_memory before = vmem_memory_copy(&rig.memory);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    assert_int_equal(vmem_split(&rig.space, vaddr(0), MIB(8), VMEM_4K, &flush), VMEM_OK);
    assert_true(vmem_memory_equal(&rig.memory, &before));
    vmem_memory_destroy(&before);
    rig_destroy(&rig);
}

TEST("vmem: the cache type of a leaf of every size is changed, and nothing else of it") {
    static const uint64_t pat[] = {0x80, 0x1000, 0x1000};
    for (unsigned page = VMEM_4K; page <= VMEM_1G; page++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
        struct vmem_mapping mapping = rig_mapping(GIB(4), GIB(8), bytes);
        assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
        uint64_t *cell = rig_slot(&rig, GIB(4), page + 1);
        uint64_t was = *cell;
        assert_int_equal(rig_set_cache(&rig, vaddr(GIB(4)), bytes, VMEM_CACHE_WC), VMEM_OK);
        assert_int_equal(*cell, was | 0x8 | pat[page]);
        assert_int_equal(rig_set_cache(&rig, vaddr(GIB(4)), bytes, VMEM_CACHE_UC), VMEM_OK);
        assert_int_equal(*cell, was | 0x18);
        rig_destroy(&rig);
    }
}

#define MARKS UINT64_C(0x60) // accessed and dirty

TEST("vmem: merge carries over the marks of each leaf of its table, and of no other") {
    static const unsigned indices[] = {0, 1, 255, 511};
    for (unsigned marked = 0; marked < 2; marked++) { // which of two tables that lie side by side
        for (unsigned i = 0; i < ARRAY_LEN(indices); i++) {
            struct rig rig;
            rig_make(&rig, RIG_CPU, 4);
            map_4k(&rig, MIB(4), MIB(4));
            *rig_slot(&rig, MIB(4) + marked * MIB(2) + indices[i] * 0x1000, 1) |= MARKS;
            assert_int_equal(rig_merge(&rig, vaddr(MIB(4)), MIB(4), VMEM_2M), VMEM_OK);
            for (unsigned table = 0; table < 2; table++)
                assert_int_equal(*rig_slot(&rig, MIB(4) + table * MIB(2), 2) & MARKS,
                                 table == marked ? MARKS : 0);
            rig_destroy(&rig);
        }
    }
}

static void mark_late(void *context, const struct vmem_flush *flush) {
    assert_true(flush->structures);
    **(uint64_t **)context |= MARKS;
}

TEST("vmem: merge carries over what is marked in any leaf of the old table until the flush") {
    static const struct vmem_flush_ops ops = {.execute = mark_late};
    static const unsigned indices[] = {0, 1, 255, 511};
    for (unsigned i = 0; i < ARRAY_LEN(indices); i++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map_4k(&rig, MIB(4), MIB(2));
        uint64_t *late = rig_slot(&rig, MIB(4) + indices[i] * 0x1000, 1);
        struct vmem_flush flush;
        vmem_flush_begin(&flush, &ops, &late);
        assert_int_equal(vmem_merge(&rig.space, vaddr(MIB(4)), MIB(2), VMEM_2M, &flush), VMEM_OK);
        assert_int_equal(*rig_slot(&rig, MIB(4), 2) & MARKS, MARKS);
        rig_destroy(&rig);
    }
}

static void count_flush(void *context, const struct vmem_flush *flush) {
    (void)flush;
    ++*(unsigned *)context;
}

TEST("vmem: merge flushes once for 32 tables") {
    static const struct vmem_flush_ops ops = {.execute = count_flush};
    static const struct {
        unsigned tables, flushes;
    } cases[] = {{1, 1}, {31, 1}, {32, 1}, {33, 2}, {64, 2}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        uint64_t bytes = cases[i].tables * MIB(2);
        map_4k(&rig, GIB(1), bytes);
        unsigned flushes = 0;
        struct vmem_flush flush;
        vmem_flush_begin(&flush, &ops, &flushes);
        assert_int_equal(vmem_merge(&rig.space, vaddr(GIB(1)), bytes, VMEM_1G, &flush), VMEM_OK);
        vmem_flush_finish(&rig.space, &flush);
        assert_int_equal(flushes, cases[i].flushes);
        rig_destroy(&rig);
    }
}

TEST("vmem: merge refuses a range with a corrupt entry, and merges nothing before it") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_4k(&rig, MIB(4), MIB(2));
    map_4k(&rig, MIB(8), 0x1000);
    uint64_t sound = *rig_slot(&rig, MIB(8), 2);
    *rig_slot(&rig, MIB(8), 2) |= UINT64_C(1) << 46;
    struct rig_range range = {0, MIB(16), VMEM_1G};
    rig_refuse(&rig, rig_do_merge, &range, VMEM_ERR_CORRUPT);
    *rig_slot(&rig, MIB(8), 2) = sound;
    rig_destroy(&rig);
}
