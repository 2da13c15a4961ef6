#include "common/audit/audit.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"

#include "tests/unit/support/memmap_model.h"
#include "tests/unit/support/vmem_rig.h"

#include <stdio.h>

// A small machine: 32 MiB of RAM with a hole, a kernel of text, read-only data and data, a stack, a
// framebuffer outside RAM. Everything is placed so that no two of them touch.
#define RAM_END     MIB(32)
#define TEXT        UINT64_C(0x400000)
#define RODATA      UINT64_C(0x404000)
#define DATA        UINT64_C(0x406000)
#define KERNEL_END  UINT64_C(0x40a000)
#define STACK       UINT64_C(0x500000)
#define BOOT_INFO   UINT64_C(0x510000)
#define RESERVED    UINT64_C(0x800000) // 16 frames in the middle of RAM
#define LAST        (RAM_END + MIB(1)) // 4 frames, the highest RAM
#define SCREEN      UINT64_C(0x80000000)
#define STACK_VIRT  (SLIPWAY_WINDOW_BASE + 0x1000)
#define SCREEN_VIRT (SLIPWAY_WINDOW_BASE + GIB(64))
#define SPARE_VIRT  (SLIPWAY_WINDOW_BASE + GIB(128)) // nothing is mapped from here on
#define HHDM        SLIPWAY_HHDM_BASE
#define PAGES(n)    ((n)*FRAME_BYTES)

enum { MAPPINGS_MAX = 24, REGIONS_MAX = 64, RANGES_MAX = 4, TEXT_MAX = 8192 };

struct hand_over {
    struct rig rig;
    struct memmap_region regions[REGIONS_MAX];
    struct memmap_report report;
    struct slipway_mapping mappings[MAPPINGS_MAX];
    struct slipway_range ranges[RANGES_MAX];
    struct audit_input input;
    char text[TEXT_MAX]; // what the last audit printed
};

static void make_regions(struct hand_over *hand_over) {
    static const struct model_descriptor descriptors[] = {
        {7, 0, 0xa0, 0xf},
        {7, 0x100000, (RESERVED - 0x100000) / FRAME_BYTES, 0xf},
        {0, RESERVED, 16, 0xf},
        {7, RESERVED + PAGES(16), (RAM_END - RESERVED) / FRAME_BYTES - 16 - 256, 0xf},
        {4, RAM_END - MIB(1), 128, 0xf}, // 512 KiB of hole behind it
        {5, RAM_END, 16, MODEL_RUNTIME | 0xf},
        {7, LAST, 4, 0xf},
    };
    static const struct memmap_claim claims[] = {
        {TEXT, KERNEL_END - TEXT, SLIPWAY_MEM_KERNEL},
        {STACK, PAGES(4), SLIPWAY_MEM_LOADER},
        {BOOT_INFO, PAGES(2), SLIPWAY_MEM_LOADER},
        {MIB(16), PAGES(4), SLIPWAY_MEM_PAGE_TABLES},
    };
    unsigned char raw[ARRAY_LEN(descriptors) * 48];
    for (uint64_t i = 0; i < ARRAY_LEN(descriptors); i++)
        model_store(raw, i, 48, &descriptors[i]);
    struct memmap_input input = {
        {raw, sizeof(raw), 48}, claims, ARRAY_LEN(claims), SLIPWAY_HHDM_MAX_BYTES};
    uint64_t scratch[256];
    assert_int_equal(memmap_normalise(&input, scratch, sizeof(scratch), hand_over->regions,
                                      REGIONS_MAX, &hand_over->input.region_count,
                                      &hand_over->report),
                     MEMMAP_OK);
}

// Lists a mapping and maps it, in rising order; for plants too.
static void add_mapping(struct hand_over *hand_over, struct slipway_mapping mapping) {
    assert_true(hand_over->input.mapping_count < MAPPINGS_MAX);
    uint64_t place = hand_over->input.mapping_count++;
    for (; place > 0 && hand_over->mappings[place - 1].virt > mapping.virt; place--)
        hand_over->mappings[place] = hand_over->mappings[place - 1];
    hand_over->mappings[place] = mapping;
    struct vmem_mapping real = {
        .virt = vaddr(mapping.virt),
        .phys = paddr(mapping.phys),
        .bytes = mapping.bytes,
        .rights = VMEM_READ | ((mapping.rights & SLIPWAY_RIGHT_WRITE) != 0 ? VMEM_WRITE : 0u) |
                  ((mapping.rights & SLIPWAY_RIGHT_EXECUTE) != 0 ? VMEM_EXECUTE : 0u),
        .cache = (enum vmem_cache)mapping.cache,
        .largest = VMEM_2M,
    };
    assert_int_equal(rig_map(&hand_over->rig, &real), VMEM_OK);
}

static void add(struct hand_over *hand_over, uint64_t virt, uint64_t phys, uint64_t bytes,
                uint32_t rights, uint16_t purpose) {
    bool is_screen = purpose == SLIPWAY_MAP_FRAMEBUFFER;
    uint16_t cache = is_screen ? SLIPWAY_CACHE_WC : SLIPWAY_CACHE_WB;
    add_mapping(hand_over, (struct slipway_mapping){virt, phys, bytes, rights, cache, purpose});
}

static void add_direct(struct hand_over *hand_over, uint64_t start, uint64_t end, uint32_t rights) {
    add(hand_over, HHDM + start, start, end - start, rights, SLIPWAY_MAP_DIRECT);
}

// The tables are the rig's frames: those in use now are listed, and planned.
static void list_tables(struct hand_over *hand_over) {
    uint64_t tables = hand_over->rig.memory.used_count;
    hand_over->ranges[2].bytes = PAGES(tables);
    hand_over->input.tables_planned = tables;
}

