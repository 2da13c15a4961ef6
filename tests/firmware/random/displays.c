// Displays at random, and which of them the kernel must be told of.
#include "tests/firmware/random/boot.h"
#include "tests/unit/support/edid_block.h"

#include <stdio.h>
#include <string.h>

// Room for each display, where no RAM is.
#define WINDOW_BYTES MIB(16)
#define LOW_WINDOWS  UINT64_C(0xc0000000)
#define HIGH_WINDOWS UINT64_C(0xf8e0000000)

enum { MODES_MAX = 8 };

static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION modes[FAKE_DISPLAYS_MAX][MODES_MAX];
static uint8_t edids[FAKE_DISPLAYS_MAX][128];

static const uint32_t sizes[][2] = {{640, 480}, {800, 600}, {1024, 768}, {1280, 800}};

static void make_masks(struct boot *boot, EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode) {
    static const EFI_PIXEL_BITMASK masks[] = {
        {0xff0000, 0xff00, 0xff, 0xff000000},
        {0x3ff00000, 0xffc00, 0x3ff, 0xc0000000},
        {0xff, 0xff00, 0xff0000, 0xff000000},
        {0xf800, 0x7e0, 0x1f, 0},              // of 16 bits
        {0xff0000, 0, 0xff, 0xff000000},       // without green
        {0xff0000, 0x1ff00, 0xff, 0xff000000}, // overlap
        {0, 0, 0, 0},
        {0xff000000, 0xff0000, 0x1ff00, 0xff}, // overlap only what is reserved: no matter
        {0xff0000, 0xff00, 0xff, 0},           // of 24 bits
    };
    mode->PixelFormat = PixelBitMask;
    mode->PixelInformation = masks[boot_below(boot, ARRAY_LEN(masks))];
}

static void make_odd(struct boot *boot, struct fake_display *display) {
    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = &display->mode;
    switch (boot_below(boot, 12)) {
    case 0:
        mode->PixelFormat = PixelBltOnly;
        break;
    case 1:
        mode->PixelFormat = PixelFormatMax;
        break;
    case 2:
        mode->HorizontalResolution = 0;
        break;
    case 3:
        mode->VerticalResolution = 0;
        break;
    case 4:
        mode->PixelsPerScanLine = mode->HorizontalResolution - 1;
        break;
    case 5:
        mode->PixelsPerScanLine = (UINT32)1 << (28 + boot_below(boot, 4));
        display->base = LOW_WINDOWS; // above are only RAM and the ends of the address space
        break;
    case 6:
        display->has_no_mode = true;
        break;
    case 7:
        display->has_no_info = true;
        break;
    case 8:
        display->base = boot_chance(boot, 50) ? 0 : UINT64_MAX - boot_below(boot, MIB(4));
        break;
    case 9:
        display->base = FAKE_HIGH_PHYS + GIB(1) + boot_below(boot, MIB(64));
        break;
    case 10:
        display->base = (UINT64_C(1) << fake.paddr_bits) - boot_below(boot, 2) * FRAME_BYTES;
        break;
    default:
        make_masks(boot, mode);
        break;
    }
}

// A list of modes, of which one is most often the one that is set.
static void make_modes(struct boot *boot, uint64_t index) {
    struct fake_display *display = &fake.displays[index];
    uint32_t count = 1 + (uint32_t)boot_below(boot, MODES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t *size = sizes[boot_below(boot, ARRAY_LEN(sizes))];
        EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = &modes[index][i];
        *mode = (EFI_GRAPHICS_OUTPUT_MODE_INFORMATION){
            .HorizontalResolution = size[0],
            .VerticalResolution = size[1],
            .PixelFormat = (EFI_GRAPHICS_PIXEL_FORMAT)boot_below(boot, 5),
            .PixelsPerScanLine = size[0] + (uint32_t)boot_below(boot, 2) * 32};
        if (mode->PixelFormat == PixelBitMask)
            make_masks(boot, mode);
    }
    display->modes = modes[index];
    display->mode_count = count;
    display->number = (uint32_t)boot_below(boot, count + 1);
    if (display->number < count && boot_chance(boot, 80))
        display->mode = modes[index][display->number];
    display->moves = boot_chance(boot, 50);
    if (boot_chance(boot, 5))
        display->claims_modes = UINT32_MAX;
    boot_tell(boot, "%u modes, number %u; ", count, display->number);
}

