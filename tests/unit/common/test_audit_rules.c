// The audit by the rules of another protocol. Each test changes manifest and tables alike, so that
// the rules alone tell that something is wrong.
#include "common/audit/audit.h"
#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "loader/plan.h"
#include "loader/protocol/limine_rules.h"
#include "tests/unit/support/vmem_rig.h"

#include <stdio.h>
#include <string.h>

#define HHDM        SLIPWAY_HHDM_BASE
#define LOW         UINT64_C(0x100000000)
#define STACK_BYTES UINT64_C(0x10000)
#define DEVICE      UINT64_C(0xfec00000)

enum { MAPPINGS_MAX = 64, TEXT_MAX = 8192 };

// Text, read-only data, and data that are writable and executable.
static struct elf_run runs[] = {
    {SLIPWAY_KERNEL_DEFAULT, SLIPWAY_KERNEL_DEFAULT + 0x2000, SLIPWAY_RIGHT_EXECUTE},
    {SLIPWAY_KERNEL_DEFAULT + 0x2000, SLIPWAY_KERNEL_DEFAULT + 0x3000, 0},
    {SLIPWAY_KERNEL_DEFAULT + 0x3000, SLIPWAY_KERNEL_DEFAULT + 0x8000,
     SLIPWAY_RIGHT_WRITE | SLIPWAY_RIGHT_EXECUTE},
};

static const struct elf_image kernel = {
    .entry = SLIPWAY_KERNEL_DEFAULT + 0x3123, // writable
    .virt_start = SLIPWAY_KERNEL_DEFAULT,
    .virt_end = SLIPWAY_KERNEL_DEFAULT + 0x8000,
    .runs = runs,
    .run_count = ARRAY_LEN(runs),
};

static const struct slipway_piece image = {SLIPWAY_KERNEL_DEFAULT, 0x900000, 0x8000};

static const struct memmap_region machine[] = {
    {0x1000, 0xa0000, SLIPWAY_MEM_USABLE, true},
    {0x100000, 0x2ff000, SLIPWAY_MEM_USABLE, true},
    {0x2ff000, 0x300000, SLIPWAY_MEM_RESERVED, false}, // a guard
    {0x300000, 0x310000, SLIPWAY_MEM_LOADER, true},
    {0x310000, 0x311000, SLIPWAY_MEM_RESERVED, false}, // a guard
    {0x311000, 0x4000000, SLIPWAY_MEM_USABLE, true},
    {0x4000000, 0x4010000, SLIPWAY_MEM_ACPI_RECLAIM, true},
    {0x4010000, 0x4020000, SLIPWAY_MEM_RUNTIME, true},
    {DEVICE, DEVICE + 0x1000, SLIPWAY_MEM_MMIO, false},
    {LOW, LOW + 0x200000, SLIPWAY_MEM_USABLE, true},
    {LOW + 0x400000, LOW + 0x600000, SLIPWAY_MEM_RESERVED, false},
};

static const struct slipway_framebuffer screen = {.address_phys = 0x80000000, .bytes = MIB(4)};

static const struct plan_firmware tables[] = {
    {0x8000000, 0x8002000, SLIPWAY_CACHE_WB},
    {0x9000000, 0x9001000, SLIPWAY_CACHE_UC},
};

static const struct mtrr_map mtrrs = {0}; // nothing is known

struct hand_over {
    struct rig rig;
    struct plan_input plan;
    struct slipway_mapping mappings[MAPPINGS_MAX];
    uint64_t count;
    struct slipway_range ranges[3]; // two guards and the tables
    char text[TEXT_MAX];
};

static struct hand_over *make(struct space_rules rules) {
    struct hand_over *hand_over = calloc(1, sizeof(*hand_over));
    assert_non_null(hand_over);
    rig_make(&hand_over->rig, RIG_CPU, 4);
    hand_over->plan = (struct plan_input){
        .rules = rules,
        .regions = machine,
        .region_count = ARRAY_LEN(machine),
        .hhdm_base = HHDM,
        .window_base = SLIPWAY_WINDOW_BASE,
        .is_direct = true,
        .elf = &kernel,
        .pieces = &image,
        .piece_count = 1,
        .stack_phys = 0x300000,
        .stack_bytes = STACK_BYTES,
        .loader = {.phys = 0x400000, .bytes = 0x8000, .text_start = 0x1000, .text_end = 0x4000},
        .framebuffers = &screen,
        .framebuffer_count = 1,
        .firmware = tables,
        .firmware_count = rules.firmware == SPACE_FIRMWARE_NONE ? 0 : ARRAY_LEN(tables),
    };
    hand_over->count = plan_make_manifest(&hand_over->plan, hand_over->mappings);
    assert_true(hand_over->count <= MAPPINGS_MAX);
    hand_over->ranges[0] = (struct slipway_range){0x2ff000, 0x1000, SLIPWAY_RANGE_GUARD, 0};
    hand_over->ranges[1] = (struct slipway_range){0x310000, 0x1000, SLIPWAY_RANGE_GUARD, 0};
    return hand_over;
}

