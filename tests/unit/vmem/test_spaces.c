// Address spaces: cloning, ending, owning tables; and the ranges that every change refuses.
#include "common/base/arith.h"

#include "tests/unit/support/vmem_rig.h"

#define HHDM  UINT64_C(0xffff800000000000)
#define OWNED UINT64_C(0x200)

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

static struct vmem_mapping user_mapping(uint64_t virt, uint64_t phys) {
    struct vmem_mapping mapping = rig_mapping(virt, phys, 0x1000);
    mapping.rights = RIG_RX | VMEM_USER;
    return mapping;
}

TEST("vmem: a clone has an empty lower half, and what either maps below the other does not see") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x1000, 0x1000, 0x1000));
    map(&rig, rig_mapping(HHDM, 0, MIB(2)));
    struct vmem clone;
    rig.memory.may_alloc = 0;
    memset(&clone, 0x5a, sizeof(clone));
    struct vmem untouched = clone;
    struct vmem before = rig.space;
    assert_int_equal(vmem_clone(&rig.space, &clone), VMEM_ERR_NO_MEMORY);
    assert_memory_equal(&clone, &untouched, sizeof(clone));
    assert_memory_equal(&rig.space, &before, sizeof(before));
    rig.memory.may_alloc = -1;
    assert_int_equal(vmem_clone(&rig.space, &clone), VMEM_OK);
    struct vmem_translation got;
    assert_int_equal(vmem_translate(&clone, vaddr(0x1000), &got), VMEM_ERR_NOT_MAPPED);
    assert_int_equal(vmem_translate(&clone, vaddr(HHDM), &got), VMEM_OK);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    struct vmem_mapping mapping = rig_mapping(0x1000, 0x7000, 0x1000);
    assert_int_equal(vmem_map(&clone, &mapping, &flush), VMEM_OK);
    rig_expect(&rig, 0x1000, 0x1000, VMEM_4K, RIG_RW);
    uint32_t tables = rig.memory.used_count;
    assert_int_equal(vmem_destroy(&clone, &flush), VMEM_OK);
    assert_int_equal(rig.memory.used_count, tables - 4); // root and three below it
    assert_null(clone.ops);
    rig_destroy(&rig);
}

TEST("vmem: a clone's root has the upper half of its source, and nothing else is written") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    for (uint64_t index = 0; index < 512; index += 51)
        map(&rig, rig_mapping(index << 39 | (index < 256 ? 0 : HHDM), 0x1000, 0x1000));
    // The clone's root goes between two frames that are in use.
    paddr_t between = vmem_memory_alloc(&rig.memory);
    paddr_t behind = vmem_memory_alloc(&rig.memory);
    vmem_memory_free(&rig.memory, between);
    rig.memory.next = vmem_memory_frame(&rig.memory, behind) - 1;
    struct vmem_memory before = vmem_memory_copy(&rig.memory);
    struct vmem clone;
    assert_int_equal(vmem_clone(&rig.space, &clone), VMEM_OK);
    assert_int_equal(clone.root.value, between.value);
    const uint64_t *source = vmem_memory_pointer(&rig.memory, rig.space.root);
    const uint64_t *root = vmem_memory_pointer(&rig.memory, clone.root);
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(root[i], i < 256 ? 0 : source[i]);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    assert_int_equal(vmem_destroy(&clone, &flush), VMEM_OK);
    assert_true(vmem_memory_equal(&rig.memory, &before));
    vmem_memory_destroy(&before);
    vmem_memory_free(&rig.memory, behind);
    rig_destroy(&rig);
}

