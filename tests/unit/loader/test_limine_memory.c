// The memory map as the Limine protocol tells it, by base revision, and what of it the direct map
// has.
#include "loader/protocol/limine_memory.h"

#include "common/base/arith.h"
#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum { REVISIONS = LIMINE_BASE_REVISION_MAX + 1 };

#define PAGE UINT64_C(4096)
#define HHDM SLIPWAY_HHDM_BASE

TEST("limine memory: kinds are the types that the protocol names, runtime services by revision") {
    const uint64_t types[SLIPWAY_MEM_KINDS + 2] = {
        [0] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_MEM_USABLE] = LIMINE_MEMORY_USABLE,
        [SLIPWAY_MEM_BOOT_SERVICES] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_MEM_LOADER] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_MEM_ACPI_RECLAIM] = LIMINE_MEMORY_ACPI_RECLAIMABLE,
        [SLIPWAY_MEM_MODULE] = LIMINE_MEMORY_EXECUTABLE_AND_MODULES,
        [SLIPWAY_MEM_KERNEL] = LIMINE_MEMORY_EXECUTABLE_AND_MODULES,
        [SLIPWAY_MEM_PAGE_TABLES] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_MEM_ACPI_NVS] = LIMINE_MEMORY_ACPI_NVS,
        [SLIPWAY_MEM_RUNTIME] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_MEM_SOFT_RESERVED] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_MEM_PERSISTENT] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_MEM_UNACCEPTED] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_MEM_RESERVED] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_MEM_UNUSABLE] = LIMINE_MEMORY_BAD,
        [SLIPWAY_MEM_MMIO] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_MEM_KINDS] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_MEM_KINDS + 1] = LIMINE_MEMORY_RESERVED,
    };
    for (uint32_t kind = 0; kind < ARRAY_LEN(types); kind++)
        for (uint64_t revision = 0; revision < REVISIONS; revision++)
            assert_int_equal(limine_type_of_kind(kind, revision),
                             kind == SLIPWAY_MEM_RUNTIME && revision >= 5
                                 ? LIMINE_MEMORY_RESERVED_MAPPED
                                 : types[kind]);
}

TEST("limine memory: what the loader allocated is reclaimable, but kernel, modules and guards") {
    const uint64_t types[] = {
        [0] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_RANGE_KERNEL] = LIMINE_MEMORY_EXECUTABLE_AND_MODULES,
        [SLIPWAY_RANGE_MODULE] = LIMINE_MEMORY_EXECUTABLE_AND_MODULES,
        [SLIPWAY_RANGE_PAGE_TABLES] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_RANGE_STACK] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_RANGE_BOOT_INFO] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_RANGE_LOADER] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_RANGE_DEMOTED] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_RANGE_CPUS] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_RANGE_GUARD] = LIMINE_MEMORY_RESERVED,
        [SLIPWAY_RANGE_SYMBOLS] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_RANGE_CRASH] = LIMINE_MEMORY_LOADER_RECLAIMABLE,
        [SLIPWAY_RANGE_CRASH + 1] = LIMINE_MEMORY_RESERVED,
    };
    for (uint32_t purpose = 0; purpose < ARRAY_LEN(types); purpose++)
        assert_int_equal(limine_type_of_purpose(purpose), types[purpose]);
}

TEST("limine memory: which types the direct map has, by base revision") {
    const char *const mapped[REVISIONS] = {
        // types 0 to 8, of which the last is one from base revision 4 on
        "yyyyyyyy.", "y.yy.yyy.", "y.yy.yyy.", "y....yyy.", "y.yy.yyyy", "y.yy.yyyy", "y.yy.yyyy",
    };
    for (uint64_t revision = 0; revision < REVISIONS; revision++)
        for (uint64_t type = 0; type <= LIMINE_MEMORY_RESERVED_MAPPED; type++)
            assert_int_equal(limine_type_is_mapped(type, revision), mapped[revision][type] == 'y');
    for (uint64_t revision = 0; revision < REVISIONS; revision++) {
        assert_int_equal(limine_maps_low(revision), revision <= 2);
        assert_int_equal(limine_maps_identity(revision), revision == 0);
    }
    assert_int_equal(LIMINE_LOW_END, UINT64_C(0x100000000));
}

// ---- Maps, in pages

enum { SOURCES_MAX = 24, PAGES = 96 };

struct world {
    struct slipway_memory regions[SOURCES_MAX];
    struct slipway_range ranges[SOURCES_MAX];
    struct slipway_mapping mappings[SOURCES_MAX];
    struct slipway_framebuffer framebuffers[4];
    struct limine_memory_input input;
};

