// The manifest: what the loader decides to map, and how it notices that RAM has changed since.
#include "loader/plan.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { MAPPINGS_MAX = 512 };

static struct slipway_mapping mappings[MAPPINGS_MAX];

// Text, read-only data, a hole, and four writable pages of which the first is RELRO.
static struct elf_image make_kernel(void) {
    static struct elf_run runs[4];
    uint64_t base = SLIPWAY_KERNEL_DEFAULT;
    runs[0] = (struct elf_run){base, base + 0x2000, SLIPWAY_RIGHT_EXECUTE};
    runs[1] = (struct elf_run){base + 0x2000, base + 0x3000, 0};
    runs[2] = (struct elf_run){base + 0x4000, base + 0x5000, 0};
    runs[3] = (struct elf_run){base + 0x5000, base + 0x8000, SLIPWAY_RIGHT_WRITE};
    return (struct elf_image){
        .type = ELF_TYPE_EXEC,
        .entry = base,
        .virt_start = base,
        .virt_end = base + 8 * FRAME_BYTES,
        .runs = runs,
        .run_count = ARRAY_LEN(runs),
    };
}

static const struct memmap_region ram[] = {
    {0x0, 0xa0000, SLIPWAY_MEM_USABLE, true},
    {0xa0000, 0x100000, SLIPWAY_MEM_RESERVED, false},
    {0x100000, 0x40000000, SLIPWAY_MEM_USABLE, true},
};

// The image in one piece.
static const struct slipway_piece whole[] = {{SLIPWAY_KERNEL_DEFAULT, 0x200000, 0x8000}};

static struct plan_input make_input(const struct elf_image *kernel) {
    return (struct plan_input){
        .regions = ram,
        .region_count = ARRAY_LEN(ram),
        .hhdm_base = SLIPWAY_HHDM_BASE,
        .window_base = SLIPWAY_WINDOW_BASE,
        .elf = kernel,
        .pieces = whole,
        .piece_count = 1,
        .stack_phys = 0x300000,
        .stack_bytes = KIB(64),
        .loader = {.phys = 0x400000, .bytes = 0x8000, .text_start = 0x1000, .text_end = 0x4000},
    };
}

static void expect_mapping(uint64_t index, uint64_t virt, uint64_t phys, uint64_t bytes,
                           uint32_t rights, uint16_t cache, uint16_t purpose) {
    const struct slipway_mapping want = {virt, phys, bytes, rights, cache, purpose};
    assert_memory_equal(&mappings[index], &want, sizeof(want));
}

