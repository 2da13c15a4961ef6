// What a kernel's address space is beyond, and short of, what slipway_boot.h promises: the rules of
// another boot protocol. Plan and audit read the same rules, each with code of its own. All zero:
// Slipway's.
//
// With rules (`kinds` is not 0) the direct map is not "all RAM" but what they say:
//
//   below 4 GiB   with all_below_4g every frame, RAM or not; else by kind, as above
//   above         every region of the memory map whose kind is in `kinds`
//   everywhere    framebuffers, write-combining; and, by `firmware`, tables of the firmware's
//   nowhere       the guard frames of stacks, unless has_no_guards
//
// All but the framebuffers, and tables that cannot be, is write-back. With `identity` the same
// pages but frame 0 are mapped one to one in the lower half too, with the same rights. Nothing else
// is mapped but the kernel and, in the window, the loader's image. Pure.
#pragma once

#include "common/base/addr.h"
#include "common/boot/slipway_boot.h"

#include <stdbool.h>
#include <stdint.h>

// Purposes of mappings that no kernel of Slipway's has in its manifest.
#define SPACE_MAP_DEVICES  0x80  // in the direct map and no RAM: devices, the firmware's, nothing
#define SPACE_MAP_IDENTITY 0x100 // added to the purpose of the same pages in the direct map

// Tables of the firmware's that lie neither in RAM nor in what the direct map has anyway.
enum space_firmware {
    SPACE_FIRMWARE_WINDOW, // Slipway's: all of them, read-only, in the window
    SPACE_FIRMWARE_NONE,   // not mapped
    SPACE_FIRMWARE_ACPI,   // those of ACPI in the direct map, writable
    SPACE_FIRMWARE_ALL,    // all of them there
};

struct space_rules {
    uint32_t kinds; // bit k: regions of kind SLIPWAY_MEM_... k are in the direct map
    enum space_firmware firmware;
    bool all_below_4g;
    bool identity;
    bool executes_direct;     // all of the direct map is executable
    bool unsealed;            // read-only pages of the kernel are writable there
    bool writes_and_executes; // pages of the kernel may be both, where its segments ask for it
    bool has_no_global;       // no leaf is global
    bool has_no_guards;       // stacks have none: the frames beside them are memory like others
};

// Where all_below_4g ends.
#define SPACE_BELOW_4G (UINT64_C(1) << 32)

static inline bool space_has_rules(const struct space_rules *rules) {
    return rules->kinds != 0;
}

static inline bool space_wants_kind(const struct space_rules *rules, uint32_t kind) {
    return (rules->kinds >> kind & 1) != 0;
}