TEST(
    "vmem: spaces that share an upper half see each other's user mappings there, and CPUs in all of "
    "them forget together") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        map(&rig, rig_mapping(HHDM, 0x1000, 0x1000));
        struct vmem clones[2];
        assert_int_equal(vmem_clone(&rig.space, &clones[0]), VMEM_OK);
        assert_int_equal(vmem_clone(&rig.space, &clones[1]), VMEM_OK);
        struct vmem_tlb cpus[2];
        for (unsigned i = 0; i < 2; i++)
            vmem_tlb_make(&cpus[i], &rig.memory, &clones[i]);
        rig.tlb.next = &cpus[0];
        cpus[0].next = &cpus[1];
        map(&rig, user_mapping(HHDM + 0x5000, 0x5000)); // widens entries that CPUs remember
        for (unsigned i = 0; i < 2; i++) {
            struct vmem_translation got;
            assert_int_equal(vmem_translate(&clones[i], vaddr(HHDM + 0x5000), &got), VMEM_OK);
            assert_int_equal(got.rights, RIG_RX | VMEM_USER);
        }
        assert_int_equal(rig_protect(&rig, vaddr(HHDM), 0x1000, RIG_R), VMEM_OK);
        assert_int_equal(rig_unmap(&rig, vaddr(HHDM), 0x1000), VMEM_OK);
        rig.tlb.next = NULL;
        struct vmem_flush flush;
        vmem_flush_begin(&flush, &vmem_unloaded, NULL);
        assert_int_equal(vmem_destroy(&clones[0], &flush), VMEM_OK);
        assert_int_equal(vmem_destroy(&clones[1], &flush), VMEM_OK);
        assert_null(rig.space.next);
        rig_destroy(&rig);
    }
}

TEST("vmem: destroy releases all memory of the lower half, and of the upper with the last space") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x5000, 0x9000, 0x3000));
    map(&rig, rig_mapping(GIB(3), GIB(9), GIB(1)));
    map(&rig, rig_mapping(HHDM, 0, MIB(4)));
    struct vmem clone;
    assert_int_equal(vmem_clone(&rig.space, &clone), VMEM_OK);
    struct vmem_flush flush;
    rig_begin(&rig, &flush, 0x5000, 0x3000);
    assert_int_equal(vmem_destroy(&rig.space, &flush), VMEM_OK);
    assert_int_equal(rig.released_count, 2);
    assert_int_equal(rig.released[0].phys.value, 0x9000);
    assert_int_equal(rig.released[0].bytes, 0x3000);
    assert_int_equal(rig.released[1].phys.value, GIB(9));
    assert_int_equal(rig.released[1].bytes, GIB(1));
    assert_int_equal(vmem_destroy(&clone, &flush), VMEM_OK);
    assert_int_equal(rig.released_count, 3);
    assert_int_equal(rig.released[2].virt.value, HHDM);
    assert_int_equal(rig.released[2].bytes, MIB(4));
    assert_int_equal(rig.memory.used_count, 0);
    assert_int_equal(rig.memory.bad_frees, 0);
    assert_false(rig.too_early);
    vmem_memory_destroy(&rig.memory);
}

TEST("vmem: destroy of corrupt tables refuses and changes nothing") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x5000, 0x9000, 0x1000));
    map(&rig, rig_mapping(HHDM, 0x9000, 0x1000));
    static const uint64_t virts[] = {0x5000, HHDM};
    for (unsigned level = 2; level <= 4; level++) {
        for (size_t i = 0; i < ARRAY_LEN(virts); i++) {
            uint64_t *cell = rig_slot(&rig, virts[i], level);
            uint64_t sound = *cell;
            *cell |= UINT64_C(1) << 50;
            struct vmem_memory before = vmem_memory_copy(&rig.memory);
            struct vmem_flush flush;
            vmem_flush_begin(&flush, &vmem_unloaded, NULL);
            assert_int_equal(vmem_destroy(&rig.space, &flush), VMEM_ERR_CORRUPT);
            assert_true(vmem_memory_equal(&rig.memory, &before));
            vmem_memory_destroy(&before);
            *cell = sound;
        }
    }
    rig_destroy(&rig);
}

// ---- Tables of somebody else

static bool free_none(void *argument, paddr_t table) {
    (void)argument, (void)table;
    return false;
}

static bool free_all_but(void *argument, paddr_t table) {
    const uint64_t *kept = argument;
    return table.value != *kept;
}

