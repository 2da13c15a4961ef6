// Scenarios that other paging libraries have been seen to fail.
#include "common/base/arith.h"

#include "tests/unit/support/vmem_rig.h"

#define HHDM UINT64_C(0xffff800000000000)

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

TEST("vmem: five addresses that differ in one level index each, insert and remove, never disturb "
     "each other") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        uint64_t base = UINT64_C(0x0000123456789000);
        uint64_t virt[6] = {base};
        for (unsigned level = 1; level <= levels; level++)
            virt[level] = base ^ UINT64_C(1) << (12 + 9 * (level - 1));
        unsigned count = levels + 1;
        // Every order of removal that leaves one to the last, twice around.
        for (unsigned first = 0; first < count; first++) {
            struct rig rig;
            rig_make(&rig, RIG_CPU, levels);
            for (unsigned i = 0; i < count; i++) {
                map(&rig, rig_mapping(virt[i], 0x100000 * (i + 1), 0x1000));
                for (unsigned j = 0; j < count; j++)
                    if (j <= i)
                        rig_expect(&rig, virt[j], 0x100000 * (j + 1), VMEM_4K, RIG_RW);
                    else
                        rig_expect_absent(&rig, virt[j]);
            }
            for (unsigned i = 0; i < count; i++) {
                unsigned gone = (first + i) % count;
                assert_int_equal(rig_unmap(&rig, vaddr(virt[gone]), 0x1000), VMEM_OK);
                for (unsigned j = 0; j < count; j++)
                    if ((j + count - first) % count <= i)
                        rig_expect_absent(&rig, virt[j]);
                    else
                        rig_expect(&rig, virt[j], 0x100000 * (j + 1), VMEM_4K, RIG_RW);
            }
            assert_int_equal(rig.memory.used_count, 1);
            rig_destroy(&rig);
        }
    }
}

// All that software can see of a leaf, whatever its size.
struct seen {
    uint64_t phys, bits;
    unsigned rights;
    enum vmem_cache cache;
    bool global;
    unsigned marks;
};

static struct seen see(struct rig *rig, uint64_t virt) {
    struct vmem_translation got;
    assert_int_equal(vmem_translate(&rig->space, vaddr(virt), &got), VMEM_OK);
    uint64_t software_and_key = UINT64_C(0x7ff0000000000e00);
    return (struct seen){.phys = got.phys.value,
                         .bits = got.entry & software_and_key,
                         .rights = got.rights,
                         .cache = vmem_translation_cache(&got),
                         .global = vmem_translation_is_global(&got),
                         .marks = vmem_translation_marks(&got)};
}

static void expect_same(struct seen got, struct seen want) {
    assert_int_equal(got.phys, want.phys);
    assert_int_equal(got.bits, want.bits);
    assert_int_equal(got.rights, want.rights);
    assert_int_equal(got.cache, want.cache);
    assert_int_equal(got.global, want.global);
    assert_int_equal(got.marks, want.marks);
}

TEST("vmem: 4 KiB into a 2 MiB and a 1 GiB leaf, all neighbours keep translation, rights, cache "
     "type, A/D/G") {
    for (unsigned page = VMEM_2M; page <= VMEM_1G; page++) {
        for (unsigned round = 0; round < 96; round++) {
            uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
            uint64_t virt = HHDM + bytes;
            uint64_t hole = virt + bytes / 512 * (round * 5 % 512);
            struct rig rig;
            rig_make(&rig, RIG_CPU, 4 + round % 2);
            struct vmem_mapping mapping = rig_mapping(virt, 3 * bytes, bytes);
            mapping.cache = (enum vmem_cache)(round % 6);
            mapping.rights = VMEM_READ | (round % 3 ? VMEM_WRITE : VMEM_EXECUTE);
            mapping.global = round / 6 % 2;
            map(&rig, mapping);
            *rig_slot(&rig, virt, page + 1) |=
                (uint64_t)(round / 12 % 4) << 5 | 0x400 | UINT64_C(0x5) << 59; // A/D, software, key
            struct seen before = see(&rig, virt);
            struct vmem_mapping small = rig_mapping(hole, 0x7000, 0x1000);
            small.replace = true;
            assert_int_equal(rig_starve(&rig, rig_do_map, &small), page);
            for (uint64_t at = virt; at < virt + bytes; at += page == VMEM_2M ? 0x1000 : 0x3f000) {
                if (at == hole)
                    continue;
                struct seen want = before;
                want.phys += at - virt;
                expect_same(see(&rig, at), want);
            }
            rig_expect(&rig, hole, 0x7000, VMEM_4K, RIG_RW);
            assert_int_equal(rig.released_count, 1);
            assert_int_equal(rig.released[0].phys.value, 3 * bytes + (hole - virt));
            assert_int_equal(rig.released[0].bytes, 0x1000);
            vmem_memory_destroy(&rig.memory);
        }
    }
}

