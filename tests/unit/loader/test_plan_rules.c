// Plans by the rules of another protocol: the manifest of a small machine, line by line, under each
// base revision; then the maps of real and of hostile machines, planned, built and audited under
// all of them, against what a model says that shares no code with plan or audit.
#include "common/audit/audit.h"
#include "common/base/arith.h"
#include "loader/plan.h"
#include "loader/protocol/limine_rules.h"
#include "tests/unit/support/map_files.h"
#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#define HHDM SLIPWAY_HHDM_BASE
#define LOW  UINT64_C(0x100000000)

enum { MAPPINGS_MAX = 64 };

static struct slipway_mapping mappings[MAPPINGS_MAX];
static uint64_t mapping_count;

// Text, read-only data, and data that are writable and executable.
static struct elf_run runs[] = {
    {SLIPWAY_KERNEL_DEFAULT, SLIPWAY_KERNEL_DEFAULT + 0x2000, SLIPWAY_RIGHT_EXECUTE},
    {SLIPWAY_KERNEL_DEFAULT + 0x2000, SLIPWAY_KERNEL_DEFAULT + 0x3000, 0},
    {SLIPWAY_KERNEL_DEFAULT + 0x3000, SLIPWAY_KERNEL_DEFAULT + 0x8000,
     SLIPWAY_RIGHT_WRITE | SLIPWAY_RIGHT_EXECUTE},
};

static const struct elf_image kernel = {
    .type = ELF_TYPE_EXEC,
    .entry = SLIPWAY_KERNEL_DEFAULT,
    .virt_start = SLIPWAY_KERNEL_DEFAULT,
    .virt_end = SLIPWAY_KERNEL_DEFAULT + 0x8000,
    .runs = runs,
    .run_count = ARRAY_LEN(runs),
};

static const struct slipway_piece image = {SLIPWAY_KERNEL_DEFAULT, 0x900000, 0x8000};

static const struct memmap_region machine[] = {
    {0x0, 0x1000, SLIPWAY_MEM_RESERVED, true}, // frame 0
    {0x1000, 0xa0000, SLIPWAY_MEM_USABLE, true},
    {0x100000, 0x2ff000, SLIPWAY_MEM_USABLE, true},
    {0x2ff000, 0x300000, SLIPWAY_MEM_RESERVED, false}, // guards
    {0x300000, 0x310000, SLIPWAY_MEM_LOADER, true},
    {0x310000, 0x311000, SLIPWAY_MEM_RESERVED, false},
    {0x311000, 0x40000000, SLIPWAY_MEM_USABLE, true},
    {0x40000000, 0x40010000, SLIPWAY_MEM_ACPI_RECLAIM, true},
    {0x40010000, 0x40020000, SLIPWAY_MEM_ACPI_NVS, true},
    {0x40020000, 0x40030000, SLIPWAY_MEM_ACPI_NVS, false}, // not write-back
    {0x40030000, 0x40040000, SLIPWAY_MEM_RUNTIME, true},
    {0x40040000, 0x40080000, SLIPWAY_MEM_RESERVED, false},
    {0xfec00000, 0xfec01000, SLIPWAY_MEM_MMIO, false},
    {0x100000000, 0x140000000, SLIPWAY_MEM_USABLE, true},
    {0x140000000, 0x140010000, SLIPWAY_MEM_RUNTIME, true},
    {0x140020000, 0x140030000, SLIPWAY_MEM_RESERVED, false},
    {0x200000000, 0x210000000, SLIPWAY_MEM_MMIO, false},
};

static const struct slipway_framebuffer screens[] = {
    {.address_phys = 0x80000040, .bytes = MIB(4)},
    {.address_phys = 0x208000000, .bytes = MIB(4)},
};

// In RAM of no kind that is mapped, in no memory, and uncached.
static const struct plan_firmware tables[] = {
    {0x4000f000, 0x40012000, SLIPWAY_CACHE_WB},
    {0x40035000, 0x40042000, SLIPWAY_CACHE_WB},
    {0x7ffff000, 0x80000000, SLIPWAY_CACHE_UC},
    {0x150000000, 0x150001000, SLIPWAY_CACHE_WB},
};

// Rules may have guards, though no revision does.
static struct space_rules rules_with_guards(uint64_t revision, bool is_lax) {
    struct space_rules rules = limine_space_rules(revision, is_lax);
    assert_true(rules.has_no_guards);
    rules.has_no_guards = false;
    return rules;
}

static struct plan_input make_input(uint64_t revision, bool is_lax) {
    struct plan_input input = {
        .rules = rules_with_guards(revision, is_lax),
        .regions = machine,
        .region_count = ARRAY_LEN(machine),
        .hhdm_base = HHDM,
        .window_base = SLIPWAY_WINDOW_BASE,
        .is_direct = true,
        .elf = &kernel,
        .pieces = &image,
        .piece_count = 1,
        .stack_phys = 0x300000,
        .stack_bytes = KIB(64),
        .loader = {.phys = 0x400000, .bytes = 0x8000, .text_start = 0x1000, .text_end = 0x4000},
        .framebuffers = screens,
        .framebuffer_count = ARRAY_LEN(screens),
    };
    if (input.rules.firmware != SPACE_FIRMWARE_NONE) {
        input.firmware = tables;
        input.firmware_count = ARRAY_LEN(tables);
    }
    return input;
}

// ---- Line by line

static uint64_t line; // of the manifest, that is expected next

static void make_manifest(const struct plan_input *input) {
    mapping_count = plan_make_manifest(input, mappings);
    assert_true(mapping_count <= plan_mapping_bound(input, input->region_count));
    assert_true(mapping_count <= MAPPINGS_MAX);
    line = 0;
}