static struct hand_over *make(void) {
    struct hand_over *hand_over = calloc(1, sizeof(*hand_over));
    assert_non_null(hand_over);
    rig_make(&hand_over->rig, RIG_CPU, 4);
    make_regions(hand_over);
    const uint32_t write = SLIPWAY_RIGHT_WRITE;
    add_direct(hand_over, 0, 0xa0000, write);
    add_direct(hand_over, 0x100000, TEXT, write);
    add_direct(hand_over, TEXT, DATA, 0);
    add_direct(hand_over, DATA, RESERVED, write);
    add_direct(hand_over, RESERVED + PAGES(16), RAM_END - KIB(512), write);
    add_direct(hand_over, RAM_END, RAM_END + PAGES(16), write);
    add_direct(hand_over, LAST, LAST + PAGES(4), write);
    add(hand_over, STACK_VIRT, STACK, PAGES(4), write, SLIPWAY_MAP_STACK);
    add(hand_over, SCREEN_VIRT, SCREEN, MIB(4), write, SLIPWAY_MAP_FRAMEBUFFER);
    const uint64_t kernel = SLIPWAY_KERNEL_DEFAULT;
    add(hand_over, kernel, TEXT, RODATA - TEXT, SLIPWAY_RIGHT_EXECUTE, SLIPWAY_MAP_KERNEL);
    add(hand_over, kernel + RODATA - TEXT, RODATA, DATA - RODATA, 0, SLIPWAY_MAP_KERNEL);
    add(hand_over, kernel + DATA - TEXT, DATA, KERNEL_END - DATA, write, SLIPWAY_MAP_KERNEL);

    hand_over->ranges[0] = (struct slipway_range){TEXT, KERNEL_END - TEXT, SLIPWAY_RANGE_KERNEL, 0};
    hand_over->ranges[1] = (struct slipway_range){STACK, PAGES(4), SLIPWAY_RANGE_STACK, 1};
    hand_over->ranges[2] =
        (struct slipway_range){VMEM_MEMORY_BASE, 0, SLIPWAY_RANGE_PAGE_TABLES, 0};
    struct audit_input *input = &hand_over->input;
    input->space = &hand_over->rig.space;
    input->hhdm_base = HHDM;
    input->hhdm_room = SLIPWAY_HHDM_MAX_BYTES;
    input->mappings = hand_over->mappings;
    input->ranges = hand_over->ranges;
    input->range_count = 3;
    input->regions = hand_over->regions;
    input->report = &hand_over->report;
    input->stack_bottom = STACK_VIRT;
    input->stack_top = STACK_VIRT + PAGES(4);
    input->boot_info = HHDM + BOOT_INFO;
    input->boot_info_bytes = PAGES(1) + 17;
    input->kernel_entry = kernel + 0x123;
    input->scratch_bytes = RIG_FRAMES / 8;
    list_tables(hand_over);
    return hand_over;
}

static void destroy(struct hand_over *hand_over) {
    vmem_memory_destroy(&hand_over->rig.memory);
    free(hand_over);
}

static void *copy_exactly(const void *list, uint64_t bytes) {
    void *copy = malloc(bytes);
    assert_non_null(copy);
    return memcpy(copy, list, bytes);
}

// Audits lists in heap blocks of exactly their size, so that ASan sees a read beyond them.
static uint64_t run_audit(const struct hand_over *hand_over, const struct sink *sink) {
    struct audit_input input = hand_over->input;
    struct slipway_mapping *mappings =
        copy_exactly(input.mappings, input.mapping_count * sizeof(*mappings));
    struct slipway_range *ranges = copy_exactly(input.ranges, input.range_count * sizeof(*ranges));
    struct memmap_region *regions =
        copy_exactly(input.regions, input.region_count * sizeof(*regions));
    uint8_t *scratch = malloc(input.scratch_bytes);
    assert_non_null(scratch);
    memset(scratch, 0xff, input.scratch_bytes);
    input.mappings = mappings;
    input.ranges = ranges;
    input.regions = regions;
    input.scratch = scratch;
    uint64_t violations = audit_run(&input, sink);
    free(mappings);
    free(ranges);
    free(regions);
    free(scratch);
    return violations;
}

static uint64_t audit(struct hand_over *hand_over) {
    struct fmt_buffer buffer = fmt_buffer_make(hand_over->text, sizeof(hand_over->text));
    struct sink sink = fmt_buffer_sink(&buffer);
    uint64_t violations = run_audit(hand_over, &sink);
    uint64_t lines = 0;
    for (const char *at = hand_over->text; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, violations);
    assert_int_equal(buffer.dropped, 0);
    assert_int_equal(run_audit(hand_over, NULL), violations);
    return violations;
}

// Audits, and asserts that there are `lines` violations which are, in this order, those that the
// texts say, as far as they say it.
static void expect_lines(struct hand_over *hand_over, const char *const *want, uint64_t lines) {
    uint64_t violations = audit(hand_over);
    const char *at = hand_over->text;
    for (uint64_t i = 0; i < lines; i++) {
        const char *end = strchr(at, '\n');
        const char *found = strstr(at, want[i]);
        if (end == NULL || found == NULL || found > end)
            fail_msg("line %lu should say '%s' in:\n%s", i, want[i], hand_over->text);
        at = end + 1;
    }
    if (violations != lines)
        fail_msg("%lu violations, not %lu:\n%s", violations, lines, hand_over->text);
}

#define EXPECT(hand_over, ...)                                                                     \
    do {                                                                                           \
        const char *const wanted_lines[] = {__VA_ARGS__};                                          \
        expect_lines((hand_over), wanted_lines, ARRAY_LEN(wanted_lines));                          \
        destroy(hand_over);                                                                        \
    } while (0)

// Entry bits, from the manual (SDM 3A, 4.5).
#define BIT_P       (UINT64_C(1) << 0)
#define BIT_RW      (UINT64_C(1) << 1)
#define BIT_NX      (UINT64_C(1) << 63)
#define BIT_PCD_PWT (UINT64_C(3) << 3) // PAT entry 3: UC

