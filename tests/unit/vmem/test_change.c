#include "common/base/arith.h"

#include "tests/unit/support/vmem_rig.h"

#define HHDM UINT64_C(0xffff800000000000)

#define ACCESSED UINT64_C(0x20)
#define DIRTY    UINT64_C(0x40)

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

static void unmap(struct rig *rig, uint64_t virt, uint64_t bytes) {
    assert_int_equal(rig_unmap(rig, vaddr(virt), bytes), VMEM_OK);
}

static void protect(struct rig *rig, uint64_t virt, uint64_t bytes, unsigned rights) {
    assert_int_equal(rig_protect(rig, vaddr(virt), bytes, rights), VMEM_OK);
}

TEST("vmem: unmap clears its range exactly, across the boundary of every level") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned level = 1; level <= levels; level++) {
            // Between entries 2 and 3 of the first table of this level.
            uint64_t boundary = UINT64_C(3) << (12 + 9 * (level - 1));
            struct rig rig;
            rig_make(&rig, RIG_CPU, levels);
            map(&rig, rig_mapping(boundary - 0x3000, 0x5000, 0x6000));
            struct vmem_memory before = vmem_memory_copy(&rig.memory);
            unmap(&rig, boundary - 0x2000, 0x4000);
            rig_expect(&rig, boundary - 0x2001, 0x5fff, VMEM_4K, RIG_RW);
            rig_expect_absent(&rig, boundary - 0x2000);
            rig_expect_absent(&rig, boundary + 0x1fff);
            rig_expect(&rig, boundary + 0x2000, 0xa000, VMEM_4K, RIG_RW);
            map(&rig, rig_mapping(boundary - 0x2000, 0x6000, 0x4000));
            assert_true(vmem_memory_equal(&rig.memory, &before));
            vmem_memory_destroy(&before);
            unmap(&rig, boundary - 0x3000, 0x6000);
            assert_int_equal(rig.memory.used_count, 1);
            rig_destroy(&rig);
        }
    }
}

TEST("vmem: unmap frees tables that become empty, but none below the root in the upper half") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        map(&rig, rig_mapping(0x1000, 0x1000, GIB(513)));
        map(&rig, rig_mapping(HHDM + 0x1000, 0x1000, GIB(513)));
        map(&rig, rig_mapping(UINT64_C(0) - 0x1000, 0x1000, 0x1000));
        unmap(&rig, 0, UINT64_C(1) << 47);
        unmap(&rig, HHDM, UINT64_C(1) << 47);
        // 4 levels: two entries of the direct map and the last one; 5 levels: the last one alone.
        assert_int_equal(rig.memory.used_count, levels == 4 ? 4 : 2);
        for (unsigned index = 0; index < 512; index++) {
            const uint64_t *root = vmem_memory_pointer(&rig.memory, rig.space.root);
            bool stays = index == 511 || (levels == 4 && (index == 256 || index == 257));
            assert_int_equal(root[index] != 0, stays);
        }
        rig_destroy(&rig);
    }
}

TEST("vmem: unmapping one page frees exactly the tables that held nothing else") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x1000, 0x1000, 0x1000));
    map(&rig, rig_mapping(GIB(1) + 0x1000, 0x1000, 0x1000));
    assert_int_equal(rig.memory.used_count, 6);
    unmap(&rig, GIB(1) + 0x1000, 0x1000);
    assert_int_equal(rig.memory.used_count, 4);
    rig_expect(&rig, 0x1000, 0x1000, VMEM_4K, RIG_RW);
    unmap(&rig, 0x1000, 0x1000);
    assert_int_equal(rig.memory.used_count, 1);
    rig_destroy(&rig);
}

TEST("vmem: unmap skips holes, and to unmap nothing changes nothing") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 5);
    struct rig_range all_lower = {0, UINT64_C(1) << 56, 0};
    rig_refuse(&rig, rig_do_unmap, &all_lower, VMEM_OK);
    map(&rig, rig_mapping(MIB(2), 0x1000, 0x1000));
    map(&rig, rig_mapping(GIB(700), 0x1000, 0x1000));
    struct rig_range hole = {MIB(4), GIB(600), 0};
    rig_refuse(&rig, rig_do_unmap, &hole, VMEM_OK);
    unmap(&rig, 0, UINT64_C(1) << 56);
    assert_int_equal(rig.memory.used_count, 1);
    rig_destroy(&rig);
}

