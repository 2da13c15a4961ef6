// What a kernel asks for in its note: given, or refused with the reason.
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <stdlib.h>
#include <string.h>

static void boot_with(struct slipway_note_wishes wishes) {
    wishes.version = SLIPWAY_BOOT_VERSION;
    setup_wishes(wishes);
    fake_boot();
}

TEST("a kernel gets the stack and the base of the direct map that it wishes") {
    const uint64_t base = UINT64_C(0xffff900000000000);
    setup_boot(SETUP_CONFIG);
    boot_with((struct slipway_note_wishes){.stack_bytes = KIB(256), .hhdm_base = base});
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->stack_top - info->stack_bottom, KIB(256));
    assert_int_equal(info->hhdm_base, base);
}

TEST("a kernel for five levels gets its direct map where only five levels reach") {
    const uint64_t base = UINT64_C(0xff00000000000000);
    setup_boot(NULL);
    fake.paging_levels = 5;
    boot_with((struct slipway_note_wishes){.hhdm_base = base, .paging_levels = 5});
    assert_int_equal(setup_expect_kernel()->hhdm_base, base);
}

TEST("a direct map so high that RAM has no room below the next window is refused") {
    const uint64_t base = SLIPWAY_WINDOW_BASE - GIB(512);
    setup_boot(NULL);
    fake_add_memory(GIB(512) - FRAME_BYTES, FRAME_BYTES, EfiConventionalMemory); // just below it
    boot_with((struct slipway_note_wishes){.hhdm_base = base});
    assert_int_equal(setup_expect_kernel()->hhdm_base, base);
    setup_boot(NULL);
    fake_add_memory(GIB(600), GIB(1), EfiConventionalMemory);
    boot_with((struct slipway_note_wishes){.hhdm_base = base});
    setup_expect_failure("the kernel wants its direct map at 0xffffbf8000000000, where RAM up to "
                         "0x9640000000 has no room");
}

TEST("a direct map where the kernel itself lies is refused, without a wish it is elsewhere") {
    setup_boot(NULL);
    elf_file_move(&setup_kernel, SLIPWAY_HHDM_BASE + GIB(1) - ELF_FILE_BASE);
    fake_boot();
    assert_int_equal(setup_expect_kernel()->hhdm_base, SLIPWAY_HHDM_BASE + GIB(512));
    setup_boot(NULL);
    elf_file_move(&setup_kernel, SLIPWAY_HHDM_BASE + GIB(1) - ELF_FILE_BASE);
    boot_with((struct slipway_note_wishes){.hhdm_base = SLIPWAY_HHDM_BASE});
    setup_expect_failure("the kernel wants its direct map at 0xffff800000000000, where RAM up to "
                         "0x180000000 has no room");
}

TEST(
    "a direct map with room on neither side of the kernel is refused, but has room with 5 levels") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        setup_boot(NULL);
        fake.paging_levels = levels;
        fake_add_memory(SLIPWAY_HHDM_MAX_BYTES - FRAME_BYTES, FRAME_BYTES, EfiConventionalMemory);
        elf_file_move(&setup_kernel, SLIPWAY_HHDM_BASE + GIB(512) - ELF_FILE_BASE);
        fake_boot();
        if (levels == 4)
            setup_expect_failure(
                "a direct map of RAM up to 0x400000000000 has no room beside the kernel's image from 0xffff808000000000 to 0xffff808000005000");
        else
            assert_int_equal(setup_expect_kernel()->hhdm_base, UINT64_C(0xff00000000000000));
    }
}

TEST("a kernel that wants a framebuffer boots with one and is refused without") {
    setup_boot(NULL);
    boot_with((struct slipway_note_wishes){.flags = SLIPWAY_NOTE_FRAMEBUFFER});
    setup_expect_failure("the kernel wants a framebuffer, and there is none");
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480);
    boot_with((struct slipway_note_wishes){.flags = SLIPWAY_NOTE_FRAMEBUFFER});
    assert_int_equal(setup_expect_kernel()->framebuffers.count, 1);
}