static void expect(uint64_t virt, uint64_t phys, uint64_t end, uint32_t rights, uint16_t cache,
                   uint16_t purpose) {
    const struct slipway_mapping want = {virt, phys, end - phys, rights, cache, purpose};
    assert_true(line < mapping_count);
    if (memcmp(&mappings[line], &want, sizeof(want)) != 0) {
        const struct slipway_mapping *got = &mappings[line];
        fail_msg("line %lu: %lx [%lx, %lx) rights %u cache %u purpose %x, not [%lx, %lx) %u %u %x",
                 line, got->virt, got->phys, got->phys + got->bytes, got->rights, got->cache,
                 got->purpose, phys, end, rights, cache, purpose);
    }
    line++;
}

// The direct map, or the same one to one.
struct half {
    uint64_t base;
    uint16_t purpose;
    uint32_t more; // rights
};

static void expect_ram(struct half half, uint64_t phys, uint64_t end) {
    expect(half.base + phys, phys, end, SLIPWAY_RIGHT_WRITE | half.more, SLIPWAY_CACHE_WB,
           SLIPWAY_MAP_DIRECT | half.purpose);
}

static void expect_sealed(struct half half, uint64_t phys, uint64_t end) {
    expect(half.base + phys, phys, end, half.more, SLIPWAY_CACHE_WB,
           SLIPWAY_MAP_DIRECT | half.purpose);
}

static void expect_devices(struct half half, uint64_t phys, uint64_t end) {
    expect(half.base + phys, phys, end, SLIPWAY_RIGHT_WRITE | half.more, SLIPWAY_CACHE_WB,
           SPACE_MAP_DEVICES | half.purpose);
}

static void expect_screen(struct half half, uint64_t phys, uint64_t end) {
    expect(half.base + phys, phys, end, SLIPWAY_RIGHT_WRITE | half.more, SLIPWAY_CACHE_WC,
           SLIPWAY_MAP_FRAMEBUFFER | half.purpose);
}

static void expect_table(uint64_t phys, uint64_t end, uint16_t cache) {
    expect(HHDM + phys, phys, end, SLIPWAY_RIGHT_WRITE, cache, SLIPWAY_MAP_FIRMWARE);
}

static const struct half direct = {.base = HHDM};

// The loader's image and the kernel: nothing else lies outside of the direct map.
static void expect_rest(void) {
    for (uint64_t i = line; i < line + 3; i++)
        assert_int_equal(mappings[i].purpose, SLIPWAY_MAP_LOADER);
    line += 3;
    for (uint32_t i = 0; i < ARRAY_LEN(runs); i++)
        expect(runs[i].start, image.phys + runs[i].start - image.virt,
               image.phys + runs[i].end - image.virt, runs[i].rights, SLIPWAY_CACHE_WB,
               SLIPWAY_MAP_KERNEL);
    assert_int_equal(line, mapping_count);
}

// From the guard above the stack to the end of what is usable below 1 GiB.
static void expect_low_ram(struct half half, uint64_t end, bool is_sealed) {
    expect_ram(half, 0x100000, 0x2ff000);
    expect_ram(half, 0x300000, 0x310000);
    if (is_sealed) {
        expect_ram(half, 0x311000, 0x900000);
        expect_sealed(half, 0x900000, 0x903000);
        expect_ram(half, 0x903000, end);
    } else {
        expect_ram(half, 0x311000, end);
    }
}

static void expect_below_4g(struct half half, uint64_t first, bool is_sealed) {
    expect_ram(half, first, 0xa0000);
    expect_devices(half, 0xa0000, 0x100000);
    expect_low_ram(half, 0x40020000, is_sealed);
    expect_devices(half, 0x40020000, 0x40030000);
    expect_ram(half, 0x40030000, 0x40040000);
    expect_devices(half, 0x40040000, 0x80000000);
    expect_screen(half, 0x80000000, 0x80000000 + MIB(4));
    expect_devices(half, 0x80000000 + MIB(4), LOW);
}

static void expect_revision_0(struct half half, uint64_t first, bool is_sealed) {
    expect_below_4g(half, first, is_sealed);
    expect_ram(half, LOW, 0x140010000);
    expect_devices(half, 0x140020000, 0x140030000);
    expect_devices(half, 0x200000000, 0x208000000);
    expect_screen(half, 0x208000000, 0x208000000 + MIB(4));
    expect_devices(half, 0x208000000 + MIB(4), 0x210000000);
}

TEST("plan: revision 0 has all below 4 GiB and all memory above, and that one to one") {
    struct plan_input input = make_input(0, false);
    make_manifest(&input);
    const struct half identity = {.purpose = SPACE_MAP_IDENTITY};
    expect_revision_0(identity, 0x1000, true);
    expect_revision_0(direct, 0, true);
    expect_rest();
    assert_int_equal(plan_direct_map_end(&input, 0x140010000), 0x210000000);
}

TEST("plan: with strict = off the direct map is executable and nothing in it is read-only") {
    struct plan_input input = make_input(0, true);
    make_manifest(&input);
    const struct half identity = {.purpose = SPACE_MAP_IDENTITY, .more = SLIPWAY_RIGHT_EXECUTE};
    const struct half lax = {.base = HHDM, .more = SLIPWAY_RIGHT_EXECUTE};
    expect_revision_0(identity, 0x1000, false);
    expect_revision_0(lax, 0, false);
    expect_rest();
}

TEST("plan: what is sealed in a direct map that is executable stays executable") {
    struct plan_input input = make_input(3, false);
    input.rules.executes_direct = true;
    make_manifest(&input);
    const struct half executable = {.base = HHDM, .more = SLIPWAY_RIGHT_EXECUTE};
    expect_ram(executable, 0x1000, 0xa0000);
    expect_low_ram(executable, 0x40000000, true);
}

