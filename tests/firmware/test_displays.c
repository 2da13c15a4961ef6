// Displays: handed over as they are, left out where a kernel could not draw.
#include "common/base/arith.h"
#include "tests/firmware/setup.h"
#include "tests/unit/support/edid_block.h"

#include <stdio.h>
#include <string.h>

static const struct slipway_framebuffer *boot_for_framebuffer(uint32_t count) {
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->framebuffers.count, count);
    return setup_record(&info->framebuffers, 0);
}

TEST("two displays are two framebuffers, each with its mapping") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 1280, 800);
    struct fake_display *second = fake_add_display(UINT64_C(0xf8e0001000), 800, 600);
    second->mode.PixelFormat = PixelRedGreenBlueReserved8BitPerColor;
    second->mode.PixelsPerScanLine = 832;
    second->bytes = 832 * 4 * 600;
    const struct slipway_framebuffer *first = boot_for_framebuffer(2);
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
    const struct slipway_framebuffer *framebuffer = boot_for_framebuffer(1);
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
    boot_for_framebuffer(ARRAY_LEN(masks));
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
    assert_int_equal(boot_for_framebuffer(1)->address_phys, 0xc0000000);
    const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
    assert_non_null(strstr(log, "display at 0xb0000000 left out: it has no linear memory\n"));
    assert_non_null(strstr(log, "display at 0x0 left out: it has no linear memory\n"));
    assert_non_null(strstr(log, "display at 0xb8000000 left out: its pixels have not 32 bits\n"));
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
        assert_int_equal(boot_for_framebuffer(1)->address_phys, 0xc0000000);
        char want[120];
        snprintf(want, sizeof(want), "slipway: display at 0x%lx left out: %s\n", base, reasons[i]);
        const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
        if (strstr(log, want) == NULL)
            fail_msg("no '%s' in '%s'", want, log);
    }
}

TEST("a display without a mode, or whose mode has no description, is left out") {
    setup_boot(NULL);
    fake_add_display(0x80000000, 640, 480)->has_no_mode = true;
    fake_add_display(0x90000000, 640, 480)->has_no_info = true;
    fake_add_display(0xc0000000, 640, 480);
    assert_int_equal(boot_for_framebuffer(1)->address_phys, 0xc0000000);
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
    boot_for_framebuffer(7);
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_non_null(strstr((const char *)(uintptr_t)info->log.address,
                           "display at 0x88000000 left out: more than 7 displays"));
}

TEST("displays whose memory overlaps are two framebuffers, mapped twice with one cache type") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480);
    fake_add_display(0xc0001000, 640, 480);
    boot_for_framebuffer(2);
}

TEST("a display that cannot be mapped is left out, and the boot goes on") {
    setup_boot(NULL);
    fake_add_display(UINT64_C(1) << 50, 640, 480);            // beyond the CPU's physical addresses
    fake_add_display((UINT64_C(1) << 48) - MIB(1), 640, 480); // over their end
    fake_add_display(0xd0000000, 1 << 17, 1 << 17);           // 64 GiB
    fake_add_display((UINT64_C(1) << 48) - 640 * 480 * 4, 640, 480); // up to it
    fake_add_display(UINT64_C(1) << 40, 1 << 16, 63 << 12);          // 63 GiB
    assert_int_equal(boot_for_framebuffer(2)->address_phys, (UINT64_C(1) << 48) - 640 * 480 * 4);
    const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
    assert_non_null(strstr(log, "framebuffer at 0x4000000000000 left out: it lies beyond the CPU's "
                                "physical addresses"));
    assert_non_null(strstr(log, "framebuffer at 0xfffffff00000 left out: it lies beyond the CPU's "
                                "physical addresses"));
    assert_non_null(strstr(log, "framebuffer at 0xd0000000 left out: it is too large"));
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
    const struct slipway_framebuffer *framebuffers = boot_for_framebuffer(2);
    assert_int_equal(framebuffers[0].address_phys, FAKE_HIGH_PHYS - bytes);
    assert_int_equal(framebuffers[1].address_phys, high_end);
    const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
    assert_non_null(strstr(log, "framebuffer at 0xffed5000 left out: it lies in RAM"));
    assert_non_null(strstr(log, "framebuffer at 0x17ffff000 left out: it lies in RAM"));
    assert_non_null(strstr(log, "framebuffer at 0x800 left out: it lies in RAM"));
}