// The 4 KiB leaf of an address.
static uint64_t *leaf(struct hand_over *hand_over, uint64_t virt) {
    return rig_slot(&hand_over->rig, virt, 1);
}

static void unmap(struct hand_over *hand_over, uint64_t virt, uint64_t bytes) {
    assert_int_equal(rig_unmap(&hand_over->rig, vaddr(virt), bytes), VMEM_OK);
}

TEST("audit: a clean hand-over has no violation") {
    struct hand_over *hand_over = make();
    uint64_t violations = audit(hand_over);
    if (violations != 0)
        fail_msg("%lu violations:\n%s", violations, hand_over->text);
    destroy(hand_over);
}

// --- 1 ---

TEST("audit 1: a page that is writable and executable is found") {
    struct hand_over *hand_over = make();
    *leaf(hand_over, STACK_VIRT) &= ~BIT_NX;
    EXPECT(hand_over, "audit 1: level 1, ffffc00000001000", "audit 3: ffffc00000001000",
           "audit 6: stack");
}

TEST("audit 1: an executable page of the direct map is found though it is read-only") {
    struct hand_over *hand_over = make();
    *leaf(hand_over, HHDM + TEXT) &= ~BIT_NX;
    EXPECT(hand_over, "audit 3: ffff800000400000", "audit 1: [400000, 401000): executable");
}

// --- 2 ---

TEST("audit 2: usable memory that the direct map leaves out is found") {
    struct hand_over *hand_over = make();
    *leaf(hand_over, HHDM + 0x5000) = 0;
    EXPECT(hand_over, "audit 3: ffff800000005000, 4096 bytes: listed and not mapped",
           "audit 2: [5000, 6000), usable: not in the direct map");
}

TEST("audit 2: memory between two mappings, and behind the last one, is missed too") {
    struct hand_over *hand_over = make();
    unmap(hand_over, HHDM + RAM_END - KIB(512) - PAGES(1), PAGES(1));
    EXPECT(hand_over, "audit 3: ", "audit 2: [1f7f000, 1f80000), boot services");
    hand_over = make();
    unmap(hand_over, HHDM + LAST, PAGES(4));
    EXPECT(hand_over, "audit 3: ", "audit 2: [2100000, 2104000), usable");
}

TEST("audit 2: page tables must be in the direct map, though nobody hands them out") {
    struct hand_over *hand_over = make();
    unmap(hand_over, HHDM + MIB(16), PAGES(4));
    list_tables(hand_over);
    EXPECT(hand_over, "audit 3: ffff800001000000, 16384 bytes: listed and not mapped",
           "audit 2: [1000000, 1004000), page tables: not in the direct map");
}

TEST("audit 2: a page of the direct map that translates elsewhere is found") {
    struct hand_over *hand_over = make();
    *leaf(hand_over, HHDM + 0x5000) ^= 0x2000;
    EXPECT(hand_over, "audit 3: ffff800000005000: mapped to 7000",
           "audit 2: direct map at 5000: translates to 7000",
           "audit 2: [5000, 6000), usable: not in the direct map");
}

TEST("audit 2: a mapping that begins below the direct map is looked at from there on") {
    struct hand_over *hand_over = make();
    hand_over->input.hhdm_base += PAGES(1);
    audit(hand_over);
    assert_non_null(strstr(hand_over->text, "audit 2: direct map at 0: translates to 1000\n"));
    hand_over->input.hhdm_base = HHDM + 0xa0000; // where the first mapping ends
    audit(hand_over);
    assert_null(strstr(hand_over->text, "audit 2: direct map at 0:"));
    assert_non_null(
        strstr(hand_over->text, "audit 2: direct map at 60000: translates to 100000\n"));
    destroy(hand_over);
}

TEST("audit 2: a mapping that goes on behind the direct map's window is looked at up to there") {
    struct hand_over *hand_over = make();
    hand_over->input.hhdm_base = SLIPWAY_WINDOW_BASE - PAGES(2);
    hand_over->input.hhdm_room = PAGES(2);
    add(hand_over, SLIPWAY_WINDOW_BASE - PAGES(1), PAGES(1), PAGES(2), SLIPWAY_RIGHT_WRITE,
        SLIPWAY_MAP_DIRECT);
    list_tables(hand_over);
    audit(hand_over);
    assert_non_null(
        strstr(hand_over->text, "audit 2: [2000, a0000), usable: not in the direct map"));
    destroy(hand_over);
}

TEST("audit 2: a page of the direct map with another cache type is found") {
    struct hand_over *hand_over = make();
    *leaf(hand_over, HHDM + 0x5000) |= BIT_PCD_PWT;
    EXPECT(hand_over, "audit 3: ffff800000005000", "audit 2: [5000, 6000): cache type 3");
}

TEST("audit 2: a read-only page of the direct map that is not the kernel's is found") {
    struct hand_over *hand_over = make();
    *leaf(hand_over, HHDM + 0x5000) &= ~BIT_RW;
    EXPECT(hand_over, "audit 3: ffff800000005000",
           "audit 2: [5000, 6000): read-only in the direct map");
    hand_over = make();
    *leaf(hand_over, HHDM + 0x407000) &= ~BIT_RW; // of the kernel, but not read-only there
    EXPECT(hand_over, "audit 3: ffff800000407000",
           "audit 2: [407000, 408000): read-only in the direct map");
    hand_over = make();
    hand_over->mappings[hand_over->input.mapping_count - 2].bytes -= 1;
    EXPECT(hand_over, "audit 2: [405fff, 406000): read-only in the direct map",
           "audit 3: ffffffff80005fff, 1 bytes: mapped and not listed");
}

