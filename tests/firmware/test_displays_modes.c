// The modes of displays: those that are listed for the kernel, and the one that the config wishes.
#include "common/base/arith.h"
#include "tests/firmware/setup_displays.h"

#include <string.h>

TEST("modes: those that a kernel could use are listed, with the one that is set") {
    static const uint32_t numbers[] = {0, 2, 3, 6};
    for (uint32_t set = 0; set < ARRAY_LEN(numbers); set++) {
        setup_boot(NULL);
        setup_display(0xc0000000, numbers[set]);
        const struct slipway_framebuffer *framebuffer = setup_framebuffers(1);
        setup_expect_modes(framebuffer, setup_usable, SETUP_USABLE, set);
        assert_int_equal(framebuffer->width, setup_usable[set].width);
        assert_int_equal(framebuffer->pitch, setup_usable[set].pitch);
        assert_null(strstr(setup_log(), "display"));
    }
}

TEST("modes: the one that is set is listed last where the firmware has no number for it") {
    static const struct slipway_display_mode want[] = {
        {640, 480, 2560, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
        {320, 200, 1280, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
    };
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000000, 320, 200);
    display->modes = setup_modes;
    display->mode_count = 1;
    display->number = 1;
    setup_expect_modes(setup_framebuffers(1), want, 2, 1);
    setup_boot(NULL);
    fake_add_display(0xc0000000, 320, 200); // of no mode at all
    setup_expect_modes(setup_framebuffers(1), &want[1], 1, 0);
}

TEST("modes: one that is set is what the display shows, whatever its list says") {
    static const struct slipway_display_mode want[] = {
        {320, 200, 1280, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
    };
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000000, 320, 200);
    display->modes = setup_modes;
    display->mode_count = 1;
    setup_expect_modes(setup_framebuffers(1), want, 1, 0);
}

TEST("modes: descriptions that fail, are absent or are too small are left out, and none leaks") {
    for (int i = 0; i < 4; i++) {
        setup_boot(NULL);
        struct fake_display *display = setup_display(0xc0000000, 6);
        display->gives_no_info = i == 0;
        display->info_bytes = i == 1   ? sizeof(EFI_GRAPHICS_OUTPUT_MODE_INFORMATION) - 1
                              : i == 2 ? 1
                                       : 0;
        display->no_query = i == 3 ? UINT64_MAX : 0;
        setup_expect_modes(setup_framebuffers(1), &setup_usable[3], 1, 0);
    }
    setup_boot(NULL);
    struct fake_display *display = setup_display(0xc0000000, 6);
    display->info_bytes = sizeof(EFI_GRAPHICS_OUTPUT_MODE_INFORMATION) + 1; // of a later version
    display->no_query = 1 << 2;
    const struct slipway_display_mode want[] = {setup_usable[0], setup_usable[2], setup_usable[3]};
    setup_expect_modes(setup_framebuffers(1), want, 3, 2);
}

TEST("modes: firmware that claims any number of them is asked 256 times, and the log says so") {
    setup_boot(NULL);
    setup_display(0xc0000000, 2)->claims_modes = UINT32_MAX;
    fake_add_display(0xd0000000, 800, 600);
    setup_expect_modes(setup_framebuffers(2), setup_usable, SETUP_USABLE, 1);
    setup_expect_logged("display at 0xc0000000: of its 4294967295 modes 256 are looked at");
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
        const struct slipway_framebuffer *framebuffer = setup_framebuffers(1);
        uint32_t count = number == 126 ? 127 : 128;
        assert_int_equal(framebuffer->modes.count, count);
        assert_int_equal(framebuffer->mode, count - 1);
        for (uint32_t i = 0; i < count; i++) {
            const struct slipway_display_mode *mode = setup_record(&framebuffer->modes, i);
            assert_int_equal(mode->width, 100 + (i == count - 1 ? number : i));
        }
        setup_expect_logged("display at 0xc0000000: of its 200 modes 127 are looked at");
    }
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000000, 226, 100);
    display->modes = many;
    display->mode_count = 127;
    display->number = 126;
    setup_framebuffers(1);
    assert_null(strstr(setup_log(), "looked at"));
}

// ---- The resolution that the config wishes

TEST("resolution: a display is set to the mode of that size, and described by it") {
    setup_boot("resolution = 1600x1200\n");
    struct fake_display *display = setup_display(0xc0000000, 0);
    display->moves = true; // and the old place is overwritten
    const struct slipway_framebuffer *framebuffer = setup_framebuffers(1);
    setup_expect_size(framebuffer, 1600, 1200);
    assert_int_equal(framebuffer->pitch, 6400);
    assert_int_equal(framebuffer->bytes, 6400 * 1200);
    setup_expect_modes(framebuffer, setup_usable, SETUP_USABLE, 3);
    assert_int_equal(display->number, 6);
    assert_int_equal(display->sets, 1);
    assert_null(strstr(setup_log(), "wanted"));
}