// Rules may have guards, though no revision does.
static struct space_rules rules_with_guards(uint64_t revision, bool is_lax) {
    struct space_rules rules = limine_space_rules(revision, is_lax);
    rules.has_no_guards = false;
    return rules;
}

static struct hand_over *make_revision(uint64_t revision) {
    return make(rules_with_guards(revision, false));
}

// ---- Changes of the manifest

static struct slipway_mapping *find(struct hand_over *hand_over, uint64_t virt) {
    for (uint64_t i = 0; i < hand_over->count; i++) {
        struct slipway_mapping *mapping = &hand_over->mappings[i];
        if (virt - mapping->virt < mapping->bytes)
            return mapping;
    }
    fail_msg("nothing is mapped at %lx", virt);
    return NULL;
}

static void insert(struct hand_over *hand_over, struct slipway_mapping mapping) {
    assert_true(hand_over->count < MAPPINGS_MAX);
    uint64_t place = hand_over->count++;
    for (; place > 0 && hand_over->mappings[place - 1].virt > mapping.virt; place--)
        hand_over->mappings[place] = hand_over->mappings[place - 1];
    hand_over->mappings[place] = mapping;
}

// Cuts the mapping that has [virt, virt + bytes) there, and returns the part.
static struct slipway_mapping *cut(struct hand_over *hand_over, uint64_t virt, uint64_t bytes) {
    struct slipway_mapping *whole = find(hand_over, virt);
    struct slipway_mapping rest = *whole, part = *whole;
    uint64_t before = virt - whole->virt;
    part.virt += before;
    part.phys += before;
    part.bytes = bytes;
    rest.virt += before + bytes;
    rest.phys += before + bytes;
    rest.bytes -= before + bytes;
    whole->bytes = before;
    if (before == 0)
        *whole = part;
    else
        insert(hand_over, part);
    if (rest.bytes != 0)
        insert(hand_over, rest);
    return find(hand_over, virt);
}

static void leave_out(struct hand_over *hand_over, uint64_t virt, uint64_t bytes) {
    struct slipway_mapping *part = cut(hand_over, virt, bytes);
    uint64_t after = (uint64_t)(&hand_over->mappings[--hand_over->count] - part);
    memmove(part, part + 1, after * sizeof(*part));
}

static void add(struct hand_over *hand_over, uint64_t virt, uint64_t phys, uint64_t bytes,
                uint32_t rights, uint16_t purpose) {
    insert(hand_over,
           (struct slipway_mapping){virt, phys, bytes, rights, SLIPWAY_CACHE_WB, purpose});
}

// ---- Audit

static uint64_t audit(struct hand_over *hand_over) {
    const struct plan_input *plan = &hand_over->plan;
    struct memmap_report report = {0};
    for (uint64_t i = 0; i < plan->region_count; i++)
        report.bytes[machine[i].kind] += machine[i].end - machine[i].start;
    uint64_t index;
    const struct plan_list list =
        plan_list_of(&plan->rules, hand_over->mappings, hand_over->count, &mtrrs);
    assert_int_equal(plan_build_tables(&hand_over->rig.space, &list, &index), VMEM_OK);
    uint64_t used = hand_over->rig.memory.used_count;
    hand_over->ranges[2] =
        (struct slipway_range){VMEM_MEMORY_BASE, used * FRAME_BYTES, SLIPWAY_RANGE_PAGE_TABLES, 0};
    uint8_t scratch[RIG_FRAMES / 8];
    const struct audit_input input = {
        .rules = plan->rules,
        .space = &hand_over->rig.space,
        .hhdm_base = HHDM,
        .hhdm_room = plan_direct_map_room(plan),
        .mappings = hand_over->mappings,
        .mapping_count = hand_over->count,
        .ranges = hand_over->ranges,
        .range_count = ARRAY_LEN(hand_over->ranges),
        .regions = machine,
        .region_count = plan->region_count,
        .report = &report,
        .stack_bottom = plan_stack_bottom(plan),
        .stack_top = plan_stack_bottom(plan) + STACK_BYTES,
        .boot_info = HHDM + 0x500000,
        .boot_info_bytes = 0x1000,
        .kernel_entry = kernel.entry,
        .tables_planned = used,
        .scratch = scratch,
        .scratch_bytes = sizeof(scratch),
    };
    struct fmt_buffer buffer = fmt_buffer_make(hand_over->text, sizeof(hand_over->text));
    struct sink sink = fmt_buffer_sink(&buffer);
    return audit_run(&input, &sink);
}

