// The fast path and the general path agree. Two spaces are the same but for the window through
// which tables are seen: without one the general path is taken, always.
#include "common/base/arith.h"
#include "common/vmem/fast.h"
#include "tests/unit/support/vmem_rig.h"

enum { FRAMES = 16 };

#define VIRT MIB(1024)
#define PHYS MIB(2048)

// What is mapped in the tables of both when a request comes for VIRT.
static const struct state {
    const char *name;
    uint64_t virt; // of what is mapped; of no bytes: nothing
    uint64_t bytes;
    enum vmem_page page;
    unsigned rights;
    bool is_fast; // the table of the request's page is there, and the page is absent
} states[] = {
    {"nothing", 0, 0, VMEM_4K, 0, false},
    {"a page table elsewhere", VIRT + MIB(2), 0x1000, VMEM_4K, RIG_RW, false},
    {"the next page, for the kernel", VIRT + 0x1000, 0x1000, VMEM_4K, RIG_RW, true},
    {"the next page, for users", VIRT + 0x1000, 0x1000, VMEM_4K, RIG_RW | VMEM_USER, true},
    {"a page", VIRT, 0x1000, VMEM_4K, RIG_RX | VMEM_USER, false},
    {"a large page", VIRT, MIB(2), VMEM_2M, RIG_R, false},
    {"a huge page", VIRT, MIB(1024), VMEM_1G, RIG_RX, false},
};

struct twin {
    struct vmem_memory memory;
    struct vmem_memory untouched;
    struct vmem space;
};

struct grid {
    const struct state *state;
    struct twin fast, general;
    bool all_direct; // the first of them sees all of its tables directly
    uint64_t fast_count;
};

static enum vmem_status map(struct vmem *space, const struct vmem_mapping *mapping,
                            struct vmem_flush *flush) {
    vmem_flush_begin(flush, &vmem_unloaded, NULL);
    return vmem_map(space, mapping, flush);
}

static void twin_make(struct twin *twin, const struct state *state, struct vmem_cpu cpu,
                      unsigned levels, uint32_t direct) {
    twin->memory = vmem_memory_make(FRAMES);
    twin->memory.direct = direct;
    assert_int_equal(vmem_new(&twin->space, &vmem_memory_ops, &twin->memory, cpu, levels), VMEM_OK);
    if (state->bytes != 0) {
        struct vmem_mapping mapping = rig_mapping(state->virt, PHYS, state->bytes);
        mapping.rights = state->rights | (cpu.has_nx ? 0 : VMEM_EXECUTE);
        mapping.largest = state->page;
        struct vmem_flush flush;
        assert_int_equal(map(&twin->space, &mapping, &flush), VMEM_OK);
    }
    twin->untouched = vmem_memory_copy(&twin->memory);
}

// Puts the tables back as they were.
static void twin_reset(struct twin *twin) {
    for (uint32_t frame = 0; frame < FRAMES; frame++)
        if (twin->untouched.used[frame])
            memcpy(twin->memory.frames[frame], twin->untouched.frames[frame], FRAME_BYTES);
        else if (twin->memory.used[frame])
            vmem_memory_free(&twin->memory, vmem_memory_address(frame));
}

static void twin_destroy(struct twin *twin) {
    vmem_memory_destroy(&twin->memory);
    vmem_memory_destroy(&twin->untouched);
}

// The fast path is taken exactly where it is due, and does what the general path does.
static void compare_map(struct grid *grid, const struct vmem_mapping *mapping) {
    struct twin *fast = &grid->fast, *general = &grid->general;
    bool taken = fast->space.levels == 5 ? vmem_fast_map(&fast->space, 5, mapping)
                                         : vmem_fast_map(&fast->space, 4, mapping);
    struct vmem_flush flush;
    enum vmem_status want = map(&general->space, mapping, &flush);
    bool opens = (mapping->rights & ~grid->state->rights & VMEM_USER) != 0;
    assert_int_equal(taken, want == VMEM_OK && mapping->virt.value == VIRT &&
                                mapping->bytes == FRAME_BYTES && grid->state->is_fast &&
                                grid->all_direct && !opens);
    if (taken) {
        assert_true(vmem_memory_equal(&fast->memory, &general->memory));
        assert_false(flush.full || flush.structures || flush.range_count || flush.table_count);
        grid->fast_count++;
    } else {
        assert_true(vmem_memory_equal(&fast->memory, &fast->untouched));
        assert_int_equal(map(&fast->space, mapping, &flush), want);
        assert_true(vmem_memory_equal(&fast->memory, &general->memory));
    }
    if (want == VMEM_OK) {
        twin_reset(fast);
        twin_reset(general);
    }
}

