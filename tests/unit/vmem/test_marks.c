// Accessed and dirty bits: read and cleared over a range, and never lost.
#include "common/base/arith.h"

#include "tests/unit/support/random.h"
#include "tests/unit/support/vmem_rig.h"

#include <pthread.h>
#include <sched.h>

#define ACCESSED UINT64_C(0x20)
#define DIRTY    UINT64_C(0x40)

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

struct marks {
    struct {
        uint64_t virt, bytes;
        unsigned marks;
    } run[16];
    unsigned count;
};

static void keep_marks(void *argument, vaddr_t virt, uint64_t bytes, unsigned found) {
    struct marks *marks = argument;
    assert_true(marks->count < 16);
    marks->run[marks->count].virt = virt.value;
    marks->run[marks->count].bytes = bytes;
    marks->run[marks->count++].marks = found;
}

static void expect_marks(struct marks *marks, unsigned i, uint64_t virt, uint64_t bytes,
                         unsigned want) {
    assert_true(i < marks->count);
    assert_int_equal(marks->run[i].virt, virt);
    assert_int_equal(marks->run[i].bytes, bytes);
    assert_int_equal(marks->run[i].marks, want);
}

TEST("vmem: harvest finds the marks of every page in runs, and clears those that it is told to") {
    for (unsigned clear = 0; clear < 4; clear++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(MIB(2) - 0x4000, MIB(2) - 0x4000, MIB(4) + 0x4000));
        map(&rig, rig_mapping(MIB(8), MIB(8), 0x2000)); // behind a hole
        rig.tlb.sets_marks = true;
        vmem_tlb_reset(&rig.tlb);
        assert_true(vmem_tlb_access(&rig.tlb, MIB(2) - 0x3000, false));
        assert_true(vmem_tlb_access(&rig.tlb, MIB(2) - 0x2000, true));
        assert_true(vmem_tlb_access(&rig.tlb, MIB(2) - 0x1000, true));
        assert_true(vmem_tlb_access(&rig.tlb, MIB(2) + 0x5000, true));
        assert_true(vmem_tlb_access(&rig.tlb, MIB(8), false));
        rig.tlb.sets_marks = false;
        struct marks marks = {.count = 0};
        assert_int_equal(rig_harvest(&rig, vaddr(0), GIB(512), clear, keep_marks, &marks), VMEM_OK);
        unsigned both = VMEM_ACCESSED | VMEM_DIRTY;
        assert_int_equal(marks.count, 3);
        expect_marks(&marks, 0, MIB(2) - 0x3000, 0x1000, VMEM_ACCESSED);
        expect_marks(&marks, 1, MIB(2) - 0x2000, MIB(2) + 0x2000, both); // 4 KiB and 2 MiB leaves
        expect_marks(&marks, 2, MIB(8), 0x1000, VMEM_ACCESSED);
        assert_int_equal(rig.tlb.executed, clear != 0);
        static const unsigned cleared[] = {0, 5, 3, 5}; // leaves, each a page to be flushed
        assert_int_equal(rig.tlb.page_flushes, cleared[clear]);
        marks.count = 0;
        assert_int_equal(rig_harvest(&rig, vaddr(0), GIB(512), 0, keep_marks, &marks), VMEM_OK);
        static const unsigned left[] = {3, 1, 2, 0}; // without dirty the first two are one run
        assert_int_equal(marks.count, left[clear]);
        if (marks.count != 0)
            assert_int_equal(marks.run[marks.count / 2].marks, both & ~clear);
        rig_destroy(&rig);
    }
}

TEST("vmem: harvest splits a leaf that sticks out only if it has marks to clear") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(MIB(2), MIB(2), MIB(2)));
    struct vmem_memory before = vmem_memory_copy(&rig.memory);
    struct rig_range part = {MIB(3), 0x3000, VMEM_ACCESSED | VMEM_DIRTY};
    assert_int_equal(rig_starve(&rig, rig_do_harvest, &part), 1); // taken, and given back
    assert_true(vmem_memory_equal(&rig.memory, &before));
    vmem_memory_destroy(&before);
    *rig_slot(&rig, MIB(2), 2) |= ACCESSED | DIRTY;
    struct marks marks = {.count = 0};
    assert_int_equal(rig_harvest(&rig, vaddr(MIB(3)), 0x3000, 0, keep_marks, &marks), VMEM_OK);
    expect_marks(&marks, 0, MIB(3), 0x3000, VMEM_ACCESSED | VMEM_DIRTY); // read, not split
    rig_expect(&rig, MIB(3), MIB(3), VMEM_2M, RIG_RW);
    assert_int_equal(rig_starve(&rig, rig_do_harvest, &part), 1);
    for (uint64_t at = MIB(2); at < MIB(4); at += 0x1000)
        assert_int_equal(*rig_slot(&rig, at, 1) & 0x60,
                         at >= MIB(3) && at < MIB(3) + 0x3000 ? 0 : 0x60);
    struct rig_range unknown = {MIB(3), 0x3000, 4};
    rig_refuse(&rig, rig_do_harvest, &unknown, VMEM_ERR_RIGHTS);
    rig_destroy(&rig);
}