static void make_edid(struct boot *boot, uint64_t index) {
    const uint32_t *size = sizes[boot_below(boot, ARRAY_LEN(sizes))];
    struct fake_display *display = &fake.displays[index];
    edid_block_make(edids[index], size[0], size[1]);
    edids[index][127] ^= boot_chance(boot, 20);
    display->active_edid = edids[index];
    display->active_bytes = 128;
    boot_tell(boot, "EDID %ux%u; ", size[0], size[1]);
}

static void make_resolution(struct boot *boot) {
    static const char *const wishes[] = {"firmware", "native",   "native",
                                         "640x480",  "1024x768", "1280x800"};
    if (boot_chance(boot, 40))
        boot->resolution = wishes[boot_below(boot, ARRAY_LEN(wishes))];
    boot_tell(boot, "resolution %s; ", boot->resolution == NULL ? "none" : boot->resolution);
}

static void make_display(struct boot *boot, uint64_t number) {
    bool is_high = fake.paddr_bits >= 40 && boot_chance(boot, 50);
    uint64_t base = (is_high ? HIGH_WINDOWS : LOW_WINDOWS) + number * WINDOW_BYTES;
    base += boot_chance(boot, 70) ? 0 : boot_below(boot, MIB(4));
    uint32_t width = 1 + (uint32_t)boot_below(boot, 1600);
    uint32_t height = 1 + (uint32_t)boot_below(boot, 1200);
    struct fake_display *display = fake_add_display(base, width, height);
    display->mode.PixelsPerScanLine +=
        (uint32_t)boot_below(boot, 2) * (uint32_t)boot_below(boot, 64);
    if (boot_chance(boot, 30))
        display->mode.PixelFormat = PixelRedGreenBlueReserved8BitPerColor;
    if (boot_chance(boot, 20))
        make_masks(boot, &display->mode);
    if (boot_chance(boot, 25))
        make_odd(boot, display);
    if (number != 0 && boot_chance(boot, 5))
        display->base = fake.displays[boot_below(boot, number)].base;
    boot_tell(boot, "display %ux%u/%u at 0x%lx, format %d, masks %x %x %x%s%s; ",
              display->mode.HorizontalResolution, display->mode.VerticalResolution,
              display->mode.PixelsPerScanLine, display->base, (int)display->mode.PixelFormat,
              display->mode.PixelInformation.RedMask, display->mode.PixelInformation.GreenMask,
              display->mode.PixelInformation.BlueMask, display->has_no_mode ? ", no mode" : "",
              display->has_no_info ? ", no info" : "");
    if (boot_chance(boot, 60))
        make_modes(boot, number);
    if (boot_chance(boot, 40))
        make_edid(boot, number);
}

// ---- What must come of them

static bool masks_are_sound(const EFI_PIXEL_BITMASK *masks) {
    uint64_t sum = (uint64_t)masks->RedMask + masks->GreenMask + masks->BlueMask;
    uint32_t all = masks->RedMask | masks->GreenMask | masks->BlueMask;
    return masks->RedMask != 0 && masks->GreenMask != 0 && masks->BlueMask != 0 && sum == all &&
           (all | masks->ReservedMask) >= 1 << 24;
}

// A picture of 32-bit pixels that a kernel could draw in.
static bool is_usable(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode) {
    bool is_masks = mode->PixelFormat == PixelBitMask;
    return mode->PixelFormat <= PixelBitMask && mode->HorizontalResolution != 0 &&
           mode->VerticalResolution != 0 && mode->PixelsPerScanLine >= mode->HorizontalResolution &&
           mode->PixelsPerScanLine <= UINT32_MAX / 4 &&
           (!is_masks || masks_are_sound(&mode->PixelInformation));
}

static bool is_picture(const struct fake_display *display) {
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = &display->mode;
    uint64_t pitch = (uint64_t)mode->PixelsPerScanLine * 4;
    return !display->has_no_mode && !display->has_no_info && display->base != 0 &&
           is_usable(mode) &&
           display->base + pitch * mode->VerticalResolution + FRAME_BYTES > display->base;
}

static bool is_mode(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode, uint32_t width,
                    uint32_t height) {
    return is_usable(mode) && mode->HorizontalResolution == width &&
           mode->VerticalResolution == height;
}

