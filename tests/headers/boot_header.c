/* The hand-over header alone, as a stranger's C kernel includes it. Compiles as C99 and C11. */
#include "slipway_boot.h"

SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION,
                    .flags = SLIPWAY_NOTE_FRAMEBUFFER | SLIPWAY_NOTE_CPUS, .stack_bytes = 32768);

uint64_t header_end(const struct slipway_boot_info *info);

uint64_t header_end(const struct slipway_boot_info *info) {
    return (uint64_t)(uintptr_t)info + info->header_bytes + SLIPWAY_HHDM_BASE;
}
