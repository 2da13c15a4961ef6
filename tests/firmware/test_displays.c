// Displays: handed over as they are, left out where a kernel could not draw, and cleared.
#include "common/base/arith.h"
#include "tests/firmware/setup_displays.h"

#include <stdio.h>

TEST("two displays are two framebuffers, each with its mapping") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 1280, 800);
    struct fake_display *second = fake_add_display(UINT64_C(0xf8e0001000), 800, 600);
    second->mode.PixelFormat = PixelRedGreenBlueReserved8BitPerColor;
    second->mode.PixelsPerScanLine = 832;
    second->bytes = 832 * 4 * 600;
    const struct slipway_framebuffer *first = setup_framebuffers(2);
    assert_int_equal(first->address_phys, 0xc0000000);
    assert_int_equal(first->width, 1280);
    assert_int_equal(first->height, 800);
    assert_int_equal(first->pitch, 5120);
    assert_int_equal(first->format, SLIPWAY_PIXEL_BGRX8888);
    assert_int_equal(first->red_mask, 0xff0000);
    assert_int_equal(first[1].address_phys, UINT64_C(0xf8e0001000));
    assert_int_equal(first[1].pitch, 832 * 4);
    assert_int_equal(first[1].format, SLIPWAY_PIXEL_RGBX8888);
    assert_int_equal(first[1].red_mask, 0xff);
}

TEST("a display with masks of its own is described by them") {
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000800, 640, 480);
    display->mode.PixelFormat = PixelBitMask;
    display->mode.PixelInformation = (EFI_PIXEL_BITMASK){0x3ff00000, 0xffc00, 0x3ff, 0xc0000000};
    const struct slipway_framebuffer *framebuffer = setup_framebuffers(1);
    assert_int_equal(framebuffer->format, SLIPWAY_PIXEL_MASKS);
    assert_int_equal(framebuffer->red_mask, 0x3ff00000);
    assert_int_equal(framebuffer->green_mask, 0xffc00);
    assert_int_equal(framebuffer->blue_mask, 0x3ff);
    assert_int_equal(framebuffer->address & 0xfff, 0x800);
}

TEST("a mask of any colour, or of none, that goes beyond 24 bits makes pixels of 32 bits") {
    static const EFI_PIXEL_BITMASK masks[] = {{0xff000000, 0xff0000, 0xff00, 0},
                                              {0xff0000, 0xff000000, 0xff00, 0},
                                              {0xff0000, 0xff00, 0xff000000, 0},
                                              {0xff0000, 0xff00, 0xff, 0x1000000}};
    setup_boot(NULL);
    for (unsigned i = 0; i < ARRAY_LEN(masks); i++) {
        struct fake_display *display = fake_add_display(0xc0000000 + i * MIB(16), 640, 480);
        display->mode.PixelFormat = PixelBitMask;
        display->mode.PixelInformation = masks[i];
    }
    setup_framebuffers(ARRAY_LEN(masks));
}

TEST("displays without memory, with narrow pixels, or known already are left out") {
    setup_boot(NULL);
    fake_add_display(0xb0000000, 640, 480)->mode.PixelFormat = PixelBltOnly;
    fake_add_display(0, 640, 480);
    struct fake_display *narrow = fake_add_display(0xb8000000, 640, 480);
    narrow->mode.PixelFormat = PixelBitMask;
    narrow->mode.PixelInformation = (EFI_PIXEL_BITMASK){0xf800, 0x7e0, 0x1f, 0};
    fake_add_display(0xc0000000, 640, 480);
    fake_add_display(0xc0000000, 640, 480);
    fake_add_display(0xb0000000, 0, 480);
    assert_int_equal(setup_framebuffers(1)->address_phys, 0xc0000000);
    setup_expect_logged("display at 0xb0000000 left out: it has no linear memory");
    setup_expect_logged("display at 0x0 left out: it has no linear memory");
    setup_expect_logged("display at 0xb8000000 left out: its pixels have not 32 bits");
}

