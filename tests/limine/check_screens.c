// Framebuffers.
#include "boot.h"
#include "checks.h"
#include "memory.h"
#include "requests.h"
#include "tap.h"

#include <stddef.h>

struct colours {
    uint8_t size[3];
    uint8_t shift[3];
};

// The colours fit into a pixel and do not overlap.
static bool are_apart(struct colours colours, uint64_t bits) {
    uint64_t used = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t end = (uint64_t)colours.shift[i] + colours.size[i];
        if (colours.size[i] == 0 || end > bits || end > 63)
            return false;
        uint64_t mask = ((UINT64_C(1) << colours.size[i]) - 1) << colours.shift[i];
        if (used & mask)
            return false;
        used |= mask;
    }
    return true;
}

static void expect_screen(const struct limine_framebuffer *screen) {
    uint64_t bytes = screen->pitch * screen->height;
    EXPECT(screen->width > 0 && screen->height > 0 &&
               screen->pitch >= screen->width * screen->bits_per_pixel / 8,
           "%lu x %lu, pitch %lu", screen->width, screen->height, screen->pitch);
    EXPECT(screen->memory_model == LIMINE_MEMORY_MODEL_RGB, "memory model %lu",
           (uint64_t)screen->memory_model);
    struct colours colours = {{screen->red_size, screen->green_size, screen->blue_size},
                              {screen->red_shift, screen->green_shift, screen->blue_shift}};
    EXPECT(are_apart(colours, screen->bits_per_pixel), "%lu bits a pixel",
           (uint64_t)screen->bits_per_pixel);
    EXPECT(screen->address >= boot.hhdm &&
               memory_all_in(screen->address - boot.hhdm, bytes, TYPE(FRAMEBUFFER)),
           "[%lx, +%lx) is not memory of type framebuffer", screen->address, bytes);
    tap_note("framebuffer %lu x %lu at %lx", screen->width, screen->height,
             screen->address - boot.hhdm);
}

static void expect_edid(const struct limine_framebuffer *screen) {
    if (screen->edid == 0) {
        EXPECT(screen->edid_bytes == 0, "%lu bytes of no EDID", screen->edid_bytes);
        return;
    }
    const uint8_t *edid = (const uint8_t *)screen->edid;
    EXPECT(is_given(screen->edid, screen->edid_bytes) && screen->edid_bytes >= 128,
           "%lu bytes at %lx", screen->edid_bytes, screen->edid);
    // E-EDID 1.4, 3.3: a block begins so and has a sum of 0.
    static const uint8_t header[] = {0, 255, 255, 255, 255, 255, 255, 0};
    EXPECT(bytes_equal(edid, header, sizeof(header)) && sum_bytes(edid, 128) == 0,
           "it begins with %lx, its sum is %lx", *(const uint64_t *)screen->edid,
           (uint64_t)sum_bytes(edid, 128));
}

static void expect_modes(const struct limine_framebuffer *screen) {
    EXPECT(screen->mode_count > 0 && is_given(screen->modes, 8 * screen->mode_count),
           "%lu modes at %lx", screen->mode_count, screen->modes);
    bool is_current_listed = false;
    for (uint64_t i = 0; i < screen->mode_count; i++) {
        uint64_t address = ((const uint64_t *)screen->modes)[i];
        EXPECT(is_given(address, sizeof(struct limine_video_mode)), "mode %lu at %lx", i, address);
        const struct limine_video_mode *mode = (const struct limine_video_mode *)address;
        struct colours colours = {{mode->red_size, mode->green_size, mode->blue_size},
                                  {mode->red_shift, mode->green_shift, mode->blue_shift}};
        EXPECT(mode->width > 0 && mode->height > 0 &&
                   mode->pitch >= mode->width * mode->bits_per_pixel / 8 &&
                   mode->memory_model == LIMINE_MEMORY_MODEL_RGB &&
                   are_apart(colours, mode->bits_per_pixel),
               "mode %lu: %lu x %lu, pitch %lu", i, mode->width, mode->height, mode->pitch);
        is_current_listed |= mode->width == screen->width && mode->height == screen->height;
    }
    if (!is_current_listed)
        tap_note("the current mode is none of %lu modes", screen->mode_count);
}

static void expect_pixels(const struct limine_framebuffer *screen) {
    uint64_t last =
        screen->pitch * (screen->height - 1) + screen->width * screen->bits_per_pixel / 8 - 4;
    volatile uint32_t *first = (volatile uint32_t *)screen->address;
    volatile uint32_t *end = (volatile uint32_t *)(screen->address + last);
    uint32_t kept = *first, kept_end = *end;
    *first = 0x123456;
    *end = 0x654321;
    EXPECT((*first & 0xffffff) == 0x123456 && (*end & 0xffffff) == 0x654321, "%lx and %lx",
           (uint64_t)*first, (uint64_t)*end);
    *first = kept;
    *end = kept_end;
}

void check_screens(void) {
    static void (*const expect[])(const struct limine_framebuffer *) = {
        expect_screen, expect_edid, expect_modes, expect_pixels};
    static const char *const sentences[] = {
        "framebuffers have sizes and colours that fit, in memory of that type",
        "an EDID is one, where a framebuffer has it", "modes of framebuffers have sizes that fit",
        "the first and the last pixel can be written and read"};

    const struct limine_list_response *screens = response_of(LIMINE_FRAMEBUFFER);
    uint64_t count = screens ? screens->count : 0;
    tap_check("there are as many framebuffers as the command line says (screens=)");
    if (cmdline_find("screens"))
        EXPECT(count == cmdline_number("screens", 0), "%lu", count);
    else
        tap_skip("it does not say");
    tap_check("without a framebuffer there is no response, else an array of them");
    if (screens) {
        EXPECT(count > 0 && is_given(screens->list, 8 * count), "%lu at %lx", count, screens->list);
        for (uint64_t i = 0; i < count; i++)
            EXPECT(is_given(((const uint64_t *)screens->list)[i],
                            screens->revision >= 1
                                ? sizeof(struct limine_framebuffer)
                                : offsetof(struct limine_framebuffer, mode_count)),
                   "framebuffer %lu", i);
    } else {
        EXPECT(request_is_made(LIMINE_FRAMEBUFFER), "%s", "not asked");
    }
    for (unsigned check = 0; check < sizeof(sentences) / sizeof(*sentences); check++) {
        tap_check(sentences[check]);
        if (!screens)
            tap_skip("there is no framebuffer");
        else if (expect[check] == expect_modes && screens->revision < 1)
            tap_skip_choice("a response of revision 0 has no modes");
        else
            for (uint64_t i = 0; i < count; i++)
                expect[check](((const struct limine_framebuffer *const *)screens->list)[i]);
    }
}