// The violations are these, in this order, as far as the texts say them. Ends the hand-over.
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
    vmem_memory_destroy(&hand_over->rig.memory);
    free(hand_over);
}

#define EXPECT(hand_over, ...)                                                                     \
    do {                                                                                           \
        const char *const wanted_lines[] = {__VA_ARGS__};                                          \
        expect_lines((hand_over), wanted_lines, ARRAY_LEN(wanted_lines));                          \
    } while (0)

TEST("audit: by the rules of every revision, strict or not, a plan has no violation") {
    for (uint64_t i = 0; i < 14; i++)
        expect_lines(make(rules_with_guards(i / 2, i % 2 != 0)), NULL, 0);
}

// ---- Not a page more

TEST("audit: memory of a kind that the revision leaves out is found in the direct map") {
    struct hand_over *hand_over = make_revision(3);
    add(hand_over, HHDM + 0x4000000, 0x4000000, 0x1000, SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_DIRECT);
    EXPECT(hand_over, "audit 3: [4000000, 4001000), ACPI reclaim: in the direct map");
    hand_over = make_revision(4);
    add(hand_over, HHDM + 0x401f000, 0x401f000, 0x2000, SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_DIRECT);
    EXPECT(hand_over, "audit 3: [401f000, 4020000), runtime: in the direct map",
           "audit 3: [4020000, 4021000), absent: in the direct map");
    hand_over = make_revision(2);
    add(hand_over, HHDM + LOW + 0x400000, LOW + 0x400000, 0x1000, SLIPWAY_RIGHT_WRITE,
        SPACE_MAP_DEVICES);
    EXPECT(hand_over, "audit 3: [100400000, 100401000), reserved: in the direct map");
    hand_over = make_revision(0);
    add(hand_over, HHDM + LOW + 0x600000, LOW + 0x600000, 0x1000, SLIPWAY_RIGHT_WRITE,
        SPACE_MAP_DEVICES);
    EXPECT(hand_over, "audit 3: [100600000, 100601000), absent: in the direct map");
}

TEST("audit: from revision 3 on devices are found in the direct map") {
    struct hand_over *hand_over = make_revision(6);
    add(hand_over, HHDM + DEVICE, DEVICE, 0x1000, SLIPWAY_RIGHT_WRITE, SPACE_MAP_DEVICES);
    EXPECT(hand_over, "audit 3: [fec00000, fec01000), MMIO: in the direct map");
}

TEST("audit: tables are in the direct map only by the rules that want them") {
    struct hand_over *hand_over = make_revision(3);
    add(hand_over, HHDM + 0x8000000, 0x8000000, 0x1000, SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_FIRMWARE);
    EXPECT(hand_over, "audit 3: [8000000, 8001000), absent: in the direct map");
    hand_over = make_revision(5);
    find(hand_over, HHDM + 0x8000000)->purpose = SPACE_MAP_DEVICES;
    EXPECT(hand_over, "audit 3: [8000000, 8002000), absent: in the direct map");
    hand_over = make_revision(5); // one page more than is listed as a table
    add(hand_over, HHDM + 0x8002000, 0x8002000, 0x1000, SLIPWAY_RIGHT_WRITE, SPACE_MAP_DEVICES);
    EXPECT(hand_over, "audit 3: [8002000, 8003000), absent: in the direct map");
    hand_over = make_revision(5);
    find(hand_over, HHDM + 0x9000000)->purpose = SPACE_MAP_DEVICES;
    EXPECT(hand_over, "audit 2: [9000000, 9001000): cache type 3 in the direct map",
           "audit 3: [9000000, 9001000), absent: in the direct map");
}