TEST("vmem: harvest clears the marks of one page of a 1 GiB leaf, and its other parts keep them") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(GIB(1), GIB(1), GIB(1)));
    *rig_slot(&rig, GIB(1), 3) |= ACCESSED | DIRTY;
    struct rig_range page = {GIB(1) + MIB(3), 0x1000, VMEM_ACCESSED | VMEM_DIRTY};
    assert_int_equal(rig_starve(&rig, rig_do_harvest, &page), 2);
    assert_int_equal(*rig_slot(&rig, page.virt, 1) & 0x60, 0);
    assert_int_equal(*rig_slot(&rig, page.virt + 0x1000, 1) & 0x60, 0x60);
    assert_int_equal(*rig_slot(&rig, GIB(1), 2) & 0x60, 0x60);
    rig_destroy(&rig);
}

// A CPU beside the one that changes the tables: it walks and marks as fast as it can. It remembers
// the way to a page table for some accesses; a flush waits until it has forgotten it.
static struct {
    struct vmem_memory *memory;
    uint64_t root;
    uint64_t base;
    bool stops;
    bool pauses, is_paused; // asked, done
    uint64_t flushes_asked, flushes_done;
    uint8_t dirtied[1024]; // pages from base on, by this CPU
} other;

static bool mark_entry(uint64_t *cell, uint64_t seen, uint64_t marks) {
    return __atomic_compare_exchange_n(cell, &seen, seen | marks, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

// Writes to a page by way of a table of `level`; false if the walk has to begin again.
static bool write_page(uint64_t *table, unsigned level, uint64_t page, uint64_t **ret_way,
                       unsigned *ret_level) {
    uint64_t virt = other.base + page * 4096;
    for (;; level--) {
        *ret_way = table;
        *ret_level = level;
        uint64_t *cell = &table[virt >> (12 + 9 * (level - 1)) & 0x1ff];
        uint64_t entry = __atomic_load_n(cell, __ATOMIC_ACQUIRE);
        if ((entry & 3) != 3)
            return false; // a fault
        bool is_leaf = vmem_tlb_is_leaf(entry, level);
        if (!mark_entry(cell, entry, is_leaf ? ACCESSED | DIRTY : ACCESSED))
            return false;
        if (is_leaf)
            return true;
        uint64_t frame = ((entry & VMEM_TLB_ADDRESS) - VMEM_MEMORY_BASE) / 4096;
        table = other.memory->frames[frame];
    }
}

static void *run_other(void *argument) {
    struct random random = {1};
    uint64_t *root = other.memory->frames[(other.root - VMEM_MEMORY_BASE) / 4096];
    uint64_t *way = NULL;
    unsigned way_level = 0;
    while (!__atomic_load_n(&other.stops, __ATOMIC_ACQUIRE)) {
        bool pauses = __atomic_load_n(&other.pauses, __ATOMIC_ACQUIRE);
        __atomic_store_n(&other.is_paused, pauses, __ATOMIC_RELEASE);
        uint64_t asked = __atomic_load_n(&other.flushes_asked, __ATOMIC_ACQUIRE);
        if (asked != other.flushes_done) {
            way = NULL;
            __atomic_store_n(&other.flushes_done, asked, __ATOMIC_RELEASE);
        }
        if (pauses) {
            sched_yield();
            continue;
        }
        uint64_t page = random_below(&random, 1024);
        uint64_t *table = way != NULL && way_level == 1 && page < 512 ? way : root;
        uint64_t *last;
        unsigned last_level;
        if (!write_page(table, table == root ? 4 : 1, page, &last, &last_level))
            continue;
        __atomic_store_n(&other.dirtied[page], 1, __ATOMIC_RELEASE);
        if (page < 512 && way == NULL) {
            way = last;
            way_level = last_level;
        }
    }
    return argument;
}

static void execute_with_other(void *context, const struct vmem_flush *flush) {
    (void)context, (void)flush;
    uint64_t asked = __atomic_add_fetch(&other.flushes_asked, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&other.flushes_done, __ATOMIC_ACQUIRE) != asked)
        sched_yield();
}

static void collect_dirty(void *argument, vaddr_t virt, uint64_t bytes, unsigned marks) {
    uint8_t *dirty = argument;
    for (uint64_t at = virt.value; (marks & VMEM_DIRTY) && at < virt.value + bytes; at += 4096)
        dirty[(at - other.base) / 4096] = 1;
}

static void pause_other(bool pauses) {
    __atomic_store_n(&other.pauses, pauses, __ATOMIC_RELEASE);
    while (__atomic_load_n(&other.is_paused, __ATOMIC_ACQUIRE) != pauses)
        sched_yield();
}

// One change, or a few, while the other CPU marks pages.
static void change(struct vmem *space, unsigned round, struct vmem_flush *flush) {
    vaddr_t virt = vaddr(MIB(4) + round % 7 * 0x10000);
    switch (round % 4) {
    case 0:
        assert_int_equal(vmem_split(space, virt, MIB(2), VMEM_4K, flush), VMEM_OK);
        break;
    case 1:
        assert_int_equal(vmem_protect(space, vaddr(MIB(4)), MIB(4), RIG_R, flush), VMEM_OK);
        assert_int_equal(vmem_protect(space, vaddr(MIB(4)), MIB(4), RIG_RW, flush), VMEM_OK);
        break;
    case 2:
        assert_int_equal(vmem_set_cache(space, virt, MIB(1), VMEM_CACHE_WT, flush), VMEM_OK);
        assert_int_equal(vmem_set_cache(space, virt, MIB(1), VMEM_CACHE_WB, flush), VMEM_OK);
        break;
    default:
        assert_int_equal(vmem_merge(space, vaddr(MIB(4)), MIB(4), VMEM_2M, flush), VMEM_OK);
        break;
    }
    vmem_flush_finish(space, flush);
}

TEST("vmem: no accessed or dirty bit that a CPU sets is lost while the tables change") {
    static const struct vmem_flush_ops ops = {.execute = execute_with_other};
    const unsigned both = VMEM_ACCESSED | VMEM_DIRTY;
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    rig.memory.tlb = NULL;
    map(&rig, rig_mapping(MIB(4), MIB(4), MIB(4)));
    memset(&other, 0, sizeof(other));
    other.memory = &rig.memory;
    other.root = rig.space.root.value;
    other.base = MIB(4);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_other, NULL), 0);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &ops, NULL);
    unsigned dirtied = 0;
    for (unsigned round = 0; round < 400; round++) {
        uint8_t found[1024] = {0};
        change(&rig.space, round, &flush);
        assert_int_equal(
            vmem_harvest(&rig.space, vaddr(MIB(4)), MIB(4), both, collect_dirty, found, &flush),
            VMEM_OK);
        vmem_flush_finish(&rig.space, &flush);
        pause_other(true);
        assert_int_equal(
            vmem_harvest(&rig.space, vaddr(MIB(4)), MIB(4), both, collect_dirty, found, &flush),
            VMEM_OK);
        for (unsigned page = 0; page < 1024; page++) {
            dirtied += other.dirtied[page];
            assert_true(found[page] >= other.dirtied[page]);
        }
        memset(other.dirtied, 0, sizeof(other.dirtied));
        vmem_flush_finish(&rig.space, &flush);
        pause_other(false);
    }
    __atomic_store_n(&other.stops, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_true(dirtied > 100);
    rig_destroy(&rig);
}