TEST("vmem: large over existing small maps refused, or replaced without a leak") {
    for (unsigned page = VMEM_2M; page <= VMEM_1G; page++) {
        uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(bytes + 0x3000, 0x3000, 0x2000));
        map(&rig, rig_mapping(bytes + MIB(2) - 0x1000, 0x9000, 0x1000));
        struct vmem_mapping large = rig_mapping(bytes, 7 * bytes, bytes);
        rig_refuse(&rig, rig_do_map, &large, VMEM_ERR_MAPPED);
        large.replace = true;
        assert_int_equal(rig_starve(&rig, rig_do_map, &large), 0);
        rig_expect(&rig, bytes, 7 * bytes, (enum vmem_page)page, RIG_RW);
        assert_int_equal(rig.memory.used_count, page == VMEM_2M ? 3 : 2);
        assert_int_equal(rig.released_count, 2);
        assert_int_equal(rig.released[0].virt.value, bytes + 0x3000);
        assert_int_equal(rig.released[0].phys.value, 0x3000);
        assert_int_equal(rig.released[0].bytes, 0x2000);
        assert_int_equal(rig.released[1].phys.value, 0x9000);
        rig_destroy(&rig);
    }
}

TEST("vmem: supervisor NX parent first, then a user executable leaf") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        struct vmem_mapping kernel = rig_mapping(0x1000, 0x1000, 0x1000);
        kernel.rights = VMEM_READ;
        map(&rig, kernel);
        struct vmem_mapping user = rig_mapping(0x2000, 0x2000, 0x1000);
        user.rights = RIG_RX | VMEM_USER;
        map(&rig, user);
        // The way was remembered without user mode: it had to be forgotten, and nothing else.
        assert_int_equal(rig.tlb.page_flushes, 1);
        rig_expect(&rig, 0x1000, 0x1000, VMEM_4K, VMEM_READ);
        rig_expect(&rig, 0x2000, 0x2000, VMEM_4K, RIG_RX | VMEM_USER);
        // A parent of somebody else that forbids execution is refused, not opened.
        *rig_slot(&rig, 0x1000, 3) |= UINT64_C(1) << 63;
        struct vmem_mapping more = rig_mapping(0x3000, 0x3000, 0x1000);
        more.rights = RIG_RX | VMEM_USER;
        rig_refuse(&rig, rig_do_map, &more, VMEM_ERR_RIGHTS);
        rig_destroy(&rig);
    }
}

TEST("vmem: unmap cutting large leaves at both ends") {
    for (unsigned page = VMEM_2M; page <= VMEM_1G; page++) {
        uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
        struct rig rig;
        rig_make(&rig, RIG_CPU, 5);
        map(&rig, rig_mapping(HHDM, 0, 4 * bytes));
        struct rig_range range = {HHDM + bytes - 0x1000, 2 * bytes + 0x3000, 0};
        assert_int_equal(rig_starve(&rig, rig_do_unmap, &range), 2 * page);
        rig_expect(&rig, HHDM + bytes - 0x2000, bytes - 0x2000, VMEM_4K, RIG_RW);
        for (uint64_t at = 0; at < range.bytes; at += page == VMEM_2M ? 0x1000 : 0x1ff000)
            rig_expect_absent(&rig, range.virt + at);
        rig_expect_absent(&rig, range.virt + range.bytes - 1);
        rig_expect(&rig, HHDM + 3 * bytes + 0x2000, 3 * bytes + 0x2000, VMEM_4K, RIG_RW);
        assert_int_equal(rig.released_count, 1);
        assert_int_equal(rig.released[0].virt.value, range.virt);
        assert_int_equal(rig.released[0].phys.value, range.virt - HHDM);
        assert_int_equal(rig.released[0].bytes, range.bytes);
        rig_destroy(&rig);
    }
}

