// Changes that keep what is mapped: split, merge, cache types, accessed and dirty bits; and that
// any change which cannot have a table leaves everything as it was.
#include "common/base/arith.h"

#include "tests/unit/support/random.h"
#include "tests/unit/support/vmem_rig.h"

#define HHDM     UINT64_C(0xffff800000000000)
#define ACCESSED UINT64_C(0x20)
#define DIRTY    UINT64_C(0x40)
#define KEY      (UINT64_C(0xb) << 59)

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

static const enum vmem_page sizes[] = {VMEM_4K, VMEM_2M, VMEM_1G};

TEST("vmem: merge is the exact inverse of split, bit by bit, whatever bits the leaf has") {
    for (unsigned page = VMEM_2M; page <= VMEM_1G; page++) {
        for (unsigned round = 0; round < 128; round++) {
            uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
            struct rig rig;
            rig_make(&rig, RIG_CPU, 4);
            map(&rig, rig_mapping(bytes, bytes, bytes));
            uint64_t bits = 0x81 | (round & 3) << 1 | (round & 12) << 1 | (round & 48) << 1;
            bits |= (round & 64) ? UINT64_C(0x1000) | KEY : 0x700 | UINT64_C(1) << 63;
            *rig_slot(&rig, bytes, page + 1) = bytes | bits;
            struct vmem_memory before = vmem_memory_copy(&rig.memory);
            struct rig_range part = {bytes + 0x5000, 0x1000, VMEM_4K};
            assert_int_equal(rig_starve(&rig, rig_do_split, &part), page);
            rig_refuse(&rig, rig_do_split, &part, VMEM_OK); // split already
            struct rig_range all = {bytes, bytes, VMEM_1G};
            assert_int_equal(rig_starve(&rig, rig_do_merge, &all), 0);
            assert_true(vmem_memory_equal(&rig.memory, &before));
            vmem_memory_destroy(&before);
            vmem_memory_destroy(&rig.memory);
        }
    }
}

TEST("vmem: split goes to the size that is asked for, and no further than the range") {
    for (unsigned page = VMEM_4K; page <= VMEM_1G; page++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 5);
        map(&rig, rig_mapping(HHDM, GIB(4), GIB(3)));
        struct rig_range range = {HHDM + GIB(1) - MIB(2), MIB(2) + MIB(2), page};
        int64_t tables = rig_starve(&rig, rig_do_split, &range);
        assert_int_equal(tables, page == VMEM_4K ? 4 : page == VMEM_2M ? 2 : 0);
        for (uint64_t at = 0; at < GIB(3); at += MIB(1)) {
            bool inside = at >= GIB(1) - MIB(2) && at < GIB(1) + MIB(2);
            enum vmem_page want = inside                           ? (enum vmem_page)page
                                  : at < GIB(2) && page != VMEM_1G ? VMEM_2M
                                                                   : VMEM_1G;
            rig_expect(&rig, HHDM + at, GIB(4) + at, want, RIG_RW);
        }
        rig_destroy(&rig);
    }
}

TEST("vmem: merge reaches the layout that map chooses, from any layout") {
    for (unsigned largest = VMEM_4K; largest <= VMEM_1G; largest++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        uint64_t start = GIB(2) - MIB(2) - 0x3000;
        struct vmem_mapping mapping = rig_mapping(start, GIB(8) + start, GIB(1) + MIB(6));
        mapping.largest = (enum vmem_page)largest;
        map(&rig, mapping);
        uint64_t wanted = rig.memory.used_count;
        // In pieces of 4 KiB and 2 MiB, some unmapped and mapped again.
        struct rig_range range = {start, mapping.bytes, VMEM_2M};
        assert_int_equal(rig_do_split(&rig, &range), VMEM_OK);
        struct rig_range some = {GIB(2) + MIB(100), MIB(20), VMEM_4K};
        assert_int_equal(rig_do_split(&rig, &some), VMEM_OK);
        assert_int_equal(rig_do_unmap(&rig, &some), VMEM_OK);
        struct vmem_mapping again = rig_mapping(some.virt, GIB(8) + some.virt, some.bytes);
        again.largest = VMEM_4K;
        map(&rig, again);
        range.rights = largest;
        assert_int_equal(rig_starve(&rig, rig_do_merge, &range), 0);
        if (largest != VMEM_4K) // there what was split stays split
            assert_int_equal(rig.memory.used_count, wanted);
        rig_expect(&rig, GIB(2), GIB(10), largest == VMEM_4K ? VMEM_4K : (enum vmem_page)largest,
                   RIG_RW);
        rig_destroy(&rig);
    }
}

