// The loops over the entries of a table go by groups of sixteen. Here every length around two
// groups meets every place of the one entry that differs.
#include "common/base/arith.h"
#include "tests/unit/support/vmem_rig.h"

enum { PAGES = 35, PAGE = 0x1000 };

#define VIRT     MIB(4)
#define PHYS     MIB(64)
#define SOFTWARE UINT64_C(0x0550000000000000) // bits that the CPU ignores

static void map_pages(struct rig *rig, unsigned count) {
    struct vmem_mapping mapping = rig_mapping(VIRT, PHYS, count * (uint64_t)PAGE);
    mapping.largest = VMEM_4K;
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

static uint64_t *slot_of(struct rig *rig, unsigned page) {
    return rig_slot(rig, VIRT + page * (uint64_t)PAGE, 1);
}

TEST("vmem: a range that is free but for one page, anywhere in it, is refused") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_pages(&rig, PAGES + 1);
    for (unsigned count = 1; count <= PAGES; count++) {
        for (unsigned odd = 0; odd <= count; odd++) {
            for (unsigned page = 0; page <= PAGES; page++)
                *slot_of(&rig, page) = page == odd ? 0x77003 : 0xf0; // absent, whatever it says
            struct vmem_mapping mapping = rig_mapping(VIRT, PHYS, count * (uint64_t)PAGE);
            if (odd < count) {
                rig_refuse(&rig, rig_do_map, &mapping, VMEM_ERR_MAPPED);
                continue;
            }
            assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
            for (unsigned page = 0; page < count; page++)
                assert_int_equal(*slot_of(&rig, page) & ~UINT64_C(0x60),
                                 0x8000000000000003 | (PHYS + page * (uint64_t)PAGE));
            assert_int_equal(*slot_of(&rig, count), 0x77003);
        }
    }
    rig_destroy(&rig);
}

TEST("vmem: protect refuses a range with a hole, or a corrupt entry, anywhere in it") {
    static const struct {
        uint64_t entry;
        enum vmem_status status;
    } odds[] = {
        {0x77002, VMEM_ERR_NOT_MAPPED},
        {UINT64_C(1) << 46 | 0x77003, VMEM_ERR_CORRUPT},
    };
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_pages(&rig, PAGES + 1);
    for (unsigned count = 1; count <= PAGES; count++) {
        for (unsigned odd = 0; odd < count; odd++) {
            for (unsigned i = 0; i < ARRAY_LEN(odds); i++) {
                uint64_t sound = *slot_of(&rig, odd);
                *slot_of(&rig, odd) = odds[i].entry;
                struct rig_range range = {VIRT, count * (uint64_t)PAGE, RIG_R};
                rig_refuse(&rig, rig_do_protect, &range, odds[i].status);
                *slot_of(&rig, odd) = sound;
            }
        }
    }
    rig_destroy(&rig);
}

// Counts what a change asks to be forgotten.
struct counted {
    struct vmem_flush flush;
    unsigned flushes, released;
    bool full, global;
    uint64_t pages, leaves;
};

static void count_flush(void *context, const struct vmem_flush *flush) {
    struct counted *counted = context;
    counted->flushes++;
    counted->full |= flush->full;
    counted->global |= flush->global;
    counted->pages += flush->pages;
}

static void count_release(void *context, const struct vmem_run *run) {
    struct counted *counted = context;
    counted->released++;
    counted->leaves += run->leaves[VMEM_4K];
}

static const struct vmem_flush_ops counting = {count_flush, count_release};

static void counted_begin(struct counted *counted) {
    *counted = (struct counted){0};
    vmem_flush_begin(&counted->flush, &counting, counted);
}

// What the marks of page `page` are in a run whose page `odd` is one that CPUs can still mark.
static uint64_t marks_before(unsigned page, unsigned odd, uint64_t odd_marks) {
    return page == odd ? odd_marks : 0x60;
}

