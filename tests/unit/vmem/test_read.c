#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/vmem/runs.h"

#include "tests/unit/support/vmem_rig.h"

#define HHDM UINT64_C(0xffff800000000000)
#define NX   (UINT64_C(1) << 63)

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

// Collects what a walk visits.
struct runs {
    struct vmem_run run[16];
    unsigned count;
    unsigned stop_after;
};

static bool collect(void *argument, const struct vmem_run *run) {
    struct runs *runs = argument;
    assert_in_range(runs->count, 0, ARRAY_LEN(runs->run) - 1);
    runs->run[runs->count++] = *run;
    return runs->count != runs->stop_after;
}

static struct runs walk(struct rig *rig, uint64_t virt, uint64_t bytes, enum vmem_status want) {
    struct runs runs = {.count = 0};
    assert_int_equal(vmem_walk(&rig->space, vaddr(virt), bytes, collect, &runs), want);
    return runs;
}

static void expect_run(const struct vmem_run *run, struct vmem_mapping want, uint64_t leaves_1g,
                       uint64_t leaves_2m, uint64_t leaves_4k) {
    assert_int_equal(run->virt.value, want.virt.value);
    assert_int_equal(run->phys.value, want.phys.value);
    assert_int_equal(run->bytes, want.bytes);
    assert_int_equal(run->rights, want.rights);
    assert_int_equal(run->cache, want.cache);
    assert_int_equal(run->global, want.global);
    assert_int_equal(run->leaves[VMEM_1G], leaves_1g);
    assert_int_equal(run->leaves[VMEM_2M], leaves_2m);
    assert_int_equal(run->leaves[VMEM_4K], leaves_4k);
}

TEST("vmem: translate tells everything of every leaf size and cache type") {
    static const uint64_t size[] = {4096, MIB(2), GIB(1)};
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++) {
        for (unsigned cache = VMEM_CACHE_WB; cache <= VMEM_CACHE_WC; cache++) {
            struct rig rig;
            rig_make(&rig, RIG_CPU, 5);
            struct vmem_mapping mapping = rig_mapping(HHDM, 3 * size[page], size[page]);
            mapping.cache = (enum vmem_cache)cache;
            mapping.global = cache % 2 != 0;
            map(&rig, mapping);
            uint64_t *cell = rig_slot(&rig, HHDM, page + 1);
            *cell |= (cache & 1 ? 0x20 : 0) | (cache & 2 ? 0x40 : 0);
            struct vmem_translation got;
            assert_int_equal(vmem_translate(&rig.space, vaddr(HHDM + 0x123), &got), VMEM_OK);
            assert_int_equal(got.phys.value, 3 * size[page] + 0x123);
            assert_int_equal(got.entry, *cell);
            assert_int_equal(got.page, page);
            assert_int_equal(vmem_translation_cache(&got), cache);
            assert_int_equal(got.rights, RIG_RW);
            assert_int_equal(vmem_translation_is_global(&got), cache % 2 != 0);
            assert_int_equal(vmem_translation_marks(&got), cache & 3);
            rig_destroy(&rig);
        }
    }
}

TEST("vmem: PAT entries 6 and 7, which only others use, are UC- and UC") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x1000, 0x1000, 0x1000));
    struct vmem_translation got;
    *rig_slot(&rig, 0x1000, 1) = 0x1000 | 0x91;
    assert_int_equal(vmem_translate(&rig.space, vaddr(0x1000), &got), VMEM_OK);
    assert_int_equal(vmem_translation_cache(&got), VMEM_CACHE_UC_MINUS);
    *rig_slot(&rig, 0x1000, 1) = 0x1000 | 0x99;
    assert_int_equal(vmem_translate(&rig.space, vaddr(0x1000), &got), VMEM_OK);
    assert_int_equal(vmem_translation_cache(&got), VMEM_CACHE_UC);
    rig_destroy(&rig);
}

TEST("vmem: effective rights are those of the whole walk") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned level = 1; level <= levels; level++) {
            struct rig rig;
            rig_make(&rig, RIG_CPU, levels);
            struct vmem_mapping mapping = rig_mapping(0x1000, 0x1000, 0x1000);
            mapping.rights = VMEM_READ | VMEM_WRITE | VMEM_EXECUTE | VMEM_USER;
            map(&rig, mapping);
            uint64_t *cell = rig_slot(&rig, 0x1000, level);
            static const struct {
                uint64_t flip;
                unsigned lost;
            } cases[] = {{2, VMEM_WRITE}, {4, VMEM_USER}, {NX, VMEM_EXECUTE}};
            for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                *cell ^= cases[i].flip;
                rig_expect(&rig, 0x1000, 0x1000, VMEM_4K, mapping.rights & ~cases[i].lost);
                struct runs runs = walk(&rig, 0, 0, VMEM_OK);
                assert_int_equal(runs.count, 1);
                assert_int_equal(runs.run[0].rights, mapping.rights & ~cases[i].lost);
                *cell ^= cases[i].flip;
            }
            rig_destroy(&rig);
        }
    }
}