static void begin(struct world *world, uint64_t base_revision) {
    memset(world, 0, sizeof(*world));
    world->input = (struct limine_memory_input){
        .regions = world->regions,
        .ranges = world->ranges,
        .mappings = world->mappings,
        .framebuffers = world->framebuffers,
        .hhdm_base = HHDM,
        .base_revision = base_revision,
    };
}

static void add_region(struct world *world, uint64_t start, uint64_t end, uint32_t kind) {
    world->regions[world->input.region_count++] =
        (struct slipway_memory){start * PAGE, (end - start) * PAGE, kind, 0};
}

static void add_range(struct world *world, uint64_t start, uint64_t end, uint32_t purpose) {
    world->ranges[world->input.range_count++] =
        (struct slipway_range){start * PAGE, (end - start) * PAGE, purpose, 0};
}

static void add_mapping(struct world *world, uint64_t start, uint64_t end, uint16_t purpose,
                        uint64_t base) {
    world->mappings[world->input.mapping_count++] = (struct slipway_mapping){
        base + start * PAGE, start * PAGE, (end - start) * PAGE, 0, 0, purpose};
}

// In bytes.
static void add_framebuffer(struct world *world, uint64_t start, uint64_t bytes) {
    world->framebuffers[world->input.framebuffer_count++] =
        (struct slipway_framebuffer){.address_phys = start, .bytes = bytes};
}

static uint64_t bound_of(const struct world *world) {
    uint64_t firmware = 0;
    for (uint64_t i = 0; i < world->input.mapping_count; i++)
        firmware += world->mappings[i].purpose == SLIPWAY_MAP_FIRMWARE;
    return limine_memory_bound(world->input.region_count, world->input.range_count, firmware,
                               world->input.framebuffer_count);
}

// Entries in pages: start, end, type.
static void expect(const struct world *world, const uint64_t (*want)[3], uint64_t count) {
    struct limine_memory_entry entries[SOURCES_MAX * 8];
    assert_int_equal(limine_make_memory(&world->input, entries, ARRAY_LEN(entries)), count);
    assert_true(count <= bound_of(world));
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].base, want[i][0] * PAGE);
        assert_int_equal(entries[i].bytes, (want[i][1] - want[i][0]) * PAGE);
        assert_int_equal(entries[i].type, want[i][2]);
    }
}

#define EXPECT(world, ...)                                                                         \
    do {                                                                                           \
        const uint64_t want[][3] = {__VA_ARGS__};                                                  \
        expect(world, want, ARRAY_LEN(want));                                                      \
    } while (0)

TEST("limine memory: regions are entries, neighbours of one type one, and holes none") {
    struct world world;
    begin(&world, 6);
    expect(&world, NULL, 0);
    assert_int_equal(limine_memory_bound(1, 20, 300, 4000), 8642);
    add_region(&world, 0, 1, SLIPWAY_MEM_RESERVED);
    add_region(&world, 1, 8, SLIPWAY_MEM_USABLE);
    add_region(&world, 10, 12, SLIPWAY_MEM_USABLE); // a hole before it
    add_region(&world, 12, 13, SLIPWAY_MEM_BOOT_SERVICES);
    add_region(&world, 13, 14, SLIPWAY_MEM_LOADER);
    add_region(&world, 14, 15, SLIPWAY_MEM_PAGE_TABLES);
    add_region(&world, 15, 16, SLIPWAY_MEM_MODULE);
    add_region(&world, 16, 17, SLIPWAY_MEM_KERNEL);
    add_region(&world, 17, 18, SLIPWAY_MEM_ACPI_NVS);
    add_region(&world, 18, 19, SLIPWAY_MEM_MMIO);
    EXPECT(&world, {0, 1, 1}, {1, 8, 0}, {10, 12, 0}, {12, 15, 5}, {15, 17, 6}, {17, 18, 3},
           {18, 19, 1});
}

TEST("limine memory: what the loader lists decides where it lies") {
    struct world world;
    begin(&world, 3);
    add_region(&world, 1, 9, SLIPWAY_MEM_USABLE);
    add_region(&world, 9, 20, SLIPWAY_MEM_MODULE);
    add_region(&world, 20, 21, SLIPWAY_MEM_RESERVED);
    add_region(&world, 21, 23, SLIPWAY_MEM_LOADER);
    add_range(&world, 9, 11, SLIPWAY_RANGE_MODULE);
    add_range(&world, 11, 14, SLIPWAY_RANGE_CPUS);
    add_range(&world, 14, 15, SLIPWAY_RANGE_SYMBOLS);
    add_range(&world, 20, 21, SLIPWAY_RANGE_GUARD);
    add_range(&world, 21, 22, SLIPWAY_RANGE_STACK);
    EXPECT(&world, {1, 9, 0}, {9, 11, 6}, {11, 15, 5}, {15, 20, 6}, {20, 21, 1}, {21, 23, 5});
}

