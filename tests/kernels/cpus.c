// What the kernel that asks for all CPUs asks for.
#include "slipway_boot.h"

SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION, .flags = SLIPWAY_NOTE_CPUS);
