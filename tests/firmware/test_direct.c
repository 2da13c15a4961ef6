// SLIPWAY_NOTE_DIRECT: stacks, GDT, TSS, IDT and framebuffers in the direct map. That all of it is
// as the contract says is seen by setup_expect_kernel, which tells from the stack what to expect.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "tests/firmware/picture.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

#define LOW_SCREEN    UINT64_C(0xc0000000)                        // between RAM
#define HIGH_SCREEN   (FAKE_HIGH_PHYS + FAKE_HIGH_BYTES + GIB(8)) // above all RAM
#define READING_FIRST 2                                           // before the first exit,
#define READING_AGAIN 3                                           // and after it

static void wish(struct slipway_note_wishes wishes) {
    wishes.version = SLIPWAY_BOOT_VERSION;
    wishes.flags |= SLIPWAY_NOTE_DIRECT;
    setup_wishes(wishes);
}

static const struct slipway_boot_info *expect_direct(void) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_true(setup_is_direct(info));
    return info;
}

static const struct slipway_framebuffer *screen(const struct slipway_boot_info *info, uint32_t i) {
    return setup_record(&info->framebuffers, i);
}

TEST("a kernel that wishes gets its stack in the direct map, wherever that is") {
    static const struct slipway_note_wishes wishes[] = {
        {.stack_bytes = 0},
        {.stack_bytes = FRAME_BYTES},
        {.stack_bytes = MIB(3), .hhdm_base = UINT64_C(0xffff900000000000)},
        {.paging_levels = 5, .hhdm_base = UINT64_C(0xff11000000000000)},
        {.paging_levels = 5, .flags = SLIPWAY_NOTE_KEEP_SCREEN},
    };
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
        setup_boot(SETUP_CONFIG);
        fake.has_la57 = true;
        wish(wishes[i]);
        fake_boot();
        const struct slipway_boot_info *info = expect_direct();
        uint64_t bytes = wishes[i].stack_bytes == 0 ? KIB(64) : wishes[i].stack_bytes;
        assert_int_equal(info->stack_top - info->stack_bottom, bytes);
        assert_int_equal(info->framebuffers.count, 0);
    }
}

TEST("its framebuffers are in the direct map, below RAM and above, those that overlap too") {
    setup_boot("log = info\n");
    fake_add_display(HIGH_SCREEN, 640, 480);
    fake_add_display(LOW_SCREEN + 0x840, 800, 600);
    fake_add_display(LOW_SCREEN + 0x100040, 800, 600); // begins in the one before
    wish((struct slipway_note_wishes){.flags = SLIPWAY_NOTE_FRAMEBUFFER});
    fake_boot();
    const struct slipway_boot_info *info = expect_direct();
    assert_int_equal(info->framebuffers.count, 3);
    assert_int_equal(screen(info, 0)->address, info->hhdm_base + HIGH_SCREEN);
    assert_int_equal(screen(info, 1)->address, info->hhdm_base + LOW_SCREEN + 0x840);
    assert_int_equal(screen(info, 2)->address, info->hhdm_base + LOW_SCREEN + 0x100040);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(fake.cpu.clears[i].address, screen(info, i)->address);
    // RAM alone counts.
    assert_int_equal(info->hhdm_end, info->hhdm_base + FAKE_HIGH_PHYS + FAKE_HIGH_BYTES);
}

TEST("other CPUs have their stacks there, each between two guards, parked or not") {
    for (uint32_t others = 0; others < 4; others++) {
        setup_boot(SETUP_CONFIG);
        for (uint32_t i = 1; i <= others; i++)
            fake_add_cpu(i);
        if (others > 1)
            fake.cpus[1].comes_at = 0;
        wish((struct slipway_note_wishes){.flags = SLIPWAY_NOTE_CPUS, .stack_bytes = KIB(8)});
        fake_boot();
        assert_int_equal(expect_direct()->cpus.count, 1 + others);
    }
}