TEST("limine memory: a framebuffer has whole frames, of which others are trimmed") {
    struct world world;
    begin(&world, 6);
    add_region(&world, 0, 10, SLIPWAY_MEM_USABLE);
    add_region(&world, 10, 12, SLIPWAY_MEM_RESERVED);
    add_framebuffer(&world, 4 * PAGE + 16, PAGE);      // two pages
    add_framebuffer(&world, 12 * PAGE - 1, 2);         // into a hole
    add_framebuffer(&world, 40 * PAGE, PAGE);          // in a hole
    add_framebuffer(&world, 5 * PAGE, 2 * PAGE - 100); // shares a page with the first
    EXPECT(&world, {0, 4, 0}, {4, 7, 7}, {7, 10, 0}, {10, 11, 1}, {11, 13, 7}, {40, 41, 7});
    world.framebuffers[2].bytes = 0;
    EXPECT(&world, {0, 4, 0}, {4, 7, 7}, {7, 10, 0}, {10, 11, 1}, {11, 13, 7});
}

TEST("limine memory: mapped tables of the firmware are an entry where no other is mapped") {
    struct world world;
    for (uint64_t revision = 0; revision < REVISIONS; revision++) {
        begin(&world, revision);
        add_region(&world, 0, 10, SLIPWAY_MEM_USABLE);
        add_region(&world, 10, 20, SLIPWAY_MEM_RESERVED);
        add_region(&world, 20, 30, SLIPWAY_MEM_ACPI_NVS);
        add_region(&world, 30, 40, SLIPWAY_MEM_RUNTIME);
        add_mapping(&world, 0, 64, SLIPWAY_MAP_DIRECT, HHDM); // those tell of no table
        add_mapping(&world, 9, 12, SLIPWAY_MAP_FIRMWARE, HHDM);
        add_mapping(&world, 19, 21, SLIPWAY_MAP_FIRMWARE, HHDM);
        add_mapping(&world, 31, 32, SLIPWAY_MAP_FIRMWARE, HHDM);
        add_mapping(&world, 50, 51, SLIPWAY_MAP_FIRMWARE, HHDM);
        add_mapping(&world, 15, 16, SLIPWAY_MAP_FIRMWARE, SLIPWAY_WINDOW_BASE); // not in it
        if (revision < 4)
            EXPECT(&world, {0, 10, 0}, {10, 20, 1}, {20, 30, 3}, {30, 40, 1});
        else if (revision == 4)
            EXPECT(&world, {0, 10, 0}, {10, 12, 8}, {12, 19, 1}, {19, 20, 8}, {20, 30, 3},
                   {30, 31, 1}, {31, 32, 8}, {32, 40, 1}, {50, 51, 8});
        else
            EXPECT(&world, {0, 10, 0}, {10, 12, 8}, {12, 19, 1}, {19, 20, 8}, {20, 30, 3},
                   {30, 40, 8}, {50, 51, 8});
    }
}

TEST("limine memory: with less room than there are entries the first ones are written") {
    struct world world;
    struct limine_memory_entry all[8], some[8];
    begin(&world, 6);
    for (uint64_t i = 0; i < 6; i++)
        add_region(&world, 3 * i, 3 * i + 2, SLIPWAY_MEM_USABLE);
    add_region(&world, 17, 18, SLIPWAY_MEM_USABLE); // grows the last one
    assert_int_equal(limine_make_memory(&world.input, NULL, 0), 6);
    assert_int_equal(limine_make_memory(&world.input, all, 6), 6);
    assert_int_equal(all[5].bytes, 3 * PAGE);
    for (uint64_t capacity = 0; capacity <= 7; capacity++) {
        memset(some, 0x5a, sizeof(some));
        assert_int_equal(limine_make_memory(&world.input, some, capacity), 6);
        for (uint64_t i = 0; i < 8; i++) {
            struct limine_memory_entry untouched;
            memset(&untouched, 0x5a, sizeof(untouched));
            assert_memory_equal(&some[i], i < min_u64(capacity, 6) ? &all[i] : &untouched,
                                sizeof(some[i]));
        }
    }
}