TEST("audit 2: read-only pages that begin within the kernel's and go on behind them are found") {
    struct hand_over *hand_over = make();
    for (uint64_t page = TEXT; page < DATA - PAGES(1); page += PAGES(1))
        *leaf(hand_over, HHDM + page) |= BIT_RW;
    *leaf(hand_over, HHDM + DATA) &= ~BIT_RW;
    EXPECT(hand_over, "audit 3: ffff800000400000", "audit 5: frame 400000", "audit 5: frame 404000",
           "audit 3: ffff800000406000: mapped to 406000, rights 1, cache type 0; listed as 406000, "
           "3, 0",
           "audit 2: [406000, 407000): read-only in the direct map");
}

TEST("audit 2: a kernel without data, whose last mapping is read-only, is looked at as any") {
    struct hand_over *hand_over = make();
    unmap(hand_over, hand_over->mappings[--hand_over->input.mapping_count].virt, KERNEL_END - DATA);
    assert_int_equal(audit(hand_over), 0);
    *leaf(hand_over, HHDM + 0x5000) &= ~BIT_RW;
    EXPECT(hand_over, "audit 3: ffff800000005000",
           "audit 2: [5000, 6000): read-only in the direct map");
}

// --- 3 ---

TEST("audit 3: a mapping that is not listed is found") {
    struct hand_over *hand_over = make();
    uint64_t listed = hand_over->input.mapping_count;
    add(hand_over, SPARE_VIRT, SCREEN, PAGES(2), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_FRAMEBUFFER);
    struct slipway_mapping *spare = hand_over->mappings + 9;
    assert_int_equal(spare->virt, SPARE_VIRT);
    memmove(spare, spare + 1, (listed - 9) * sizeof(*spare));
    hand_over->input.mapping_count = listed;
    list_tables(hand_over);
    EXPECT(hand_over, "audit 3: ffffc02000000000, 8192 bytes: mapped and not listed");
}

TEST("audit 3: what is listed and not mapped is found, at the end of the manifest too") {
    struct hand_over *hand_over = make();
    hand_over->mappings[hand_over->input.mapping_count++] = (struct slipway_mapping){
        0xffffffffa0000000, SCREEN + MIB(8), PAGES(3), 1, SLIPWAY_CACHE_WB, SLIPWAY_MAP_LOADER};
    EXPECT(hand_over, "audit 3: ffffffffa0000000, 12288 bytes: listed and not mapped");
}

TEST("audit 3: a mapping that goes on behind its end in the manifest is found") {
    struct hand_over *hand_over = make();
    hand_over->mappings[hand_over->input.mapping_count - 1].bytes -= PAGES(1);
    EXPECT(hand_over, "audit 3: ffffffff80009000, 4096 bytes: mapped and not listed");
    hand_over = make();
    hand_over->mappings[hand_over->input.mapping_count - 1].bytes -= 1;
    EXPECT(hand_over, "audit 3: ffffffff80009fff, 1 bytes: mapped and not listed");
    hand_over = make();
    hand_over->mappings[hand_over->input.mapping_count - 1].bytes -= PAGES(1);
    *leaf(hand_over, SLIPWAY_KERNEL_DEFAULT + DATA + PAGES(1) - TEXT) &= ~BIT_RW; // in 3 runs
    EXPECT(hand_over,
           "audit 3: ffffffff80007000: mapped to 407000, rights 1, cache type 0; listed "
           "as 407000, 3, 0",
           "audit 3: ffffffff80009000, 4096 bytes: mapped and not listed");
}

TEST("audit 3: a mapping that begins before its start in the manifest is found") {
    struct hand_over *hand_over = make();
    struct slipway_mapping *last = &hand_over->mappings[hand_over->input.mapping_count - 1];
    last->virt += PAGES(1);
    last->phys += PAGES(1);
    last->bytes -= PAGES(1);
    EXPECT(hand_over, "audit 3: ffffffff80006000, 4096 bytes: mapped and not listed");
    hand_over = make();
    hand_over->mappings[hand_over->input.mapping_count - 1].virt += 1;
    EXPECT(hand_over, "audit 3: ffffffff80006000, 1 bytes: mapped and not listed",
           "audit 3: ffffffff80006001: mapped to 406001, rights 3, cache type 0; listed as 406000, "
           "3, 0",
           "audit 3: ffffffff8000a000, 1 bytes: listed and not mapped");
}

TEST("audit 3: rights other than listed are found") {
    struct hand_over *hand_over = make();
    hand_over->mappings[hand_over->input.mapping_count - 1].rights = 0; // now it counts as sealed
    EXPECT(hand_over, "audit 5: ", "audit 3: ffffffff80006000: mapped to 406000, rights 3",
           "audit 5: ");
}

// A page of a table of the firmware's, which is reserved.
static struct hand_over *make_with_firmware(uint64_t phys, uint32_t rights, uint16_t cache) {
    struct hand_over *hand_over = make();
    add_mapping(hand_over, (struct slipway_mapping){SPARE_VIRT, phys, PAGES(1), rights, cache,
                                                    SLIPWAY_MAP_FIRMWARE});
    list_tables(hand_over);
    return hand_over;
}

TEST("audit 3: a table of the firmware's may be mapped outside the direct map, read-only alone") {
    static const uint16_t caches[] = {SLIPWAY_CACHE_WB, SLIPWAY_CACHE_UC};
    for (unsigned i = 0; i < ARRAY_LEN(caches); i++) {
        struct hand_over *hand_over = make_with_firmware(RESERVED, 0, caches[i]);
        assert_int_equal(audit(hand_over), 0);
        destroy(hand_over);
    }
    struct hand_over *hand_over = make_with_firmware(RESERVED, SLIPWAY_RIGHT_WRITE, 0);
    EXPECT(hand_over, "audit 3: ffffc02000000000: a table of the firmware's, rights 3");
    hand_over = make_with_firmware(RESERVED, SLIPWAY_RIGHT_EXECUTE, 0);
    EXPECT(hand_over, "audit 3: ffffc02000000000: a table of the firmware's, rights 9");
}