TEST("vmem: translate refuses addresses that are none and says what is absent") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        uint64_t hole = UINT64_C(1) << (12 + 9 * levels - 1);
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        struct vmem_translation got;
        memset(&got, 0x5a, sizeof(got));
        struct vmem_translation before = got;
        const struct vmem *space = &rig.space;
        assert_int_equal(vmem_translate(space, vaddr(hole), &got), VMEM_ERR_NONCANONICAL);
        assert_int_equal(vmem_translate(space, vaddr(UINT64_C(0) - hole - 1), &got),
                         VMEM_ERR_NONCANONICAL);
        assert_int_equal(vmem_translate(space, vaddr(hole - 1), &got), VMEM_ERR_NOT_MAPPED);
        assert_int_equal(vmem_translate(space, vaddr(UINT64_C(0) - hole), &got),
                         VMEM_ERR_NOT_MAPPED);
        assert_memory_equal(&got, &before, sizeof(got));
        rig_destroy(&rig);
    }
}

TEST("vmem: a run is made of leaves of all sizes, across tables of every level") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    struct vmem_mapping all =
        rig_mapping(HHDM + GIB(510) - 0x1000, GIB(510) - 0x1000, GIB(4) + MIB(4) + 0x2000);
    map(&rig, all);
    struct runs runs = walk(&rig, 0, 0, VMEM_OK);
    assert_int_equal(runs.count, 1);
    expect_run(&runs.run[0], all, 4, 2, 2);
    rig_destroy(&rig);
}

TEST("vmem: runs end where address, rights, cache type or global change, and nowhere else") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 5);
    struct vmem_mapping part[8];
    for (unsigned i = 0; i < 8; i++)
        part[i] = rig_mapping(MIB(2) + i * 0x3000, MIB(64) + i * 0x3000, 0x3000);
    part[1].rights = VMEM_READ; // each differs from the one before it in one thing alone
    part[3].cache = VMEM_CACHE_WC;
    part[5].global = true;
    part[6].global = true;
    part[6].phys.value += 0x10000;
    part[7].global = true;
    part[7].phys.value += 0x11000;
    part[7].virt.value += 0x1000;
    for (unsigned i = 0; i < 8; i++)
        map(&rig, part[i]);
    // Accessed, dirty, software's bits and the protection key do not matter.
    *rig_slot(&rig, part[0].virt.value + 0x1000, 1) |= 0x60;
    *rig_slot(&rig, part[1].virt.value + 0x1000, 1) |= UINT64_C(0x7f0000000000e00);
    *rig_slot(&rig, part[2].virt.value + 0x1000, 1) |= UINT64_C(0x7800000000000000);
    struct runs runs = walk(&rig, 0, 0, VMEM_OK);
    assert_int_equal(runs.count, 8);
    for (unsigned i = 0; i < 8; i++)
        expect_run(&runs.run[i], part[i], 0, 0, 3);
    rig_destroy(&rig);
}

TEST("vmem: what is joined first continues nothing, whatever the record said before") {
    struct runs runs = {.count = 0};
    struct vmem_run piece = {
        .virt = vaddr(HHDM), .phys = paddr(MIB(2)), .rights = RIG_RW, .leaves = {1}};
    struct vmem_join join = {.visit = collect, .argument = &runs, .run = piece}; // of no bytes
    piece.bytes = 0x1000;
    assert_true(vmem_join_add(&join, &piece));
    assert_true(vmem_join_end(&join));
    assert_int_equal(runs.count, 1);
    expect_run(&runs.run[0], rig_mapping(HHDM, MIB(2), 0x1000), 0, 0, 1);
}

TEST("vmem: neighbours at both ends of the hole and of physical memory are runs of their own") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        uint64_t hole = UINT64_C(1) << (12 + 9 * levels - 1);
        uint64_t width = UINT64_C(1) << 46;
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        struct vmem_mapping low = rig_mapping(hole - 0x2000, 0x1000, 0x2000);
        struct vmem_mapping high = rig_mapping(UINT64_C(0) - hole, 0x3000, 0x1000);
        struct vmem_mapping last = rig_mapping(UINT64_C(0) - 0x2000, width - 0x1000, 0x1000);
        struct vmem_mapping first = rig_mapping(UINT64_C(0) - 0x1000, 0, 0x1000);
        map(&rig, low);
        map(&rig, high);
        map(&rig, last);
        map(&rig, first);
        struct runs runs = walk(&rig, 0, 0, VMEM_OK);
        assert_int_equal(runs.count, 4);
        expect_run(&runs.run[0], low, 0, 0, 2);
        expect_run(&runs.run[1], high, 0, 0, 1);
        expect_run(&runs.run[2], last, 0, 0, 1);
        expect_run(&runs.run[3], first, 0, 0, 1);
        rig_destroy(&rig);
    }
}

