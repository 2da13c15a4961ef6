// What the tests of displays share: a display with a list of modes, and what to expect of its
// framebuffer.
#pragma once

#include "tests/firmware/setup.h"

#define MODE(width, height, format)                                                                \
    { 0, width, height, format, {0, 0, 0, 0}, width }
#define BGR PixelBlueGreenRedReserved8BitPerColor
#define RGB PixelRedGreenBlueReserved8BitPerColor

enum { SETUP_MODES = 8, SETUP_USABLE = 4 };

// Some that a kernel can use, numbers 0, 2, 3 and 6, and others.
extern const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION setup_modes[SETUP_MODES];

// The former, as the kernel finds them.
extern const struct slipway_display_mode setup_usable[SETUP_USABLE];

// Appends a display with these modes, of which one is set.
struct fake_display *setup_display(uint64_t base, uint32_t number);

// Boots. Asserts that the kernel finds so many framebuffers, at least one, and returns them.
const struct slipway_framebuffer *setup_framebuffers(uint32_t count);

// Asserts that a framebuffer has these modes, of which `set` is set.
void setup_expect_modes(const struct slipway_framebuffer *framebuffer,
                        const struct slipway_display_mode *want, uint32_t count, uint32_t set);

// Asserts that a framebuffer has this size.
void setup_expect_size(const struct slipway_framebuffer *framebuffer, uint32_t width,
                       uint32_t height);