// The bits of a large leaf under test: all cache types, rights, accessed, dirty, global, software.
static uint64_t odd_bits(unsigned round) {
    uint64_t bits = 0x81;
    bits |= (round & 1) ? 0x2 : 0;
    bits |= (round & 2) ? 0x4 : 0;
    bits |= (uint64_t)(round >> 2 & 3) << 3;                    // PWT, PCD
    bits |= (round & 16) ? UINT64_C(0x1000) : 0;                // PAT
    bits |= (round & 32) ? ACCESSED : 0;                        //
    bits |= (round & 64) ? DIRTY : 0;                           //
    bits |= (round & 128) ? 0x100 : 0;                          // global
    bits |= (round & 256) ? UINT64_C(1) << 63 : 0;              // NX
    bits |= (round % 3 == 0) ? UINT64_C(0x7f0000000000e00) : 0; // software
    return bits;
}

// What a 4 KiB leaf has instead: PS goes, PAT moves from bit 12 to bit 7.
static uint64_t small_bits(uint64_t bits) {
    return (bits & ~UINT64_C(0x1080)) | ((bits & 0x1000) ? 0x80 : 0);
}

TEST("vmem: a split 2 MiB leaf keeps all bits in its 511 other children") {
    for (unsigned round = 0; round < 512; round++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(MIB(2), MIB(6), MIB(2)));
        uint64_t bits = odd_bits(round);
        *rig_slot(&rig, MIB(2), 2) = MIB(6) | bits;
        for (unsigned level = 3; level <= 4; level++)
            *rig_slot(&rig, MIB(2), level) |= 4;
        unsigned hole = round;
        unmap(&rig, MIB(2) + hole * 4096, 4096);
        for (uint64_t i = 0; i < 512; i++)
            assert_int_equal(*rig_slot(&rig, MIB(2) + i * 4096, 1),
                             i == hole ? 0 : (MIB(6) + i * 4096) | small_bits(bits));
        assert_int_equal(*rig_slot(&rig, MIB(2), 2) & 0xfff, (bits & 4) | 0x203);
        vmem_memory_destroy(&rig.memory);
    }
}

TEST("vmem: a split 1 GiB leaf keeps all bits in large and small children") {
    for (unsigned round = 0; round < 512; round += 7) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 5);
        map(&rig, rig_mapping(GIB(3), GIB(5), GIB(1)));
        uint64_t bits = odd_bits(round);
        *rig_slot(&rig, GIB(3), 3) = GIB(5) | bits;
        unsigned rights = (bits & 2) ? VMEM_READ : RIG_RW; // another, so that something changes
        protect(&rig, GIB(3) + MIB(4) + 0x3000, 0x1000, rights);
        uint64_t changed =
            (bits & ~(UINT64_C(1) << 63 | 6)) | UINT64_C(1) << 63 | ((rights & VMEM_WRITE) ? 2 : 0);
        for (uint64_t i = 0; i < 512; i++) {
            uint64_t small = *rig_slot(&rig, GIB(3) + MIB(4) + i * 4096, 1);
            assert_int_equal(small,
                             (GIB(5) + MIB(4) + i * 4096) | small_bits(i == 3 ? changed : bits));
            if (i != 2)
                assert_int_equal(*rig_slot(&rig, GIB(3) + i * MIB(2), 2),
                                 (GIB(5) + i * MIB(2)) | bits);
        }
        vmem_memory_destroy(&rig.memory);
    }
}

TEST("vmem: unmap splits what sticks out at both edges, whatever allocation fails") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        map(&rig, rig_mapping(HHDM, 0, GIB(4)));
        struct rig_range range = {HHDM + GIB(1) - 0x1000, GIB(1) + 0x2000, 0};
        assert_int_equal(rig_starve(&rig, rig_do_unmap, &range), 4);
        rig_expect(&rig, HHDM + GIB(1) - 0x1001, GIB(1) - 0x1001, VMEM_4K, RIG_RW);
        rig_expect_absent(&rig, HHDM + GIB(1) - 0x1000);
        rig_expect_absent(&rig, HHDM + GIB(2) + 0xfff);
        rig_expect(&rig, HHDM + GIB(2) + 0x1000, GIB(2) + 0x1000, VMEM_4K, RIG_RW);
        rig_expect(&rig, HHDM, 0, VMEM_2M, RIG_RW);
        rig_expect(&rig, HHDM + GIB(3), GIB(3), VMEM_1G, RIG_RW);
        // Inside one 1 GiB leaf, and inside one 2 MiB leaf.
        struct rig_range inside = {HHDM + GIB(3) + MIB(1), MIB(4), 0};
        assert_int_equal(rig_starve(&rig, rig_do_unmap, &inside), 3);
        struct rig_range page = {HHDM + MIB(64) + 0x5000, 0x1000, 0};
        assert_int_equal(rig_starve(&rig, rig_do_unmap, &page), 1);
        rig_destroy(&rig);
    }
}