// Puts the display, a copy, into the mode that is wished for, if it has it.
static void apply_resolution(const struct boot *boot, struct fake_display *display) {
    unsigned width = 0;
    unsigned height = 0;
    if (boot->resolution == NULL || display->base == 0 || display->has_no_mode ||
        display->has_no_info)
        return;
    sscanf(boot->resolution, "%ux%u", &width, &height);
    const uint8_t *edid = display->active_edid;
    uint8_t sum = 0;
    for (uint32_t i = 0; i < 128 && edid != NULL; i++)
        sum = (uint8_t)(sum + edid[i]);
    if (strcmp(boot->resolution, "native") == 0 && edid != NULL && sum == 0) {
        width = edid[56] + edid[58] / 16 * 256U;
        height = edid[59] + edid[61] / 16 * 256U;
    }
    if (width == 0 || is_mode(&display->mode, width, height))
        return;
    for (int with_masks = 0; with_masks < 2; with_masks++) {
        for (uint32_t i = 0; i < display->mode_count; i++) {
            const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = &display->modes[i];
            if (is_mode(mode, width, height) && (mode->PixelFormat == PixelBitMask) == with_masks) {
                display->mode = *mode;
                display->number = i;
                return;
            }
        }
    }
}

static uint32_t count_modes(const struct fake_display *display) {
    uint32_t count = 1; // the one that is set
    for (uint32_t i = 0; i < display->mode_count; i++)
        count += i != display->number && is_usable(&display->modes[i]);
    return count;
}

// A picture that fits the CPU's addresses and its window, and is not in RAM.
static bool is_reachable(const struct slipway_framebuffer *framebuffer) {
    uint64_t start = framebuffer->address_phys;
    uint64_t width_end = UINT64_C(1) << fake.paddr_bits;
    uint64_t end = align_up(start + framebuffer->bytes, FRAME_BYTES);
    bool is_in_high_ram = start < FAKE_HIGH_PHYS + FAKE_HIGH_BYTES && end > FAKE_HIGH_PHYS;
    return end - align_down(start, FRAME_BYTES) <= GIB(63) && end <= width_end && !is_in_high_ram;
}

static struct slipway_framebuffer describe(const struct fake_display *display) {
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = &display->mode;
    struct slipway_framebuffer framebuffer = {
        .address_phys = display->base,
        .bytes = (uint64_t)mode->PixelsPerScanLine * 4 * mode->VerticalResolution,
        .width = mode->HorizontalResolution,
        .height = mode->VerticalResolution,
        .pitch = mode->PixelsPerScanLine * 4,
        .green_mask = 0xff00,
    };
    switch (mode->PixelFormat) {
    case PixelRedGreenBlueReserved8BitPerColor:
        framebuffer.format = SLIPWAY_PIXEL_RGBX8888;
        framebuffer.red_mask = 0xff;
        framebuffer.blue_mask = 0xff0000;
        break;
    case PixelBlueGreenRedReserved8BitPerColor:
        framebuffer.format = SLIPWAY_PIXEL_BGRX8888;
        framebuffer.red_mask = 0xff0000;
        framebuffer.blue_mask = 0xff;
        break;
    case PixelBitMask:
    case PixelBltOnly:
    case PixelFormatMax:
        framebuffer.format = SLIPWAY_PIXEL_MASKS;
        framebuffer.red_mask = mode->PixelInformation.RedMask;
        framebuffer.green_mask = mode->PixelInformation.GreenMask;
        framebuffer.blue_mask = mode->PixelInformation.BlueMask;
        break;
    }
    return framebuffer;
}

static void expect_framebuffers(struct boot *boot) {
    uint64_t known[FAKE_DISPLAYS_MAX];
    uint32_t known_count = 0;
    for (uint32_t i = 0; i < fake.display_count && known_count < 7; i++) {
        struct fake_display display = fake.displays[i];
        bool is_known = false;
        for (uint32_t j = 0; j < known_count; j++)
            is_known |= known[j] == display.base;
        apply_resolution(boot, &display);
        if (!is_picture(&display) || is_known)
            continue;
        known[known_count++] = display.base;
        struct slipway_framebuffer framebuffer = describe(&display);
        framebuffer.modes.count = count_modes(&display);
        framebuffer.edid_bytes = display.active_bytes;
        if (is_reachable(&framebuffer))
            boot->framebuffers[boot->framebuffer_count++] = framebuffer;
    }
}

void boot_make_displays(struct boot *boot) {
    static const uint64_t bounds[] = {1, 2, 2, 4, FAKE_DISPLAYS_MAX + 1};
    uint64_t count = boot_below(boot, bounds[boot_below(boot, ARRAY_LEN(bounds))]);
    for (uint64_t i = 0; i < count; i++)
        make_display(boot, i);
    make_resolution(boot);
    expect_framebuffers(boot);
}
