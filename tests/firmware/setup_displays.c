#include "tests/firmware/setup_displays.h"

const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION setup_modes[] = {
    MODE(640, 480, BGR),
    MODE(800, 600, PixelBltOnly),
    MODE(800, 600, RGB),
    {0, 1024, 768, PixelBitMask, {0x3ff00000, 0xffc00, 0x3ff, 0xc0000000}, 1088},
    {0, 1024, 768, PixelBitMask, {0xf800, 0x7e0, 0x1f, 0}, 1024},
    {0, 1280, 1024, BGR, {0, 0, 0, 0}, 1279},
    MODE(1600, 1200, BGR),
    MODE(0, 0, BGR),
};

const struct slipway_display_mode setup_usable[] = {
    {640, 480, 2560, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
    {800, 600, 3200, SLIPWAY_PIXEL_RGBX8888, 0xff, 0xff00, 0xff0000, 0},
    {1024, 768, 4352, SLIPWAY_PIXEL_MASKS, 0x3ff00000, 0xffc00, 0x3ff, 0},
    {1600, 1200, 6400, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
};

struct fake_display *setup_display(uint64_t base, uint32_t number) {
    struct fake_display *display = fake_add_display(base, 640, 480);
    display->modes = setup_modes;
    display->mode_count = SETUP_MODES;
    display->mode = setup_modes[number];
    display->number = number;
    return display;
}

const struct slipway_framebuffer *setup_framebuffers(uint32_t count) {
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->framebuffers.count, count);
    return setup_record(&info->framebuffers, 0);
}

void setup_expect_modes(const struct slipway_framebuffer *framebuffer,
                        const struct slipway_display_mode *want, uint32_t count, uint32_t set) {
    assert_int_equal(framebuffer->modes.count, count);
    assert_int_equal(framebuffer->modes.stride, sizeof(*want));
    for (uint32_t i = 0; i < count; i++)
        assert_memory_equal(setup_record(&framebuffer->modes, i), &want[i], sizeof(*want));
    assert_int_equal(framebuffer->mode, set);
}

void setup_expect_size(const struct slipway_framebuffer *framebuffer, uint32_t width,
                       uint32_t height) {
    assert_int_equal(framebuffer->width, width);
    assert_int_equal(framebuffer->height, height);
}
