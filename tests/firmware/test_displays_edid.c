// What displays say of themselves by EDID: handed over, and a wish for the native resolution.
#include "common/base/arith.h"
#include "tests/firmware/setup_displays.h"
#include "tests/unit/support/edid_block.h"

#include <string.h>

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
        const struct slipway_framebuffer *framebuffer = setup_framebuffers(1);
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
    expect_edid(setup_framebuffers(1), large, 32768);
    assert_null(strstr(setup_log(), "EDID"));
    setup_boot(NULL);
    display = fake_add_display(0xc0000000, 640, 480);
    display->discovered_edid = large;
    display->discovered_bytes = sizeof(large);
    expect_edid(setup_framebuffers(1), large, 32768);
    setup_expect_logged("display at 0xc0000000: EDID of 40000 bytes, of which 32768 are kept");
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
        const struct slipway_framebuffer *framebuffers = setup_framebuffers(7);
        for (uint32_t i = 0; i < 7; i++)
            expect_edid(&framebuffers[i], edid[i], bytes);
    }
}

TEST("edid and modes stay with their display when another is left out, whatever their sizes") {
    static uint8_t edid[8][127];
    setup_boot(NULL);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t base = i % 3 == 0 ? FAKE_HIGH_PHYS + i * MIB(16) : 0xc0000000 + i * MIB(16);
        struct fake_display *display = setup_display(base, i % 2 == 0 ? 6 : 2);
        memset(edid[i], (int)i + 1, sizeof(edid[i]));
        display->active_edid = edid[i];
        display->active_bytes = i * 18;
        display->mode_count = i % 2 == 0 ? 7 : 3;
    }
    const struct slipway_framebuffer *framebuffers = setup_framebuffers(4); // 1, 2, 4, 5
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t number = (uint32_t)(framebuffers[i].address_phys - 0xc0000000) >> 24;
        assert_int_equal(number, i + 1 + i / 2);
        bool is_even = number % 2 == 0;
        setup_expect_modes(&framebuffers[i], setup_usable, is_even ? 4 : 2, is_even ? 3 : 1);
        expect_edid(&framebuffers[i], edid[number], number * 18);
    }
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
        struct fake_display *display = setup_display(0xc0000000, 0);
        display->discovered_edid = edid;
        display->discovered_bytes = sizeof(edid);
        const struct slipway_framebuffer *framebuffer = setup_framebuffers(1);
        assert_int_equal(display->sets, cases[i].sets);
        setup_expect_size(framebuffer, i == 0 ? 1024 : 640, i == 0 ? 768 : 480);
        expect_edid(framebuffer, edid, sizeof(edid)); // sound or not
        if (cases[i].line != NULL)
            setup_expect_logged(cases[i].line);
        else
            assert_null(strstr(setup_log(), "wanted"));
    }
    setup_boot("resolution = native\n");
    setup_display(0xc0000000, 0);
    setup_expect_size(setup_framebuffers(1), 640, 480);
    setup_expect_logged("display at 0xc0000000: native wanted, 640x480 kept: EDID: there is none");
}