TEST(
    "plan: revisions 1 and 2 have all below 4 GiB, above it no reserved memory, and no lower half") {
    for (uint64_t revision = 1; revision <= 2; revision++) {
        struct plan_input input = make_input(revision, false);
        make_manifest(&input);
        expect_below_4g(direct, 0, true);
        expect_ram(direct, LOW, 0x140000000);
        expect_screen(direct, 0x208000000, 0x208000000 + MIB(4));
        expect_rest();
        assert_int_equal(plan_direct_map_end(&input, 0x140010000), 0x140000000);
    }
}

TEST("plan: revision 3 has what is usable or the loader's, and no table of the firmware's") {
    struct plan_input input = make_input(3, false);
    make_manifest(&input);
    expect_ram(direct, 0x1000, 0xa0000);
    expect_low_ram(direct, 0x40000000, true);
    expect_screen(direct, 0x80000000, 0x80000000 + MIB(4));
    expect_ram(direct, LOW, 0x140000000);
    expect_screen(direct, 0x208000000, 0x208000000 + MIB(4));
    expect_rest();
}

TEST("plan: revision 4 has ACPI's memory too, and tables where they are") {
    struct plan_input input = make_input(4, false);
    make_manifest(&input);
    expect_ram(direct, 0x1000, 0xa0000);
    expect_low_ram(direct, 0x40020000, true);
    expect_devices(direct, 0x40020000, 0x40030000);
    expect_table(0x40035000, 0x40042000, SLIPWAY_CACHE_WB);
    expect_table(0x7ffff000, 0x80000000, SLIPWAY_CACHE_UC);
    expect_screen(direct, 0x80000000, 0x80000000 + MIB(4));
    expect_ram(direct, LOW, 0x140000000);
    expect_table(0x150000000, 0x150001000, SLIPWAY_CACHE_WB);
    expect_screen(direct, 0x208000000, 0x208000000 + MIB(4));
    expect_rest();
    assert_int_equal(plan_direct_map_end(&input, 0x140010000), 0x150001000);
}

TEST("plan: revisions 5 and 6 have the runtime services' memory as well") {
    for (uint64_t revision = 5; revision <= 6; revision++) {
        struct plan_input input = make_input(revision, false);
        make_manifest(&input);
        expect_ram(direct, 0x1000, 0xa0000);
        expect_low_ram(direct, 0x40020000, true);
        expect_devices(direct, 0x40020000, 0x40030000);
        expect_ram(direct, 0x40030000, 0x40040000);
        expect_table(0x40040000, 0x40042000, SLIPWAY_CACHE_WB);
        expect_table(0x7ffff000, 0x80000000, SLIPWAY_CACHE_UC);
        expect_screen(direct, 0x80000000, 0x80000000 + MIB(4));
        expect_ram(direct, LOW, 0x140010000);
        expect_table(0x150000000, 0x150001000, SLIPWAY_CACHE_WB);
        expect_screen(direct, 0x208000000, 0x208000000 + MIB(4));
        expect_rest();
    }
}

TEST("plan: all below 4 GiB is mapped where the map has no memory at all") {
    struct plan_input input = make_input(2, false);
    input.region_count = 0;
    input.framebuffer_count = 0;
    input.stack_phys = GIB(5); // so that there are no guards
    make_manifest(&input);
    assert_int_equal(plan_direct_map_end(&input, 0), LOW);
    expect_devices(direct, 0, 0x900000);
    expect(HHDM + 0x900000, 0x900000, 0x903000, 0, SLIPWAY_CACHE_WB, SPACE_MAP_DEVICES);
    expect_devices(direct, 0x903000, LOW);
}

TEST("plan: a region that is not wanted by kind is wanted as far as it lies below 4 GiB") {
    static const struct memmap_region across[] = {
        {0x100000, 0x2ff000, SLIPWAY_MEM_USABLE, true},
        {0x300000, 0x310000, SLIPWAY_MEM_LOADER, true},
        {0xc0000000, 0x180000000, SLIPWAY_MEM_RUNTIME, true},
    };
    struct plan_input input = make_input(1, true);
    input.regions = across;
    input.region_count = ARRAY_LEN(across);
    input.framebuffer_count = 0;
    make_manifest(&input);
    const struct half lax = {.base = HHDM, .more = SLIPWAY_RIGHT_EXECUTE};
    expect_devices(lax, 0, 0x100000);
    expect_ram(lax, 0x100000, 0x2ff000);
    expect_ram(lax, 0x300000, 0x310000);
    expect_devices(lax, 0x311000, 0xc0000000);
    expect_ram(lax, 0xc0000000, LOW);
    expect_rest();
}

// As after the claims of the stacks of two other CPUs, below the boot CPU's and above 4 GiB.
static bool is_mapped(uint64_t virt) {
    for (uint64_t i = 0; i < mapping_count; i++)
        if (virt >= mappings[i].virt && virt - mappings[i].virt < mappings[i].bytes)
            return true;
    return false;
}

TEST("plan: where stacks have no guards, they follow each other and nothing is left out") {
    struct plan_input input = make_input(2, false);
    input.rules.has_no_guards = true;
    input.other_cpus = 2;
    input.other_stacks_phys = 0x500000;
    assert_int_equal(plan_guard_count(&input), 0);
    assert_int_equal(plan_other_stack_bottom(&input, 1),
                     input.hhdm_base + 0x500000 + input.stack_bytes);
    make_manifest(&input);
    for (uint64_t at = input.stack_phys - FRAME_BYTES; at <= input.stack_phys + input.stack_bytes;
         at += FRAME_BYTES)
        assert_true(is_mapped(input.hhdm_base + at));
}

