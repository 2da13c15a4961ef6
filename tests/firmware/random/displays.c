// Displays at random, and which of them the kernel must be told of.
#include "tests/firmware/random/boot.h"

// Room for each display, where no RAM is.
#define WINDOW_BYTES MIB(16)
#define LOW_WINDOWS  UINT64_C(0xc0000000)
#define HIGH_WINDOWS UINT64_C(0xf8e0000000)

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
}

// ---- What must come of them

static bool masks_are_sound(const EFI_PIXEL_BITMASK *masks) {
    uint64_t sum = (uint64_t)masks->RedMask + masks->GreenMask + masks->BlueMask;
    uint32_t all = masks->RedMask | masks->GreenMask | masks->BlueMask;
    return masks->RedMask != 0 && masks->GreenMask != 0 && masks->BlueMask != 0 && sum == all &&
           (all | masks->ReservedMask) >= 1 << 24;
}

// A picture in memory of 32-bit pixels that a kernel could draw in.
static bool is_picture(const struct fake_display *display) {
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = &display->mode;
    bool is_masks = mode->PixelFormat == PixelBitMask;
    uint64_t pitch = (uint64_t)mode->PixelsPerScanLine * 4;
    return !display->has_no_mode && !display->has_no_info && mode->PixelFormat <= PixelBitMask &&
           display->base != 0 && mode->HorizontalResolution != 0 && mode->VerticalResolution != 0 &&
           mode->PixelsPerScanLine >= mode->HorizontalResolution && pitch <= UINT32_MAX &&
           (!is_masks || masks_are_sound(&mode->PixelInformation)) &&
           display->base + pitch * mode->VerticalResolution + FRAME_BYTES > display->base;
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
        const struct fake_display *display = &fake.displays[i];
        bool is_known = false;
        for (uint32_t j = 0; j < known_count; j++)
            is_known |= known[j] == display->base;
        if (!is_picture(display) || is_known)
            continue;
        known[known_count++] = display->base;
        struct slipway_framebuffer framebuffer = describe(display);
        if (is_reachable(&framebuffer))
            boot->framebuffers[boot->framebuffer_count++] = framebuffer;
    }
}

void boot_make_displays(struct boot *boot) {
    static const uint64_t bounds[] = {1, 2, 2, 4, FAKE_DISPLAYS_MAX + 1};
    uint64_t count = boot_below(boot, bounds[boot_below(boot, ARRAY_LEN(bounds))]);
    for (uint64_t i = 0; i < count; i++)
        make_display(boot, i);
    expect_framebuffers(boot);
}