TEST("more displays than the loader can list are left out, and the log says so") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480);
    fake.refused = FAKE_LOCATE_HANDLE;
    fake.fail_status = EFI_BUFFER_TOO_SMALL;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->framebuffers.count, 0);
    assert_non_null(strstr((const char *)(uintptr_t)info->log.address,
                           "displays left out: more than 128 of them\n"));
}

TEST("a framebuffer is as large as its picture, whatever the firmware says of its size") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480)->bytes = GIB(100);
    assert_int_equal(boot_for_framebuffer(1)->bytes, 640 * 480 * 4);
}

// ---- Modes

#define MODE(width, height, format)                                                                \
    { 0, width, height, format, {0, 0, 0, 0}, width }
#define BGR PixelBlueGreenRedReserved8BitPerColor
#define RGB PixelRedGreenBlueReserved8BitPerColor

// Some that a kernel can use, and others.
static const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION modes[] = {
    MODE(640, 480, BGR),
    MODE(800, 600, PixelBltOnly),
    MODE(800, 600, RGB),
    {0, 1024, 768, PixelBitMask, {0x3ff00000, 0xffc00, 0x3ff, 0xc0000000}, 1088},
    {0, 1024, 768, PixelBitMask, {0xf800, 0x7e0, 0x1f, 0}, 1024},
    {0, 1280, 1024, BGR, {0, 0, 0, 0}, 1279},
    MODE(1600, 1200, BGR),
    MODE(0, 0, BGR),
};