TEST("resolution: without the wish, and where it is fulfilled, no mode is set") {
    static const char *const configs[] = {NULL, "resolution = firmware\n",
                                          "resolution = 1024x768\n"};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        setup_boot(configs[i]);
        struct fake_display *display = setup_display(0xc0000000, 3);
        setup_expect_size(setup_framebuffers(1), 1024, 768);
        assert_int_equal(display->sets, 0);
        assert_null(strstr(setup_log(), "wanted"));
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
        setup_framebuffers(1);
        assert_int_equal(display->number, count >= 6 ? 5 : count >= 4 ? 3 : 0);
        assert_int_equal(display->sets, count >= 4);
    }
}

TEST("resolution: a wish that no mode fulfils changes nothing, and the log says what there is") {
    setup_boot("resolution = 1200x1600\n");
    struct fake_display *display = setup_display(0xc0000000, 0);
    display->claims_modes = UINT32_MAX;
    setup_expect_size(setup_framebuffers(1), 640, 480);
    assert_int_equal(display->sets, 0);
    setup_expect_logged(
        "display at 0xc0000000: 1200x1600 wanted, 640x480 kept: a kernel can use 4 of its "
        "4294967295 modes, 1600x1200 at most");
    setup_boot("resolution = 800x600\n");
    display = fake_add_display(0xc0000000, 640, 480); // without a list
    setup_expect_size(setup_framebuffers(1), 640, 480);
    setup_expect_logged(
        "display at 0xc0000000: 800x600 wanted, 640x480 kept: a kernel can use 0 of its "
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
    setup_framebuffers(1);
    setup_expect_logged(
        "display at 0xc0000000: 600x600 wanted, 640x480 kept: a kernel can use 3 of its 4 "
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
        setup_framebuffers(1);
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
        setup_framebuffers(1);
        assert_int_equal(display->sets, wanted < LOOKED_AT);
    }
}

TEST("resolution: every display that has the mode is set, and each says so that has not") {
    setup_boot("resolution = 1024x768\n");
    struct fake_display *displays[] = {setup_display(0xc0000000, 0), setup_display(0xd0000000, 0),
                                       setup_display(UINT64_C(0xf8e0000000), 6)};
    displays[1]->mode_count = 3;
    const struct slipway_framebuffer *framebuffers = setup_framebuffers(3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(displays[i]->sets, i != 1);
        setup_expect_size(&framebuffers[i], i != 1 ? 1024 : 640, i != 1 ? 768 : 480);
        assert_int_equal(framebuffers[i].mode, i != 1 ? 2 : 0);
    }
    setup_expect_logged(
        "display at 0xd0000000: 1024x768 wanted, 640x480 kept: a kernel can use 2 of its 3 "
        "modes, 800x600 at most");
}

TEST("resolution: a display in a mode that no kernel could use is set, if it has another") {
    for (uint32_t number = 4; number <= 5; number++) { // narrow pixels, a pitch that is too short
        setup_boot("resolution = 1024x768\n");
        setup_display(0xc0000000, number);
        setup_expect_size(setup_framebuffers(1), 1024, 768);
    }
}

TEST("resolution: displays without linear memory, and other handles of one, are not touched") {
    setup_boot("resolution = 1024x768\n");
    struct fake_display *splitter = setup_display(0, 0); // all that it says may be of others
    struct fake_display *first = setup_display(0xc0000000, 0);
    struct fake_display *same = setup_display(0xc0000000, 0);
    setup_expect_size(setup_framebuffers(1), 1024, 768);
    assert_int_equal(splitter->sets, 0);
    assert_int_equal(first->sets, 1);
    assert_int_equal(same->sets, 0);
}

TEST("resolution: SetMode that fails, or does nothing, leaves what is set, and the log says so") {
    setup_boot("resolution = 1024x768\n");
    setup_display(0xc0000000, 0);
    fake.refused = FAKE_SET_MODE;
    setup_expect_size(setup_framebuffers(1), 640, 480);
    setup_expect_logged(
        "display at 0xc0000000: 1024x768 wanted: its mode 3 cannot be set (device error)");
    setup_boot("resolution = 1024x768\n");
    setup_display(0xc0000000, 0)->ignores_set = true;
    setup_expect_size(setup_framebuffers(1), 640, 480);
    setup_expect_logged(
        "display at 0xc0000000: 1024x768 wanted: its mode 3 is set and is not that");
}

TEST("resolution: displays that have no mode after SetMode are left out and set back, any number") {
    struct fake_display *displays[9];
    setup_boot("resolution = 1024x768\n");
    for (uint64_t i = 0; i < 9; i++) {
        displays[i] = setup_display(0xc0000000 + i * MIB(16), 0);
        displays[i]->loses_mode = true;
    }
    fake_boot();
    assert_int_equal(setup_expect_kernel()->framebuffers.count, 0);
    for (uint64_t i = 0; i < 9; i++) {
        assert_int_equal(displays[i]->number, 0);
        assert_int_equal(displays[i]->sets, 2);
    }
    setup_expect_logged(
        "display at 0xc8000000: 1024x768 wanted: its mode 3 is set and is not that");
    setup_expect_logged("display at 0xc8000000 left out: it says nothing of its mode");
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
    struct fake_display *displays[] = {setup_display(0xc0000000, 0), setup_display(0xd0000000, 6),
                                       setup_display(0xe0000000, 3)};
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
        setup_display(0xc0000000, 0);
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
    setup_display(0xc0000000, 0);
    fake_boot();
    assert_non_null(strstr(fake.console, "1 framebuffers"));
}