TEST("audit 3: a reserved range, listed or not, may not be in the direct map") {
    struct hand_over *hand_over = make();
    add_direct(hand_over, RESERVED + PAGES(1), RESERVED + PAGES(3), SLIPWAY_RIGHT_WRITE);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 3: [801000, 803000), reserved: in the direct map");
}

TEST("audit 3: an absent range, listed or not, may not be in the direct map") {
    struct hand_over *hand_over = make();
    add_direct(hand_over, RAM_END - PAGES(2), RAM_END, SLIPWAY_RIGHT_WRITE);
    add_direct(hand_over, GIB(4), GIB(4) + PAGES(1), SLIPWAY_RIGHT_WRITE);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 3: [1ffe000, 2000000), absent: in the direct map",
           "audit 3: [100000000, 100001000), absent: in the direct map");
}

TEST("audit 3: anything in the lower half is found, though it be listed") {
    struct hand_over *hand_over = make();
    add(hand_over, 0x400000, SCREEN, PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_FRAMEBUFFER);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 3: 400000, 4096 bytes: mapped in the lower half");
}

TEST("audit 3: framebuffers may lie in the direct map's window, at their physical addresses") {
    struct hand_over *hand_over = make();
    const uint32_t write = SLIPWAY_RIGHT_WRITE;
    // Between RAM; two that are one run; behind all RAM.
    add(hand_over, HHDM + RAM_END - PAGES(8), RAM_END - PAGES(8), PAGES(2), write,
        SLIPWAY_MAP_FRAMEBUFFER);
    add(hand_over, HHDM + GIB(4), GIB(4), PAGES(3), write, SLIPWAY_MAP_FRAMEBUFFER);
    add(hand_over, HHDM + GIB(4) + PAGES(3), GIB(4) + PAGES(3), PAGES(2), write,
        SLIPWAY_MAP_FRAMEBUFFER);
    list_tables(hand_over);
    uint64_t violations = audit(hand_over);
    if (violations != 0)
        fail_msg("%lu violations:\n%s", violations, hand_over->text);
    destroy(hand_over);
}

TEST("audit 3: what is write-combining in the direct map's window and no framebuffer is found") {
    struct hand_over *hand_over = make();
    add_mapping(hand_over,
                (struct slipway_mapping){HHDM + GIB(4), GIB(4), PAGES(2), SLIPWAY_RIGHT_WRITE,
                                         SLIPWAY_CACHE_WC, SLIPWAY_MAP_DIRECT});
    list_tables(hand_over);
    EXPECT(hand_over, "audit 2: [100000000, 100002000): cache type 5 in the direct map",
           "audit 3: [100000000, 100002000), absent: in the direct map");
    // A framebuffer ends where it begins, and one begins where it ends.
    hand_over = make();
    add(hand_over, HHDM + GIB(4), GIB(4), PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_FRAMEBUFFER);
    add_mapping(hand_over, (struct slipway_mapping){HHDM + GIB(4) + PAGES(2), GIB(4) + PAGES(2),
                                                    PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_CACHE_WC,
                                                    SLIPWAY_MAP_DIRECT});
    add(hand_over, HHDM + GIB(4) + PAGES(4), GIB(4) + PAGES(4), PAGES(1), SLIPWAY_RIGHT_WRITE,
        SLIPWAY_MAP_FRAMEBUFFER);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 2: [100002000, 100003000): cache type 5 in the direct map",
           "audit 3: [100002000, 100003000), absent: in the direct map");
    // Write-back, and listed as a framebuffer.
    hand_over = make();
    add_mapping(hand_over,
                (struct slipway_mapping){HHDM + GIB(4), GIB(4), PAGES(1), SLIPWAY_RIGHT_WRITE,
                                         SLIPWAY_CACHE_WB, SLIPWAY_MAP_FRAMEBUFFER});
    list_tables(hand_over);
    EXPECT(hand_over, "audit 3: [100000000, 100001000), absent: in the direct map");
}

TEST("audit 2: a framebuffer in the direct map's window is where it is, and not in RAM") {
    struct hand_over *hand_over = make();
    add(hand_over, HHDM + GIB(4), SCREEN, PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_FRAMEBUFFER);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 2: direct map at 100000000: translates to 80000000");
    hand_over = make();
    struct slipway_mapping *last = &hand_over->mappings[6];
    assert_int_equal(last->phys, LAST);
    unmap(hand_over, last->virt, last->bytes);
    const struct slipway_mapping screen = {
        last->virt, LAST, last->bytes, last->rights, SLIPWAY_CACHE_WC, SLIPWAY_MAP_FRAMEBUFFER};
    memmove(last, last + 1, (--hand_over->input.mapping_count - 6) * sizeof(*last));
    add_mapping(hand_over, screen);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 2: [2100000, 2104000), usable: not in the direct map");
}

// --- 4 and 5 ---

TEST("audit 4: RAM that is mapped write-combining elsewhere is found once") {
    struct hand_over *hand_over = make();
    add(hand_over, SPARE_VIRT, 0x5000, PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_FRAMEBUFFER);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 4: frame 5000: mapped with cache type 5 by ffffc02000000000, 0 by "
                      "ffff800000005000");
}

TEST("audit 4: RAM that is mapped write-combining with what lies before it is found") {
    struct hand_over *hand_over = make();
    add(hand_over, SPARE_VIRT, LAST - PAGES(1), PAGES(2), SLIPWAY_RIGHT_WRITE,
        SLIPWAY_MAP_FRAMEBUFFER);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 4: frame 2100000: mapped with cache type 5 by ffffc02000001000, 0 by "
                      "ffff800002100000");
}