// ---- Against a model, which asks page by page

// Rising and disjoint parts of the pages, at random.
static uint64_t next_part(struct random *random, uint64_t at, uint64_t *ret_end) {
    uint64_t start = at + random_below(random, 3) * random_below(random, 6);
    *ret_end = start + 1 + random_below(random, 9);
    return start;
}

static void fill(struct world *world, struct random *random) {
    uint64_t end;
    for (uint64_t at = 0, i = random_below(random, SOURCES_MAX + 1); i > 0; i--, at = end) {
        uint64_t start = next_part(random, at, &end);
        if (end > PAGES)
            break;
        add_region(world, start, end, 1 + (uint32_t)random_below(random, SLIPWAY_MEM_KINDS - 1));
    }
    for (uint64_t at = 0, i = random_below(random, SOURCES_MAX + 1); i > 0; i--, at = end) {
        uint64_t start = next_part(random, at, &end);
        if (end > PAGES)
            break;
        add_range(world, start, end, 1 + (uint32_t)random_below(random, SLIPWAY_RANGE_CRASH));
    }
    for (uint64_t at = 0, i = random_below(random, SOURCES_MAX + 1); i > 0; i--, at = end) {
        uint64_t start = next_part(random, at, &end);
        if (end > PAGES)
            break;
        bool is_firmware = random_below(random, 2) == 0;
        add_mapping(world, start, end, is_firmware ? SLIPWAY_MAP_FIRMWARE : SLIPWAY_MAP_DIRECT,
                    HHDM);
    }
    for (uint64_t i = random_below(random, 5); i > 0; i--) {
        uint64_t start = random_below(random, (PAGES - 8) * PAGE);
        add_framebuffer(world, start, random_below(random, 8 * PAGE));
    }
}

#define NOTHING UINT64_MAX

static uint64_t model_type(const struct world *world, uint64_t page) {
    const uint64_t phys = page * PAGE;
    const uint64_t revision = world->input.base_revision;
    uint64_t type = NOTHING;
    for (uint64_t i = 0; i < world->input.region_count; i++)
        if (phys - world->regions[i].start_phys < world->regions[i].bytes)
            type = limine_type_of_kind(world->regions[i].kind, revision);
    for (uint64_t i = 0; i < world->input.mapping_count; i++)
        if (phys - world->mappings[i].phys < world->mappings[i].bytes && revision >= 4 &&
            world->mappings[i].purpose == SLIPWAY_MAP_FIRMWARE &&
            (type == NOTHING || !limine_type_is_mapped(type, revision)))
            type = LIMINE_MEMORY_RESERVED_MAPPED;
    for (uint64_t i = 0; i < world->input.range_count; i++)
        if (phys - world->ranges[i].start_phys < world->ranges[i].bytes)
            type = limine_type_of_purpose(world->ranges[i].purpose);
    for (uint64_t i = 0; i < world->input.framebuffer_count; i++) {
        const struct slipway_framebuffer *framebuffer = &world->framebuffers[i];
        if (framebuffer->bytes != 0 && framebuffer->address_phys < phys + PAGE &&
            phys < framebuffer->address_phys + framebuffer->bytes)
            type = LIMINE_MEMORY_FRAMEBUFFER;
    }
    return type;
}

static void compare(const struct world *world) {
    struct limine_memory_entry entries[SOURCES_MAX * 8];
    uint64_t count = limine_make_memory(&world->input, entries, ARRAY_LEN(entries));
    uint64_t page = 0;
    assert_true(count <= bound_of(world));
    for (uint64_t i = 0; i < count; i++) {
        uint64_t start = entries[i].base / PAGE, end = start + entries[i].bytes / PAGE;
        assert_true(entries[i].base % PAGE == 0 && entries[i].bytes % PAGE == 0 && start < end);
        for (; page < start; page++)
            assert_true(model_type(world, page) == NOTHING);
        assert_true(start == page);
        for (; page < end; page++)
            assert_int_equal(model_type(world, page), entries[i].type);
        if (i > 0 && entries[i - 1].base + entries[i - 1].bytes == entries[i].base)
            assert_int_not_equal(entries[i - 1].type, entries[i].type);
    }
    for (; page < PAGES; page++)
        assert_true(model_type(world, page) == NOTHING);
}

TEST("limine memory: maps of anything are what a look at every page says") {
    struct random random = random_start("limine_memory");
    for (int round = 0; round < 20000; round++) {
        struct world world;
        begin(&world, random_below(&random, REVISIONS));
        fill(&world, &random);
        compare(&world);
    }
}