TEST("plan: the manifest is the direct map, stack, loader, framebuffer and kernel, in this order") {
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    struct slipway_framebuffer framebuffer = {.address_phys = 0x80000040, .bytes = MIB(4)};
    input.framebuffers = &framebuffer;
    input.framebuffer_count = 1;
    uint64_t hhdm = SLIPWAY_HHDM_BASE;
    uint64_t stack = SLIPWAY_WINDOW_BASE + 0x1000;
    uint64_t loader = stack + KIB(64) + 0x1000;
    uint64_t base = SLIPWAY_KERNEL_DEFAULT;
    assert_int_equal(plan_make_manifest(&input, mappings), 15);
    expect_mapping(0, hhdm, 0, 0xa0000, 1, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(1, hhdm + 0x100000, 0x100000, 0x100000, 1, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(2, hhdm + 0x200000, 0x200000, 0x3000, 0, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(3, hhdm + 0x203000, 0x203000, 0x1000, 1, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(4, hhdm + 0x204000, 0x204000, 0x1000, 0, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(5, hhdm + 0x205000, 0x205000, 0x3fdfb000, 1, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(6, stack, 0x300000, KIB(64), 1, 0, SLIPWAY_MAP_STACK);
    expect_mapping(7, loader, 0x400000, 0x1000, 0, 0, SLIPWAY_MAP_LOADER);
    expect_mapping(8, loader + 0x1000, 0x401000, 0x3000, 2, 0, SLIPWAY_MAP_LOADER);
    expect_mapping(9, loader + 0x4000, 0x404000, 0x4000, 1, 0, SLIPWAY_MAP_LOADER);
    expect_mapping(10, SLIPWAY_WINDOW_BASE + GIB(64), 0x80000000, MIB(4), 1, SLIPWAY_CACHE_WC,
                   SLIPWAY_MAP_FRAMEBUFFER);
    expect_mapping(11, base, 0x200000, 0x2000, 2, 0, SLIPWAY_MAP_KERNEL);
    expect_mapping(12, base + 0x2000, 0x202000, 0x1000, 0, 0, SLIPWAY_MAP_KERNEL);
    expect_mapping(13, base + 0x4000, 0x204000, 0x1000, 0, 0, SLIPWAY_MAP_KERNEL);
    expect_mapping(14, base + 0x5000, 0x205000, 0x3000, 1, 0, SLIPWAY_MAP_KERNEL);
    assert_int_equal(plan_stack_bottom(&input), stack);
    assert_int_equal(plan_framebuffer_virt(&input, 0), SLIPWAY_WINDOW_BASE + GIB(64) + 0x40);
    struct slipway_framebuffer seven[7] = {[6] = {.address_phys = 0xf2345677}};
    input.framebuffers = seven;
    assert_int_equal(plan_framebuffer_virt(&input, 6), SLIPWAY_WINDOW_BASE + GIB(448) + 0x32345677);
    assert_int_equal(plan_guard_count(&input), 0);
}

// As after the claims of a stack at 3 MiB and of those of two other CPUs at 8 MiB.
static const struct memmap_region guarded_ram[] = {
    {0x100000, 0x2ff000, SLIPWAY_MEM_USABLE, true},
    {0x2ff000, 0x300000, SLIPWAY_MEM_RESERVED, false},
    {0x300000, 0x310000, SLIPWAY_MEM_LOADER, true},
    {0x310000, 0x311000, SLIPWAY_MEM_RESERVED, false},
    {0x311000, 0x7ff000, SLIPWAY_MEM_USABLE, true},
    {0x7ff000, 0x800000, SLIPWAY_MEM_RESERVED, false},
    {0x800000, 0x810000, SLIPWAY_MEM_MODULE, true},
    {0x810000, 0x811000, SLIPWAY_MEM_RESERVED, false},
    {0x811000, 0x821000, SLIPWAY_MEM_MODULE, true},
    {0x821000, 0x822000, SLIPWAY_MEM_RESERVED, false},
    {0x822000, 0x40000000, SLIPWAY_MEM_USABLE, true},
    {0x80000000, 0x90000000, SLIPWAY_MEM_MMIO, false},
    {0x100000000, 0x140000000, SLIPWAY_MEM_USABLE, true},
};

static struct plan_input make_direct_input(const struct elf_image *kernel) {
    struct plan_input input = make_input(kernel);
    input.is_direct = true;
    input.regions = guarded_ram;
    input.region_count = ARRAY_LEN(guarded_ram);
    static const struct slipway_piece elsewhere[] = {{SLIPWAY_KERNEL_DEFAULT, 0x900000, 0x8000}};
    input.pieces = elsewhere;
    input.other_cpus = 2;
    input.other_stacks_phys = 0x800000;
    return input;
}

static void expect_direct(uint64_t index, uint64_t start, uint64_t end, uint32_t rights) {
    expect_mapping(index, SLIPWAY_HHDM_BASE + start, start, end - start, rights, SLIPWAY_CACHE_WB,
                   SLIPWAY_MAP_DIRECT);
}

static void expect_screen(uint64_t index, uint64_t start, uint64_t end) {
    expect_mapping(index, SLIPWAY_HHDM_BASE + start, start, end - start, SLIPWAY_RIGHT_WRITE,
                   SLIPWAY_CACHE_WC, SLIPWAY_MAP_FRAMEBUFFER);
}

TEST("plan: stacks and framebuffers may be in the direct map, whose mappings rise with theirs") {
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_direct_input(&kernel);
    static const struct slipway_framebuffer framebuffers[] = {
        {.address_phys = 0x200000000, .bytes = MIB(8)}, // above all RAM
        {.address_phys = 0x80000040, .bytes = MIB(4)},
        {.address_phys = 0x50000000, .bytes = MIB(4)},
    };
    input.framebuffers = framebuffers;
    input.framebuffer_count = ARRAY_LEN(framebuffers);
    uint64_t count = plan_make_manifest(&input, mappings);
    expect_direct(0, 0x100000, 0x2ff000, 1);
    expect_direct(1, 0x300000, 0x310000, 1); // the boot stack
    expect_direct(2, 0x311000, 0x7ff000, 1);
    expect_direct(3, 0x800000, 0x810000, 1);
    expect_direct(4, 0x811000, 0x821000, 1);
    expect_direct(5, 0x822000, 0x900000, 1);
    expect_direct(6, 0x900000, 0x903000, 0);
    expect_direct(7, 0x903000, 0x904000, 1);
    expect_direct(8, 0x904000, 0x905000, 0);
    expect_direct(9, 0x905000, 0x40000000, 1);
    expect_screen(10, 0x50000000, 0x50000000 + MIB(4));
    expect_screen(11, 0x80000000, 0x80000000 + MIB(4));
    expect_direct(12, 0x100000000, 0x140000000, 1);
    expect_screen(13, 0x200000000, 0x200000000 + MIB(8));
    // Where it is without: what it has there does not depend on the wish.
    expect_mapping(14, plan_loader_virt(&input), 0x400000, 0x1000, 0, 0, SLIPWAY_MAP_LOADER);
    assert_int_equal(mappings[16].purpose, SLIPWAY_MAP_LOADER);
    assert_int_equal(mappings[17].purpose, SLIPWAY_MAP_KERNEL);
    assert_int_equal(count, 21);
    assert_int_equal(plan_stack_bottom(&input), SLIPWAY_HHDM_BASE + 0x300000);
    assert_int_equal(plan_other_stack_bottom(&input, 0), SLIPWAY_HHDM_BASE + 0x800000);
    assert_int_equal(plan_other_stack_bottom(&input, 1), SLIPWAY_HHDM_BASE + 0x811000);
    assert_int_equal(plan_framebuffer_virt(&input, 0), SLIPWAY_HHDM_BASE + 0x200000000);
    assert_int_equal(plan_framebuffer_virt(&input, 1), SLIPWAY_HHDM_BASE + 0x80000040);
}

TEST("plan: pages that several framebuffers have are in the direct map once") {
    static const struct slipway_framebuffer framebuffers[] = {
        {.address_phys = 0x80801000, .bytes = MIB(1)}, // next to nobody
        {.address_phys = 0x80200000, .bytes = MIB(4)}, // goes on where the next one ends
        {.address_phys = 0x80000000, .bytes = MIB(3)}, // the first
        {.address_phys = 0x80001800, .bytes = 0x2000}, // in the first
        {.address_phys = 0x80600000, .bytes = 0x1000}, // behind all of these
        {.address_phys = 0x80700800, .bytes = 0x2000}, // two that share a page
        {.address_phys = 0x80701800, .bytes = 0x2000},
    };
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_direct_input(&kernel);
    input.framebuffers = framebuffers;
    input.framebuffer_count = ARRAY_LEN(framebuffers);
    plan_make_manifest(&input, mappings);
    expect_screen(10, 0x80000000, 0x80601000);
    expect_screen(11, 0x80700000, 0x80703000);
    expect_screen(12, 0x80801000, 0x80901000);
    assert_int_equal(mappings[13].purpose, SLIPWAY_MAP_DIRECT);
}

TEST("plan: guards are the frames below and above each stack in the direct map") {
    static const uint64_t want[] = {0x2ff000, 0x310000, 0x7ff000, 0x810000, 0x821000};
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_direct_input(&kernel);
    assert_int_equal(plan_guard_count(&input), ARRAY_LEN(want));
    for (uint64_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(plan_guard_phys(&input, i), want[i]);
    input.other_cpus = 0; // there is no run of theirs
    assert_int_equal(plan_guard_count(&input), 2);
    input.is_direct = false;
    assert_int_equal(plan_guard_count(&input), 0);
}

TEST("plan: stacks of other CPUs follow the loader's image, each between two pages of nothing") {
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    uint64_t without = plan_make_manifest(&input, mappings);
    input.other_cpus = 3;
    input.other_stacks_phys = 0x800000;
    assert_int_equal(plan_make_manifest(&input, mappings), without + 3);
    uint64_t first = plan_loader_virt(&input) + 0x8000 + 0x1000;
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t bottom = first + i * (KIB(64) + 0x1000);
        assert_int_equal(plan_other_stack_bottom(&input, i), bottom);
        expect_mapping(10 + i, bottom, 0x800000 + i * KIB(64), KIB(64), 1, 0, SLIPWAY_MAP_STACK);
    }
    assert_int_equal(mappings[9].virt + mappings[9].bytes, first - 0x1000); // the loader's end
    assert_int_equal(mappings[13].purpose, SLIPWAY_MAP_KERNEL);
    input.stack_bytes = 0x1000;
    input.loader.bytes = 0x5000;
    assert_int_equal(plan_other_stack_bottom(&input, 1022),
                     SLIPWAY_WINDOW_BASE + 0x1000 + 0x2000 + 0x5000 + 0x1000 + 1022 * 0x2000);
}

static struct elf_image image_at(uint64_t start, uint64_t end) {
    return (struct elf_image){.virt_start = start, .virt_end = end};
}

TEST("plan: the window is at its default place unless the kernel's image has a page there") {
    const uint64_t window = SLIPWAY_WINDOW_BASE, end = SLIPWAY_WINDOW_END;
    const uint64_t elsewhere = window + 2 * (end - window);
    const struct {
        uint64_t start, end, want;
    } cases[] = {
        {SLIPWAY_KERNEL_DEFAULT, SLIPWAY_KERNEL_MAX, window},
        {SLIPWAY_KERNEL_MIN, window, window},
        {window - 0x2000, window + 0x1000, elsewhere},
        {window + GIB(9), window + GIB(10), elsewhere},
        {end - 0x1000, end + 0x1000, elsewhere},
        {end, end + 0x1000, window},
    };
    for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct elf_image image = image_at(cases[i].start, cases[i].end);
        assert_int_equal(plan_choose_window(&image), cases[i].want);
    }
}

TEST("plan: the direct map gives way to the kernel, to the lowest place with room") {
    const uint64_t base = SLIPWAY_HHDM_BASE, tib = GIB(1024);
    const struct {
        uint64_t start, end; // of the kernel
        uint64_t bytes;      // of the direct map
        uint64_t want;
    } cases[] = {
        {SLIPWAY_KERNEL_DEFAULT, SLIPWAY_KERNEL_MAX, 64 * tib, base},
        {base + GIB(5), base + GIB(6), GIB(5), base},
        {base + GIB(5), base + GIB(6), GIB(5) + 1, base + GIB(512)},
        {base, base + 0x1000, 1, base + GIB(512)},
        {base, base + GIB(512), 63 * tib, base + GIB(512)},
        {base, base + GIB(512) + 0x1000, 63 * tib, base + tib},
        {base + tib, base + tib + 0x1000, 63 * tib, 0},
        {base + 40 * tib, base + 41 * tib, 41 * tib, SLIPWAY_WINDOW_END},
        {base + 40 * tib, base + 41 * tib, 55 * tib, SLIPWAY_WINDOW_END},
        {base + 40 * tib, base + 41 * tib, 56 * tib, 0},
        {SLIPWAY_KERNEL_DEFAULT, SLIPWAY_KERNEL_MAX, 64 * tib + 1, 0},
    };
    for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct elf_image image = image_at(cases[i].start, cases[i].end);
        struct plan_input input = make_input(&image);
        input.window_base = plan_choose_window(&image);
        uint64_t chosen = plan_choose_direct_map(&input, 0, cases[i].bytes, 4);
        if (chosen != cases[i].want)
            fail_msg("case %u: %lx, not %lx", i, chosen, cases[i].want);
        if (chosen == 0 && cases[i].bytes <= 64 * tib) // 5 levels have room
            assert_int_equal(plan_choose_direct_map(&input, 0, cases[i].bytes, 5),
                             UINT64_C(0xff00000000000000));
    }
}

TEST("plan: the kernel has a part for each run, and one more wherever two pieces meet") {
    struct elf_image image = image_at(SLIPWAY_KERNEL_DEFAULT, SLIPWAY_KERNEL_DEFAULT + MIB(2));
    struct plan_input input = make_input(&image);
    image.run_count = 4;
    for (uint32_t pieces = 1; pieces < 4; pieces++) {
        input.piece_count = pieces;
        assert_int_equal(plan_kernel_parts(&input), 4 + pieces - 1);
    }
}

TEST("plan: a direct map that is wished for stays where it is, or has no place") {
    struct elf_image image = image_at(SLIPWAY_HHDM_BASE + GIB(5), SLIPWAY_HHDM_BASE + GIB(6));
    struct plan_input input = make_input(&image);
    const uint64_t low = SLIPWAY_HHDM_BASE, high = SLIPWAY_WINDOW_BASE - GIB(512);
    assert_int_equal(plan_choose_direct_map(&input, low, GIB(5), 5), low);
    assert_int_equal(plan_choose_direct_map(&input, low, GIB(5) + 1, 5), 0);
    assert_int_equal(plan_choose_direct_map(&input, high, GIB(512), 5), high);
    assert_int_equal(plan_choose_direct_map(&input, high, GIB(512) + 1, 5), 0);
    const uint64_t highest = UINT64_C(0) - GIB(512); // up to where a kernel may end
    assert_int_equal(plan_choose_direct_map(&input, highest, GIB(512) - FRAME_BYTES, 5), highest);
    assert_int_equal(plan_choose_direct_map(&input, highest, GIB(512) - FRAME_BYTES + 1, 5), 0);
}

TEST("plan: the direct map's room ends at what comes next, or after 64 TiB") {
    struct elf_image image = image_at(SLIPWAY_HHDM_BASE + GIB(5), SLIPWAY_HHDM_BASE + GIB(6));
    struct plan_input input = make_input(&image);
    assert_int_equal(plan_direct_map_room(&input), GIB(5));
    input.hhdm_base = SLIPWAY_HHDM_BASE + GIB(512);
    assert_int_equal(plan_direct_map_room(&input), GIB(1024) * 64 - GIB(512));
    input.hhdm_base = SLIPWAY_WINDOW_END;
    assert_int_equal(plan_direct_map_room(&input), SLIPWAY_KERNEL_MAX - SLIPWAY_WINDOW_END);
    input.hhdm_base = UINT64_C(0xff00000000000000);
    assert_int_equal(plan_direct_map_room(&input), GIB(1024) * 64);
}

TEST("plan: an image in pieces is mapped as one, and sealed where each of them lies") {
    // Cut within the read-only data, within a gap, and within the data.
    static const struct slipway_piece pieces[] = {
        {SLIPWAY_KERNEL_DEFAULT, 0x110000, 0x2000},
        {SLIPWAY_KERNEL_DEFAULT + 0x2000, 0x120000, 0x1000},
        {SLIPWAY_KERNEL_DEFAULT + 0x3000, 0x130000, 0x4000},
        {SLIPWAY_KERNEL_DEFAULT + 0x7000, 0x3fff0000, 0x1000},
    };
    struct elf_image kernel = make_kernel();
    kernel.runs[1].start = SLIPWAY_KERNEL_DEFAULT + 0x1000; // it begins in the first piece
    kernel.runs[0].end = SLIPWAY_KERNEL_DEFAULT + 0x1000;
    struct plan_input input = make_input(&kernel);
    input.pieces = pieces;
    input.piece_count = ARRAY_LEN(pieces);
    const uint64_t base = SLIPWAY_KERNEL_DEFAULT;
    uint64_t count = plan_make_manifest(&input, mappings);
    assert_true(count <= plan_mapping_bound(&input, input.region_count));
    expect_direct(1, 0x100000, 0x110000, 1);
    expect_direct(2, 0x110000, 0x112000, 0);
    expect_direct(3, 0x112000, 0x120000, 1);
    expect_direct(4, 0x120000, 0x121000, 0);
    expect_direct(5, 0x121000, 0x131000, 1);
    expect_direct(6, 0x131000, 0x132000, 0);
    expect_direct(7, 0x132000, 0x40000000, 1);
    const uint64_t first = count - 6;
    expect_mapping(first, base, 0x110000, 0x1000, 2, 0, SLIPWAY_MAP_KERNEL);
    expect_mapping(first + 1, base + 0x1000, 0x111000, 0x1000, 0, 0, SLIPWAY_MAP_KERNEL);
    expect_mapping(first + 2, base + 0x2000, 0x120000, 0x1000, 0, 0, SLIPWAY_MAP_KERNEL);
    expect_mapping(first + 3, base + 0x4000, 0x131000, 0x1000, 0, 0, SLIPWAY_MAP_KERNEL);
    expect_mapping(first + 4, base + 0x5000, 0x132000, 0x2000, 1, 0, SLIPWAY_MAP_KERNEL);
    expect_mapping(first + 5, base + 0x7000, 0x3fff0000, 0x1000, 1, 0, SLIPWAY_MAP_KERNEL);
}

TEST("plan: whatever the order of kernel, window and direct map, the manifest rises") {
    const uint64_t bases[] = {SLIPWAY_KERNEL_DEFAULT, SLIPWAY_KERNEL_MIN,
                              SLIPWAY_HHDM_BASE + GIB(900), SLIPWAY_WINDOW_BASE + GIB(3),
                              SLIPWAY_WINDOW_END};
    for (uint32_t i = 0; i < ARRAY_LEN(bases); i++) {
        struct elf_image kernel = make_kernel();
        uint64_t by = bases[i] - kernel.virt_start;
        kernel.virt_start += by;
        kernel.virt_end += by;
        for (uint32_t j = 0; j < kernel.run_count; j++) {
            kernel.runs[j].start += by;
            kernel.runs[j].end += by;
        }
        struct plan_input input = make_input(&kernel);
        const struct slipway_piece piece = {bases[i], 0x200000, 0x8000};
        input.pieces = &piece;
        input.window_base = plan_choose_window(&kernel);
        input.hhdm_base = plan_choose_direct_map(&input, 0, GIB(900), 4);
        assert_int_not_equal(input.hhdm_base, 0);
        uint64_t count = plan_make_manifest(&input, mappings);
        assert_int_equal(count, 14);
        uint64_t kernel_bytes = 0;
        for (uint64_t j = 0; j < count; j++) {
            assert_true(j == 0 || mappings[j - 1].virt + mappings[j - 1].bytes <= mappings[j].virt);
            if (mappings[j].purpose == SLIPWAY_MAP_KERNEL)
                kernel_bytes += mappings[j].bytes;
        }
        assert_int_equal(kernel_bytes, 0x2000 + 0x1000 + 0x1000 + 0x3000);
    }
}

TEST("plan: stacks of other CPUs may be as many and as large as can be") {
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    input.stack_bytes = ELF_STACK_MAX_BYTES;
    input.other_cpus = 1023;
    assert_int_equal(plan_other_stack_bottom(&input, 1023) - SLIPWAY_WINDOW_BASE,
                     0x1000 + MIB(16) + 0x1000 + 0x8000 + 0x1000 + 1023 * (MIB(16) + 0x1000));
}

TEST("plan: RAM of two kinds that touches is one mapping, from the first region on") {
    static const struct memmap_region touching[] = {
        {0x0, 0x1000, SLIPWAY_MEM_USABLE, true},
        {0x1000, 0x3000, SLIPWAY_MEM_BOOT_SERVICES, true},
    };
    struct elf_image kernel = {.virt_start = SLIPWAY_KERNEL_DEFAULT};
    struct plan_input input = {.regions = touching,
                               .region_count = ARRAY_LEN(touching),
                               .hhdm_base = SLIPWAY_HHDM_BASE,
                               .window_base = SLIPWAY_WINDOW_BASE,
                               .elf = &kernel};
    assert_int_equal(plan_make_manifest(&input, mappings), 1);
    expect_mapping(0, SLIPWAY_HHDM_BASE, 0, 0x3000, 1, 0, SLIPWAY_MAP_DIRECT);
}

// The first region ends in the read-only run 1, the second in the gap; the third holds the end of
// no run, the fourth begins in run 2.
TEST("plan: regions of RAM and runs of the kernel may end anywhere in each other") {
    static const struct memmap_region regions[] = {
        {0x100000, 0x202000, SLIPWAY_MEM_USABLE, true},
        {0x202000, 0x202800, SLIPWAY_MEM_USABLE, true},
        {0x202800, 0x203800, SLIPWAY_MEM_BOOT_SERVICES, true},
        {0x203800, 0x204000, SLIPWAY_MEM_RESERVED, false},
        {0x204000, 0x204800, SLIPWAY_MEM_USABLE, true},
        {0x204c00, 0x300000, SLIPWAY_MEM_USABLE, true},
    };
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    input.regions = regions;
    input.region_count = ARRAY_LEN(regions);
    uint64_t hhdm = SLIPWAY_HHDM_BASE;
    plan_make_manifest(&input, mappings);
    expect_mapping(0, hhdm + 0x100000, 0x100000, 0x100000, 1, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(1, hhdm + 0x200000, 0x200000, 0x3000, 0, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(2, hhdm + 0x203000, 0x203000, 0x800, 1, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(3, hhdm + 0x204000, 0x204000, 0x800, 0, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(4, hhdm + 0x204c00, 0x204c00, 0x400, 0, 0, SLIPWAY_MAP_DIRECT);
    expect_mapping(5, hhdm + 0x205000, 0x205000, 0xfb000, 1, 0, SLIPWAY_MAP_DIRECT);
    assert_int_equal(mappings[6].purpose, SLIPWAY_MAP_STACK);
}

TEST("plan: the largest manifest is as large as its bound") {
    struct elf_run runs[34];
    struct elf_image kernel = {
        .virt_start = SLIPWAY_KERNEL_DEFAULT, .runs = runs, .run_count = ARRAY_LEN(runs)};
    uint64_t virt = kernel.virt_start;
    for (uint32_t i = 0; i < ARRAY_LEN(runs); i++, virt += 4 * FRAME_BYTES)
        runs[i] = (struct elf_run){virt, virt + FRAME_BYTES, 0};
    struct slipway_framebuffer framebuffers[PLAN_FRAMEBUFFERS_MAX];
    for (uint32_t i = 0; i < ARRAY_LEN(framebuffers); i++)
        framebuffers[i] = (struct slipway_framebuffer){.address_phys = GIB(2), .bytes = MIB(1)};
    // The first has holes for RAM in it.
    static const struct memmap_region two[] = {{0x1000, 0xa0000, SLIPWAY_MEM_USABLE, true},
                                               {0x100000, 0x40000000, SLIPWAY_MEM_USABLE, true}};
    struct plan_firmware firmware[PLAN_FIRMWARE_MAX] = {{0, 0x40001000, SLIPWAY_CACHE_UC}};
    for (uint32_t i = 1; i < PLAN_FIRMWARE_MAX; i++)
        firmware[i] = (struct plan_firmware){0x50000000 + i * 0x2000, 0x50001000 + i * 0x2000, 0};
    struct plan_input input = make_input(&kernel);
    const struct slipway_piece piece = {kernel.virt_start, 0x200000, virt - kernel.virt_start};
    input.pieces = &piece;
    input.regions = two;
    input.region_count = 2;
    input.framebuffers = framebuffers;
    input.framebuffer_count = ARRAY_LEN(framebuffers);
    input.firmware = firmware;
    input.firmware_count = PLAN_FIRMWARE_MAX;
    input.other_cpus = 20;
    uint64_t bound = plan_mapping_bound(&input, input.region_count);
    uint64_t count = plan_make_manifest(&input, mappings);
    // RAM cut by every read-only run, stacks, loader, screens, firmware's pages cut by RAM, and all
    // runs.
    assert_int_equal(count, 2 + 2 * ARRAY_LEN(runs) + 21 + 3 + 7 + (64 + 2) + ARRAY_LEN(runs));
    assert_int_equal(bound, count);
}

// ---- The firmware's pages

#define FIRMWARE_WINDOW (SLIPWAY_WINDOW_BASE + GIB(512))

// The firmware's mappings of a manifest are `want`.
static void expect_firmware(uint64_t count, const struct slipway_mapping *want, uint64_t wanted) {
    uint64_t found = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (mappings[i].purpose != SLIPWAY_MAP_FIRMWARE)
            continue;
        assert_true(found < wanted);
        assert_memory_equal(&mappings[i], &want[found++], sizeof(*want));
    }
    assert_int_equal(found, wanted);
}

static const struct plan_firmware tables[] = {
    {0x9f000, 0xa2000, SLIPWAY_CACHE_WB},       // its first page is RAM
    {0xf0000, 0x102000, SLIPWAY_CACHE_UC},      // its last two are
    {0x200000, 0x203000, SLIPWAY_CACHE_WB},     // all of it is
    {0x40000000, 0x40001000, SLIPWAY_CACHE_WB}, // RAM ends here
    {0x40001000, 0x40002000, SLIPWAY_CACHE_UC}, // follows, and only the cache type differs
    {0xfec00000, 0xfec01000, SLIPWAY_CACHE_UC},
};

TEST("plan: of the firmware's pages those that are no RAM are mapped, read-only, with guards") {
    const struct slipway_mapping want[] = {
        {FIRMWARE_WINDOW + 0x1000, 0xa0000, 0x2000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x4000, 0xf0000, 0x10000, 0, 3, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x1b000, 0x40000000, 0x1000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x1c000, 0x40001000, 0x1000, 0, 3, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x1e000, 0xfec00000, 0x1000, 0, 3, SLIPWAY_MAP_FIRMWARE},
    };
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    input.firmware = tables;
    input.firmware_count = ARRAY_LEN(tables);
    expect_firmware(plan_make_manifest(&input, mappings), want, ARRAY_LEN(want));
}

TEST("plan: the address of a firmware's page stays, whatever becomes RAM") {
    static const struct memmap_region other[] = {
        {0x0, 0xa1000, SLIPWAY_MEM_USABLE, true},         {0xa1000, 0xf8000, 13, false},
        {0xf8000, 0xf9000, SLIPWAY_MEM_USABLE, true},     {0xfa000, 0x100000, 13, false},
        {0x100000, 0x40002000, SLIPWAY_MEM_USABLE, true}, {0xfec00000, 0xfec01000, 15, false},
    };
    const struct slipway_mapping want[] = {
        {FIRMWARE_WINDOW + 0x2000, 0xa1000, 0x1000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x4000, 0xf0000, 0x8000, 0, 3, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0xd000, 0xf9000, 0x7000, 0, 3, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x1e000, 0xfec00000, 0x1000, 0, 3, SLIPWAY_MAP_FIRMWARE},
    };
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    input.regions = other;
    input.region_count = ARRAY_LEN(other);
    input.firmware = tables;
    input.firmware_count = ARRAY_LEN(tables);
    expect_firmware(plan_make_manifest(&input, mappings), want, ARRAY_LEN(want));
}

TEST("plan: the firmware's pages are mapped whole where there is no RAM at all") {
    const struct slipway_mapping want = {FIRMWARE_WINDOW,     0x9f000, 0x3000, 0, 0,
                                         SLIPWAY_MAP_FIRMWARE};
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    input.region_count = 0;
    input.firmware = tables;
    input.firmware_count = 1;
    expect_firmware(plan_make_manifest(&input, mappings), &want, 1);
}

// ---- Tables in memory whose physical addresses are not its pointers

enum { FRAMES = 64 };

static uint64_t table_memory[FRAMES][512];
static uint64_t tables_used;

static paddr_t table_alloc(void *context) {
    (void)context;
    if (tables_used == FRAMES)
        return PADDR_NONE;
    return paddr(0x7000000 + FRAME_BYTES * tables_used++);
}

static void table_free(void *context, paddr_t table) {
    (void)context;
    (void)table;
    fail_msg("a table was freed while the manifest was being built");
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    uint64_t index = (table.value - 0x7000000) / FRAME_BYTES;
    return index < FRAMES ? table_memory[index] : NULL;
}

static const struct vmem_ops ops = {
    .table_alloc = table_alloc,
    .table_free = table_free,
    .table_pointer = table_pointer,
};

static void expect_count_is_exact(const struct plan_input *input, struct vmem_cpu cpu,
                                  unsigned levels) {
    uint64_t count = plan_make_manifest(input, mappings);
    struct vmem_plan plan;
    uint64_t index;
    const struct plan_list list = {.mappings = mappings, .count = count};
    assert_int_equal(plan_count_tables(&list, cpu, levels, &plan, &index), VMEM_OK);
    struct vmem space;
    tables_used = 0;
    assert_int_equal(vmem_new(&space, &ops, NULL, cpu, levels), VMEM_OK);
    assert_int_equal(plan_build_tables(&space, &list, &index), VMEM_OK);
    assert_int_equal(tables_used, plan.tables);
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(&space, vaddr(SLIPWAY_KERNEL_DEFAULT + 0x5123), &translation),
                     VMEM_OK);
    assert_int_equal(translation.phys.value, input->pieces[0].phys + 0x5123);
    assert_int_equal(translation.rights, VMEM_READ | VMEM_WRITE);
    assert_true(vmem_translation_is_global(&translation));
}

TEST(
    "plan: the tables counted are the tables used, with 4 and 5 levels, with and without 1 GiB pages") {
    static const struct slipway_framebuffer framebuffers[] = {
        {.address_phys = 0x80000000, .bytes = MIB(4)},
        {.address_phys = 0x50001000, .bytes = MIB(4)},
    };
    struct elf_image kernel = make_kernel();
    struct plan_input inputs[] = {make_input(&kernel), make_direct_input(&kernel)};
    for (unsigned i = 0; i < 4; i++) {
        struct plan_input *input = &inputs[i / 2];
        input->framebuffers = framebuffers;
        input->framebuffer_count = ARRAY_LEN(framebuffers);
        expect_count_is_exact(input, (struct vmem_cpu){40, true, true}, 4 + i % 2);
        expect_count_is_exact(input, (struct vmem_cpu){40, true, false}, 4 + i % 2);
    }
}

TEST("plan: a mapping that cannot be is named by its index") {
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    input.stack_phys = UINT64_C(1) << 45;
    uint64_t count = plan_make_manifest(&input, mappings);
    const struct plan_list list = {.mappings = mappings, .count = count};
    struct vmem_plan plan;
    uint64_t index;
    assert_int_equal(plan_count_tables(&list, (struct vmem_cpu){40, true, true}, 4, &plan, &index),
                     VMEM_ERR_PADDR_WIDTH);
    assert_int_equal(mappings[index].purpose, SLIPWAY_MAP_STACK);
    struct vmem space;
    tables_used = 0;
    assert_int_equal(vmem_new(&space, &ops, NULL, (struct vmem_cpu){40, true, true}, 4), VMEM_OK);
    index = 0;
    assert_int_equal(plan_build_tables(&space, &list, &index), VMEM_ERR_PADDR_WIDTH);
    assert_int_equal(mappings[index].purpose, SLIPWAY_MAP_STACK);
}

TEST("plan: of no mapping the index is 0") {
    const struct vmem_cpu cpu = {40, true, true};
    struct vmem_plan plan;
    struct vmem space;
    uint64_t index = 77;
    const struct plan_list list = {.mappings = mappings, .count = 0};
    assert_int_equal(plan_count_tables(&list, cpu, 3, &plan, &index), VMEM_ERR_LEVELS);
    assert_int_equal(index, 0);
    tables_used = 0;
    assert_int_equal(vmem_new(&space, &ops, NULL, cpu, 4), VMEM_OK);
    index = 77;
    assert_int_equal(plan_build_tables(&space, &list, &index), VMEM_OK);
    assert_int_equal(index, 0);
}

TEST("plan: the tables of the first mapping count") {
    const struct vmem_cpu cpu = {40, true, true};
    const struct slipway_mapping page = {SLIPWAY_HHDM_BASE, 0, FRAME_BYTES, 1, SLIPWAY_CACHE_WB,
                                         SLIPWAY_MAP_DIRECT};
    struct vmem_plan plan;
    uint64_t index;
    const struct plan_list list = {.mappings = &page, .count = 1};
    assert_int_equal(plan_count_tables(&list, cpu, 4, &plan, &index), VMEM_OK);
    assert_int_equal(plan.tables, 4);
}

// ---- RAM that changed after the plan

TEST("plan: nothing is unmapped or stale while RAM stays what it was") {
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    uint64_t count = plan_make_manifest(&input, mappings);
    struct plan_range range;
    assert_int_equal(plan_find_unmapped(&input, mappings, count, &range, 1), 0);
    assert_int_equal(plan_find_stale(&input, mappings, count, &range, 1), 0);
}

enum { MODEL_FRAMES = 64 };

// Random frames of RAM, as regions that may touch.
static uint64_t random_regions(struct memmap_region *regions, bool *model) {
    uint64_t count = 0;
    for (uint64_t frame = 0; frame < MODEL_FRAMES;) {
        uint64_t length = 1 + (uint64_t)rand() % 5;
        length = min_u64(length, MODEL_FRAMES - frame);
        bool direct = rand() % 2;
        regions[count++] = (struct memmap_region){
            frame * FRAME_BYTES, (frame + length) * FRAME_BYTES, SLIPWAY_MEM_USABLE, direct};
        for (; length != 0; length--)
            model[frame++] = direct;
    }
    return count;
}

static void expect_ranges(const struct plan_range *ranges, uint64_t count, const bool *in,
                          const bool *not_in) {
    bool found[MODEL_FRAMES] = {false};
    for (uint64_t i = 0; i < count; i++) {
        assert_true(ranges[i].start < ranges[i].end);
        for (uint64_t at = ranges[i].start; at < ranges[i].end; at += FRAME_BYTES) {
            assert_false(found[at / FRAME_BYTES]);
            found[at / FRAME_BYTES] = true;
        }
    }
    for (unsigned frame = 0; frame < MODEL_FRAMES; frame++)
        assert_int_equal(found[frame], in[frame] && !not_in[frame]);
}

TEST(
    "plan: RAM that appeared and RAM that went are found to the frame, in a thousand random changes") {
    srand(1);
    for (unsigned round = 0; round < 1000; round++) {
        struct memmap_region regions[MODEL_FRAMES];
        struct plan_range ranges[MODEL_FRAMES];
        bool before[MODEL_FRAMES];
        bool after[MODEL_FRAMES];
        struct elf_image kernel = make_kernel();
        struct plan_input input = make_input(&kernel);
        input.regions = regions;
        input.region_count = random_regions(regions, before);
        uint64_t count = plan_make_manifest(&input, mappings);
        input.region_count = random_regions(regions, after);
        uint64_t unmapped = plan_find_unmapped(&input, mappings, count, ranges, MODEL_FRAMES);
        expect_ranges(ranges, unmapped, after, before);
        uint64_t stale = plan_find_stale(&input, mappings, count, ranges, MODEL_FRAMES);
        expect_ranges(ranges, stale, before, after);
    }
}

TEST("plan: more ranges than fit are counted and not written") {
    struct elf_image kernel = make_kernel();
    struct plan_input input = make_input(&kernel);
    struct plan_range ranges[2] = {{1, 2}, {3, 4}};
    assert_int_equal(plan_find_unmapped(&input, mappings, 0, ranges, 1), 2);
    assert_int_equal(ranges[0].start, 0);
    assert_int_equal(ranges[0].end, 0xa0000);
    assert_int_equal(ranges[1].start, 3);
}