TEST("vmem: protect changes rights alone, whatever is marked and wherever in the range") {
    static const uint64_t odd_marks[] = {0, 0x20, 0x40, 0x60};
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_pages(&rig, PAGES + 1);
    for (unsigned count = 1; count <= PAGES; count++) {
        for (unsigned odd = 0; odd < count; odd++) {
            for (unsigned i = 0; i < ARRAY_LEN(odd_marks); i++) {
                for (unsigned page = 0; page <= PAGES; page++)
                    *slot_of(&rig, page) = UINT64_C(0x8000000000000003) | SOFTWARE |
                                           (PHYS + page * (uint64_t)PAGE) |
                                           marks_before(page, odd, odd_marks[i]);
                struct counted counted;
                counted_begin(&counted);
                assert_int_equal(vmem_protect(&rig.space, vaddr(VIRT), count * (uint64_t)PAGE,
                                              RIG_RX, &counted.flush),
                                 VMEM_OK);
                vmem_flush_finish(&rig.space, &counted.flush);
                assert_int_equal(counted.pages, count);
                assert_false(counted.global);
                for (unsigned page = 0; page <= PAGES; page++)
                    assert_int_equal(*slot_of(&rig, page),
                                     (page < count ? UINT64_C(1) : UINT64_C(0x8000000000000003)) |
                                         SOFTWARE | (PHYS + page * (uint64_t)PAGE) |
                                         marks_before(page, odd, odd_marks[i]));
            }
        }
    }
    rig_destroy(&rig);
}

TEST("vmem: protect flushes if one page, anywhere in the range, had other rights, else not") {
    static const uint64_t others[] = {2, 4, UINT64_C(1) << 63}; // flips: write, user, NX
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_pages(&rig, PAGES + 1);
    *rig_slot(&rig, VIRT, 4) |= 4;
    *rig_slot(&rig, VIRT, 3) |= 4;
    *rig_slot(&rig, VIRT, 2) |= 4;
    for (unsigned count = 1; count <= PAGES; count++) {
        for (unsigned odd = 0; odd <= count; odd++) {
            for (unsigned i = 0; i < 2 * ARRAY_LEN(others); i++) {
                unsigned rights = i < ARRAY_LEN(others) ? RIG_R : RIG_RW | VMEM_USER | VMEM_EXECUTE;
                uint64_t bits = i < ARRAY_LEN(others) ? UINT64_C(0x8000000000000001) : 7;
                for (unsigned page = 0; page <= PAGES; page++)
                    *slot_of(&rig, page) =
                        bits | 0x60 | (page == odd ? 0x100 : 0) | (PHYS + page * (uint64_t)PAGE);
                *slot_of(&rig, odd) ^= others[i % ARRAY_LEN(others)];
                struct counted counted;
                counted_begin(&counted);
                assert_int_equal(vmem_protect(&rig.space, vaddr(VIRT), count * (uint64_t)PAGE,
                                              rights, &counted.flush),
                                 VMEM_OK);
                vmem_flush_finish(&rig.space, &counted.flush);
                assert_int_equal(counted.flushes, odd < count);
                assert_int_equal(counted.global, odd < count);
                assert_int_equal(counted.pages, odd < count ? count : 0);
            }
        }
    }
    rig_destroy(&rig);
}

TEST("vmem: tables that no CPU has loaded are protected by the same rules") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_pages(&rig, PAGES + 1);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    for (unsigned count = 1; count <= PAGES; count++) {
        for (unsigned page = 0; page <= PAGES; page++)
            *slot_of(&rig, page) =
                UINT64_C(0x8000000000000003) | (page % 4) << 5 | (PHYS + page * (uint64_t)PAGE);
        assert_int_equal(
            vmem_protect(&rig.space, vaddr(VIRT), count * (uint64_t)PAGE, RIG_R, &flush), VMEM_OK);
        vmem_flush_finish(&rig.space, &flush);
        for (unsigned page = 0; page <= PAGES; page++)
            assert_int_equal(*slot_of(&rig, page), (page < count ? UINT64_C(0x8000000000000001)
                                                                 : UINT64_C(0x8000000000000003)) |
                                                       (page % 4) << 5 |
                                                       (PHYS + page * (uint64_t)PAGE));
    }
    rig_destroy(&rig);
}