static void expect_kernel(struct vmem *space, uint64_t virt, uint64_t phys) {
    struct vmem_translation got;
    assert_int_equal(vmem_translate(space, vaddr(virt), &got), VMEM_OK);
    assert_int_equal(got.phys.value, phys);
}

TEST("vmem: destroy of one clone leaves the other's kernel half intact") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned order = 0; order < 6; order++) {
            struct rig rig;
            rig_make(&rig, RIG_CPU, levels);
            map(&rig, rig_mapping(HHDM, MIB(2), MIB(4)));
            struct vmem clones[2];
            assert_int_equal(vmem_clone(&rig.space, &clones[0]), VMEM_OK);
            assert_int_equal(vmem_clone(&clones[0], &clones[1]), VMEM_OK);
            struct vmem *spaces[] = {&rig.space, &clones[0], &clones[1]};
            // A mapping made later, where no root entry was yet, through each of them in turn.
            uint64_t later = UINT64_C(0) - GIB(600);
            struct vmem_mapping mapping = rig_mapping(later, 0x5000, 0x1000);
            struct vmem_flush flush;
            vmem_flush_begin(&flush, &vmem_unloaded, NULL);
            assert_int_equal(vmem_map(spaces[order % 3], &mapping, &flush), VMEM_OK);
            for (unsigned i = 0; i < 3; i++)
                expect_kernel(spaces[i], later, 0x5000);
            static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                  {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
            for (unsigned i = 0; i < 3; i++) {
                for (unsigned j = i; j < 3; j++) {
                    expect_kernel(spaces[orders[order][j]], HHDM + MIB(3), MIB(5));
                    expect_kernel(spaces[orders[order][j]], later, 0x5000);
                }
                assert_int_equal(vmem_destroy(spaces[orders[order][i]], &flush), VMEM_OK);
            }
            assert_int_equal(rig.memory.used_count, 0);
            assert_int_equal(rig.memory.bad_frees, 0);
            vmem_memory_destroy(&rig.memory);
        }
    }
}

static uint64_t boundary_of(unsigned level) { // between entries 2 and 3 of a table of this level
    return UINT64_C(3) << (12 + 9 * (level - 1));
}

TEST("vmem: map, unmap, protect across the boundary of every level") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned level = 1; level <= levels; level++) {
            uint64_t start = boundary_of(level) - 0x3000;
            struct rig rig;
            rig_make(&rig, RIG_CPU, levels);
            struct vmem_mapping mapping = rig_mapping(start, 0x5000, 0x6000);
            rig_starve(&rig, rig_do_map, &mapping);
            assert_int_equal(rig_protect(&rig, vaddr(start + 0x1000), 0x4000, RIG_RX), VMEM_OK);
            for (uint64_t i = 0; i < 6; i++)
                rig_expect(&rig, start + i * 0x1000, 0x5000 + i * 0x1000, VMEM_4K,
                           i == 0 || i == 5 ? RIG_RW : RIG_RX);
            assert_int_equal(rig.tlb.page_flushes, 4);
            assert_int_equal(rig_unmap(&rig, vaddr(start + 0x2000), 0x2000), VMEM_OK);
            for (uint64_t i = 0; i < 6; i++)
                if (i == 2 || i == 3)
                    rig_expect_absent(&rig, start + i * 0x1000);
                else
                    rig_expect(&rig, start + i * 0x1000, 0x5000 + i * 0x1000, VMEM_4K,
                               i == 0 || i == 5 ? RIG_RW : RIG_RX);
            assert_int_equal(rig.tlb.page_flushes, 2);
            assert_int_equal(rig.released_count, 1);
            assert_int_equal(rig_unmap(&rig, vaddr(start), 0x6000), VMEM_OK);
            assert_int_equal(rig.memory.used_count, 1);
            rig_destroy(&rig);
        }
    }
}
