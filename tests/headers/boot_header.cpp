// The hand-over header alone, as a stranger's C++17 kernel includes it.
#include "slipway_boot.h"

SLIPWAY_KERNEL_NOTE(SLIPWAY_BOOT_VERSION, SLIPWAY_NOTE_FRAMEBUFFER | SLIPWAY_NOTE_CPUS, 32768, 0, 0, 0, 0);

static_assert(sizeof(slipway_boot_info) == 944 && sizeof(slipway_cpu) == 64, "the same layout as in C");

uint64_t header_end(const slipway_boot_info *info);

uint64_t header_end(const slipway_boot_info *info) {
    return reinterpret_cast<uint64_t>(info) + info->header_bytes + SLIPWAY_HHDM_BASE;
}