TEST("a display whose numbers contradict each other is left out, with the reason in the log") {
    enum { COUNT = 9 };
    static const char *const reasons[COUNT] = {
        "it has no pixels",     "it has no pixels",       "its lines are longer than its pitch",
        "it is too large",      "it is too large",        "a colour has no bits",
        "a colour has no bits", "two colours share bits", "two colours share bits",
    };
    static const EFI_PIXEL_BITMASK masks[COUNT] = {
        [5] = {0, 0xff00, 0xff, 0xff000000},
        [6] = {0xff0000, 0xff00, 0, 0xff000000},
        [7] = {0xff0000, 0x1ff00, 0xff, 0xff000000},
        [8] = {0xff0000, 0xff00, 0x800000, 0xff000000},
    };
    for (uint64_t i = 0; i < COUNT; i++) {
        setup_boot(NULL);
        uint64_t base = i == 4 ? UINT64_MAX - 640 * 480 * 4 : 0x80000000; // ends beyond 2^64
        EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = &fake_add_display(base, 640, 480)->mode;
        mode->HorizontalResolution = i == 0 ? 0 : 640;
        mode->VerticalResolution = i == 1 ? 0 : 480;
        mode->PixelsPerScanLine = i == 2 ? 639 : i == 3 ? 1 << 30 : 640;
        if (i >= 5)
            mode->PixelFormat = PixelBitMask;
        mode->PixelInformation = masks[i];
        fake_add_display(0xc0000000, 640, 480);
        assert_int_equal(setup_framebuffers(1)->address_phys, 0xc0000000);
        char want[120];
        snprintf(want, sizeof(want), "display at 0x%lx left out: %s", base, reasons[i]);
        setup_expect_logged(want);
    }
}

TEST("a display without a mode, or whose mode has no description, is left out") {
    setup_boot(NULL);
    fake_add_display(0x80000000, 640, 480)->has_no_mode = true;
    fake_add_display(0x90000000, 640, 480)->has_no_info = true;
    fake_add_display(0xc0000000, 640, 480);
    assert_int_equal(setup_framebuffers(1)->address_phys, 0xc0000000);
}

TEST("a kernel without modules and displays finds arrays at address 0") {
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->framebuffers.address, 0);
    assert_int_equal(info->framebuffers.count, 0);
    assert_int_equal(info->modules.address, 0);
}

TEST("more displays than the hand-over holds are left out, and the log says so") {
    setup_boot(NULL);
    for (uint64_t i = 0; i < 9; i++)
        fake_add_display(0x80000000 + i * MIB(16), 640, 480);
    setup_framebuffers(7);
    setup_expect_logged("display at 0x88000000 left out: more than 7 displays");
}

TEST("displays whose memory overlaps are two framebuffers, mapped twice with one cache type") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480);
    fake_add_display(0xc0001000, 640, 480);
    setup_framebuffers(2);
}

TEST("a display that cannot be mapped is left out, and the boot goes on") {
    setup_boot(NULL);
    fake_add_display(UINT64_C(1) << 50, 640, 480);            // beyond the CPU's physical addresses
    fake_add_display((UINT64_C(1) << 48) - MIB(1), 640, 480); // over their end
    fake_add_display(0xd0000000, 1 << 17, 1 << 17);           // 64 GiB
    fake_add_display((UINT64_C(1) << 48) - 640 * 480 * 4, 640, 480); // up to it
    fake_add_display(UINT64_C(1) << 40, 1 << 16, 63 << 12);          // 63 GiB
    assert_int_equal(setup_framebuffers(2)->address_phys, (UINT64_C(1) << 48) - 640 * 480 * 4);
    setup_expect_logged("framebuffer at 0x4000000000000 left out: it lies beyond the CPU's "
                        "physical addresses");
    setup_expect_logged("framebuffer at 0xfffffff00000 left out: it lies beyond the CPU's "
                        "physical addresses");
    setup_expect_logged("framebuffer at 0xd0000000 left out: it is too large");
}