static const struct slipway_display_mode usable[] = {
    {640, 480, 2560, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
    {800, 600, 3200, SLIPWAY_PIXEL_RGBX8888, 0xff, 0xff00, 0xff0000, 0},
    {1024, 768, 4352, SLIPWAY_PIXEL_MASKS, 0x3ff00000, 0xffc00, 0x3ff, 0},
    {1600, 1200, 6400, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
};

// A display with these modes, of which one is set.
static struct fake_display *add_with_modes(uint64_t base, uint32_t number) {
    struct fake_display *display = fake_add_display(base, 640, 480);
    display->modes = modes;
    display->mode_count = ARRAY_LEN(modes);
    display->mode = modes[number];
    display->number = number;
    return display;
}

static const char *log_of_boot(void) {
    return (const char *)(uintptr_t)setup_expect_kernel()->log.address;
}

static void expect_line(const char *want) {
    char line[200];
    snprintf(line, sizeof(line), "slipway: %s\n", want);
    if (strstr(log_of_boot(), line) == NULL)
        fail_msg("no '%s' in '%s'", want, log_of_boot());
}

static void expect_modes(const struct slipway_framebuffer *framebuffer,
                         const struct slipway_display_mode *want, uint32_t count, uint32_t set) {
    assert_int_equal(framebuffer->modes.count, count);
    assert_int_equal(framebuffer->modes.stride, sizeof(*want));
    for (uint32_t i = 0; i < count; i++)
        assert_memory_equal(setup_record(&framebuffer->modes, i), &want[i], sizeof(*want));
    assert_int_equal(framebuffer->mode, set);
}

TEST("modes: those that a kernel could use are listed, with the one that is set") {
    static const uint32_t numbers[] = {0, 2, 3, 6};
    for (uint32_t set = 0; set < ARRAY_LEN(numbers); set++) {
        setup_boot(NULL);
        add_with_modes(0xc0000000, numbers[set]);
        const struct slipway_framebuffer *framebuffer = boot_for_framebuffer(1);
        expect_modes(framebuffer, usable, ARRAY_LEN(usable), set);
        assert_int_equal(framebuffer->width, usable[set].width);
        assert_int_equal(framebuffer->pitch, usable[set].pitch);
        assert_null(strstr(log_of_boot(), "display"));
    }
}

TEST("modes: the one that is set is listed last where the firmware has no number for it") {
    static const struct slipway_display_mode want[] = {
        {640, 480, 2560, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
        {320, 200, 1280, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
    };
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000000, 320, 200);
    display->modes = modes;
    display->mode_count = 1;
    display->number = 1;
    expect_modes(boot_for_framebuffer(1), want, 2, 1);
    setup_boot(NULL);
    fake_add_display(0xc0000000, 320, 200); // of no mode at all
    expect_modes(boot_for_framebuffer(1), &want[1], 1, 0);
}

TEST("modes: one that is set is what the display shows, whatever its list says") {
    static const struct slipway_display_mode want[] = {
        {320, 200, 1280, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
    };
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000000, 320, 200);
    display->modes = modes;
    display->mode_count = 1;
    expect_modes(boot_for_framebuffer(1), want, 1, 0);
}

TEST("modes: descriptions that fail, are absent or are too small are left out, and none leaks") {
    for (int i = 0; i < 4; i++) {
        setup_boot(NULL);
        struct fake_display *display = add_with_modes(0xc0000000, 6);
        display->gives_no_info = i == 0;
        display->info_bytes = i == 1 ? sizeof(modes[0]) - 1 : i == 2 ? 1 : 0;
        display->no_query = i == 3 ? UINT64_MAX : 0;
        expect_modes(boot_for_framebuffer(1), &usable[3], 1, 0);
    }
    setup_boot(NULL);
    struct fake_display *display = add_with_modes(0xc0000000, 6);
    display->info_bytes = sizeof(modes[0]) + 1; // of a later version
    display->no_query = 1 << 2;
    const struct slipway_display_mode want[] = {usable[0], usable[2], usable[3]};
    expect_modes(boot_for_framebuffer(1), want, 3, 2);
}

TEST("modes: firmware that claims any number of them is asked 256 times, and the log says so") {
    setup_boot(NULL);
    add_with_modes(0xc0000000, 2)->claims_modes = UINT32_MAX;
    fake_add_display(0xd0000000, 800, 600);
    expect_modes(boot_for_framebuffer(2), usable, ARRAY_LEN(usable), 1);
    expect_line("display at 0xc0000000: of its 4294967295 modes 256 are looked at");
}

TEST("modes: of a long list 127 are handed over, and the one that is set") {
    enum { MANY = 200 };
    static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION many[MANY];
    for (uint32_t i = 0; i < MANY; i++)
        many[i] = (EFI_GRAPHICS_OUTPUT_MODE_INFORMATION)MODE(100 + i, 100, BGR);
    for (uint32_t number = 126; number <= MANY; number += number == 126 ? 1 : 73) {
        setup_boot(NULL);
        struct fake_display *display = fake_add_display(0xc0000000, 100 + number, 100);
        display->modes = many;
        display->mode_count = MANY;
        display->number = number;
        const struct slipway_framebuffer *framebuffer = boot_for_framebuffer(1);
        uint32_t count = number == 126 ? 127 : 128;
        assert_int_equal(framebuffer->modes.count, count);
        assert_int_equal(framebuffer->mode, count - 1);
        for (uint32_t i = 0; i < count; i++) {
            const struct slipway_display_mode *mode = setup_record(&framebuffer->modes, i);
            assert_int_equal(mode->width, 100 + (i == count - 1 ? number : i));
        }
        expect_line("display at 0xc0000000: of its 200 modes 127 are looked at");
    }
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000000, 226, 100);
    display->modes = many;
    display->mode_count = 127;
    display->number = 126;
    boot_for_framebuffer(1);
    assert_null(strstr(log_of_boot(), "looked at"));
}

// ---- EDID

static void expect_edid(const struct slipway_framebuffer *framebuffer, const void *want,
                        uint64_t bytes) {
    assert_int_equal(framebuffer->edid_bytes, bytes);
    if (bytes != 0)
        assert_memory_equal((const void *)(uintptr_t)framebuffer->edid, want, bytes);
    else
        assert_int_equal(framebuffer->edid, 0);
}

TEST("edid: what is active comes before what was discovered, and absent ones are absent") {
    static uint8_t active[256], discovered[128];
    edid_block_make(active, 1920, 1080);
    edid_block_make(discovered, 1024, 768);
    for (int i = 0; i < 8; i++) {
        setup_boot(NULL);
        struct fake_display *display = fake_add_display(0xc0000000, 640, 480);
        display->active_edid = i & 1 ? active : NULL;
        display->active_bytes = i & 2 ? sizeof(active) : 0;
        display->discovered_edid = i & 4 ? discovered : NULL;
        display->discovered_bytes = i & 4 ? sizeof(discovered) : 0;
        const struct slipway_framebuffer *framebuffer = boot_for_framebuffer(1);
        if ((i & 3) == 3)
            expect_edid(framebuffer, active, sizeof(active));
        else
            expect_edid(framebuffer, discovered, i & 4 ? sizeof(discovered) : 0);
    }
}

TEST("edid: one of 32 KiB is handed over whole, a larger one cut, with a line in the log") {
    static uint8_t large[40000];
    for (uint32_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)(i * 7 + i / 256);
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000000, 640, 480);
    display->active_edid = large;
    display->active_bytes = 32768;
    expect_edid(boot_for_framebuffer(1), large, 32768);
    assert_null(strstr(log_of_boot(), "EDID"));
    setup_boot(NULL);
    display = fake_add_display(0xc0000000, 640, 480);
    display->discovered_edid = large;
    display->discovered_bytes = sizeof(large);
    expect_edid(boot_for_framebuffer(1), large, 32768);
    expect_line("display at 0xc0000000: EDID of 40000 bytes, of which 32768 are kept");
}

TEST("edid of a few bytes each has its place, and the next list of modes is aligned") {
    static uint8_t edid[7][9];
    for (uint32_t bytes = 1; bytes <= 9; bytes++) {
        setup_boot(NULL);
        for (uint32_t i = 0; i < 7; i++) {
            struct fake_display *display = fake_add_display(0xc0000000 + i * MIB(16), 64, 48);
            memset(edid[i], (int)(16 * i + bytes), bytes);
            display->active_edid = edid[i];
            display->active_bytes = bytes;
        }
        const struct slipway_framebuffer *framebuffers = boot_for_framebuffer(7);
        for (uint32_t i = 0; i < 7; i++)
            expect_edid(&framebuffers[i], edid[i], bytes);
    }
}

TEST("edid and modes stay with their display when another is left out, whatever their sizes") {
    static uint8_t edid[8][127];
    setup_boot(NULL);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t base = i % 3 == 0 ? FAKE_HIGH_PHYS + i * MIB(16) : 0xc0000000 + i * MIB(16);
        struct fake_display *display = add_with_modes(base, i % 2 == 0 ? 6 : 2);
        memset(edid[i], (int)i + 1, sizeof(edid[i]));
        display->active_edid = edid[i];
        display->active_bytes = i * 18;
        display->mode_count = i % 2 == 0 ? 7 : 3;
    }
    const struct slipway_framebuffer *framebuffers = boot_for_framebuffer(4); // 1, 2, 4, 5
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t number = (uint32_t)(framebuffers[i].address_phys - 0xc0000000) >> 24;
        assert_int_equal(number, i + 1 + i / 2);
        bool is_even = number % 2 == 0;
        expect_modes(&framebuffers[i], usable, is_even ? 4 : 2, is_even ? 3 : 1);
        expect_edid(&framebuffers[i], edid[number], number * 18);
    }
}