TEST("audit: a lower half is found where no rules want one, and in it what is not wanted") {
    struct hand_over *hand_over = make_revision(1);
    add(hand_over, 0x200000, 0x200000, 0x1000, SLIPWAY_RIGHT_WRITE,
        SLIPWAY_MAP_DIRECT | SPACE_MAP_IDENTITY);
    EXPECT(hand_over, "audit 3: 200000, 4096 bytes: of purpose 257, outside of the direct map",
           "audit 3: 200000, 4096 bytes: mapped in the lower half");
    hand_over = make_revision(0);
    add(hand_over, 0, 0, 0x1000, SLIPWAY_RIGHT_WRITE, SPACE_MAP_DEVICES | SPACE_MAP_IDENTITY);
    EXPECT(hand_over, "audit 3: [0, 1000): in the identity map");
    hand_over = make_revision(0);
    add(hand_over, LOW + 0x600000, LOW + 0x600000, 0x1000, SLIPWAY_RIGHT_WRITE,
        SPACE_MAP_DEVICES | SPACE_MAP_IDENTITY);
    EXPECT(hand_over, "audit 3: [100600000, 100601000), absent: in the identity map");
    hand_over = make_revision(0);
    add(hand_over, LOW + 0x600000, 0x500000, 0x1000, SLIPWAY_RIGHT_WRITE,
        SLIPWAY_MAP_DIRECT | SPACE_MAP_IDENTITY);
    EXPECT(hand_over, "audit 2: identity map at 100600000: translates to 500000");
}

TEST("audit: nothing but kernel and loader is outside of the direct map") {
    struct hand_over *hand_over = make_revision(3);
    add(hand_over, SLIPWAY_WINDOW_BASE, 0x8000000, 0x1000, 0, SLIPWAY_MAP_FIRMWARE);
    EXPECT(hand_over,
           "audit 3: ffffc00000000000, 4096 bytes: of purpose 6, outside of the direct map");
}

TEST("audit: a stack without a guard beside it is right where rules have none") {
    struct space_rules rules = limine_space_rules(3, false);
    struct hand_over *hand_over = make(rules);
    hand_over->ranges[0].purpose = hand_over->ranges[1].purpose = SLIPWAY_RANGE_LOADER;
    expect_lines(hand_over, NULL, 0);
    rules.has_no_guards = false;
    hand_over = make(rules);
    add(hand_over, HHDM + 0x2ff000, 0x2ff000, 0x1000, SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_DIRECT);
    EXPECT(hand_over, "audit 3: [2ff000, 300000), reserved: in the direct map",
           "audit 6: guard page below the stack", "audit 6: guard page beside the stack");
}

TEST("audit: a guard is found to be mapped, one to one too") {
    struct hand_over *hand_over = make_revision(0);
    add(hand_over, HHDM + 0x310000, 0x310000, 0x1000, SLIPWAY_RIGHT_WRITE, SPACE_MAP_DEVICES);
    EXPECT(hand_over, "audit 6: guard page above the stack",
           "audit 6: guard page beside the stack");
    hand_over = make_revision(0);
    add(hand_over, 0x2ff000, 0x2ff000, 0x1000, SLIPWAY_RIGHT_WRITE,
        SPACE_MAP_DEVICES | SPACE_MAP_IDENTITY);
    EXPECT(hand_over, "audit 6: guard page beside the stack, 2ff000: is present");
}

// ---- Not a page less

TEST("audit: what the revision wants is missed, RAM or not, one to one too") {
    struct hand_over *hand_over = make_revision(2);
    leave_out(hand_over, HHDM + DEVICE, 0x1000);
    EXPECT(hand_over, "audit 2: [fec00000, fec01000), MMIO: not in the direct map");
    hand_over = make_revision(2); // where there is no memory
    leave_out(hand_over, HHDM + LOW - 0x1000, 0x1000);
    EXPECT(hand_over, "audit 2: [fffff000, 100000000), absent: not in the direct map");
    hand_over = make_revision(2); // next to a guard
    leave_out(hand_over, HHDM + 0x311000, 0x1000);
    EXPECT(hand_over, "audit 2: [311000, 312000), usable: not in the direct map");
    hand_over = make_revision(4);
    leave_out(hand_over, HHDM + 0x4001000, 0x1000);
    EXPECT(hand_over, "audit 2: [4001000, 4002000), ACPI reclaim: not in the direct map");
    hand_over = make_revision(0);
    leave_out(hand_over, LOW + 0x400000, 0x1000);
    EXPECT(hand_over, "audit 2: [100400000, 100401000), reserved: not in the identity map");
    hand_over = make_revision(0); // the last one
    leave_out(hand_over, LOW + 0x400000, 0x200000);
    EXPECT(hand_over, "audit 2: [100400000, 100600000), reserved: not in the identity map");
    hand_over = make_revision(0);
    leave_out(hand_over, 0x1000, 0x1000);
    EXPECT(hand_over, "audit 2: [1000, 2000), usable: not in the identity map");
}