TEST("plan: guards of all stacks are left out, wherever they lie") {
    static const struct memmap_region with_stacks[] = {
        {0x100000, 0x7ff000, SLIPWAY_MEM_USABLE, true},
        {0x7ff000, 0x801000, SLIPWAY_MEM_RESERVED, false}, // two guards, which touch
        {0x801000, 0x811000, SLIPWAY_MEM_LOADER, true},
        {0x811000, 0x812000, SLIPWAY_MEM_RESERVED, false},
        {0x812000, 0x40000000, SLIPWAY_MEM_USABLE, true},
    };
    struct plan_input input = make_input(2, false);
    input.regions = with_stacks;
    input.region_count = ARRAY_LEN(with_stacks);
    input.framebuffer_count = 0;
    input.stack_phys = 0x801000;
    input.other_cpus = 1;
    input.other_stacks_phys = 0x800000 - KIB(64);
    make_manifest(&input);
    // The stack of the other CPU is RAM to the plan, with a guard below it that was not claimed.
    expect_devices(direct, 0, 0x100000);
    expect_ram(direct, 0x100000, 0x7ef000);
    expect_ram(direct, 0x7f0000, 0x7ff000);
    expect_devices(direct, 0x7ff000, 0x800000);
    expect_ram(direct, 0x801000, 0x811000);
    expect_ram(direct, 0x812000, 0x900000);
    input.rules = rules_with_guards(0, false);
    input.stack_phys = LOW + 0x1000;
    input.other_stacks_phys = GIB(5);
    static const struct memmap_region high[] = {
        {LOW, GIB(8), SLIPWAY_MEM_RESERVED, false},
    };
    input.regions = high;
    input.region_count = 1;
    input.rules.identity = false;
    make_manifest(&input);
    expect_devices(direct, 0, 0x900000);
    line += 1; // what is sealed
    expect_devices(direct, 0x903000, LOW);
    expect_devices(direct, LOW + 0x1000, LOW + 0x11000);
    expect_devices(direct, LOW + 0x12000, GIB(5) - 0x1000);
    expect_devices(direct, GIB(5), GIB(5) + 0x10000);
    expect_devices(direct, GIB(5) + 0x11000, GIB(8));
    expect_rest();
}

// ---- RAM that has changed

static void expect_changes(const struct plan_input *input, const struct plan_range *unmapped,
                           uint64_t unmapped_count, const struct plan_range *stale,
                           uint64_t stale_count) {
    struct plan_range found[8];
    assert_int_equal(plan_find_unmapped(input, mappings, mapping_count, found, 8), unmapped_count);
    for (uint64_t i = 0; i < unmapped_count; i++)
        assert_memory_equal(&found[i], &unmapped[i], sizeof(found[i]));
    assert_int_equal(plan_find_stale(input, mappings, mapping_count, found, 8), stale_count);
    for (uint64_t i = 0; i < stale_count; i++)
        assert_memory_equal(&found[i], &stale[i], sizeof(found[i]));
}

TEST("plan: by no rules is anything unmapped or stale while memory stays what it was") {
    for (uint64_t revision = 0; revision <= 6; revision++) {
        struct plan_input input = make_input(revision, false);
        make_manifest(&input);
        expect_changes(&input, NULL, 0, NULL, 0);
    }
}

TEST("plan: below 4 GiB nothing that changes matters where all is mapped") {
    struct memmap_region changed[ARRAY_LEN(machine)];
    const struct plan_range grown = {0x140000000, 0x140010000};
    const struct plan_range gone = {0x100000000, 0x110000000};
    memcpy(changed, machine, sizeof(machine));
    changed[1].end = 0x9f000;
    changed[6].end = 0x3ff00000;
    changed[13].start = 0x110000000;              // RAM above 4 GiB that went,
    changed[14].kind = SLIPWAY_MEM_BOOT_SERVICES; // and that appeared
    for (uint64_t revision = 0; revision <= 6; revision++) {
        struct plan_input input = make_input(revision, false);
        make_manifest(&input);
        input.regions = changed;
        const struct plan_range low[] = {
            {0x9f000, 0xa0000}, {0x3ff00000, 0x40000000}, {0x100000000, 0x110000000}};
        bool has_all = revision <= 2;
        bool was_mapped = revision == 0 || revision >= 5; // as runtime services' memory
        expect_changes(&input, &grown, was_mapped ? 0 : 1, has_all ? &gone : low,
                       has_all ? 1 : ARRAY_LEN(low));
    }
}

TEST("plan: RAM that comes or goes is no change where revision 0 maps reserved memory as well") {
    struct memmap_region changed[ARRAY_LEN(machine)];
    const struct plan_range came = {0x140020000, 0x140030000};
    const struct plan_range went = {0x100000000, 0x140000000};
    memcpy(changed, machine, sizeof(machine));
    changed[15] = (struct memmap_region){came.start, came.end, SLIPWAY_MEM_USABLE, true};
    changed[13] = (struct memmap_region){went.start, went.end, SLIPWAY_MEM_RESERVED, false};
    for (uint64_t revision = 0; revision <= 6; revision++) {
        struct plan_input input = make_input(revision, false);
        make_manifest(&input);
        input.regions = changed;
        uint64_t count = revision == 0 ? 0 : 1;
        expect_changes(&input, &came, count, &went, count);
    }
}

TEST("plan: the bound holds for a map that is all gaps") {
    enum { REGIONS = 400, BOUND = 8000 };
    static struct memmap_region gaps[REGIONS];
    static struct slipway_mapping many[BOUND];
    for (uint64_t i = 0; i < REGIONS; i++)
        gaps[i] = (struct memmap_region){MIB(16) + i * 0x2000, MIB(16) + i * 0x2000 + 0x1000,
                                         SLIPWAY_MEM_USABLE, true};
    for (uint64_t revision = 0; revision <= 6; revision++) {
        struct plan_input input = make_input(revision, false);
        input.regions = gaps;
        input.region_count = REGIONS;
        uint64_t bound = plan_mapping_bound(&input, REGIONS);
        assert_true(bound <= BOUND);
        uint64_t count = plan_make_manifest(&input, many);
        assert_true(count <= bound && count >= (revision == 0   ? 4
                                                : revision <= 2 ? 2
                                                                : 1) *
                                                   REGIONS);
    }
}