TEST("audit 4: a framebuffer with two cache types, neither WB, is found once") {
    struct hand_over *hand_over = make();
    add_mapping(hand_over, (struct slipway_mapping){SPARE_VIRT, SCREEN + PAGES(1), PAGES(1), 1,
                                                    VMEM_CACHE_UC, SLIPWAY_MAP_FRAMEBUFFER});
    list_tables(hand_over);
    EXPECT(hand_over, "audit 4: frame 80001000: mapped with cache type 3 by ffffc02000000000, 5 by "
                      "ffffc01000001000");
}

TEST(
    "audit 4: a table of the firmware's that is uncached, in RAM or in a framebuffer, is found once") {
    struct hand_over *hand_over = make_with_firmware(0x5000, 0, SLIPWAY_CACHE_UC);
    EXPECT(hand_over, "audit 4: frame 5000: mapped with cache type 3 by ffffc02000000000, 0 by "
                      "ffff800000005000");
    hand_over = make_with_firmware(SCREEN, 0, SLIPWAY_CACHE_UC);
    EXPECT(hand_over, "audit 4: frame 80000000: mapped with cache type 3 by ffffc02000000000, 5 by "
                      "ffffc01000000000");
}

TEST("audit 5: a writable alias of kernel text is found, though it be listed") {
    struct hand_over *hand_over = make();
    add(hand_over, SPARE_VIRT, TEXT + PAGES(1), PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_LOADER);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 5: frame 401000: read-only kernel page ffffffff80001000, writable by "
                      "ffffc02000000000");
}

TEST(
    "audit 5: an alias that begins before the kernel's text and ends behind its first page is found") {
    struct hand_over *hand_over = make();
    add(hand_over, SPARE_VIRT, TEXT - PAGES(1), PAGES(2), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_LOADER);
    list_tables(hand_over);
    EXPECT(hand_over, "audit 5: frame 400000: read-only kernel page ffffffff80000000, writable by "
                      "ffffc02000001000");
}

TEST(
    "audit 5: a writable mapping that is listed first, and as the kernel's read-only one, is found") {
    struct hand_over *hand_over = make();
    hand_over->mappings[0].rights = 0;
    hand_over->mappings[0].purpose = SLIPWAY_MAP_KERNEL;
    EXPECT(hand_over,
           "audit 3: ffff800000000000: mapped to 0, rights 3, cache type 0; listed as 0, "
           "1, 0",
           "audit 5: frame 0: read-only kernel page ffff800000000000, writable by "
           "ffff800000000000");
}

TEST("audit 5: read-only data that is writable in the direct map is found") {
    struct hand_over *hand_over = make();
    *leaf(hand_over, HHDM + RODATA) |= BIT_RW;
    EXPECT(hand_over, "audit 3: ffff800000404000", "audit 5: frame 404000");
}

// --- 6 ---

TEST("audit 6: guard pages that are present are found, below and above") {
    struct hand_over *hand_over = make();
    const uint64_t below = STACK_VIRT - PAGES(1), above = STACK_VIRT + PAGES(4);
    add(hand_over, below, 0x600000, PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_LOADER);
    add(hand_over, above, 0x602000, PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_LOADER);
    EXPECT(hand_over, "audit 6: guard page below the stack, ffffc00000000000: is present",
           "audit 6: guard page above the stack, ffffc00000005000: is present");
}

TEST("audit 6: guard pages of the other CPUs' stacks that are present are found, each by itself") {
    const uint64_t bottoms[] = {SPARE_VIRT + PAGES(1), SPARE_VIRT + PAGES(4)};
    for (unsigned plant = 0; plant < 4; plant++) {
        struct hand_over *hand_over = make();
        for (unsigned i = 0; i < ARRAY_LEN(bottoms); i++)
            add(hand_over, bottoms[i], 0x600000 + PAGES(2) * i, PAGES(2), SLIPWAY_RIGHT_WRITE,
                SLIPWAY_MAP_STACK);
        list_tables(hand_over);
        if (plant == 0) {
            uint64_t violations = audit(hand_over);
            if (violations != 0)
                fail_msg("%lu violations:\n%s", violations, hand_over->text);
            destroy(hand_over);
            continue;
        }
        const uint64_t guard = SPARE_VIRT + PAGES(3) * (plant - 1); // lowest, between, highest
        add(hand_over, guard, 0x610000, PAGES(1), SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_LOADER);
        if (plant == 1)
            EXPECT(hand_over, "audit 6: guard page below the stack, ffffc02000000000: is present");
        else if (plant == 2)
            EXPECT(hand_over, "audit 6: guard page above the stack, ffffc02000003000: is present",
                   "audit 6: guard page below the stack, ffffc02000003000: is present");
        else
            EXPECT(hand_over, "audit 6: guard page above the stack, ffffc02000006000: is present");
    }
}

TEST("audit 6: frames that are listed as guards are not present in the direct map") {
    struct hand_over *hand_over = make();
    hand_over->ranges[3] = (struct slipway_range){RESERVED, PAGES(1), SLIPWAY_RANGE_GUARD, 0};
    hand_over->input.range_count = 4;
    uint64_t violations = audit(hand_over);
    if (violations != 0)
        fail_msg("%lu violations:\n%s", violations, hand_over->text);
    hand_over->ranges[3].start_phys = 0x600000;
    EXPECT(hand_over, "audit 6: guard page beside the stack, ffff800000600000: is present");
}

TEST("audit 6: a stack in the direct map is sound between two guards, and not without") {
    for (unsigned plant = 0; plant < 3; plant++) {
        struct hand_over *hand_over = make();
        // The highest RAM, and the 4 frames before a hole.
        const uint64_t bottoms[] = {LAST, RAM_END - KIB(512) - PAGES(4), LAST};
        hand_over->input.stack_bottom = HHDM + bottoms[plant];
        hand_over->input.stack_top = HHDM + bottoms[plant] + PAGES(plant == 2 ? 3 : 4);
        if (plant == 0) {
            uint64_t violations = audit(hand_over);
            if (violations != 0)
                fail_msg("%lu violations:\n%s", violations, hand_over->text);
            destroy(hand_over);
        } else if (plant == 1) {
            EXPECT(hand_over, "audit 6: guard page below the stack, ffff800001f7b000: is present");
        } else {
            EXPECT(hand_over, "audit 6: guard page above the stack, ffff800002103000: is present");
        }
    }
}

