// The manifest, and the page tables held against it.
#include "checks.h"
#include "cpu.h"
#include "image.h"
#include "kit.h"
#include "pages.h"

enum { TABLES_MAX = 8192 };

const struct slipway_mapping *manifest_mapping(uint32_t index) {
    return kit_record(boot->mappings, index);
}

const struct slipway_mapping *manifest_find(uint64_t virt) {
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        if (virt >= m->virt && virt - m->virt < m->bytes)
            return m;
    }
    return NULL;
}

const struct slipway_mapping *manifest_find_phys(uint64_t phys) {
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        bool is_meant = m->purpose == SLIPWAY_MAP_DIRECT || m->purpose == SLIPWAY_MAP_FIRMWARE;
        if (is_meant && phys >= m->phys && phys - m->phys < m->bytes)
            return m;
    }
    return NULL;
}

uint64_t manifest_address(uint64_t phys) {
    const struct slipway_mapping *m = manifest_find_phys(phys);
    return m ? m->virt + (phys - m->phys) : 0;
}

static bool range_holds(uint64_t phys, uint32_t purpose) {
    for (uint32_t i = 0; i < boot->ranges.count; i++) {
        const struct slipway_range *r = manifest_range(i);
        if (phys >= r->start_phys && phys - r->start_phys < r->bytes)
            return r->purpose == purpose;
    }
    return false;
}

bool manifest_in_range(uint64_t virt, uint64_t bytes, uint32_t purpose) {
    for (uint64_t page = virt & ~(PAGE_BYTES - 1); page < virt + bytes; page += PAGE_BYTES) {
        const struct slipway_mapping *m = manifest_find(page);
        if (!m || !range_holds(m->phys + (page - m->virt), purpose))
            return false;
    }
    return true;
}

uint32_t manifest_loader_purpose(void) {
    return boot->cpus.count > 1 ? SLIPWAY_RANGE_CPUS : SLIPWAY_RANGE_LOADER;
}

static bool is_continued_by(const struct slipway_mapping *a, const struct slipway_mapping *b) {
    return a->virt + a->bytes == b->virt && a->phys + a->bytes == b->phys &&
           a->rights == b->rights && a->cache == b->cache && a->purpose == b->purpose;
}

// Where a mapping of this purpose may lie.
static bool is_in_window(const struct slipway_mapping *m) {
    uint64_t last = m->virt + (m->bytes - 1);
    switch (m->purpose) {
    case SLIPWAY_MAP_DIRECT:
        return m->virt >= boot->hhdm_base && last < boot->hhdm_end &&
               m->virt - boot->hhdm_base == m->phys;
    case SLIPWAY_MAP_KERNEL:
        return m->virt >= SLIPWAY_KERNEL_MIN && last < SLIPWAY_KERNEL_MAX;
#ifdef DIRECT
    case SLIPWAY_MAP_FRAMEBUFFER:
        return m->virt - boot->hhdm_base == m->phys && last < boot->window_base &&
               last - boot->hhdm_base < SLIPWAY_HHDM_MAX_BYTES;
#else
    case SLIPWAY_MAP_STACK:
    case SLIPWAY_MAP_FRAMEBUFFER:
#endif
    case SLIPWAY_MAP_LOADER:
    case SLIPWAY_MAP_FIRMWARE:
        return m->virt >= boot->window_base && last - boot->window_base < SLIPWAY_WINDOW_BYTES;
    default:
        return false;
    }
}

void check_manifest(void) {
    check_begin("the manifest is sorted, disjoint, aligned and maximal");
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        CHECK_EQUAL((m->virt | m->phys | m->bytes) % PAGE_BYTES, 0);
        CHECK(m->bytes > 0 && m->virt + m->bytes > m->virt, m->virt);
        if (i > 0) {
            const struct slipway_mapping *before = manifest_mapping(i - 1);
            CHECK(before->virt + before->bytes <= m->virt, m->virt);
            CHECK(!is_continued_by(before, m), m->virt);
        }
    }

    check_begin("none is writable and executable; RAM is write-back, framebuffers combine writes");
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        CHECK(m->rights < (SLIPWAY_RIGHT_WRITE | SLIPWAY_RIGHT_EXECUTE), m->rights);
        bool may_be_uncached = m->purpose == SLIPWAY_MAP_FIRMWARE && m->cache == SLIPWAY_CACHE_UC;
        if (!may_be_uncached)
            CHECK_EQUAL(m->cache, m->purpose == SLIPWAY_MAP_FRAMEBUFFER ? SLIPWAY_CACHE_WC
                                                                        : SLIPWAY_CACHE_WB);
    }

    check_begin("every mapping lies in the window of its purpose");
    uint64_t direct_end = 0;
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        CHECK(is_in_window(m), m->virt);
        if (m->purpose == SLIPWAY_MAP_DIRECT)
            direct_end = m->virt + m->bytes;
    }
    CHECK_EQUAL(boot->hhdm_end, direct_end);
    kit_fact("hhdm.base", boot->hhdm_base);
    kit_fact("window.base", boot->window_base);
    kit_fact("hhdm.end", boot->hhdm_end);
    kit_fact("mappings", boot->mappings.count);
}

static struct {
    uint64_t seen[TABLES_MAX];
    uint64_t tables;
    uint64_t bytes;
    uint64_t leaves[3];     // 4 KiB, 2 MiB, 1 GiB
    uint64_t kernel_leaves; // of the kernel's segments, larger than 4 KiB
} tally;