TEST("vmem: protect reaches the parts of a leaf that it splits, in tables that no CPU has loaded") {
    for (unsigned mapped_beside = 0; mapped_beside <= 1; mapped_beside++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        struct vmem_mapping mapping = rig_mapping(MIB(4), MIB(64), MIB(2));
        mapping.rights |= VMEM_EXECUTE | VMEM_USER;
        assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
        if (mapped_beside) { // pages that are alike, and have the rights already
            struct vmem_mapping beside = rig_mapping(MIB(6), MIB(8), PAGES * (uint64_t)PAGE);
            beside.rights = RIG_RX;
            assert_int_equal(rig_map(&rig, &beside), VMEM_OK);
        }
        struct vmem_flush flush;
        vmem_flush_begin(&flush, &vmem_unloaded, NULL);
        uint64_t bytes = PAGES * (uint64_t)PAGE;
        assert_int_equal(vmem_protect(&rig.space, vaddr(MIB(6) - bytes),
                                      mapped_beside ? 2 * bytes : bytes, RIG_RX, &flush),
                         VMEM_OK);
        vmem_flush_finish(&rig.space, &flush);
        rig_expect(&rig, MIB(6) - bytes, MIB(66) - bytes, VMEM_4K, RIG_RX);
        rig_expect(&rig, MIB(6) - 1, MIB(66) - 1, VMEM_4K, RIG_RX);
        rig_expect(&rig, MIB(6) - bytes - 1, MIB(66) - bytes - 1, VMEM_4K, mapping.rights);
        rig_destroy(&rig);
    }
}

static bool count_run(void *argument, const struct vmem_run *run) {
    struct counted *counted = argument;
    count_release(counted, run);
    return true;
}

// What makes a leaf no continuation of the one before it, and what does not.
static const struct {
    uint64_t flips;
    bool breaks;
} differences[] = {
    {0x1000, true},                // address
    {UINT64_C(1) << 45, true},     // the same
    {0x2, true},                   // rights
    {UINT64_C(1) << 63, true},     // the same
    {0x8, true},                   // cache type
    {0x80, true},                  // the same
    {0x100, true},                 // global
    {0x20, false},                 // accessed
    {0x40, false},                 // dirty
    {0xe00, false},                // software's
    {UINT64_C(0x7f) << 52, false}, // software's, and the key
};

TEST("vmem: a run ends where a leaf does not continue it, wherever that is") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_pages(&rig, PAGES);
    for (unsigned odd = 1; odd < PAGES; odd++) {
        for (unsigned i = 0; i < ARRAY_LEN(differences); i++) {
            uint64_t *cell = slot_of(&rig, odd);
            uint64_t sound = *cell;
            *cell ^= differences[i].flips;
            struct counted counted = {0};
            assert_int_equal(vmem_walk(&rig.space, vaddr(0), 0, count_run, &counted), VMEM_OK);
            unsigned runs = !differences[i].breaks ? 1 : odd == PAGES - 1 ? 2 : 3;
            assert_int_equal(counted.released, runs);
            assert_int_equal(counted.leaves, PAGES);
            *cell = sound;
        }
    }
    rig_destroy(&rig);
}

TEST("vmem: a run ends before an absent entry, wherever that is, and whatever else it says") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map_pages(&rig, PAGES);
    for (unsigned odd = 1; odd < PAGES; odd++) {
        *slot_of(&rig, odd) ^= 1; // all but present
        struct counted counted = {0};
        assert_int_equal(vmem_walk(&rig.space, vaddr(0), 0, count_run, &counted), VMEM_OK);
        assert_int_equal(counted.released, odd == PAGES - 1 ? 1 : 2);
        assert_int_equal(counted.leaves, PAGES - 1);
        *slot_of(&rig, odd) ^= 1;
    }
    rig_destroy(&rig);
}

TEST("vmem: unmap clears its pages and no other, and reports each, wherever runs end") {
    for (unsigned count = 1; count <= PAGES; count++) {
        for (unsigned odd = 0; odd < count; odd++) {
            struct rig rig;
            rig_make(&rig, RIG_CPU, 4);
            map_pages(&rig, PAGES + 1);
            *slot_of(&rig, odd) ^= 0x2;
            struct counted counted;
            counted_begin(&counted);
            assert_int_equal(
                vmem_unmap(&rig.space, vaddr(VIRT), count * (uint64_t)PAGE, &counted.flush),
                VMEM_OK);
            vmem_flush_finish(&rig.space, &counted.flush);
            assert_int_equal(counted.leaves, count);
            assert_int_equal(counted.pages, count);
            assert_int_equal(counted.released, count == 1                     ? 1
                                               : odd == 0 || odd == count - 1 ? 2
                                                                              : 3);
            for (unsigned page = 0; page <= PAGES; page++)
                assert_int_equal(*slot_of(&rig, page) & 1, page >= count);
            rig_destroy(&rig);
        }
    }
}
