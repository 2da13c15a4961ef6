// What the kernel asks for whose first tables have the direct map and itself alone, CPUs too.
#include "slipway_boot.h"

SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION,
                    .flags = SLIPWAY_NOTE_CPUS | SLIPWAY_NOTE_DIRECT);
