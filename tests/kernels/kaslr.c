// What the kernel asks for that may lie anywhere, and looks for itself among its symbols.
#include "slipway_boot.h"

SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION,
                    .flags = SLIPWAY_NOTE_KASLR | SLIPWAY_NOTE_SYMBOLS);