TEST("vmem: of adopted tables those are freed that their owner has given away, and no others") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x5000, 0x9000, 0x2000));
    map(&rig, rig_mapping(HHDM, 0x9000, 0x1000));
    struct vmem adopted;
    assert_int_equal(
        vmem_adopt(&adopted, &vmem_memory_ops, &rig.memory, RIG_CPU, 4, rig.space.root.value),
        VMEM_OK);
    assert_false(adopted.owns_root);
    vmem_own_tables(&adopted, free_none, NULL);
    for (unsigned level = 2; level <= 4; level++)
        assert_int_equal(*rig_slot(&rig, 0x5000, level) & OWNED, 0);
    uint32_t foreign = rig.memory.used_count;
    // Used, changed, emptied, but not freed; what is added is.
    rig.space = adopted;
    assert_int_equal(rig_unmap(&rig, vaddr(0), GIB(512)), VMEM_OK);
    assert_int_equal(rig.memory.used_count, foreign);
    assert_int_equal(rig.released_count, 1);
    map(&rig, rig_mapping(0x5000, 0x9000, 0x2000));
    map(&rig, rig_mapping(GIB(1), 0x9000, 0x2000));
    assert_int_equal(rig.memory.used_count, foreign + 2);
    struct vmem_memory before = vmem_memory_copy(&rig.memory);
    struct vmem_flush flush;
    rig_begin(&rig, &flush, 0x5000, 0x2000);
    adopted = rig.space;
    assert_int_equal(vmem_destroy(&rig.space, &flush), VMEM_OK);
    assert_int_equal(rig.memory.used_count, foreign);
    assert_int_equal(rig.released_count, 1); // the memory that only its own tables mapped
    assert_int_equal(rig.released[0].virt.value, GIB(1));
    rig.space = adopted;
    rig_expect(&rig, 0x5000, 0x9000, VMEM_4K, RIG_RW);
    rig_expect_absent(&rig, GIB(1));
    vmem_memory_destroy(&before);
    // All given away but one: that one stays, the rest goes.
    uint64_t kept = *rig_slot(&rig, 0x5000, 3) & UINT64_C(0x000ffffffffff000);
    vmem_own_tables(&rig.space, free_all_but, &kept);
    assert_true(rig.space.owns_root);
    assert_int_equal(*rig_slot(&rig, 0x5000, 3) & OWNED, 0);
    assert_int_equal(*rig_slot(&rig, 0x5000, 2) & OWNED, OWNED);
    map(&rig, rig_mapping(MIB(4), MIB(4), MIB(2)));
    assert_int_equal(rig_unmap(&rig, vaddr(0), GIB(1)), VMEM_OK);
    assert_int_equal(rig.memory.used_count, foreign - 1);
    vmem_memory_destroy(&rig.memory);
}

TEST("vmem: destroy frees the space's own tables below those of somebody else, at every level") {
    static const uint64_t virts[] = {MIB(4), GIB(2), GIB(512)}; // a table of level 1, 2, 3 is new
    for (unsigned i = 0; i < ARRAY_LEN(virts); i++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(0x5000, 0x9000, 0x1000));
        vmem_own_tables(&rig.space, free_none, NULL);
        uint32_t foreign = rig.memory.used_count;
        map(&rig, rig_mapping(virts[i], 0x7000, 0x1000));
        assert_int_equal(rig.memory.used_count, foreign + i + 1);
        struct vmem_flush flush;
        rig_begin(&rig, &flush, virts[i], 0x1000);
        assert_int_equal(vmem_destroy(&rig.space, &flush), VMEM_OK);
        assert_int_equal(rig.memory.used_count, foreign);
        assert_int_equal(rig.memory.bad_frees, 0);
        assert_int_equal(rig.released_count, 1);
        assert_int_equal(rig.released[0].virt.value, virts[i]);
        vmem_memory_destroy(&rig.memory);
    }
}

TEST("vmem: a clone owns its root, be its source's root somebody else's") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    rig.space.owns_root = false;
    struct vmem clone;
    assert_int_equal(vmem_clone(&rig.space, &clone), VMEM_OK);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    assert_int_equal(vmem_destroy(&clone, &flush), VMEM_OK);
    assert_int_equal(rig.memory.used_count, 1);
    rig_destroy(&rig);
}

static bool free_counted(void *argument, paddr_t table) {
    (void)table;
    ++*(unsigned *)argument;
    return true;
}