// ---- Maps of machines, planned, built and audited

#define TABLES_AT   (UINT64_C(1) << 45) // where the tables pretend to be: beyond most RAM
#define STACK_BYTES KIB(64)

enum { TABLES_MAX = 1 << 12 };

struct replay {
    struct memmap_region *regions;
    uint64_t region_count;
    struct memmap_report report;
    struct slipway_mapping *mappings;
    struct plan_input input;
    struct slipway_framebuffer screens[2];
    struct plan_firmware tables[4];
    struct slipway_piece image;
    struct slipway_range ranges[3]; // two guards and the tables
    struct mtrr_map mtrrs;
    uint64_t tables_used;
};

static unsigned char (*table_memory)[FRAME_BYTES]; // TABLES_MAX

static paddr_t table_alloc(void *context) {
    struct replay *replay = context;
    assert_true(replay->tables_used < TABLES_MAX);
    return paddr(TABLES_AT + FRAME_BYTES * replay->tables_used++);
}

static void table_free(void *context, paddr_t table) {
    (void)context;
    fail_msg("table %lx was freed", table.value);
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    const struct replay *replay = context;
    uint64_t index = (table.value - TABLES_AT) / FRAME_BYTES;
    return table.value >= TABLES_AT && index < replay->tables_used
               ? (uint64_t *)(void *)table_memory[index]
               : NULL;
}

static const struct vmem_ops ops = {
    .table_alloc = table_alloc,
    .table_free = table_free,
    .table_pointer = table_pointer,
};

static void normalise(struct replay *replay, const struct efi_map *map,
                      const struct memmap_claim *claims, uint64_t claim_count) {
    unsigned char *raw = malloc(map->count * 48 + 1);
    uint64_t scratch_bytes = memmap_scratch_bytes(map->count, claim_count);
    uint64_t capacity = memmap_region_bound(map->count, claim_count);
    void *scratch = malloc(scratch_bytes);
    free(replay->regions);
    replay->regions = malloc(capacity * sizeof(*replay->regions));
    assert_true(raw != NULL && scratch != NULL && replay->regions != NULL);
    for (uint64_t i = 0; i < map->count; i++)
        model_store(raw, i, 48, &map->descriptors[i]);
    const struct memmap_input input = {
        {raw, map->count * 48, 48}, claims, claim_count, UINT64_C(1) << 45};
    assert_int_equal(memmap_normalise(&input, scratch, scratch_bytes, replay->regions, capacity,
                                      &replay->region_count, &replay->report),
                     MEMMAP_OK);
    free(scratch);
    free(raw);
}

// Room for `bytes` in RAM that is usable, at random: the start, or 0.
static uint64_t find_room(const struct replay *replay, struct random *random, uint64_t bytes) {
    uint64_t found = 0, seen = 0;
    for (uint64_t i = 0; i < replay->region_count; i++) {
        const struct memmap_region *region = &replay->regions[i];
        if (region->kind != SLIPWAY_MEM_USABLE || region->end - region->start < bytes)
            continue;
        uint64_t frames = (region->end - region->start - bytes) / FRAME_BYTES + 1;
        if (random_below(random, ++seen) == 0)
            found = region->start + random_below(random, frames) * FRAME_BYTES;
    }
    return found;
}

static bool meets(const struct slipway_range *range, uint64_t start, uint64_t end) {
    return range->start_phys < end && start < range->start_phys + range->bytes;
}

// Guards count: they are RAM that was claimed.
static bool has_ram(const struct replay *replay, uint64_t start, uint64_t end) {
    for (unsigned i = 0; i < 2; i++)
        if (meets(&replay->ranges[i], start, end))
            return true;
    for (uint64_t i = 0; i < replay->region_count; i++) {
        const struct memmap_region *region = &replay->regions[i];
        if (region->direct && region->start < end && start < region->end)
            return true;
    }
    return false;
}

static uint64_t random_phys(struct random *random, const struct replay *replay) {
    uint64_t region = random_below(random, replay->region_count + 1);
    if (region == replay->region_count || random_below(random, 3) == 0)
        return random_below(random, GIB(8)) & ~(FRAME_BYTES - 1);
    const struct memmap_region *at = &replay->regions[region];
    return random_below(random, 2) == 0 ? at->start : at->end;
}

static void add_screens(struct replay *replay, struct random *random) {
    for (unsigned tries = 0; tries < 8 && replay->input.framebuffer_count < 2; tries++) {
        uint64_t start = random_phys(random, replay);
        uint64_t bytes = (1 + random_below(random, 2000)) * FRAME_BYTES;
        if (has_ram(replay, start, start + bytes))
            continue;
        replay->screens[replay->input.framebuffer_count++] = (struct slipway_framebuffer){
            .address_phys = start + random_below(random, 2) * 64, .bytes = bytes};
    }
    replay->input.framebuffers = replay->screens;
}

static bool meets_screen(const struct replay *replay, uint64_t start, uint64_t end) {
    for (uint32_t i = 0; i < replay->input.framebuffer_count; i++) {
        uint64_t screen = align_down(replay->screens[i].address_phys, FRAME_BYTES);
        if (screen < end && start < screen + replay->screens[i].bytes)
            return true;
    }
    return false;
}