// ---- The resolution that the config wishes

static void expect_size(const struct slipway_framebuffer *framebuffer, uint32_t width,
                        uint32_t height) {
    assert_int_equal(framebuffer->width, width);
    assert_int_equal(framebuffer->height, height);
}

TEST("resolution: a display is set to the mode of that size, and described by it") {
    setup_boot("resolution = 1600x1200\n");
    struct fake_display *display = add_with_modes(0xc0000000, 0);
    display->moves = true; // and the old place is overwritten
    const struct slipway_framebuffer *framebuffer = boot_for_framebuffer(1);
    expect_size(framebuffer, 1600, 1200);
    assert_int_equal(framebuffer->pitch, 6400);
    assert_int_equal(framebuffer->bytes, 6400 * 1200);
    expect_modes(framebuffer, usable, ARRAY_LEN(usable), 3);
    assert_int_equal(display->number, 6);
    assert_int_equal(display->sets, 1);
    assert_null(strstr(log_of_boot(), "wanted"));
}

TEST("resolution: without the wish, and where it is fulfilled, no mode is set") {
    static const char *const configs[] = {NULL, "resolution = firmware\n",
                                          "resolution = 1024x768\n"};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        setup_boot(configs[i]);
        struct fake_display *display = add_with_modes(0xc0000000, 3);
        expect_size(boot_for_framebuffer(1), 1024, 768);
        assert_int_equal(display->sets, 0);
        assert_null(strstr(log_of_boot(), "wanted"));
    }
}

