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

TEST("a kernel that wants other paging levels than the machine's is refused") {
    setup_boot(NULL);
    boot_with((struct slipway_note_wishes){.paging_levels = 5});
    setup_expect_failure("the kernel wants 5 paging levels, the machine runs with 4");
    setup_boot(NULL);
    fake.paging_levels = 5;
    boot_with((struct slipway_note_wishes){.paging_levels = 4});
    setup_expect_failure("the kernel wants 4 paging levels, the machine runs with 5");
    setup_boot(NULL);
    fake.paging_levels = 5;
    boot_with((struct slipway_note_wishes){.paging_levels = 5});
    setup_expect_kernel();
}

TEST("a note that is wrong is refused, naming the kernel") {
    setup_boot(NULL);
    boot_with((struct slipway_note_wishes){.stack_bytes = 100});
    const char *line;
    setup_expect_return(&line);
    assert_memory_equal(line, "\\kernel.elf: ", 13);
}