TEST("audit: what is missed ends where all that is wanted ends, and where a guard begins") {
    struct hand_over *hand_over = make_revision(2);
    leave_out(hand_over, HHDM + LOW - 0x1000, 0x1000);
    leave_out(hand_over, HHDM + LOW, 0x200000);
    hand_over->plan.region_count -= 2; // nothing lies above
    EXPECT(hand_over, "audit 2: [fffff000, 100000000), absent: not in the direct map");
    hand_over = make_revision(2);
    leave_out(hand_over, HHDM + DEVICE + 0x1000, 0x4000);
    hand_over->ranges[1].start_phys = DEVICE + 0x2000;
    EXPECT(hand_over, "audit 2: [310000, 311000), reserved: not in the direct map",
           "audit 2: [fec01000, fec02000), absent: not in the direct map",
           "audit 2: [fec03000, fec05000), absent: not in the direct map");
}

TEST("audit: a framebuffer does not take the place of RAM") {
    struct hand_over *hand_over = make_revision(2);
    struct slipway_mapping *part = cut(hand_over, HHDM + 0x3000000, 0x1000);
    part->purpose = SLIPWAY_MAP_FRAMEBUFFER;
    part->cache = SLIPWAY_CACHE_WC;
    EXPECT(hand_over, "audit 2: [3000000, 3001000), usable: is a framebuffer's");
}

// ---- Rights

TEST("audit: pages are writable and executable where the kernel's segments have them so") {
    struct hand_over *hand_over = make_revision(3);
    hand_over->plan.rules.writes_and_executes = false;
    uint64_t violations = audit(hand_over); // five pages, and the entry point is in one
    assert_int_equal(violations, 6);
    vmem_memory_destroy(&hand_over->rig.memory);
    free(hand_over);
    hand_over = make_revision(3);
    find(hand_over, plan_loader_virt(&hand_over->plan) + 0x4000)->rights |= SLIPWAY_RIGHT_EXECUTE;
    assert_int_equal(audit(hand_over), 4);
    assert_non_null(strstr(hand_over->text, "audit 1: level 1, ffffc00000016000"));
    vmem_memory_destroy(&hand_over->rig.memory);
    free(hand_over);
}

TEST("audit: the direct map is executable only if the rules say so") {
    struct hand_over *hand_over = make_revision(3);
    cut(hand_over, HHDM + 0x3000000, 0x1000)->rights |= SLIPWAY_RIGHT_EXECUTE;
    EXPECT(hand_over, "audit 1: level 1, ffff800003000000",
           "audit 1: [3000000, 3001000): executable in the direct map");
    hand_over = make_revision(0);
    cut(hand_over, 0x3000000, 0x1000)->rights = SLIPWAY_RIGHT_EXECUTE;
    EXPECT(hand_over, "audit 1: [3000000, 3001000): executable in the identity map",
           "audit 2: [3000000, 3001000): read-only in the direct map");
    hand_over = make(rules_with_guards(3, true)); // a stack that is not
    cut(hand_over, HHDM + 0x305000, 0x1000)->rights = SLIPWAY_RIGHT_WRITE;
    EXPECT(hand_over, "audit 6: stack [ffff800000300000, ffff800000310000): 61440 of 65536 bytes");
}

TEST("audit: read-only pages of the kernel are so everywhere, or nowhere in the direct map") {
    struct hand_over *hand_over = make_revision(0);
    find(hand_over, 0x901000)->rights |= SLIPWAY_RIGHT_WRITE;
    EXPECT(hand_over, "audit 5: frame 900000", "audit 5: frame 902000");
    hand_over = make(rules_with_guards(3, true));
    cut(hand_over, HHDM + 0x901000, 0x1000)->rights = SLIPWAY_RIGHT_EXECUTE;
    EXPECT(hand_over, "audit 2: [901000, 902000): read-only in the direct map");
    hand_over = make(rules_with_guards(3, true)); // by another alias
    add(hand_over, SLIPWAY_WINDOW_BASE, 0x901000, 0x1000, SLIPWAY_RIGHT_WRITE, SLIPWAY_MAP_LOADER);
    EXPECT(hand_over, "audit 5: frame 901000: read-only kernel page ffffffff80001000, writable by "
                      "ffffc00000000000");
}