static void visit_table(void *context, uint64_t phys) {
    (void)context;
    CHECK(range_holds(phys, SLIPWAY_RANGE_PAGE_TABLES), phys);
    for (uint64_t i = 0; i < tally.tables && i < TABLES_MAX; i++)
        CHECK(tally.seen[i] != phys, phys);
    CHECK(tally.tables < TABLES_MAX, tally.tables);
    if (tally.tables < TABLES_MAX)
        tally.seen[tally.tables] = phys;
    tally.tables++;
}

// Whether the block of `bytes` around the leaf lies in the mapping and could have been one leaf.
static bool could_be_larger(const struct slipway_mapping *m, const struct leaf *leaf,
                            uint64_t bytes) {
    uint64_t virt = leaf->virt & ~(bytes - 1);
    return (m->virt - m->phys) % bytes == 0 && virt >= m->virt &&
           virt - m->virt + bytes <= m->bytes;
}

static bool cpu_has_1g(void) {
    return cpuid(0x80000001).edx & 1U << 26;
}

static void visit_leaf(void *context, const struct leaf *leaf) {
    (void)context;
    tally.bytes += leaf->bytes;
    tally.leaves[leaf->bytes == PAGE_BYTES ? 0 : leaf->bytes == PAGE_BYTES << 9 ? 1 : 2]++;
    const struct slipway_mapping *m = manifest_find(leaf->virt);
    CHECK(m, leaf->virt);
    if (!m)
        return;
    CHECK(leaf->virt - m->virt + leaf->bytes <= m->bytes, leaf->virt);
    CHECK_EQUAL(leaf->phys, m->phys + (leaf->virt - m->virt));
    CHECK_EQUAL(leaf->writable, !!(m->rights & SLIPWAY_RIGHT_WRITE));
    CHECK_EQUAL(leaf->executable, !!(m->rights & SLIPWAY_RIGHT_EXECUTE));
    CHECK_EQUAL(leaf->pat_index, m->cache);
    CHECK(!leaf->user, leaf->virt);
    if (m->purpose == SLIPWAY_MAP_KERNEL)
        tally.kernel_leaves += leaf->bytes > PAGE_BYTES;
    if (m->purpose != SLIPWAY_MAP_DIRECT)
        return;
    if (leaf->bytes == PAGE_BYTES)
        CHECK(!could_be_larger(m, leaf, PAGE_BYTES << 9), leaf->virt);
    else if (leaf->bytes == PAGE_BYTES << 9)
        CHECK(!cpu_has_1g() || !could_be_larger(m, leaf, PAGE_BYTES << 18), leaf->virt);
}

void check_tables(void) {
    check_begin("the lower half maps nothing at all");
    const uint64_t *root = kit_direct(read_cr3() & ENTRY_ADDRESS);
    for (unsigned i = 0; i < TABLE_ENTRIES / 2; i++)
        CHECK(!(root[i] & ENTRY_PRESENT), root[i]);

    check_begin("the page tables are the manifest exactly, the direct map with the largest leaves");
    tally.tables = tally.bytes = tally.kernel_leaves = 0;
    memset(tally.leaves, 0, sizeof(tally.leaves));
    pages_walk(&(struct pages_visitor){visit_table, visit_leaf, NULL});
    uint64_t promised = 0;
    for (uint32_t i = 0; i < boot->mappings.count; i++)
        promised += manifest_mapping(i)->bytes;
    CHECK_EQUAL(tally.bytes, promised);

    check_begin("every table is listed, and every listed page is a table in use");
    uint64_t listed = 0;
    for (uint32_t i = 0; i < boot->ranges.count; i++)
        if (manifest_range(i)->purpose == SLIPWAY_RANGE_PAGE_TABLES)
            listed += manifest_range(i)->bytes;
    CHECK_EQUAL(tally.tables, boot->table_pages);
    CHECK_EQUAL(listed, boot->table_pages * PAGE_BYTES);
    kit_fact("tables", tally.tables);
    kit_fact("leaves.kernel_large", tally.kernel_leaves);
    kit_fact("leaves_4k", tally.leaves[0]);
    kit_fact("leaves_2m", tally.leaves[1]);
    kit_fact("leaves_1g", tally.leaves[2]);
}

void check_stack(void) {
    check_begin("the stack has a mapping of its own, writable, not executable");
    uint64_t bottom = boot->stack_bottom;
    const struct slipway_mapping *m = manifest_find(bottom);
    CHECK(m, bottom);
    if (m) {
        CHECK_EQUAL(m->virt, bottom);
        CHECK_EQUAL(m->virt + m->bytes, boot->stack_top);
        CHECK_EQUAL(m->purpose, STACK_PURPOSE);
        CHECK_EQUAL(m->rights, SLIPWAY_RIGHT_WRITE);
    }
    CHECK(manifest_in_range(bottom, boot->stack_top - bottom, SLIPWAY_RANGE_STACK), bottom);
    kit_fact("stack.bytes", boot->stack_top - bottom);

    check_begin("the pages below and above the stack are absent");
    struct leaf leaf;
    CHECK(!pages_translate(bottom - PAGE_BYTES, &leaf), bottom);
    CHECK(!pages_translate(boot->stack_top, &leaf), boot->stack_top);
}

void check_reads(void) {
    check_begin("every mapped page can be read");
    uint64_t pages = 0;
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        // Pages as the CPU has them: of a large one any byte stands for all.
        struct leaf leaf = {.bytes = PAGE_BYTES};
        for (uint64_t at = 0; at < m->bytes; at += leaf.bytes, pages++) {
            CHECK(pages_translate(m->virt + at, &leaf), m->virt + at);
            *(const volatile char *)(m->virt + at);
        }
    }
    CHECK(pages > 0, pages);
    kit_fact("pages.read", pages);
}
