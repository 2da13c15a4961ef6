// Uses all memory that the hand-over says may be used.
#include "checks.h"
#include "fault.h"
#include "kit.h"
#include "pages.h"
#include "tasks.h"

enum { REGIONS_MAX = 512, STACK_BYTES = 32768 };

void fault_on_stack(void *top, void (*function)(void));

static struct slipway_memory regions[REGIONS_MAX];
static uint32_t region_count;
static struct slipway_boot_info boot_copy;
static _Alignas(16) char stack[STACK_BYTES];

static uint64_t fill_kind(uint32_t kind) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < region_count; i++) {
        const struct slipway_memory *m = &regions[i];
        if (m->kind != kind)
            continue;
        CHECK_EQUAL(m->in_direct, 1);
        memset(kit_direct(m->start_phys), 0xff, m->bytes);
        bytes += m->bytes;
    }
    return bytes;
}

// 0xff everywhere: also proves that no two of these regions are the same memory as a table or text
// that is still needed, since the walk and this very code go on.
static void check_filled(uint32_t kind) {
    for (uint32_t i = 0; i < region_count; i++) {
        const struct slipway_memory *m = &regions[i];
        if (m->kind != kind)
            continue;
        const uint64_t *words = kit_direct(m->start_phys);
        uint64_t wrong = 0;
        for (uint64_t w = 0; w < m->bytes / sizeof(*words); w++)
            wrong += words[w] != UINT64_MAX;
        CHECK_EQUAL(wrong, 0);
    }
}

struct walk_sum {
    uint64_t tables;
    uint64_t leaves;
    uint64_t mix;
};

static void sum_table(void *context, uint64_t phys) {
    struct walk_sum *sum = context;
    sum->tables++;
    sum->mix = sum->mix * 31 + phys;
}

static void sum_leaf(void *context, const struct leaf *leaf) {
    struct walk_sum *sum = context;
    sum->leaves++;
    sum->mix = sum->mix * 31 + leaf->virt + leaf->phys + leaf->writable + 2 * leaf->executable;
}

static struct walk_sum walk_sum(void) {
    struct walk_sum sum = {0};
    pages_walk(&(struct pages_visitor){sum_table, sum_leaf, &sum});
    return sum;
}

static void fill_reclaimable(void) {
    struct walk_sum before = walk_sum();
    check_begin("boot services memory may be overwritten");
    CHECK(fill_kind(SLIPWAY_MEM_BOOT_SERVICES) > 0, 0);
    check_begin("the loader's memory may be overwritten once nothing of it is needed");
    CHECK(fill_kind(SLIPWAY_MEM_LOADER) > 0, 0);
    check_filled(SLIPWAY_MEM_USABLE);
    check_filled(SLIPWAY_MEM_BOOT_SERVICES);
    check_filled(SLIPWAY_MEM_LOADER);
    check_begin("the page tables stand as before");
    struct walk_sum after = walk_sum();
    CHECK_EQUAL(after.tables, before.tables);
    CHECK_EQUAL(after.leaves, before.leaves);
    CHECK_EQUAL(after.mix, before.mix);
    check_begin("faults are still caught");
    CHECK(fault_attempt(ATTEMPT_READ, 0), 0);
    check_finish();
}

void task_fill_memory(void) {
    check_begin("every usable byte can be written through the direct map");
    CHECK(boot->memory.count <= REGIONS_MAX, boot->memory.count);
    region_count = boot->memory.count <= REGIONS_MAX ? boot->memory.count : REGIONS_MAX;
    for (uint32_t i = 0; i < region_count; i++)
        regions[i] = *manifest_memory(i);
    uint64_t bytes = fill_kind(SLIPWAY_MEM_USABLE);
    CHECK(bytes > 0, bytes);
    check_filled(SLIPWAY_MEM_USABLE);
    kit_fact("filled.bytes", bytes);

    task_check_contract();

    boot_copy = *boot;
    boot = &boot_copy;
    fault_take_over();
    fault_on_stack(stack + sizeof(stack), fill_reclaimable);
    __builtin_unreachable();
}