// A CPU that marks pages by the tables that it remembers, in the last moment before it forgets
// them.
static uint64_t *remembered;

static void mark_and_forget(void *context, const struct vmem_flush *flush) {
    (void)flush;
    const unsigned *marks = context;
    if (remembered != NULL)
        *remembered |= (uint64_t)*marks << 5;
    remembered = NULL;
}

TEST("vmem: what a CPU marks by way of a merged table, until it is flushed, is carried over") {
    static const struct vmem_flush_ops ops = {.execute = mark_and_forget};
    for (unsigned page = VMEM_2M; page <= VMEM_1G; page++) {
        for (unsigned marks = 0; marks < 4; marks++) {
            uint64_t bytes = vmem_page_bytes((enum vmem_page)page);
            struct rig rig;
            rig_make(&rig, RIG_CPU, 4);
            map(&rig, rig_mapping(bytes, bytes, bytes));
            struct rig_range range = {bytes, 0x1000, VMEM_4K};
            assert_int_equal(rig_do_split(&rig, &range), VMEM_OK);
            for (unsigned level = 1; level <= page; level++) {
                remembered = rig_slot(&rig, bytes + 511 * (bytes / 512) * (level == page), level);
                rig.memory.tlb = NULL;
                struct vmem_flush flush;
                vmem_flush_begin(&flush, &ops, &marks);
                assert_int_equal(
                    vmem_merge(&rig.space, vaddr(bytes), bytes, (enum vmem_page)level, &flush),
                    VMEM_OK);
                vmem_flush_finish(&rig.space, &flush);
            }
            assert_int_equal(*rig_slot(&rig, bytes, page + 1) & 0x60, marks << 5);
            vmem_memory_destroy(&rig.memory);
        }
    }
}