// Boots with a large module, above which the rest of its alignment is free, and a stack there. How
// much is left between the two.
static uint64_t boot_above_module(uint64_t stack_bytes) {
    setup_boot("module = \\large\n");
    fake_add_file("\\large", NULL, MIB(2));
    fake.leaves_no_gaps = true;
    wish((struct slipway_note_wishes){.stack_bytes = stack_bytes});
    fake_boot();
    const struct slipway_boot_info *info = expect_direct();
    const struct slipway_range *module = setup_find_range(info, SLIPWAY_RANGE_MODULE, 0);
    const struct slipway_range *guard = setup_find_range(info, SLIPWAY_RANGE_GUARD, 0);
    return guard->start_phys - (module->start_phys + module->bytes);
}

TEST("a guard that begins where another run of pages ends is told apart from it") {
    uint64_t left = boot_above_module(FRAME_BYTES);
    assert_in_range(left, FRAME_BYTES, MIB(2));
    assert_int_equal(boot_above_module(FRAME_BYTES + left), 0);
}

TEST("a framebuffer for which the direct map has no room is left out, and another is not") {
    const uint64_t bases[] = {SLIPWAY_WINDOW_BASE - GIB(512), UINT64_C(0xff00000000000000)};
    const uint64_t rooms[] = {GIB(512), SLIPWAY_HHDM_MAX_BYTES};
    const uint64_t bytes = 640 * 480 * 4;
    for (unsigned i = 0; i < 2; i++) {
        setup_boot("log = info\n");
        fake.paddr_bits = 52;
        fake.has_la57 = true;
        fake_add_display(rooms[i] - bytes, 640, 480);
        fake_add_display(rooms[i] - bytes + 1, 640, 480);
        wish((struct slipway_note_wishes){.hhdm_base = bases[i], .paging_levels = 5});
        fake_boot();
        const struct slipway_boot_info *info = expect_direct();
        assert_int_equal(info->framebuffers.count, 1);
        assert_int_equal(screen(info, 0)->address_phys, rooms[i] - bytes);
        char line[100];
        snprintf(line, sizeof(line),
                 "\nslipway: framebuffer at 0x%lx left out: it lies beyond the direct map's room\n",
                 rooms[i] - bytes + 1);
        assert_non_null(strstr(fake.com1, line));
    }
    setup_boot(NULL);
    fake.paddr_bits = 52;
    fake_add_display(SLIPWAY_HHDM_MAX_BYTES, 640, 480);
    wish((struct slipway_note_wishes){.flags = SLIPWAY_NOTE_FRAMEBUFFER});
    fake_boot();
    setup_expect_failure("the kernel wants a framebuffer, and there is none");
    // In the window there is room.
    setup_boot(NULL);
    fake.paddr_bits = 52;
    fake_add_display(SLIPWAY_HHDM_MAX_BYTES, 640, 480);
    fake_boot();
    assert_int_equal(setup_expect_kernel()->framebuffers.count, 1);
}

TEST("RAM that is not write-back is left out beside the guards") {
    setup_boot("log = info\n");
    fake.registers.mtrr_variable[0][0] = FAKE_HIGH_PHYS + MIB(4); // UC
    fake.registers.mtrr_variable[0][1] =
        (((UINT64_C(1) << fake.paddr_bits) - 1) & ~(MIB(1) - 1)) | 1 << 11;
    fake_add_cpu(1);
    wish((struct slipway_note_wishes){.flags = SLIPWAY_NOTE_CPUS});
    fake_boot();
    const struct slipway_range *demoted =
        setup_find_range(expect_direct(), SLIPWAY_RANGE_DEMOTED, 0);
    assert_int_equal(demoted->start_phys, FAKE_HIGH_PHYS + MIB(4));
    assert_int_equal(demoted->bytes, MIB(1));
    // Before the direct map is planned, not with the last memory map alone.
    assert_non_null(strstr(fake.com1, "RAM at 0x100400000, 1048576 bytes, is not write-back"));
}

// ---- Memory maps that change

static uint32_t when, how_many;