static void add_tables(struct replay *replay, struct random *random) {
    uint32_t count = 0;
    for (unsigned tries = 0; tries < 12 && count < ARRAY_LEN(replay->tables); tries++) {
        uint64_t start = random_phys(random, replay);
        uint64_t end = start + (1 + random_below(random, 40)) * FRAME_BYTES;
        bool is_after = count == 0 || replay->tables[count - 1].end <= start;
        bool is_free = !meets_screen(replay, start, end) &&
                       !meets(&replay->ranges[0], start, end) &&
                       !meets(&replay->ranges[1], start, end);
        if (!is_after || !is_free)
            continue;
        bool is_uncached = !has_ram(replay, start, end) && random_below(random, 2) == 0;
        replay->tables[count++] =
            (struct plan_firmware){start, end, is_uncached ? SLIPWAY_CACHE_UC : SLIPWAY_CACHE_WB};
    }
    replay->input.firmware = replay->tables;
    replay->input.firmware_count = replay->input.rules.firmware == SPACE_FIRMWARE_NONE ? 0 : count;
}

// False if the machine has no room for an image and a stack.
static bool furnish(struct replay *replay, const struct efi_map *map, struct random *random) {
    struct plan_input *input = &replay->input;
    normalise(replay, map, NULL, 0);
    uint64_t image_phys = find_room(replay, random, 0x8000 + input->loader.bytes);
    if (image_phys == 0)
        return false;
    replay->image = (struct slipway_piece){SLIPWAY_KERNEL_DEFAULT, image_phys, 0x8000};
    input->loader.phys = image_phys + 0x8000;
    struct memmap_claim claims[] = {
        {image_phys, 0x8000 + input->loader.bytes, SLIPWAY_MEM_KERNEL}, {0}, {0}, {0}};
    normalise(replay, map, claims, 1);
    uint64_t guard = find_room(replay, random, STACK_BYTES + 2 * FRAME_BYTES);
    if (guard == 0)
        return false;
    claims[1] = (struct memmap_claim){guard, FRAME_BYTES, SLIPWAY_MEM_RESERVED};
    claims[2] = (struct memmap_claim){guard + FRAME_BYTES, STACK_BYTES, SLIPWAY_MEM_LOADER};
    claims[3] =
        (struct memmap_claim){guard + FRAME_BYTES + STACK_BYTES, FRAME_BYTES, SLIPWAY_MEM_RESERVED};
    normalise(replay, map, claims, ARRAY_LEN(claims));
    for (unsigned i = 0; i < 2; i++)
        replay->ranges[i] =
            (struct slipway_range){claims[1 + 2 * i].start, FRAME_BYTES, SLIPWAY_RANGE_GUARD, 0};
    input->regions = replay->regions;
    input->region_count = replay->region_count;
    input->stack_phys = guard + FRAME_BYTES;
    input->pieces = &replay->image;
    return true;
}

// Some edges anywhere, or none that is known.
static void add_types(struct replay *replay, struct random *random) {
    uint32_t count = (uint32_t)random_below(random, 6);
    uint64_t start = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end = start + FRAME_BYTES * (1 + random_below(random, GIB(2) / FRAME_BYTES));
        if (i == count - 1)
            end = UINT64_C(1) << 46;
        replay->mtrrs.runs[i] = (struct mtrr_run){start, end, i % 2 == 0 ? 6 : 0};
        start = end;
    }
    replay->mtrrs.count = count;
}

// ---- The model: what is to be mapped at a physical address

enum wanted { NOTHING, RAM, OTHER, SCREEN, TABLE };

// By the protocol's types, for a strict plan.
static bool type_is_mapped(uint64_t revision, uint32_t kind) {
    switch (kind) {
    case SLIPWAY_MEM_USABLE:
    case SLIPWAY_MEM_BOOT_SERVICES:
    case SLIPWAY_MEM_LOADER:
    case SLIPWAY_MEM_MODULE:
    case SLIPWAY_MEM_KERNEL:
    case SLIPWAY_MEM_PAGE_TABLES:
        return true;
    case SLIPWAY_MEM_ACPI_RECLAIM:
    case SLIPWAY_MEM_ACPI_NVS:
        return revision != 3;
    case SLIPWAY_MEM_RUNTIME:
        return revision == 0 || revision >= 5;
    default:
        return revision == 0;
    }
}

static enum wanted model(const struct replay *replay, uint64_t revision, uint64_t phys) {
    const struct plan_input *input = &replay->input;
    if (phys == replay->ranges[0].start_phys || phys == replay->ranges[1].start_phys)
        return NOTHING;
    if (meets_screen(replay, phys, phys + FRAME_BYTES))
        return SCREEN;
    for (uint64_t i = 0; i < replay->region_count; i++) {
        const struct memmap_region *region = &replay->regions[i];
        bool is_in = phys >= region->start && phys < region->end;
        if (is_in && ((revision <= 2 && phys < LOW) || type_is_mapped(revision, region->kind)))
            return region->direct ? RAM : OTHER;
    }
    if (revision <= 2 && phys < LOW)
        return OTHER;
    for (uint32_t i = 0; i < input->firmware_count; i++)
        if (phys >= replay->tables[i].start && phys < replay->tables[i].end)
            return TABLE;
    return NOTHING;
}

static bool is_read_only(const struct replay *replay, uint64_t phys) {
    return phys - replay->image.phys < 0x3000;
}

static void expect_one_type(const struct replay *replay, uint64_t phys, enum vmem_page page) {
    uint64_t bytes = UINT64_C(1) << (12 + 9 * (unsigned)page);
    uint64_t start = align_down(phys, bytes);
    for (uint32_t i = 0; i < replay->mtrrs.count; i++) {
        uint64_t end = replay->mtrrs.runs[i].end;
        if (end > start && end < start + bytes)
            fail_msg("%lx is in a leaf of %lu bytes, with memory of two types", phys, bytes);
    }
}