TEST("vmem: protect changes its range exactly, across the boundary of every level") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned level = 1; level <= levels; level++) {
            uint64_t boundary = UINT64_C(3) << (12 + 9 * (level - 1));
            struct rig rig;
            rig_make(&rig, RIG_CPU, levels);
            map(&rig, rig_mapping(boundary - 0x3000, 0x5000, 0x6000));
            struct vmem_memory before = vmem_memory_copy(&rig.memory);
            protect(&rig, boundary - 0x2000, 0x4000, RIG_RX);
            for (uint64_t i = 0; i < 6; i++)
                rig_expect(&rig, boundary - 0x3000 + i * 4096, 0x5000 + i * 4096, VMEM_4K,
                           i == 0 || i == 5 ? RIG_RW : RIG_RX);
            protect(&rig, boundary - 0x2000, 0x4000, RIG_RW);
            assert_true(vmem_memory_equal(&rig.memory, &before));
            vmem_memory_destroy(&before);
            rig_destroy(&rig);
        }
    }
}

TEST("vmem: protect splits what sticks out at both edges, whatever allocation fails") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0, 0, GIB(4)));
    struct rig_range range = {GIB(1) - MIB(3), GIB(1) + MIB(8), RIG_R | VMEM_USER};
    assert_int_equal(*rig_slot(&rig, 0, 4) & 4, 0);
    assert_int_equal(rig_starve(&rig, rig_do_protect, &range), 4);
    rig_expect(&rig, GIB(1) - MIB(3) - 1, GIB(1) - MIB(3) - 1, VMEM_4K, RIG_RW);
    rig_expect(&rig, GIB(1) - MIB(3), GIB(1) - MIB(3), VMEM_4K, RIG_R | VMEM_USER);
    rig_expect(&rig, GIB(1), GIB(1), VMEM_1G, RIG_R | VMEM_USER);
    rig_expect(&rig, GIB(2) + MIB(4), GIB(2) + MIB(4), VMEM_4K, RIG_R | VMEM_USER);
    rig_expect(&rig, GIB(2) + MIB(5), GIB(2) + MIB(5), VMEM_4K, RIG_RW);
    rig_expect(&rig, GIB(2) + MIB(6), GIB(2) + MIB(6), VMEM_2M, RIG_RW);
    rig_destroy(&rig);
}

TEST("vmem: protect does not split a leaf that has the rights already") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0, 0, GIB(1)));
    struct rig_range range = {MIB(3), 0x1000, RIG_RW};
    rig_refuse(&rig, rig_do_protect, &range, VMEM_OK);
    rig_destroy(&rig);
}

TEST("vmem: protect keeps cache type, accessed, dirty, global and software bits") {
    static const uint64_t size[] = {0, 4096, MIB(2), GIB(1)};
    for (unsigned level = 1; level <= 3; level++) {
        uint64_t keep = 0x1 | 0x18 | ACCESSED | DIRTY | 0x80 | 0x100 | UINT64_C(0x7f0000000000e00);
        keep |= level == 1 ? 0 : 0x1000;
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(size[level], size[level], size[level]));
        uint64_t *cell = rig_slot(&rig, size[level], level);
        *cell = size[level] | keep | 2;
        protect(&rig, size[level], size[level], VMEM_READ);
        assert_int_equal(*cell, size[level] | keep | UINT64_C(1) << 63);
        protect(&rig, size[level], size[level], RIG_RX | VMEM_USER);
        assert_int_equal(*cell, size[level] | keep | 4);
        vmem_memory_destroy(&rig.memory);
    }
}

TEST("vmem: protect refuses a range with a hole anywhere, and changes nothing") {
    static const uint64_t at[] = {0,      0x1000,          MIB(2) - 0x1000, MIB(2),
                                  MIB(4), GIB(1) - 0x1000, GIB(1),          GIB(2) - 0x1000};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(HHDM, 0, GIB(2)));
        unmap(&rig, HHDM + at[i], 0x1000);
        struct rig_range range = {HHDM, GIB(2), VMEM_READ};
        rig_refuse(&rig, rig_do_protect, &range, VMEM_ERR_NOT_MAPPED);
        range.virt += GIB(3);
        rig_refuse(&rig, rig_do_protect, &range, VMEM_ERR_NOT_MAPPED);
        rig_destroy(&rig);
    }
}