TEST("a display up to RAM or from its end on is a framebuffer, one that reaches a page in is not") {
    const uint64_t bytes = UINT64_C(640) * 480 * 4; // whole pages
    const uint64_t high_end = FAKE_HIGH_PHYS + FAKE_HIGH_BYTES;
    setup_boot(NULL);
    fake_add_display(FAKE_HIGH_PHYS - bytes, 640, 480);
    fake_add_display(high_end, 640, 480);
    fake_add_display(FAKE_HIGH_PHYS - bytes + FRAME_BYTES, 640, 480);
    fake_add_display(high_end - FRAME_BYTES, 640, 480);
    fake_add_display(0x800, 16, 16); // in the first frame alone
    const struct slipway_framebuffer *framebuffers = setup_framebuffers(2);
    assert_int_equal(framebuffers[0].address_phys, FAKE_HIGH_PHYS - bytes);
    assert_int_equal(framebuffers[1].address_phys, high_end);
    setup_expect_logged("framebuffer at 0xffed5000 left out: it lies in RAM");
    setup_expect_logged("framebuffer at 0x17ffff000 left out: it lies in RAM");
    setup_expect_logged("framebuffer at 0x800 left out: it lies in RAM");
}

TEST("more displays than the loader can list are left out, and the log says so") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480);
    fake.refused = FAKE_LOCATE_HANDLE;
    fake.fail_status = EFI_BUFFER_TOO_SMALL;
    fake_boot();
    assert_int_equal(setup_expect_kernel()->framebuffers.count, 0);
    setup_expect_logged("displays left out: more than 128 of them");
}

TEST("a framebuffer is as large as its picture, whatever the firmware says of its size") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480)->bytes = GIB(100);
    assert_int_equal(setup_framebuffers(1)->bytes, 640 * 480 * 4);
}

// ---- What the kernel finds on the screen

// The places that the switch to the kernel clears, up to the end of their list.
static void expect_clears(uint32_t count) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    for (uint32_t i = 0; i < count; i++) {
        const struct slipway_framebuffer *framebuffer = setup_record(&info->framebuffers, i);
        assert_int_equal(fake.cpu.clears[i].address, framebuffer->address);
        assert_int_equal(fake.cpu.clears[i].bytes,
                         (uint64_t)framebuffer->pitch * framebuffer->height);
    }
    assert_int_equal(fake.cpu.clears[count].bytes, 0);
}

static void boot_with_screens(const char *config, uint32_t count, uint32_t flags) {
    setup_boot(config);
    for (uint32_t i = 0; i < count; i++)
        fake_add_display(0xc0000000 + i * MIB(16) + i * 16, 640 + i, 480);
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .flags = flags});
    fake_boot();
}

TEST("clear: every framebuffer is cleared, unless the config or the kernel's note keeps them") {
    for (uint32_t count = 0; count <= 7; count++) {
        boot_with_screens(NULL, count, 0);
        expect_clears(count);
        boot_with_screens("clear = on\n", count, count == 0 ? 0 : SLIPWAY_NOTE_FRAMEBUFFER);
        expect_clears(count);
        boot_with_screens("clear = off\n", count, 0);
        expect_clears(0);
        boot_with_screens("clear = on\n", count, SLIPWAY_NOTE_KEEP_SCREEN);
        expect_clears(0);
    }
}

TEST("clear: a display that is left out is not cleared") {
    setup_boot(NULL);
    fake_add_display(FAKE_HIGH_PHYS, 640, 480); // in RAM
    fake_add_display(0xc0000000, 640, 480);
    fake_add_display(0xd0000000, 640, 0);
    fake_boot();
    expect_clears(1);
}