TEST("audit 6: a stack that is missing, read-only, empty or unaligned is found") {
    struct hand_over *hand_over = make();
    hand_over->input.stack_bottom = SPARE_VIRT;
    hand_over->input.stack_top = SPARE_VIRT + PAGES(1);
    EXPECT(hand_over, "audit 6: stack [ffffc02000000000, ffffc02000001000): 0 of 4096");
    hand_over = make();
    hand_over->input.stack_bottom = SLIPWAY_KERNEL_DEFAULT + RODATA - TEXT;
    hand_over->input.stack_top = hand_over->input.stack_bottom + PAGES(2);
    EXPECT(hand_over, "audit 6: stack", "audit 6: guard page below", "audit 6: guard page above");
    hand_over = make();
    *leaf(hand_over, STACK_VIRT) |= BIT_PCD_PWT;
    EXPECT(hand_over, "audit 3: ffffc00000001000", "audit 4: frame 500000",
           "audit 6: stack [ffffc00000001000, ffffc00000005000): 12288 of 16384");
    hand_over = make();
    hand_over->input.stack_top = hand_over->input.stack_bottom;
    EXPECT(hand_over, "audit 6: stack [");
    hand_over = make();
    hand_over->input.stack_top -= 8;
    EXPECT(hand_over, "audit 6: stack [");
}

TEST("audit 6: boot_info that is unmapped in part, empty, or outside the direct map is found") {
    struct hand_over *hand_over = make();
    hand_over->input.boot_info = HHDM + RESERVED - 16;
    EXPECT(hand_over, "audit 6: boot_info [");
    hand_over = make();
    hand_over->input.boot_info_bytes = 0;
    EXPECT(hand_over, "audit 6: boot_info: 0 bytes");
    hand_over = make();
    hand_over->input.boot_info = STACK_VIRT;
    EXPECT(hand_over, "audit 6: boot_info ffffc00000001000: not in the direct map");
    hand_over = make();
    hand_over->input.boot_info = UINT64_MAX - 4;
    EXPECT(hand_over, "audit 6: boot_info: ", "audit 6: boot_info ");
    hand_over = make();
    hand_over->input.boot_info = UINT64_MAX - PAGES(1) - 16;
    hand_over->input.boot_info_bytes = 16;
    EXPECT(hand_over, "audit 6: boot_info [ffffffffffffe000, fffffffffffff000): 0 of 4096 bytes",
           "audit 6: boot_info ffffffffffffefef: not in the direct map");
}

TEST("audit 6: boot_info lies in the direct map's window to its last byte") {
    struct hand_over *hand_over = make();
    hand_over->input.boot_info = SLIPWAY_WINDOW_BASE - PAGES(1);
    hand_over->input.boot_info_bytes = PAGES(1);
    EXPECT(hand_over, "audit 6: boot_info [ffffbffffffff000, ffffc00000000000): 0 of 4096");
    hand_over = make();
    hand_over->input.boot_info = SLIPWAY_WINDOW_BASE - PAGES(1);
    hand_over->input.boot_info_bytes = PAGES(1) + 1;
    EXPECT(hand_over, "audit 6: boot_info [ffffbffffffff000, ffffc00000001000): 0 of 8192",
           "audit 6: boot_info ffffbffffffff000: not in the direct map");
    hand_over = make();
    hand_over->input.boot_info = SLIPWAY_WINDOW_BASE;
    hand_over->input.boot_info_bytes = 0;
    EXPECT(hand_over, "audit 6: boot_info: 0 bytes at ffffc00000000000",
           "audit 6: boot_info ffffc00000000000: not in the direct map");
}

TEST("audit 6: an entry point that is not mapped, or not executable, is found") {
    struct hand_over *hand_over = make();
    hand_over->input.kernel_entry = SPARE_VIRT;
    EXPECT(hand_over, "audit 6: entry point ffffc02000000000");
    hand_over = make();
    hand_over->input.kernel_entry = SLIPWAY_KERNEL_DEFAULT + RODATA - TEXT;
    EXPECT(hand_over, "audit 6: entry point ffffffff80004000: rights 1");
}

TEST("audit 6: a direct map alone is not asked for stack, boot_info and entry point") {
    struct hand_over *hand_over = make();
    hand_over->input.scope = AUDIT_DIRECT_MAP;
    hand_over->input.stack_bottom = hand_over->input.stack_top = 0;
    hand_over->input.boot_info = hand_over->input.boot_info_bytes = 0;
    hand_over->input.kernel_entry = 0;
    assert_int_equal(audit(hand_over), 0);
    hand_over->input.scope = AUDIT_HAND_OVER;
    EXPECT(hand_over, "audit 6: stack", "audit 6: boot_info", "audit 6: boot_info",
           "audit 6: entry");
}

// --- 7 and 9 ---

TEST("audit 7: a table outside the listed ranges is found, and nothing behind it is believed") {
    struct hand_over *hand_over = make();
    hand_over->ranges[2].bytes -= PAGES(1);
    EXPECT(hand_over, "audit 7: level 4, ffffff8000000000", "audit 7: [", "audit 9: 12 tables");
}

TEST("audit 7: without any listed range not even the root is entered") {
    struct hand_over *hand_over = make();
    hand_over->input.range_count = 2;
    EXPECT(hand_over, "audit 7: level 0", "audit 9: 0 tables");
}

TEST("audit 7: a table that is reached twice is found, a loop included") {
    struct hand_over *hand_over = make();
    uint64_t *root = rig_slot(&hand_over->rig, HHDM, 4);
    root[1] = root[0];
    EXPECT(hand_over, "audit 7: level 4, ffff808000000000");
    hand_over = make();
    root = rig_slot(&hand_over->rig, HHDM, 4);
    root[1] = hand_over->rig.space.root.value | BIT_P | BIT_RW;
    EXPECT(hand_over, "audit 7: level 4, ffff808000000000");
}

