// The displays that a kernel can draw on: UEFI 2.9, 12.9, the Graphics Output Protocol. A display
// is never required.
#pragma once

#include "common/boot/slipway_boot.h"
#include "loader/config.h"
#include "loader/plan.h"

#include <efi.h>

#include <stdint.h>

enum {
    DISPLAYS_MAX = PLAN_FRAMEBUFFERS_MAX,
    DISPLAYS_MODES_MAX = 128, // of each that are handed over
};

// A display in another mode than the firmware had set.
struct displays_changed {
    EFI_GRAPHICS_OUTPUT_PROTOCOL *display;
    uint32_t number; // of the firmware's mode
};

struct displays {
    // As the kernel sees them, but for this: `address` is not set, `bytes` is whole pages, counted
    // from the page of `address_phys`, and the addresses of EDID and modes are physical. info.c
    // completes them. EDID is the firmware's memory.
    struct slipway_framebuffer framebuffers[DISPLAYS_MAX];
    uint32_t count;
    struct slipway_display_mode modes[DISPLAYS_MAX][DISPLAYS_MODES_MAX]; // what they point to
    struct displays_changed changed[DISPLAYS_MAX];
    uint32_t changed_count;
};

// Finds the displays and sets the resolution that the config wishes, where a display has it. One
// that has not keeps the firmware's; one that breaks the contract is left out. The log says why.
// Once a mode is set the firmware's console is silent, since what it draws there is not readable.
void displays_find(struct displays *displays, const struct config *config);

// Sets the firmware's modes again, so that its console can be read. For a boot that has failed.
void displays_restore(struct displays *displays);