TEST("vmem: a run does not continue beyond the physical width") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    struct vmem_mapping last = rig_mapping(0x1000, (UINT64_C(1) << 46) - 0x1000, 0x1000);
    map(&rig, last);
    uint64_t *cell = rig_slot(&rig, 0x1000, 1);
    cell[1] = cell[0] + 0x1000; // bit 46 is reserved
    struct runs runs = walk(&rig, 0, 0, VMEM_ERR_CORRUPT);
    assert_int_equal(runs.count, 1);
    expect_run(&runs.run[0], last, 0, 0, 1);
    rig_destroy(&rig);
}

TEST("vmem: a walk of part of the space cuts runs at its edges") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(HHDM, 0, GIB(3)));
    struct runs runs = walk(&rig, HHDM + GIB(1) - 0x5000, GIB(1) + 0x6000, VMEM_OK);
    assert_int_equal(runs.count, 1);
    expect_run(&runs.run[0], rig_mapping(HHDM + GIB(1) - 0x5000, GIB(1) - 0x5000, GIB(1) + 0x6000),
               3, 0, 0);
    runs = walk(&rig, HHDM + GIB(2) + 0x1000, 0x1000, VMEM_OK);
    assert_int_equal(runs.count, 1);
    expect_run(&runs.run[0], rig_mapping(HHDM + GIB(2) + 0x1000, GIB(2) + 0x1000, 0x1000), 1, 0, 0);
    assert_int_equal(walk(&rig, HHDM + GIB(3), GIB(9), VMEM_OK).count, 0);
    assert_int_equal(walk(&rig, 0, UINT64_C(1) << 47, VMEM_OK).count, 0);
    assert_int_equal(walk(&rig, 0x1000, 0, VMEM_ERR_EMPTY).count, 0);
    assert_int_equal(walk(&rig, HHDM + 1, 0x1000, VMEM_ERR_UNALIGNED).count, 0);
    assert_int_equal(walk(&rig, 0, HHDM, VMEM_ERR_NONCANONICAL).count, 0);
    rig_destroy(&rig);
}

TEST("vmem: a visitor stops the walk, at the last run too") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    for (unsigned i = 0; i < 4; i++)
        map(&rig, rig_mapping(MIB(4) * i, 0, 0x1000));
    for (unsigned stop = 1; stop <= 4; stop++) {
        struct runs runs = {.stop_after = stop};
        assert_int_equal(vmem_walk(&rig.space, vaddr(0), 0, collect, &runs), VMEM_ERR_STOPPED);
        assert_int_equal(runs.count, stop);
    }
    rig_destroy(&rig);
}

TEST("vmem: a walk of tables that lead back to themselves ends at once, with an error") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned level = 2; level <= levels; level++) {
            for (unsigned back = level; back <= levels; back++) {
                struct rig rig;
                rig_make(&rig, RIG_CPU, levels);
                map(&rig, rig_mapping(0, 0, 0x2000));
                uint64_t up =
                    back == levels ? rig.space.root.value | 3 : *rig_slot(&rig, 0, back + 1);
                uint64_t *table = rig_slot(&rig, 0, level);
                for (unsigned i = 1; i < 512; i++) // every entry but the first leads back
                    table[i] = up;
                struct runs runs = walk(&rig, 0, 0, VMEM_ERR_CORRUPT);
                assert_int_equal(runs.count, 1);
                expect_run(&runs.run[0], rig_mapping(0, 0, 0x2000), 0, 0, 2);
                char text[256];
                struct fmt_buffer none = fmt_buffer_make(text, sizeof(text));
                struct sink sink = fmt_buffer_sink(&none);
                assert_int_equal(vmem_dump(&rig.space, &sink), VMEM_ERR_CORRUPT);
                assert_non_null(strstr(text, "the page tables are corrupt\n"));
                struct rig_audit audit = rig_audit(&rig);
                assert_int_equal(audit.result.violations, 511);
                assert_int_equal(audit.first[0].kind, VMEM_BAD_TABLE_TWICE);
                vmem_memory_destroy(&rig.memory);
            }
        }
    }
}