TEST("audit 7: a reserved bit is found") {
    struct hand_over *hand_over = make();
    *leaf(hand_over, HHDM + 0x5000) |= UINT64_C(1) << 50;
    audit(hand_over);
    assert_non_null(strstr(hand_over->text, "audit 7: level 1, ffff800000005000"));
    assert_non_null(strstr(hand_over->text, "audit 7: the walk ended early: "));
    destroy(hand_over);
}

TEST("audit 7: listed pages that no entry leads to are found, a line for each run of them") {
    struct hand_over *hand_over = make();
    uint64_t end = hand_over->ranges[2].start_phys + hand_over->ranges[2].bytes;
    hand_over->ranges[2].bytes += PAGES(2);
    hand_over->ranges[3] =
        (struct slipway_range){end + PAGES(8), PAGES(9), SLIPWAY_RANGE_PAGE_TABLES, 0};
    hand_over->input.range_count = 4;
    char first[64], second[64];
    snprintf(first, sizeof(first), "audit 7: [%lx, %lx) is listed", end, end + PAGES(2));
    snprintf(second, sizeof(second), "audit 7: [%lx, %lx) is listed", end + PAGES(8),
             end + PAGES(17));
    EXPECT(hand_over, first, second);
}

TEST("audit 7: too little scratch is a violation, not a write beyond it") {
    struct hand_over *hand_over = make();
    hand_over->input.scratch_bytes = audit_scratch_bytes(hand_over->ranges, 3);
    assert_int_equal(audit(hand_over), 0);
    hand_over->input.scratch_bytes--;
    *leaf(hand_over, HHDM + 0x5000) = 0; // without scratch not even this is looked at
    EXPECT(hand_over, "audit 7: ");
    hand_over = make();
    hand_over->ranges[2].bytes = PAGES(8); // one byte of scratch, which is cleared as any
    audit(hand_over);
    assert_null(strstr(hand_over->text, vmem_violation_text(VMEM_BAD_TABLE_TWICE)));
    destroy(hand_over);
}

TEST("audit 7: tables may be listed first, and in two ranges") {
    struct hand_over *hand_over = make();
    struct slipway_range *ranges = hand_over->ranges;
    struct slipway_range tables = ranges[2];
    assert_true(tables.bytes > PAGES(10));
    ranges[2] = ranges[0];
    ranges[0] = (struct slipway_range){tables.start_phys, PAGES(3), SLIPWAY_RANGE_PAGE_TABLES, 0};
    ranges[3] = (struct slipway_range){tables.start_phys + PAGES(3), tables.bytes - PAGES(3),
                                       SLIPWAY_RANGE_PAGE_TABLES, 0};
    hand_over->input.range_count = 4;
    assert_int_equal(audit(hand_over), 0);
    destroy(hand_over);
}

TEST("audit 7: a first range that no entry leads to is found") {
    struct hand_over *hand_over = make();
    hand_over->ranges[0] = (struct slipway_range){MIB(64), PAGES(2), SLIPWAY_RANGE_PAGE_TABLES, 0};
    EXPECT(hand_over, "audit 7: [4000000, 4002000) is listed as page tables and not reached");
}

TEST("audit 7: scratch is a bit for each listed page of tables, in whole bytes") {
    static const struct slipway_range ranges[] = {
        {0, PAGES(8), SLIPWAY_RANGE_PAGE_TABLES, 0},
        {MIB(1), PAGES(1), SLIPWAY_RANGE_STACK, 1},
        {MIB(2), PAGES(9), SLIPWAY_RANGE_PAGE_TABLES, 0},
    };
    assert_int_equal(audit_scratch_bytes(ranges, 0), 0);
    assert_int_equal(audit_scratch_bytes(ranges, 1), 1);
    assert_int_equal(audit_scratch_bytes(ranges, 2), 1);
    assert_int_equal(audit_scratch_bytes(ranges, 3), 3);
}

TEST("audit 9: another number of tables than planned is found") {
    struct hand_over *hand_over = make();
    hand_over->input.tables_planned++;
    EXPECT(hand_over, "audit 9: ");
}

// --- 8 ---

TEST("audit 8: regions that overlap, are empty, unaligned or of unknown kind are found") {
    struct hand_over *hand_over = make();
    hand_over->regions[3].start -= PAGES(1); // into the one before
    EXPECT(hand_over, "audit 8: region 3 ", "audit 8: kernel memory");
    hand_over = make();
    hand_over->regions[0].end = hand_over->regions[0].start;
    EXPECT(hand_over, "audit 8: region 0 [0, 0) of kind 13: unsorted, empty",
           "audit 8: reserved memory", "audit 3: [0, 1000), absent");
    hand_over = make();
    hand_over->regions[1].end += 8;
    audit(hand_over);
    assert_non_null(strstr(hand_over->text, "audit 8: region 1 "));
    destroy(hand_over);
    hand_over = make();
    hand_over->regions[1].kind = SLIPWAY_MEM_KINDS;
    audit(hand_over);
    assert_non_null(strstr(hand_over->text, "audit 8: region 1 "));
    destroy(hand_over);
}

TEST("audit 8: totals that differ from the report's are found") {
    struct hand_over *hand_over = make();
    hand_over->report.bytes[SLIPWAY_MEM_RUNTIME] += FRAME_BYTES;
    EXPECT(hand_over, "audit 8: runtime memory: the regions have 65536 bytes, the map 69632");
    hand_over = make();
    hand_over->report.bytes[0] = FRAME_BYTES; // of no kind
    EXPECT(hand_over, "audit 8: unknown memory: the regions have 0 bytes, the map 4096");
}
