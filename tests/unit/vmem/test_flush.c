// What is flushed and released by changes, and when.
#include "common/base/arith.h"

#include "tests/unit/support/vmem_rig.h"

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

TEST("vmem: what nobody has used is not flushed, and a failure flushes nothing") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x1000, 0x1000, MIB(2)));
    assert_int_equal(rig.tlb.executed, 0);
    map(&rig, rig_mapping(MIB(8), 0x1000, 0x1000));
    assert_int_equal(rig.tlb.executed, 0);
    assert_int_equal(rig_protect(&rig, vaddr(0x1000), MIB(2), RIG_RW), VMEM_OK); // as it was
    assert_int_equal(rig.tlb.executed, 0);
    assert_int_equal(rig_unmap(&rig, vaddr(GIB(1)), GIB(1)), VMEM_OK);
    assert_int_equal(rig.tlb.executed, 0);
    assert_int_equal(rig_protect(&rig, vaddr(0x1000), MIB(4), RIG_R), VMEM_ERR_NOT_MAPPED);
    assert_int_equal(rig.tlb.executed, 0);
    struct vmem_mapping mapping = rig_mapping(0x1000, 0x1000, 0x1000);
    assert_int_equal(rig_map(&rig, &mapping), VMEM_ERR_MAPPED);
    assert_int_equal(rig.tlb.executed, 0);
    struct rig_range range = {0x1000, MIB(1), VMEM_2M};
    assert_int_equal(rig_do_merge(&rig, &range), VMEM_OK);
    assert_int_equal(rig_do_split(&rig, &range), VMEM_OK);
    assert_int_equal(rig.tlb.executed, 0);
    rig_destroy(&rig);
}

TEST("vmem: a flush names each page once, up to a limit, above which it is one full flush") {
    for (unsigned page = VMEM_4K; page <= VMEM_2M; page++) {
        for (unsigned global = 0; global < 2; global++) {
            uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
            struct rig rig;
            rig_make(&rig, RIG_CPU, 4);
            struct vmem_mapping mapping =
                rig_mapping(GIB(1) - bytes, GIB(1) - bytes, bytes * (VMEM_FLUSH_PAGES_MAX + 2));
            mapping.global = global;
            mapping.largest = (enum vmem_page)page;
            map(&rig, mapping);
            assert_int_equal(rig_protect(&rig, vaddr(GIB(1)), bytes * VMEM_FLUSH_PAGES_MAX, RIG_R),
                             VMEM_OK);
            assert_int_equal(rig.tlb.page_flushes, VMEM_FLUSH_PAGES_MAX);
            assert_int_equal(rig.tlb.full_flushes + rig.tlb.global_flushes, 0);
            assert_int_equal(
                rig_protect(&rig, vaddr(GIB(1)), bytes * (VMEM_FLUSH_PAGES_MAX + 1), RIG_RX),
                VMEM_OK);
            assert_int_equal(rig.tlb.page_flushes, 0);
            assert_int_equal(rig.tlb.full_flushes, !global);
            assert_int_equal(rig.tlb.global_flushes, global);
            rig_destroy(&rig);
        }
    }
}

TEST("vmem: scattered changes share a record up to its ranges, and then one full flush") {
    for (unsigned count = VMEM_FLUSH_RANGES; count <= VMEM_FLUSH_RANGES + 1; count++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(GIB(1), GIB(1) + 0x1000, MIB(1)));
        struct vmem_flush flush;
        rig_begin(&rig, &flush, GIB(1), 0x1000 * 2 * count);
        for (unsigned i = 0; i < count; i++) {
            vaddr_t virt = vaddr(GIB(1) + i * 0x2000);
            assert_int_equal(vmem_protect(&rig.space, virt, 0x1000, RIG_R, &flush), VMEM_OK);
        }
        rig_finish(&rig, &flush);
        assert_int_equal(rig.tlb.page_flushes, count > VMEM_FLUSH_RANGES ? 0 : count);
        assert_int_equal(rig.tlb.full_flushes, count > VMEM_FLUSH_RANGES);
        assert_int_equal(rig.tlb.executed, 1);
        rig_destroy(&rig);
    }
}

TEST("vmem: changes of pages that follow each other are one range, if the pages have one size") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    const uint64_t pages = VMEM_FLUSH_RANGES + 2;
    const uint64_t start = GIB(1) - pages * 0x1000;
    map(&rig, rig_mapping(start, start, pages * 0x1000 + MIB(2)));
    struct vmem_flush flush;
    rig_begin(&rig, &flush, start, pages * 0x1000);
    for (unsigned i = 0; i < pages; i++) {
        vaddr_t virt = vaddr(start + i * 0x1000);
        assert_int_equal(vmem_protect(&rig.space, virt, 0x1000, RIG_R, &flush), VMEM_OK);
    }
    assert_int_equal(vmem_protect(&rig.space, vaddr(GIB(1)), MIB(2), RIG_R, &flush), VMEM_OK);
    const struct vmem_flush_range *range = flush.range;
    assert_int_equal(flush.range_count, 2);
    assert_int_equal(range[0].virt.value, start);
    assert_int_equal(range[0].bytes, pages * 0x1000);
    assert_int_equal(range[0].page, VMEM_4K);
    assert_int_equal(range[1].virt.value, GIB(1));
    assert_int_equal(range[1].bytes, MIB(2));
    assert_int_equal(range[1].page, VMEM_2M);
    rig_finish(&rig, &flush);
    assert_int_equal(rig.tlb.page_flushes, pages + 1);
    rig_destroy(&rig);
}