static void add_scattered_ram(uint32_t reading) {
    for (uint32_t i = 0; reading == when && i < how_many; i++)
        fake_add_memory(UINT64_C(0x1000000000) + i * GIB(1), FRAME_BYTES, EfiConventionalMemory);
}

static void punch_holes(uint32_t reading) {
    for (uint32_t i = 0; reading == when && i < how_many; i++)
        fake_add_memory(FAKE_HIGH_PHYS + MIB(2) * (i + 1), FRAME_BYTES, EfiReservedMemoryType);
    if (reading == when)
        fake_change_map_key();
}

static const struct slipway_boot_info *boot_changed(void (*change)(uint32_t), uint32_t reading,
                                                    uint32_t count) {
    setup_boot(SETUP_CONFIG);
    fake.exit_refusals = 1;
    fake.before_map = change;
    when = reading;
    how_many = count;
    fake_add_display(LOW_SCREEN, 640, 480);
    fake_add_display(UINT64_C(0x1000000000) + MIB(1), 640, 480); // between RAM that appears
    fake_add_cpu(1);
    wish((struct slipway_note_wishes){.flags = SLIPWAY_NOTE_CPUS, .stack_bytes = MIB(3)});
    fake_boot();
    const struct slipway_boot_info *info = expect_direct();
    assert_int_equal(info->framebuffers.count, 2);
    return info;
}

TEST(
    "RAM that appears or goes, with spare tables and without, changes neither guards nor screens") {
    static const uint32_t counts[] = {1, 3, 60};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        boot_changed(add_scattered_ram, READING_FIRST, counts[i]);
        boot_changed(punch_holes, READING_FIRST, counts[i]);
    }
    const struct slipway_boot_info *info = boot_changed(add_scattered_ram, READING_AGAIN, 3);
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0));
    info = boot_changed(add_scattered_ram, READING_AGAIN, 12);
    assert_non_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 11));
    boot_changed(punch_holes, READING_AGAIN, 3);
}

// The first hole splits a leaf of 1 GiB and one of 2 MiB.
TEST("guards are planned for: after a refused exit all spare tables are there") {
    boot_changed(punch_holes, READING_AGAIN, 15);
}

static void add_ram_under_screen(uint32_t reading) {
    if (reading == when)
        fake_add_memory(0x60000000 + MIB(1), FRAME_BYTES, EfiConventionalMemory);
}

TEST("RAM that appears in a framebuffer ends the boot, after a refused exit the machine") {
    for (uint32_t reading = READING_FIRST; reading <= READING_AGAIN; reading++) {
        static const char want[] =
            "memory map: RAM has appeared in the framebuffer at 0x60000000, 1228800 bytes";
        setup_boot(NULL);
        uint32_t *pixels = picture_map(0x60000000, 640, 480); // what stops the machine is drawn
        fake.exit_refusals = 1;
        fake.before_map = add_ram_under_screen;
        when = reading;
        wish((struct slipway_note_wishes){0});
        fake_boot();
        if (reading == READING_FIRST)
            setup_expect_failure(want);
        else
            setup_expect_stop(want);
        picture_unmap(pixels, 640, 480);
    }
}

TEST("RAM in any framebuffer that is mapped ends the boot, and in one that is left out does not") {
    setup_boot(NULL);
    fake_add_display(LOW_SCREEN, 640, 480);
    fake_add_display(0x60000000, 640, 480);
    fake.before_map = add_ram_under_screen;
    when = READING_FIRST;
    wish((struct slipway_note_wishes){0});
    fake_boot();
    setup_expect_failure(
        "memory map: RAM has appeared in the framebuffer at 0x60000000, 1228800 bytes");
    setup_boot(NULL);
    fake_add_display(LOW_SCREEN, 640, 480);
    fake_add_display(FAKE_HIGH_PHYS, 640, 480);
    wish((struct slipway_note_wishes){0});
    fake_boot();
    assert_int_equal(expect_direct()->framebuffers.count, 1);
}