TEST("a display that lies in RAM is no framebuffer for a kernel that wants one") {
    setup_boot(NULL);
    fake_add_display(FAKE_HIGH_PHYS + MIB(32), 640, 480);
    boot_with((struct slipway_note_wishes){.flags = SLIPWAY_NOTE_FRAMEBUFFER});
    setup_expect_failure("the kernel wants a framebuffer, and there is none");
}

TEST("a kernel that wants more RAM than there is is refused with both numbers") {
    setup_boot(NULL);
    boot_with((struct slipway_note_wishes){.ram_floor_bytes = GIB(64)});
    const char *line;
    setup_expect_return(&line);
    static const char start[] = "the kernel wants 68719476736 bytes of RAM, the machine has ";
    assert_memory_equal(line, start, sizeof(start) - 1);
    uint64_t all = strtoull(line + sizeof(start) - 1, NULL, 10);
    assert_true(all > FAKE_HIGH_BYTES);
    setup_boot(NULL);
    boot_with((struct slipway_note_wishes){.ram_floor_bytes = all});
    setup_expect_kernel();
    setup_boot(NULL);
    boot_with((struct slipway_note_wishes){.ram_floor_bytes = all + 1});
    setup_expect_return(&line);
}

// What the firmware runs with and the CPU has; `paging` of the config, and the kernel's wish; how
// many levels the kernel gets, 0: it is refused.
static const struct levels {
    unsigned firmware;
    bool has_la57;
    const char *config;
    uint32_t wish;
    unsigned levels;
    const char *refusal;
} levels[] = {
    {4, false, "", 0, 4, NULL},
    {4, false, "", 4, 4, NULL},
    {4, false, "", 5, 0, "the kernel wants 5 paging levels, the CPU has 4"},
    {4, false, "paging = max\n", 0, 4, NULL},
    {4, false, "paging = 4\n", 0, 4, NULL},
    {4, false, "paging = 5\n", 0, 0, "the config wants 5 paging levels, the CPU has 4"},
    {4, false, "paging = 5\n", 5, 0, "the config wants 5 paging levels, the CPU has 4"},
    {4, true, "", 0, 4, NULL},
    {4, true, "", 4, 4, NULL},
    {4, true, "", 5, 5, NULL},
    {4, true, "paging = max\n", 0, 5, NULL},
    {4, true, "paging = max\n", 4, 4, NULL},
    {4, true, "paging = max\n", 5, 5, NULL},
    {4, true, "paging = 4\n", 4, 4, NULL},
    {4, true, "paging = 5\n", 0, 5, NULL},
    {4, true, "paging = 4\n", 5, 0,
     "the config wants 4 paging levels (paging = 4), the kernel wants 5"},
    {4, true, "paging = 5\n", 4, 0,
     "the config wants 5 paging levels (paging = 5), the kernel wants 4"},
    {5, true, "", 0, 5, NULL},
    {5, true, "", 4, 4, NULL},
    {5, true, "", 5, 5, NULL},
    {5, true, "paging = 4\n", 0, 4, NULL},
    {5, true, "paging = max\n", 0, 5, NULL},
};

TEST(
    "a kernel gets the paging levels that it or the config wants, whatever the firmware runs with") {
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        setup_boot(levels[i].config);
        fake.paging_levels = levels[i].firmware;
        fake.has_la57 = levels[i].has_la57;
        boot_with((struct slipway_note_wishes){.paging_levels = levels[i].wish});
        if (levels[i].refusal != NULL)
            setup_expect_failure(levels[i].refusal);
        else
            assert_int_equal(setup_expect_kernel()->paging_levels, levels[i].levels);
    }
}

TEST("without a page below 4 GiB to change the paging levels in, the boot is refused") {
    setup_boot("paging = 5\n");
    fake.has_la57 = true;
    fake.has_no_room_for_code = true;
    fake_boot();
    setup_expect_failure("startup page: no room for 40960 bytes below 4 GiB (not found)");
}

TEST("a note that is wrong is refused, naming the kernel") {
    setup_boot(NULL);
    boot_with((struct slipway_note_wishes){.stack_bytes = 100});
    const char *line;
    setup_expect_return(&line);
    assert_memory_equal(line, "\\kernel.elf: ", 13);
}
