#include "common/base/arith.h"
#include "common/vmem/plan.h"

#include "tests/unit/support/vmem_rig.h"

static bool count_run(void *argument, const struct vmem_run *run) {
    uint64_t *leaves = argument;
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        leaves[page] += run->leaves[page];
    return true;
}

// Asserts that the rig uses the tables and leaves that were planned.
static void expect_planned(struct rig *rig, const struct vmem_plan *plan) {
    uint64_t leaves[VMEM_PAGE_SIZES] = {0};
    assert_int_equal(vmem_walk(&rig->space, vaddr(0), 0, count_run, leaves), VMEM_OK);
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        assert_int_equal(leaves[page], plan->leaves[page]);
    assert_int_equal(rig->memory.used_count, plan->tables);
}

static uint64_t seed;

static uint64_t random_u64(void) { // xorshift64*
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t random_below(uint64_t limit) {
    return random_u64() % limit;
}

// A gap or a length in pages: often tiny, sometimes a few tables, rarely beyond 512 GiB.
static uint64_t random_pages(void) {
    static const unsigned shifts[] = {0, 0, 0, 9, 9, 18, 18, 27};
    unsigned shift = shifts[random_below(ARRAY_LEN(shifts))];
    uint64_t pages = random_below(4) << shift;
    return random_below(2) ? pages : pages + random_below(1024);
}

// The next mapping at or after page `at`; huge ones only where large leaves make them cheap.
static struct vmem_mapping random_mapping(uint64_t at, struct vmem_cpu cpu) {
    uint64_t pages = random_pages() + 1;
    uint64_t virt = at << FRAME_SHIFT;
    uint64_t phys = virt & (GIB(512) - 1);
    static const uint64_t skew[] = {0, 0, 0, 0x1000, MIB(2), MIB(1), GIB(1)};
    phys += skew[random_below(ARRAY_LEN(skew))];
    struct vmem_mapping mapping = rig_mapping(virt, phys, 0);
    mapping.largest = (enum vmem_page)random_below(cpu.has_1g ? 3 : 2);
    uint64_t apart = (phys ^ virt) | (vmem_page_bytes(mapping.largest) & (GIB(1) - 1));
    uint64_t most = is_aligned(apart, GIB(1))   ? 1 << 29
                    : is_aligned(apart, MIB(2)) ? 1 << 20
                                                : 4096;
    mapping.bytes = min_u64(pages, most) << FRAME_SHIFT;
    return mapping;
}

static void check_random_list(struct vmem_cpu cpu, unsigned levels) {
    struct rig rig;
    rig_make(&rig, cpu, levels);
    struct vmem_plan plan;
    assert_int_equal(vmem_plan_begin(&plan, cpu, levels), VMEM_OK);
    uint64_t half = UINT64_C(1) << (9 * levels - 1);
    uint64_t at = random_below(2) ? 0 : (UINT64_C(1) << 52) - half;
    at += random_below(1 << 20);
    for (unsigned count = 0; count < 12; count++) {
        struct vmem_mapping mapping = random_mapping(at, cpu);
        assert_int_equal(vmem_plan_add(&plan, &mapping), VMEM_OK);
        if (plan.tables > RIG_FRAMES)
            break;
        assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
        expect_planned(&rig, &plan);
        at += (mapping.bytes >> FRAME_SHIFT) + random_pages();
    }
    rig_destroy(&rig);
}

TEST("vmem: planned tables and leaves are those that mapping uses, over random lists") {
    for (uint64_t list = 0; list < 400; list++) {
        seed = UINT64_C(0x9e3779b97f4a7c15) * (list + 1);
        check_random_list((list & 1) ? RIG_CPU : RIG_CPU_NO_1G, (list & 2) ? 4 : 5);
    }
}

TEST("vmem: a direct map of 64 TiB is planned at once, with and without 1 GiB pages") {
    struct vmem_plan plan;
    struct vmem_mapping all = rig_mapping(UINT64_C(0xffff800000000000), 0, UINT64_C(1) << 46);
    assert_int_equal(vmem_plan_begin(&plan, RIG_CPU, 4), VMEM_OK);
    assert_int_equal(vmem_plan_add(&plan, &all), VMEM_OK);
    assert_int_equal(plan.tables, 1 + 128);
    assert_int_equal(plan.leaves[VMEM_1G], 65536);
    assert_int_equal(plan.leaves[VMEM_2M] + plan.leaves[VMEM_4K], 0);
    all.largest = VMEM_2M;
    assert_int_equal(vmem_plan_begin(&plan, RIG_CPU_NO_1G, 5), VMEM_OK);
    assert_int_equal(vmem_plan_add(&plan, &all), VMEM_OK);
    assert_int_equal(plan.tables, 1 + 1 + 128 + 65536);
    assert_int_equal(plan.leaves[VMEM_2M], 65536 * 512);
    all.virt = vaddr_add(all.virt, UINT64_C(1) << 46);
    all.largest = VMEM_4K;
    assert_int_equal(vmem_plan_add(&plan, &all), VMEM_OK);
    assert_int_equal(plan.tables, 1 + 1 + 256 + 2 * 65536 + UINT64_C(65536) * 512);
    assert_int_equal(plan.leaves[VMEM_4K], UINT64_C(65536) * 512 * 512);
}

TEST("vmem: a plan takes mappings in order only, to the top of the address space") {
    struct vmem_plan plan;
    assert_int_equal(vmem_plan_begin(&plan, RIG_CPU, 4), VMEM_OK);
    struct vmem_mapping low = rig_mapping(0x1000, 0, 0x2000);
    struct vmem_mapping top = rig_mapping(UINT64_C(0) - 0x1000, 0, 0x1000);
    assert_int_equal(vmem_plan_add(&plan, &low), VMEM_OK);
    struct vmem_plan before = plan;
    low.virt = vaddr(0x2000);
    assert_int_equal(vmem_plan_add(&plan, &low), VMEM_ERR_MAPPED);
    low.virt = vaddr(0);
    assert_int_equal(vmem_plan_add(&plan, &low), VMEM_ERR_MAPPED);
    low.virt = vaddr(0x3001);
    assert_int_equal(vmem_plan_add(&plan, &low), VMEM_ERR_UNALIGNED);
    low.virt = vaddr(0x3000);
    low.rights = 0;
    assert_int_equal(vmem_plan_add(&plan, &low), VMEM_ERR_RIGHTS);
    assert_memory_equal(&plan, &before, sizeof(plan));
    assert_int_equal(vmem_plan_add(&plan, &top), VMEM_OK);
    assert_int_equal(vmem_plan_add(&plan, &top), VMEM_ERR_MAPPED);
    assert_int_equal(plan.tables, 7);
}

TEST("vmem: a plan wants 4 or 5 levels and a physical width of 32 to 52 bits") {
    struct vmem_plan plan;
    assert_int_equal(vmem_plan_begin(&plan, RIG_CPU, 3), VMEM_ERR_LEVELS);
    for (unsigned bits = 0; bits < 256; bits++)
        assert_int_equal(vmem_plan_begin(&plan, (struct vmem_cpu){.paddr_bits = (uint8_t)bits}, 4),
                         bits >= 32 && bits <= 52 ? VMEM_OK : VMEM_ERR_PADDR_WIDTH);
}