TEST("resolution: of modes of one size the first with 8 bits a colour is set, else the first") {
    static const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION alike[] = {
        MODE(640, 480, BGR),
        MODE(800, 600, PixelBltOnly),
        {0, 800, 600, PixelBitMask, {0xf800, 0x7e0, 0x1f, 0}, 800},
        {0, 800, 600, PixelBitMask, {0x3ff00000, 0xffc00, 0x3ff, 0xc0000000}, 800},
        {0, 800, 600, PixelBitMask, {0x3ff00000, 0xffc00, 0x3ff, 0xc0000000}, 832},
        MODE(800, 600, RGB),
        MODE(800, 600, BGR),
        {0, 800, 600, PixelBitMask, {0x3ff00000, 0xffc00, 0x3ff, 0xc0000000}, 864},
        MODE(600, 800, BGR),
        MODE(800, 601, BGR),
    };
    for (uint32_t count = 1; count <= ARRAY_LEN(alike); count++) {
        setup_boot("resolution = 800x600\n");
        struct fake_display *display = fake_add_display(0xc0000000, 640, 480);
        display->modes = alike;
        display->mode_count = count;
        boot_for_framebuffer(1);
        assert_int_equal(display->number, count >= 6 ? 5 : count >= 4 ? 3 : 0);
        assert_int_equal(display->sets, count >= 4);
    }
}

TEST("resolution: a wish that no mode fulfils changes nothing, and the log says what there is") {
    setup_boot("resolution = 1200x1600\n");
    struct fake_display *display = add_with_modes(0xc0000000, 0);
    display->claims_modes = UINT32_MAX;
    expect_size(boot_for_framebuffer(1), 640, 480);
    assert_int_equal(display->sets, 0);
    expect_line("display at 0xc0000000: 1200x1600 wanted, 640x480 kept: a kernel can use 4 of its "
                "4294967295 modes, 1600x1200 at most");
    setup_boot("resolution = 800x600\n");
    display = fake_add_display(0xc0000000, 640, 480); // without a list
    expect_size(boot_for_framebuffer(1), 640, 480);
    expect_line("display at 0xc0000000: 800x600 wanted, 640x480 kept: a kernel can use 0 of its "
                "0 modes, 0x0 at most");
}

TEST("resolution: at most is the first mode of those with the most pixels") {
    static const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION shapes[] = {
        MODE(2000, 100, BGR), MODE(600, 800, BGR), MODE(800, 600, BGR),
        MODE(9000, 9000, PixelBltOnly)};
    setup_boot("resolution = 600x600\n");
    struct fake_display *display = fake_add_display(0xc0000000, 640, 480);
    display->modes = shapes;
    display->mode_count = ARRAY_LEN(shapes);
    boot_for_framebuffer(1);
    expect_line("display at 0xc0000000: 600x600 wanted, 640x480 kept: a kernel can use 3 of its 4 "
                "modes, 600x800 at most");
}

TEST("resolution: a mode that is set is another if it differs in width or in height alone") {
    static const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION near[] = {
        MODE(640, 480, BGR), MODE(640, 400, BGR), MODE(720, 480, BGR)};
    for (uint32_t i = 1; i < 3; i++) {
        setup_boot(i == 1 ? "resolution = 640x400\n" : "resolution = 720x480\n");
        struct fake_display *display = fake_add_display(0xc0000000, 640, 480);
        display->modes = near;
        display->mode_count = ARRAY_LEN(near);
        boot_for_framebuffer(1);
        assert_int_equal(display->number, i);
    }
}