TEST("vmem: the dump shows a run a line, with all that is known of it") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(HHDM, 0, GIB(1) + MIB(2) + 0x3000));
    struct vmem_mapping code = rig_mapping(UINT64_C(0xffffffff80000000), 0x200000, 0x1000);
    code.rights = RIG_RX | VMEM_USER;
    code.cache = VMEM_CACHE_UC_MINUS;
    code.global = true;
    map(&rig, code);
    char text[512];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    assert_int_equal(vmem_dump(&rig.space, &sink), VMEM_OK);
    assert_string_equal(
        text,
        "ffff800000000000-ffff800040202fff -> 0000000000000 1050636 KiB rw-- WB  - 1x1G 1x2M 3x4K\n"
        "ffffffff80000000-ffffffff80000fff -> 0000000200000       4 KiB r-xu UC- g 1x4K\n");
    rig_destroy(&rig);
}

TEST("vmem: the dump shows sizes in the largest unit that leaves no remainder") {
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {
        {0x3000, "0000000000000      12 KiB rw--"},
        {MIB(1) + 0x1000, "0000000000000    1028 KiB rw--"},
        {MIB(6), "0000000000000       6 MiB rw--"},
        {GIB(1) + MIB(2), "0000000000000    1026 MiB rw--"},
        {GIB(1), "0000000000000       1 GiB rw--"},
        {TIB(1) + GIB(1), "0000000000000    1025 GiB rw--"},
        {TIB(2), "0000000000000       2 TiB rw--"},
        {TIB(1024), "0000000000000    1024 TiB rw--"},
    };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct rig rig;
        rig_make(&rig, (struct vmem_cpu){.paddr_bits = 52, .has_nx = true, .has_1g = true}, 5);
        map(&rig, rig_mapping(0, 0, sizes[i].bytes));
        char text[256];
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        assert_int_equal(vmem_dump(&rig.space, &sink), VMEM_OK);
        assert_non_null(strstr(text, sizes[i].text));
        rig_destroy(&rig);
    }
}

// What vmem_dump_walk prints of an address.
static const char *dump_walk(struct rig *rig, uint64_t virt) {
    static char text[1024];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    vmem_dump_walk(&rig->space, vaddr(virt), &sink);
    assert_int_equal(buffer.dropped, 0);
    return text;
}

TEST("vmem: the dump of a walk shows each entry down to the leaf") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(HHDM + MIB(2), MIB(6), MIB(2)));
    *rig_slot(&rig, HHDM + MIB(2), 2) |= 0x160;
    *rig_slot(&rig, HHDM + MIB(2), 3) ^= 2; // not writable
    assert_string_equal(dump_walk(&rig, HHDM + MIB(2) + 0x12345),
                        "walk of ffff800000212345 from root 00a9876543000, 4 levels\n"
                        "  level 4 [256] 00000a9876545203 table, rwx-\n"
                        "  level 3 [  0] 00000a9876544201 table, r-x-\n"
                        "  level 2 [  1] 80000000006001e3 2M page, rw-- WB global accessed dirty\n"
                        "    physical 0000000612345, effective r---\n");
    rig_destroy(&rig);
}

TEST("vmem: the dump of a walk names what a leaf is marked with, and nothing else") {
    static const char *const texts[] = {" WB\n",
                                        " WB accessed\n",
                                        " WB dirty\n",
                                        " WB accessed dirty\n",
                                        " WB global\n",
                                        " WB global accessed\n",
                                        " WB global dirty\n",
                                        " WB global accessed dirty\n"};
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(0x1000, 0x1000, 0x1000));
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        *rig_slot(&rig, 0x1000, 1) = NX | 0x1003 | (i & 3) << 5 | (i & 4) << 6;
        assert_non_null(strstr(dump_walk(&rig, 0x1000), texts[i]));
    }
    rig_destroy(&rig);
}

// Asserts that this is the last that vmem_dump_walk prints of an address.
static void expect_walk_ends(struct rig *rig, uint64_t virt, const char *last) {
    const char *text = dump_walk(rig, virt);
    const char *found = strstr(text, last);
    assert_non_null(found);
    assert_string_equal(found, last);
}

TEST("vmem: the dump of a walk says where and why it ends, on hostile tables too") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 5);
    map(&rig, rig_mapping(0x1000, 0x1000, 0x1000));
    expect_walk_ends(&rig, 0x2000, "  level 1 [  2] 0000000000000000 not present\n");
    expect_walk_ends(&rig, UINT64_C(1) << 56, "  not a canonical address\n");
    *rig_slot(&rig, 0x1000, 3) = 0x9003;
    expect_walk_ends(&rig, 0x1000, "  level 2: no table at 0000000009000\n");
    *rig_slot(&rig, 0x1000, 4) |= 0x80;
    expect_walk_ends(&rig, 0x1000, " a reserved bit is set\n");
    *rig_slot(&rig, 0x1000, 5) = rig.space.root.value | 3; // a self-map: five times the root
    expect_walk_ends(&rig, 0x1000, "  level 1 [  1] 0000000000000000 not present\n");
    vmem_memory_destroy(&rig.memory);
}