static void expect_page(const struct replay *replay, struct vmem *space, uint64_t revision,
                        bool is_lax, uint64_t base, uint64_t phys) {
    struct vmem_translation found;
    enum wanted wanted = model(replay, revision, phys);
    bool is_null = base == 0 && phys == 0;
    enum vmem_status status = vmem_translate(space, vaddr(base + phys), &found);
    if (wanted == NOTHING || is_null) {
        if (status != VMEM_ERR_NOT_MAPPED)
            fail_msg("revision %lu: %lx is mapped at %lx", revision, phys, base);
        return;
    }
    if (status != VMEM_OK)
        fail_msg("revision %lu: %lx is not mapped at %lx (%d)", revision, phys, base, (int)wanted);
    unsigned rights = VMEM_READ | VMEM_WRITE;
    if (is_lax)
        rights |= VMEM_EXECUTE;
    if (!is_lax && is_read_only(replay, phys))
        rights &= ~(unsigned)VMEM_WRITE;
    assert_int_equal(found.phys.value, phys);
    assert_int_equal(found.rights, rights);
    assert_false(vmem_translation_is_global(&found));
    expect_one_type(replay, phys, found.page);
    if (wanted != TABLE)
        assert_int_equal(vmem_translation_cache(&found),
                         wanted == SCREEN ? VMEM_CACHE_WC : VMEM_CACHE_WB);
}

static void expect_pages_at(const struct replay *replay, struct vmem *space, uint64_t revision,
                            bool is_lax, uint64_t edge) {
    for (uint64_t phys = edge == 0 ? 0 : edge - FRAME_BYTES; phys <= edge; phys += FRAME_BYTES) {
        expect_page(replay, space, revision, is_lax, HHDM, phys);
        if (revision == 0)
            expect_page(replay, space, revision, is_lax, 0, phys);
    }
}

// At the edges of everything, and around.
static void expect_edges(const struct replay *replay, struct vmem *space, uint64_t revision,
                         bool is_lax) {
    const uint64_t fixed[] = {0,
                              LOW,
                              replay->image.phys,
                              replay->image.phys + 0x3000,
                              replay->ranges[0].start_phys,
                              replay->ranges[1].start_phys,
                              replay->ranges[0].start_phys + FRAME_BYTES,
                              replay->ranges[1].start_phys + FRAME_BYTES};
    uint64_t edges = ARRAY_LEN(fixed) + 2 * (replay->region_count + 2 + ARRAY_LEN(replay->tables));
    for (uint64_t i = 0; i < edges; i++) {
        uint64_t edge = i < ARRAY_LEN(fixed) ? fixed[i] : 0;
        uint64_t j = (i - ARRAY_LEN(fixed)) / 2;
        bool is_end = (i - ARRAY_LEN(fixed)) % 2 != 0;
        if (i >= ARRAY_LEN(fixed) && j < replay->region_count)
            edge = is_end ? replay->regions[j].end : replay->regions[j].start;
        else if (i >= ARRAY_LEN(fixed) && j < replay->region_count + 2)
            edge = align_down(replay->screens[j - replay->region_count].address_phys, FRAME_BYTES) +
                   (is_end ? replay->screens[j - replay->region_count].bytes : 0);
        else if (i >= ARRAY_LEN(fixed))
            edge = is_end ? replay->tables[j - replay->region_count - 2].end
                          : replay->tables[j - replay->region_count - 2].start;
        expect_pages_at(replay, space, revision, is_lax, edge);
    }
    for (uint32_t i = 0; i + 1 < replay->mtrrs.count; i++)
        expect_pages_at(replay, space, revision, is_lax, replay->mtrrs.runs[i].end);
    if (revision != 0) { // nothing at all
        struct vmem_translation found;
        for (uint64_t virt = 0; virt < GIB(8); virt += MIB(64))
            assert_int_equal(vmem_translate(space, vaddr(virt), &found), VMEM_ERR_NOT_MAPPED);
    }
}

static void print_text(void *context, const char *text, size_t bytes) {
    (void)context;
    fwrite(text, 1, bytes, stderr);
}

static void audit_space(struct replay *replay, struct vmem *space, uint64_t count,
                        uint64_t tables_planned) {
    replay->ranges[2] = (struct slipway_range){TABLES_AT, replay->tables_used * FRAME_BYTES,
                                               SLIPWAY_RANGE_PAGE_TABLES, 0};
    struct audit_input input = {
        .scope = AUDIT_HAND_OVER,
        .rules = replay->input.rules,
        .space = space,
        .hhdm_base = HHDM,
        .hhdm_room = plan_direct_map_room(&replay->input),
        .mappings = replay->mappings,
        .mapping_count = count,
        .ranges = replay->ranges,
        .range_count = ARRAY_LEN(replay->ranges),
        .regions = replay->regions,
        .region_count = replay->region_count,
        .report = &replay->report,
        .stack_bottom = plan_stack_bottom(&replay->input),
        .stack_top = plan_stack_bottom(&replay->input) + STACK_BYTES,
        .boot_info = plan_stack_bottom(&replay->input), // somewhere in the direct map
        .boot_info_bytes = FRAME_BYTES,
        .kernel_entry = SLIPWAY_KERNEL_DEFAULT,
        .tables_planned = tables_planned,
        .scratch_bytes = audit_scratch_bytes(replay->ranges, ARRAY_LEN(replay->ranges)),
    };
    input.scratch = malloc(input.scratch_bytes);
    const struct sink sink = {print_text, NULL};
    assert_int_equal(audit_run(&input, &sink), 0);
    free(input.scratch);
}