TEST("resolution: of a long list the first 256 modes are looked at") {
    enum { MANY = 258, LOOKED_AT = 256 };
    static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION many[MANY];
    for (uint32_t wanted = LOOKED_AT - 1; wanted < MANY; wanted++) {
        for (uint32_t i = 0; i < MANY; i++)
            many[i] = (EFI_GRAPHICS_OUTPUT_MODE_INFORMATION)MODE(i == wanted ? 800 : 640, 480, BGR);
        setup_boot("resolution = 800x480\n");
        struct fake_display *display = fake_add_display(0xc0000000, 640, 480);
        display->modes = many;
        display->mode_count = MANY;
        boot_for_framebuffer(1);
        assert_int_equal(display->sets, wanted < LOOKED_AT);
    }
}

TEST("resolution: every display that has the mode is set, and each says so that has not") {
    setup_boot("resolution = 1024x768\n");
    struct fake_display *displays[] = {add_with_modes(0xc0000000, 0), add_with_modes(0xd0000000, 0),
                                       add_with_modes(UINT64_C(0xf8e0000000), 6)};
    displays[1]->mode_count = 3;
    const struct slipway_framebuffer *framebuffers = boot_for_framebuffer(3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(displays[i]->sets, i != 1);
        expect_size(&framebuffers[i], i != 1 ? 1024 : 640, i != 1 ? 768 : 480);
        assert_int_equal(framebuffers[i].mode, i != 1 ? 2 : 0);
    }
    expect_line("display at 0xd0000000: 1024x768 wanted, 640x480 kept: a kernel can use 2 of its 3 "
                "modes, 800x600 at most");
}

TEST("resolution: a display in a mode that no kernel could use is set, if it has another") {
    for (uint32_t number = 4; number <= 5; number++) { // narrow pixels, a pitch that is too short
        setup_boot("resolution = 1024x768\n");
        add_with_modes(0xc0000000, number);
        expect_size(boot_for_framebuffer(1), 1024, 768);
    }
}

TEST("resolution: displays without linear memory, and other handles of one, are not touched") {
    setup_boot("resolution = 1024x768\n");
    struct fake_display *splitter = add_with_modes(0, 0); // all that it says may be of others
    struct fake_display *first = add_with_modes(0xc0000000, 0);
    struct fake_display *same = add_with_modes(0xc0000000, 0);
    expect_size(boot_for_framebuffer(1), 1024, 768);
    assert_int_equal(splitter->sets, 0);
    assert_int_equal(first->sets, 1);
    assert_int_equal(same->sets, 0);
}

TEST("resolution: SetMode that fails, or does nothing, leaves what is set, and the log says so") {
    setup_boot("resolution = 1024x768\n");
    add_with_modes(0xc0000000, 0);
    fake.refused = FAKE_SET_MODE;
    expect_size(boot_for_framebuffer(1), 640, 480);
    expect_line("display at 0xc0000000: 1024x768 wanted: its mode 3 cannot be set (device error)");
    setup_boot("resolution = 1024x768\n");
    add_with_modes(0xc0000000, 0)->ignores_set = true;
    expect_size(boot_for_framebuffer(1), 640, 480);
    expect_line("display at 0xc0000000: 1024x768 wanted: its mode 3 is set and is not that");
}

TEST("resolution: displays that have no mode after SetMode are left out and set back, any number") {
    struct fake_display *displays[9];
    setup_boot("resolution = 1024x768\n");
    for (uint64_t i = 0; i < 9; i++) {
        displays[i] = add_with_modes(0xc0000000 + i * MIB(16), 0);
        displays[i]->loses_mode = true;
    }
    fake_boot();
    assert_int_equal(setup_expect_kernel()->framebuffers.count, 0);
    for (uint64_t i = 0; i < 9; i++) {
        assert_int_equal(displays[i]->number, 0);
        assert_int_equal(displays[i]->sets, 2);
    }
    expect_line("display at 0xc8000000: 1024x768 wanted: its mode 3 is set and is not that");
    expect_line("display at 0xc8000000 left out: it says nothing of its mode");
}

