// What the loader draws on displays, and that it draws nothing else.
#include "common/base/fmt.h"
#include "common/screen/font.h"
#include "loader/screen.h"
#include "tests/firmware/picture.h"
#include "tests/firmware/setup.h"

TEST("what stops the machine after the first exit stands on every display, wrapped at its edge") {
    static const char want[] = "slipway: ExitBootServices failed 128 times";
    setup_boot(SETUP_CONFIG);
    const uint32_t widths[] = {640, 200}; // 80 and 25 characters
    uint32_t *pixels[] = {picture_map(0x60000000, 640, 480), picture_map(0x68000000, 200, 100)};
    fake.exit_refusals = UINT32_MAX;
    fake_boot();
    setup_expect_stop("ExitBootServices failed 128 times");
    for (size_t display = 0; display < 2; display++) {
        uint32_t columns = widths[display] / GLYPH_WIDTH;
        for (uint32_t i = 0; i < sizeof(want) - 1; i++)
            assert_int_equal(
                picture_read(pixels[display], widths[display], i % columns, i / columns), want[i]);
        uint32_t last = (uint32_t)(sizeof(want) - 2) / columns;
        assert_int_equal(pixels[display][(last + 1) * GLYPH_HEIGHT * widths[display]], 0);
        picture_unmap(pixels[display], widths[display], display == 0 ? 480 : 100);
    }
    assert_string_equal(fake.console, "");
}

TEST("a boot that succeeds, and a failure before the first exit, draw nothing") {
    for (int fails = 0; fails < 2; fails++) {
        setup_boot(NULL);
        uint32_t *pixels = picture_map(0x60000000, 640, 480);
        if (fails)
            setup_file("\\kernel.elf")->bytes = 10;
        fake_boot();
        assert_int_equal(fake.end, fails ? FAKE_RETURNED : FAKE_ENTERED);
        for (size_t i = 0; i < 640 * 480; i++)
            assert_int_equal(pixels[i], 0);
        picture_unmap(pixels, 640, 480);
    }
}

// Rows of characters as they stand in cells from the top left, ' ' where there is paper alone.
static void expect_rows(const uint32_t *pixels, uint32_t columns, const char *const rows[3]) {
    for (uint32_t row = 0; row < 3; row++) {
        for (uint32_t column = 0; column < columns; column++)
            assert_int_equal(picture_read(pixels, columns * GLYPH_WIDTH, column, row),
                             rows[row][column]);
    }
}

TEST("a screen wraps at its edge, leaves an empty line on paper, and starts again at the top") {
    enum { WIDTH = 4 * GLYPH_WIDTH, HEIGHT = 3 * GLYPH_HEIGHT };
    fake_reset();
    uint32_t *pixels = picture_map(0x60000000, WIDTH, HEIGHT);
    const struct slipway_framebuffer framebuffer = {.address = 0x60000000,
                                                    .bytes = sizeof(uint32_t) * WIDTH * HEIGHT,
                                                    .width = WIDTH,
                                                    .height = HEIGHT,
                                                    .pitch = sizeof(uint32_t) * WIDTH,
                                                    .red_mask = 0xff0000,
                                                    .green_mask = 0xff00,
                                                    .blue_mask = 0xff};
    struct sink sink = screen_sink();
    assert_true(screen_start(&framebuffer));
    fmt_print(&sink, "four\n\nabc");
    expect_rows(pixels, 4, (const char *const[]){"four", "    ", "abc "});
    assert_true(screen_start(&framebuffer));
    fmt_print(&sink, "fives");
    expect_rows(pixels, 4, (const char *const[]){"five", "s   ", "abc "});
    picture_unmap(pixels, WIDTH, HEIGHT);
}