TEST("vmem: the limit of pages is one for all changes that share a record") {
    for (unsigned over = 0; over < 2; over++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(GIB(1), GIB(1) + 0x1000, MIB(1)));
        const uint64_t half = VMEM_FLUSH_PAGES_MAX / 2 * 0x1000;
        struct vmem_flush flush;
        rig_begin(&rig, &flush, GIB(1), half);
        vaddr_t second = vaddr(GIB(1) + 2 * half);
        assert_int_equal(vmem_protect(&rig.space, vaddr(GIB(1)), half, RIG_R, &flush), VMEM_OK);
        assert_int_equal(vmem_protect(&rig.space, second, half + over * 0x1000, RIG_R, &flush),
                         VMEM_OK);
        rig_finish(&rig, &flush);
        assert_int_equal(rig.tlb.page_flushes, over ? 0 : VMEM_FLUSH_PAGES_MAX);
        assert_int_equal(rig.tlb.full_flushes, over);
        rig_destroy(&rig);
    }
}

TEST("vmem: the way to a table that goes is flushed, even if the table mapped nothing") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(GIB(1), GIB(2), 0x1000));
    *rig_slot(&rig, GIB(1), 1) = 0;
    assert_int_equal(rig_unmap(&rig, vaddr(GIB(1)), GIB(1)), VMEM_OK);
    assert_int_equal(rig.tlb.executed, 1);
    assert_int_equal(rig.tlb.page_flushes, 1); // of any page
    rig_destroy(&rig);
}

TEST("vmem: memory and tables are released after the flush, be there ever so many runs") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    for (unsigned i = 0; i < 60; i++)
        map(&rig, rig_mapping(GIB(1) + i * 0x1000, GIB(2) - i * 0x1000, 0x1000));
    map(&rig, rig_mapping(GIB(1) + MIB(2), GIB(4), MIB(2)));
    assert_int_equal(rig_unmap(&rig, vaddr(GIB(1)), GIB(1)), VMEM_OK);
    assert_int_equal(rig.released_count, 61);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(rig.released[i].phys.value, GIB(2) - i * 0x1000);
        assert_int_equal(rig.released[i].leaves[VMEM_4K], 1);
    }
    assert_int_equal(rig.released[60].leaves[VMEM_2M], 1);
    assert_in_range(rig.tlb.executed, 2, 5);
    assert_int_equal(rig.memory.used_count, 1);
    rig_destroy(&rig);
}

TEST("vmem: a replaced mapping is released as it was, and its neighbours stay") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 5);
    map(&rig, rig_mapping(GIB(1), GIB(5), GIB(1)));
    struct vmem_mapping mapping = rig_mapping(GIB(1) + MIB(2), MIB(8), MIB(4));
    mapping.replace = true;
    mapping.cache = VMEM_CACHE_WC;
    assert_int_equal(rig_starve(&rig, rig_do_map, &mapping), 1);
    assert_int_equal(rig.released_count, 1);
    assert_int_equal(rig.released[0].phys.value, GIB(5) + MIB(2));
    assert_int_equal(rig.released[0].bytes, MIB(4));
    rig_expect(&rig, GIB(1), GIB(5), VMEM_2M, RIG_RW);
    rig_expect(&rig, GIB(1) + MIB(6), GIB(5) + MIB(6), VMEM_2M, RIG_RW);
    // Over a hole, small pages and a large one, with small pages.
    map(&rig, rig_mapping(GIB(2), 0x7000, 0x3000));
    struct vmem_mapping wide = rig_mapping(GIB(2) - MIB(1), MIB(64) + 0x1000, MIB(2));
    wide.replace = true;
    assert_int_equal(rig_starve(&rig, rig_do_map, &wide), 1);
    assert_int_equal(rig.released_count, 2);
    rig_expect(&rig, GIB(2) - MIB(1), MIB(64) + 0x1000, VMEM_4K, RIG_RW);
    rig_expect(&rig, GIB(2) - MIB(1) - 0x1000, GIB(6) - MIB(1) - 0x1000, VMEM_4K, RIG_RW);
    struct vmem_mapping refused = rig_mapping(GIB(2), 0, MIB(2));
    rig_refuse(&rig, rig_do_map, &refused, VMEM_ERR_MAPPED);
    rig_destroy(&rig);
}