TEST("vmem: merge refuses what is not one leaf: any bit, any address, any hole, any edge") {
    for (unsigned level = 1; level <= 2; level++) {
        uint64_t bytes = level == 1 ? MIB(2) : GIB(1);
        uint64_t part = bytes / 512;
        for (unsigned bit = 1; bit < 64; bit++) {
            if ((level == 2 && bit == 7) || bit == 5 || bit == 6 || (bit >= 46 && bit < 52) ||
                (level == 2 && bit >= 13 && bit < 21))
                continue; // no leaf any more, or a mark
            struct rig rig;
            rig_make(&rig, RIG_CPU, 4);
            map(&rig, rig_mapping(bytes, bytes, bytes));
            struct rig_range all = {bytes, bytes, level - 1};
            assert_int_equal(rig_do_split(&rig, &all), VMEM_OK);
            *rig_slot(&rig, bytes + bit * part, level) ^= UINT64_C(1) << bit;
            all.rights = VMEM_1G;
            rig_refuse(&rig, rig_do_merge, &all, VMEM_OK);
            *rig_slot(&rig, bytes + bit * part, level) = 0;
            rig_refuse(&rig, rig_do_merge, &all, VMEM_OK);
            vmem_memory_destroy(&rig.memory);
        }
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        struct vmem_mapping mapping = rig_mapping(bytes, 2 * bytes - part, bytes); // not aligned
        mapping.largest = (enum vmem_page)(level - 1);
        map(&rig, mapping);
        struct rig_range all = {bytes, bytes, VMEM_1G};
        rig_refuse(&rig, rig_do_merge, &all, VMEM_OK);
        assert_int_equal(rig_do_unmap(&rig, &all), VMEM_OK);
        mapping.phys = paddr(2 * bytes);
        map(&rig, mapping);
        struct rig_range less = {bytes + 0x1000, bytes - 0x1000, VMEM_1G};
        rig_refuse(&rig, rig_do_merge, &less, VMEM_OK);
        less.virt = bytes;
        rig_refuse(&rig, rig_do_merge, &less, VMEM_OK);
        all.rights = level - 1;
        rig_refuse(&rig, rig_do_merge, &all, VMEM_OK); // no larger than asked for
        // A table of somebody else stays where it is.
        all.rights = VMEM_1G;
        *rig_slot(&rig, bytes, level + 1) &= ~UINT64_C(0x200);
        rig_refuse(&rig, rig_do_merge, &all, VMEM_OK);
        vmem_memory_destroy(&rig.memory);
    }
}

TEST(
    "vmem: a merged leaf is accessed or dirty if one part was, and no more than its table allowed") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    for (unsigned mark = 0; mark < 4; mark++) {
        map(&rig, rig_mapping(MIB(4), MIB(4), MIB(2)));
        struct rig_range all = {MIB(4), MIB(2), VMEM_4K};
        assert_int_equal(rig_do_split(&rig, &all), VMEM_OK);
        *rig_slot(&rig, MIB(4) + 0x7000, 1) |= (mark & 1) ? ACCESSED : 0;
        *rig_slot(&rig, MIB(6) - 0x1000, 1) |= (mark & 2) ? DIRTY : 0;
        *rig_slot(&rig, MIB(4), 2) &= ~UINT64_C(2); // not writable below
        all.rights = VMEM_2M;
        assert_int_equal(rig_do_merge(&rig, &all), VMEM_OK);
        rig_expect(&rig, MIB(4), MIB(4), VMEM_2M, VMEM_READ);
        assert_int_equal(*rig_slot(&rig, MIB(4), 2) & 0x60, mark << 5);
        assert_int_equal(rig_unmap(&rig, vaddr(MIB(4)), MIB(2)), VMEM_OK);
    }
    rig_destroy(&rig);
}

TEST("vmem: set_cache changes the cache type alone, of leaves of every size") {
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (unsigned from = 0; from < 6; from++) {
            for (unsigned to = 0; to < 6; to++) {
                uint64_t bytes = vmem_page_bytes(sizes[i]);
                struct rig rig;
                rig_make(&rig, RIG_CPU, 4);
                struct vmem_mapping mapping = rig_mapping(HHDM, bytes, bytes);
                mapping.cache = (enum vmem_cache)from;
                mapping.global = true;
                map(&rig, mapping);
                uint64_t *cell = rig_slot(&rig, HHDM, (unsigned)i + 1);
                *cell |= ACCESSED | DIRTY | KEY | 0xa00;
                uint64_t before = *cell;
                struct rig_range range = {HHDM, bytes, to};
                assert_int_equal(rig_starve(&rig, rig_do_set_cache, &range), 0);
                uint64_t pat = i == 0 ? 0x80 : 0x1000;
                uint64_t bits = (uint64_t)(to & 3) << 3 | ((to & 4) ? pat : 0);
                assert_int_equal(*cell, (before & ~(pat | 0x18)) | bits);
                assert_int_equal(rig.tlb.executed, from != to);
                vmem_memory_destroy(&rig.memory);
            }
        }
    }
}

