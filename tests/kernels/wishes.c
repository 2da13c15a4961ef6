// What the kernel with a note asks for.
#include "slipway_boot.h"

SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION,
                    .flags = SLIPWAY_NOTE_KEEP_SCREEN | SLIPWAY_NOTE_CRASH,
                    .stack_bytes = 256 << 10, .hhdm_base = SLIPWAY_U64(0xffff888000000000),
                    .ram_floor_bytes = 16 << 20);