static void replay_map(struct replay *replay, uint64_t revision, bool is_lax, struct vmem_cpu cpu,
                       unsigned levels) {
    const struct plan_input *input = &replay->input;
    uint64_t bound = plan_mapping_bound(input, input->region_count);
    replay->mappings = malloc(bound * sizeof(*replay->mappings));
    assert_non_null(replay->mappings);
    uint64_t count = plan_make_manifest(input, replay->mappings);
    assert_true(count <= bound);
    struct vmem_plan counted;
    uint64_t index;
    const struct plan_list list =
        plan_list_of(&input->rules, replay->mappings, count, &replay->mtrrs);
    assert_int_equal(plan_count_tables(&list, cpu, levels, &counted, &index), VMEM_OK);
    if (counted.tables > TABLES_MAX) { // TiBs of reserved memory, in leaves of 2 MiB
        cpu.has_1g = true;
        assert_int_equal(plan_count_tables(&list, cpu, levels, &counted, &index), VMEM_OK);
    }
    struct vmem space;
    replay->tables_used = 0;
    assert_int_equal(vmem_new(&space, &ops, replay, cpu, levels), VMEM_OK);
    assert_int_equal(plan_build_tables(&space, &list, &index), VMEM_OK);
    assert_int_equal(replay->tables_used, counted.tables);
    audit_space(replay, &space, count, counted.tables);
    expect_edges(replay, &space, revision, is_lax);
    struct plan_range range;
    assert_int_equal(plan_find_unmapped(input, replay->mappings, count, &range, 1), 0);
    assert_int_equal(plan_find_stale(input, replay->mappings, count, &range, 1), 0);
    free(replay->mappings);
}

static void replay_all(const struct efi_map *map, struct random *random) {
    for (uint64_t i = 0; i < 14; i++) {
        uint64_t revision = i / 2;
        bool is_lax = i % 2 != 0;
        struct vmem_cpu cpu = {
            .paddr_bits = 46, .has_nx = true, .has_1g = random_below(random, 4) != 0};
        struct replay replay = {.input = make_input(revision, is_lax)};
        replay.input.framebuffer_count = 0;
        if (furnish(&replay, map, random)) {
            add_screens(&replay, random);
            add_tables(&replay, random);
            add_types(&replay, random);
            replay_map(&replay, revision, is_lax, cpu, 4 + (unsigned)random_below(random, 2));
        }
        free(replay.regions);
    }
}

TEST("plan: maps of real and of hostile machines, planned, built and audited by all rules") {
    struct random random = random_start("plan rules");
    struct map_files files = map_files_load();
    table_memory = aligned_alloc(FRAME_BYTES, TABLES_MAX * FRAME_BYTES);
    assert_non_null(table_memory);
    for (uint64_t i = 0; i < files.count; i++)
        replay_all(&files.maps[i], &random);
    free(table_memory);
    map_files_free(&files);
}

// ---- Leaves over RAM and what is none

static struct plan_list list_all(const struct mtrr_map *mtrrs) {
    static const struct space_rules rules = {.kinds = 1 << SLIPWAY_MEM_USABLE};
    const uint64_t edges[] = {MIB(2), 0x2ff000, 0x310000, MIB(6), MIB(8)};
    for (unsigned i = 0; i < 4; i++)
        mappings[i] = (struct slipway_mapping){.virt = HHDM + edges[i],
                                               .phys = edges[i],
                                               .bytes = edges[i + 1] - edges[i],
                                               .rights = SLIPWAY_RIGHT_WRITE,
                                               .purpose = i % 2 == 0 ? SLIPWAY_MAP_DIRECT
                                                                     : SPACE_MAP_DEVICES};
    return plan_list_of(&rules, mappings, 4, mtrrs);
}

// Leaves of 4 KiB and of 2 MiB.
static void expect_leaves(const struct plan_list *list, uint64_t small, uint64_t large) {
    struct vmem_plan counted;
    uint64_t index;
    assert_int_equal(
        plan_count_tables(list, (struct vmem_cpu){40, true, true}, 4, &counted, &index), VMEM_OK);
    assert_int_equal(counted.leaves[VMEM_4K], small);
    assert_int_equal(counted.leaves[VMEM_2M], large);
}

TEST("plan: a leaf spans mappings of two purposes, but not memory of two types") {
    struct mtrr_map mtrrs = {.count = 1, .runs = {{0, GIB(64), 6}}};
    struct plan_list list = list_all(&mtrrs);
    expect_leaves(&list, 0, 3);
    mtrrs = (struct mtrr_map){.count = 2, .runs = {{0, 0x312000, 6}, {0x312000, GIB(64), 0}}};
    expect_leaves(&list, 512, 2);
    mtrrs = (struct mtrr_map){.count = 2, .runs = {{0, MIB(4), 6}, {MIB(4), GIB(64), 0}}};
    expect_leaves(&list, 0, 3);
    // Nor those of two rights, of two cache types, or that only follow each other.
    mappings[1].rights = 0;
    expect_leaves(&list, 512, 2);
    mappings[1].rights = SLIPWAY_RIGHT_WRITE;
    mappings[1].cache = SLIPWAY_CACHE_UC;
    expect_leaves(&list, 512, 2);
    mappings[1].cache = 0;
    mappings[1].phys += FRAME_BYTES;
    expect_leaves(&list, 512, 2);
}

TEST("plan: what lies behind a list is not joined to its end") {
    struct mtrr_map mtrrs = {.count = 1, .runs = {{0, GIB(64), 6}}};
    struct plan_list list = list_all(&mtrrs);
    list.count = 3; // up to 6 MiB
    expect_leaves(&list, 0, 2);
}

TEST("plan: no leaf spans two mappings where nothing is known of types, or without rules") {
    struct mtrr_map mtrrs = {0};
    struct plan_list list = list_all(&mtrrs);
    assert_null(list.mtrrs);
    expect_leaves(&list, 512, 2);
    mtrrs = (struct mtrr_map){.count = 1, .runs = {{0, GIB(64), 6}}};
    list = plan_list_of(&(struct space_rules){0}, mappings, 4, &mtrrs);
    assert_null(list.mtrrs);
    expect_leaves(&list, 512, 2);
}
