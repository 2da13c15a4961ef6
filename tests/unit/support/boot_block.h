// A boot_info block that is in order, for the tests that break it: a machine of 64 MiB with a
// kernel, a module, a stack and a framebuffer.
#pragma once

#include "common/boot/slipway_boot.h"

#define BLOCK_HHDM  SLIPWAY_HHDM_BASE
#define BLOCK_STACK (SLIPWAY_WINDOW_BASE + 0x1000)
#define BLOCK_FRAME (SLIPWAY_WINDOW_BASE + 0x100000)
#define BLOCK_IMAGE SLIPWAY_KERNEL_DEFAULT
#define BLOCK_CPUS  UINT64_C(0x2220000) // where the records of two CPUs lie, in a page

// The page with what SLIPWAY_NOTE_SYMBOLS brings: section headers, their names, symbols, and
// theirs.
#define BLOCK_SYMBOLS              (BLOCK_CPUS + 0x1000)
#define BLOCK_SECTION_NAMES_OFFSET 256
#define BLOCK_SYMBOLS_OFFSET       320
#define BLOCK_SYMBOL_NAMES_OFFSET  512

// Indices of the records below.
enum {
    BLOCK_MAP_LOW, // direct map: below the legacy hole, up to the kernel, its text, the rest
    BLOCK_MAP_MAIN,
    BLOCK_MAP_ALIAS,
    BLOCK_MAP_HIGH,
    BLOCK_MAP_STACK,
    BLOCK_MAP_FRAMEBUFFER,
    BLOCK_MAP_LOADER,
    BLOCK_MAP_TEXT,
    BLOCK_MAP_DATA,
    BLOCK_MAPS,

    BLOCK_MEM_FIRST = 0, // frame 0
    BLOCK_MEM_LOW,       // usable, below the legacy hole
    BLOCK_MEM_HOLE,      // reserved, in no direct map
    BLOCK_MEM_MAIN,      // usable
    BLOCK_MEM_KERNEL,
    BLOCK_MEM_LOADER,
    BLOCK_MEM_MODULE,
    BLOCK_MEM_TABLES,
    BLOCK_MEM_MMIO,
    BLOCK_MEMS,

    BLOCK_RANGE_KERNEL = 0,
    BLOCK_RANGE_STACK,
    BLOCK_RANGE_INFO,
    BLOCK_RANGE_LOADER,
    BLOCK_RANGE_CPUS,
    BLOCK_RANGE_MODULE,
    BLOCK_RANGE_TABLES,
    BLOCK_RANGES,
};

struct boot_block {
    struct slipway_boot_info info;
    struct slipway_mapping mappings[BLOCK_MAPS];
    struct slipway_memory memory[BLOCK_MEMS];
    struct slipway_range ranges[BLOCK_RANGES + 1];
    struct slipway_module modules[2];
    struct slipway_framebuffer framebuffers[2];
    struct slipway_display_mode modes[3]; // of both
    uint64_t edid[128 / 8];               // of the first
    struct slipway_stage stages[2];
    struct slipway_piece pieces[2];
    uint64_t efi_map[2 * 48 / 8]; // two descriptors of 48 bytes
    char text[16];                // "text", which all texts are
};

// Fills in a block that boot_check_info finds sound at this address. Its addresses are those of
// *block: it cannot be moved.
void boot_block_fill(struct boot_block *block);

// Indices of what is different below.
enum {
    BLOCK_DIRECT_MAP_STACK = BLOCK_MAP_STACK, // of the direct map, and the rest of it
    BLOCK_DIRECT_MAP_REST,
    BLOCK_DIRECT_MAP_FRAMEBUFFER,

    BLOCK_DIRECT_RANGE_BELOW = 1, // the guards and the stack
    BLOCK_DIRECT_RANGE_STACK,
    BLOCK_DIRECT_RANGE_ABOVE,
};

// The same as with SLIPWAY_NOTE_DIRECT: stack and framebuffers are in the direct map.
void boot_block_fill_direct(struct boot_block *block);

enum { BLOCK_SYMBOLS_RANGE = BLOCK_RANGE_MODULE }; // with symbols; those behind move on

// Adds what SLIPWAY_NOTE_SYMBOLS brings.
void boot_block_add_symbols(struct boot_block *block);