TEST("vmem: unmap and protect refuse ranges that are none, and change nothing") {
    static const struct {
        enum vmem_status want;
        struct rig_range range;
    } cases[] = {
        {VMEM_ERR_UNALIGNED, {0x1001, 0x1000, RIG_R}},
        {VMEM_ERR_UNALIGNED, {0x1000, 0x1001, RIG_R}},
        {VMEM_ERR_EMPTY, {0x1000, 0, RIG_R}},
        {VMEM_ERR_WRAPS, {UINT64_C(0xfffffffffffff000), 0x2000, RIG_R}},
        {VMEM_ERR_NONCANONICAL, {UINT64_C(0x00007ffffffff000), 0x2000, RIG_R}},
        {VMEM_ERR_NONCANONICAL, {UINT64_C(0xffff7ffffffff000), 0x2000, RIG_R}},
    };
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x1000, 0x1000, 0x2000));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        rig_refuse(&rig, rig_do_unmap, &cases[i].range, cases[i].want);
        rig_refuse(&rig, rig_do_protect, &cases[i].range, cases[i].want);
    }
    struct rig_range no_read = {0x1000, 0x1000, VMEM_WRITE};
    rig_refuse(&rig, rig_do_protect, &no_read, VMEM_ERR_RIGHTS);
    struct rig_range unknown = {0x1000, 0x1000, VMEM_READ | 32};
    rig_refuse(&rig, rig_do_protect, &unknown, VMEM_ERR_RIGHTS);
    rig_destroy(&rig);
}

TEST("vmem: changes refuse corrupt entries on their way, and change nothing") {
    static const uint64_t corruptions[] = {
        UINT64_C(1) << 46, // beyond the physical width
        UINT64_C(1) << 51, //
        0x2000,            // no table there
        0x80,              // level 4: reserved; below: a misaligned large leaf
    };
    for (unsigned level = 2; level <= 4; level++) {
        for (size_t i = 0; i < ARRAY_LEN(corruptions); i++) {
            struct rig rig;
            rig_make(&rig, RIG_CPU, 4);
            map(&rig, rig_mapping(MIB(4), MIB(4), MIB(2)));
            map(&rig, rig_mapping(0x2000, 0x2000, 0x1000));
            uint64_t *cell = rig_slot(&rig, 0x2000, level);
            uint64_t sound = *cell;
            *cell = (i == 2 ? 3 : *cell) | corruptions[i];
            struct vmem_mapping mapping = rig_mapping(0x1000, 0x1000, 0x1000);
            struct rig_range range = {0x2000, 0x1000, RIG_RX};
            struct rig_range wide = {0, UINT64_C(1) << 47, RIG_RX};
            rig_refuse(&rig, rig_do_map, &mapping, VMEM_ERR_CORRUPT);
            rig_refuse(&rig, rig_do_protect, &range, VMEM_ERR_CORRUPT);
            rig_refuse(&rig, rig_do_protect, &wide, VMEM_ERR_CORRUPT);
            rig_refuse(&rig, rig_do_unmap, &range, VMEM_ERR_CORRUPT);
            // A page table that goes whole is freed without a look into it.
            if (level != 2 || i != 2)
                rig_refuse(&rig, rig_do_unmap, &wide, VMEM_ERR_CORRUPT);
            *cell = sound;
            rig_destroy(&rig);
        }
    }
}

TEST("vmem: changes refuse what only looks like a large leaf, and change nothing") {
    for (unsigned level = 3; level <= 5; level++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 5);
        map(&rig, rig_mapping(0x1000, 0x1000, 0x1000));
        rig_adopt(&rig, level == 3 ? RIG_CPU_NO_1G : RIG_CPU);
        uint64_t *cell = rig_slot(&rig, 0x1000, level);
        uint64_t sound = *cell;
        *cell = 0x83;
        struct rig_range range = {0, UINT64_C(1) << (12 + 9 * (level - 1)), RIG_R};
        rig_refuse(&rig, rig_do_protect, &range, VMEM_ERR_CORRUPT);
        rig_refuse(&rig, rig_do_unmap, &range, VMEM_ERR_CORRUPT);
        *cell = sound;
        rig_destroy(&rig);
    }
}