TEST("resolution: native is what EDID prefers, where there is some and the display has the mode") {
    static uint8_t edid[128];
    static const struct {
        uint32_t width, height;
        uint32_t sets;
        const char *line;
    } cases[] = {
        {1024, 768, 1, NULL},
        {640, 480, 0, NULL},
        {1920, 1080, 0,
         "display at 0xc0000000: 1920x1080 wanted, 640x480 kept: a kernel can use 4 of its 8 modes, "
         "1600x1200 at most"},
        {0, 0, 0, "display at 0xc0000000: native wanted, 640x480 kept: EDID: it prefers no timing"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        setup_boot("resolution = native\n");
        edid_block_make(edid, cases[i].width, cases[i].height);
        struct fake_display *display = add_with_modes(0xc0000000, 0);
        display->discovered_edid = edid;
        display->discovered_bytes = sizeof(edid);
        const struct slipway_framebuffer *framebuffer = boot_for_framebuffer(1);
        assert_int_equal(display->sets, cases[i].sets);
        expect_size(framebuffer, i == 0 ? 1024 : 640, i == 0 ? 768 : 480);
        expect_edid(framebuffer, edid, sizeof(edid)); // sound or not
        if (cases[i].line != NULL)
            expect_line(cases[i].line);
        else
            assert_null(strstr(log_of_boot(), "wanted"));
    }
    setup_boot("resolution = native\n");
    add_with_modes(0xc0000000, 0);
    expect_size(boot_for_framebuffer(1), 640, 480);
    expect_line("display at 0xc0000000: native wanted, 640x480 kept: EDID: there is none");
}

// The number of the last call of this kind, or of the first; 0: there was none.
static uint64_t find_call(enum fake_call kind, bool wants_last) {
    uint64_t found = 0;
    for (uint64_t i = 0; i < fake.calls; i++) {
        if ((enum fake_call)fake.kinds[i] == kind && (found == 0 || wants_last))
            found = i + 1;
    }
    return found;
}

TEST("resolution: a boot that fails sets the firmware's modes again before it says so") {
    setup_boot("resolution = 1024x768\n");
    struct fake_display *displays[] = {add_with_modes(0xc0000000, 0), add_with_modes(0xd0000000, 6),
                                       add_with_modes(0xe0000000, 3)};
    setup_wishes(
        (struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .ram_floor_bytes = GIB(100)});
    fake_boot();
    const char *line;
    setup_expect_return(&line);
    assert_int_equal(displays[0]->number, 0);
    assert_int_equal(displays[1]->number, 6);
    assert_int_equal(displays[2]->number, 3);
    assert_int_equal(displays[0]->sets, 2);
    assert_int_equal(displays[1]->sets, 2);
    assert_int_equal(displays[2]->sets, 0);
    assert_true(find_call(FAKE_SET_MODE, true) < find_call(FAKE_OUTPUT, false));
    assert_non_null(strstr(fake.console, line));
}

TEST("resolution: from SetMode on the firmware's console is silent, and COM1 is not") {
    for (int fails = 0; fails < 2; fails++) {
        setup_boot("resolution = 1024x768\nlog = debug\n");
        add_with_modes(0xc0000000, 0);
        fake.fail_status = EFI_OUT_OF_RESOURCES;
        if (fails) // the manifest: after the displays
            setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION,
                                                      .ram_floor_bytes = GIB(100)});
        fake_boot();
        assert_string_equal(fake.breach, "");
        assert_int_equal(fake.end, fails ? FAKE_RETURNED : FAKE_ENTERED);
        assert_non_null(strstr(fake.console, "modules"));
        assert_null(strstr(fake.console, "framebuffers"));
        assert_non_null(strstr(fake.com1, "1 framebuffers"));
        assert_true((strstr(fake.console, "bytes of RAM") != NULL) == fails);
    }
    setup_boot("resolution = 1024x769\nlog = debug\n"); // which it has not
    add_with_modes(0xc0000000, 0);
    fake_boot();
    assert_non_null(strstr(fake.console, "1 framebuffers"));
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