TEST("vmem: set_cache splits what sticks out, refuses holes and what is no cache type") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(HHDM, 0, GIB(2)));
    struct rig_range range = {HHDM + GIB(1) - 0x1000, 0x2000, VMEM_CACHE_WC};
    assert_int_equal(rig_starve(&rig, rig_do_set_cache, &range), 4);
    struct rig_range hole = {HHDM + GIB(2) - 0x1000, 0x2000, VMEM_CACHE_WC};
    rig_refuse(&rig, rig_do_set_cache, &hole, VMEM_ERR_NOT_MAPPED);
    hole.rights = 6;
    hole.bytes = 0x1000;
    rig_refuse(&rig, rig_do_set_cache, &hole, VMEM_ERR_CACHE);
    rig_destroy(&rig);
}

// ---- All or nothing

static uint64_t page_near(struct random *random) {
    static const uint64_t bases[] = {GIB(1), GIB(512), HHDM + GIB(1)};
    uint64_t offset = random_below(random, 1024) * (random_below(random, 2) ? 0x1000 : MIB(1));
    return bases[random_below(random, 3)] - MIB(4) + offset;
}

TEST("vmem: whatever allocation fails, in every operation on spaces of random shape, nothing has "
     "happened") {
    struct random random = random_start("starve");
    for (unsigned round = 0; round < 24; round++) {
        struct rig rig;
        rig_make(&rig, round % 3 ? RIG_CPU : RIG_CPU_NO_1G, 4 + round % 2);
        enum vmem_page largest = round % 3 ? VMEM_1G : VMEM_2M;
        for (unsigned i = 0; i < 12; i++) {
            uint64_t virt = page_near(&random);
            struct vmem_mapping mapping = rig_mapping(virt, virt & 0x1ffffffffff, 0x1000);
            mapping.bytes += random_below(&random, 3) ? 0x1000 * random_below(&random, 600)
                                                      : MIB(2) * random_below(&random, 600);
            mapping.largest = largest;
            mapping.replace = random_below(&random, 2);
            mapping.rights |= random_below(&random, 2) ? VMEM_USER : 0;
            enum vmem_status status = rig_map(&rig, &mapping);
            assert_true(status == VMEM_OK || status == VMEM_ERR_MAPPED);
            mapping.replace = true;
            rig_starve(&rig, rig_do_map, &mapping);
            uint64_t inside = virt + random_below(&random, mapping.bytes / 4096) * 4096;
            uint64_t most = virt + mapping.bytes - inside;
            struct rig_range range = {inside, 4096 + random_below(&random, most / 4096) * 4096, 0};
            range.rights = VMEM_READ | (unsigned)random_below(&random, 2) * VMEM_USER;
            rig_starve(&rig, rig_do_protect, &range);
            range.rights = (unsigned)random_below(&random, 6);
            rig_starve(&rig, rig_do_set_cache, &range);
            range.rights = VMEM_2M;
            rig_starve(&rig, rig_do_split, &range);
            range.bytes = min_u64(range.bytes, MIB(4));
            range.rights = VMEM_4K;
            rig_starve(&rig, rig_do_split, &range);
            range.rights = VMEM_ACCESSED;
            rig_starve(&rig, rig_do_harvest, &range);
            range.rights = (unsigned)largest;
            assert_int_equal(rig_starve(&rig, rig_do_merge, &range), 0);
            rig_starve(&rig, rig_do_unmap, &range);
        }
        rig_destroy(&rig);
    }
}

TEST("vmem: the protection key of a leaf outlives every change") {
    for (unsigned page = VMEM_4K; page <= VMEM_1G; page++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
        map(&rig, rig_mapping(bytes, bytes, bytes));
        *rig_slot(&rig, bytes, page + 1) |= KEY | 0x60;
        struct rig_range range = {bytes, 0x1000, RIG_R};
        assert_int_equal(rig_do_protect(&rig, &range), VMEM_OK);
        range.rights = VMEM_CACHE_UC;
        assert_int_equal(rig_do_set_cache(&rig, &range), VMEM_OK);
        range.rights = VMEM_ACCESSED | VMEM_DIRTY;
        assert_int_equal(rig_do_harvest(&rig, &range), VMEM_OK);
        for (uint64_t at = 0; at < bytes; at += bytes == 4096 ? 4096 : bytes / 512) {
            struct vmem_translation got;
            assert_int_equal(vmem_translate(&rig.space, vaddr(bytes + at), &got), VMEM_OK);
            assert_int_equal(got.entry & UINT64_C(0xf) << 59, KEY);
        }
        range.rights = VMEM_CACHE_WB;
        assert_int_equal(rig_do_set_cache(&rig, &range), VMEM_OK);
        range.rights = RIG_RW;
        assert_int_equal(rig_do_protect(&rig, &range), VMEM_OK);
        range.bytes = bytes;
        range.rights = VMEM_1G;
        assert_int_equal(rig_do_merge(&rig, &range), VMEM_OK);
        assert_int_equal(*rig_slot(&rig, bytes, page + 1) & UINT64_C(0xf) << 59, KEY);
        rig_destroy(&rig);
    }
}