static void compare_attributes(struct grid *grid) {
    struct vmem_mapping mapping = rig_mapping(VIRT, PHYS + MIB(4), FRAME_BYTES);
    for (unsigned choice = 0; choice < 32 * 8 * 4 * 4; choice++) {
        mapping.rights = choice % 32;
        mapping.cache = (enum vmem_cache)(choice / 32 % 8);
        mapping.largest = (enum vmem_page)(choice / 256 % 4);
        mapping.global = (choice >> 10 & 1) != 0;
        mapping.replace = (choice >> 11 & 1) != 0;
        compare_map(grid, &mapping);
    }
}

static void compare_ranges(struct grid *grid) {
    static const uint64_t virts[] = {VIRT,
                                     VIRT + 1,
                                     VIRT + 0x800,
                                     VIRT + 0xfff,
                                     VIRT | 1UL << 47,
                                     VIRT | 1UL << 56,
                                     VIRT | 1UL << 63};
    static const uint64_t physs[] = {PHYS,      PHYS + 1,  PHYS + 0x800, (1UL << 46) - 0x1000,
                                     1UL << 46, 1UL << 52, 1UL << 63};
    static const uint64_t lengths[] = {0, 1, 0x800, 0x1000, 0x1001, 0x2000, MIB(2)};
    for (unsigned choice = 0; choice < 7 * 7 * 7; choice++) {
        struct vmem_mapping mapping =
            rig_mapping(virts[choice % 7], physs[choice / 7 % 7], lengths[choice / 49]);
        mapping.rights = RIG_RX;
        compare_map(grid, &mapping);
    }
}

static void compare_translate(struct grid *grid) {
    for (uint64_t virt = VIRT; virt < VIRT + MIB(4); virt += 0x7ff) {
        const struct vmem *space = &grid->fast.space;
        struct vmem_translation got = {0}, want = {0};
        enum vmem_status status = vmem_translate(&grid->general.space, vaddr(virt), &want);
        bool taken = space->levels == 5 ? vmem_fast_translate(space, 5, vaddr(virt), &got)
                                        : vmem_fast_translate(space, 4, vaddr(virt), &got);
        assert_int_equal(taken, status == VMEM_OK && grid->all_direct);
        assert_int_equal(vmem_translate(space, vaddr(virt), &got), status);
        assert_memory_equal(&got, &want, sizeof(got));
    }
}

TEST("vmem: the fast path is taken where it is due, and does what the general path does") {
    static const struct vmem_cpu cpus[] = {
        RIG_CPU, RIG_CPU_NO_1G, {.paddr_bits = 46, .has_1g = true}};
    uint64_t fast_count = 0;
    for (unsigned choice = 0; choice < ARRAY_LEN(states) * 3 * 3 * 2; choice++) {
        struct grid grid = {.state = &states[choice % ARRAY_LEN(states)]};
        struct vmem_cpu cpu = cpus[choice / ARRAY_LEN(states) % 3];
        unsigned window = choice / ARRAY_LEN(states) / 3 % 3; // none, the root, all tables
        unsigned levels = choice / ARRAY_LEN(states) / 9 == 0 ? 4 : 5;
        if (grid.state->page == VMEM_1G && !cpu.has_1g)
            continue;
        grid.all_direct = window == 2;
        twin_make(&grid.fast, grid.state, cpu, levels, window == 2 ? FRAMES : window);
        twin_make(&grid.general, grid.state, cpu, levels, 0);
        assert_null(grid.general.space.direct_root);
        compare_attributes(&grid);
        compare_ranges(&grid);
        compare_translate(&grid);
        fast_count += grid.fast_count;
        twin_destroy(&grid.fast);
        twin_destroy(&grid.general);
    }
    assert_true(fast_count > 1000);
}