TEST("vmem: the owner of adopted tables is asked for each of them once") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 5);
    map(&rig, rig_mapping(0, 0x9000, MIB(4) + 0x1000));
    map(&rig, rig_mapping(GIB(513), 0x9000, 0x1000));
    map(&rig, rig_mapping(UINT64_C(0) - 0x1000, 0x9000, 0x1000));
    unsigned asked = 0;
    vmem_own_tables(&rig.space, free_counted, &asked);
    assert_int_equal(asked, rig.memory.used_count);
    rig_destroy(&rig);
}

// ---- Arithmetic

TEST("vmem: every change refuses a range that wraps, crosses the hole or is none, and reaches the "
     "last page of either half") {
    static const rig_operation operations[] = {rig_do_unmap, rig_do_protect, rig_do_set_cache,
                                               rig_do_split, rig_do_merge,   rig_do_harvest};
    for (unsigned levels = 4; levels <= 5; levels++) {
        const uint64_t hole = UINT64_C(1) << (12 + 9 * levels - 1);
        const uint64_t top = UINT64_C(0) - 0x1000;
        const struct {
            enum vmem_status want;
            struct rig_range range;
        } cases[] = {
            {VMEM_ERR_UNALIGNED, {0x1001, 0x1000, 1}},
            {VMEM_ERR_UNALIGNED, {0x1000, 0xfff, 1}},
            {VMEM_ERR_EMPTY, {0x1000, 0, 1}},
            {VMEM_ERR_WRAPS, {top, 0x2000, 1}},
            {VMEM_ERR_WRAPS, {0x2000, top, 1}},
            {VMEM_ERR_NONCANONICAL, {hole - 0x1000, 0x2000, 1}},
            {VMEM_ERR_NONCANONICAL, {hole, 0x1000, 1}},
            {VMEM_ERR_NONCANONICAL, {UINT64_C(0) - hole - 0x1000, 0x2000, 1}},
            {VMEM_ERR_NONCANONICAL, {hole - 0x1000, UINT64_C(0) - 2 * hole + 0x2000, 1}},
        };
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        map(&rig, rig_mapping(top, 0x1000, 0x1000));
        map(&rig, rig_mapping(hole - 0x1000, 0x1000, 0x1000));
        map(&rig, rig_mapping(UINT64_C(0) - hole, 0x1000, 0x1000));
        for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
            for (size_t j = 0; j < ARRAY_LEN(cases); j++)
                rig_refuse(&rig, operations[i], &cases[j].range, cases[j].want);
            const uint64_t edges[] = {top, hole - 0x1000, UINT64_C(0) - hole};
            for (size_t j = 0; i != 0 && j < ARRAY_LEN(edges); j++) {
                struct rig_range edge = {edges[j], 0x1000, VMEM_READ};
                assert_int_equal(operations[i](&rig, &edge), VMEM_OK);
            }
        }
        struct rig_range lower = {0, hole, 0};
        struct rig_range upper = {UINT64_C(0) - hole, hole, 0};
        assert_int_equal(rig_do_unmap(&rig, &lower), VMEM_OK);
        assert_int_equal(rig_do_unmap(&rig, &upper), VMEM_OK);
        rig_expect_absent(&rig, UINT64_MAX);
        rig_expect_absent(&rig, hole - 1);
        rig_expect_absent(&rig, UINT64_C(0) - hole);
        rig_destroy(&rig);
    }
}

TEST("vmem: split and merge refuse page sizes that do not exist") {
    struct rig rig;
    rig_make(&rig, RIG_CPU_NO_1G, 4);
    struct rig_range range = {0x1000, 0x1000, 3};
    rig_refuse(&rig, rig_do_split, &range, VMEM_ERR_PAGE_SIZE);
    rig_refuse(&rig, rig_do_merge, &range, VMEM_ERR_PAGE_SIZE);
    range.rights = VMEM_1G;
    rig_refuse(&rig, rig_do_split, &range, VMEM_OK); // nothing is larger
    rig_refuse(&rig, rig_do_merge, &range, VMEM_ERR_PAGE_SIZE);
    rig_destroy(&rig);
}
