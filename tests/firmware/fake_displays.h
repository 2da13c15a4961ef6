// Displays of the fake machine.
#pragma once

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

#define FAKE_DISPLAYS_MAX 10

// A display, and what is wrong with it. Its list of modes is empty, unless a test fills it: then
// the mode that is set is number `number`, whatever the list says of that.
struct fake_display {
    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION mode;
    uint64_t base;
    uint64_t bytes;
    bool has_no_mode; // its protocol says nothing of the mode
    bool has_no_info; // its mode says nothing of the picture
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *modes;
    uint32_t mode_count;
    uint32_t claims_modes; // not 0: in place of mode_count
    uint32_t number;
    UINTN info_bytes;   // that QueryMode says, if not 0
    bool gives_no_info; // QueryMode succeeds without a description
    uint64_t no_query;  // a bit for each number below 64 at which QueryMode fails
    bool moves;         // SetMode puts the mode's description elsewhere
    bool loses_mode;    // after SetMode there is none
    bool ignores_set;   // SetMode succeeds and changes nothing
    const void *active_edid, *discovered_edid; // null: no such protocol
    uint32_t active_bytes, discovered_bytes;
    uint32_t sets; // seen: calls of SetMode that changed it
};

// Appends a display with 8 bits a colour, blue first, at `base`.
struct fake_display *fake_add_display(uint64_t base, uint32_t width, uint32_t height);
