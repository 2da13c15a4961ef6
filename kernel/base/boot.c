#include "kernel/base/boot.h"

#include "common/boot/boot_check.h"
#include "kernel/base/layout.h"
#include "kernel/base/panic.h"

SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION,
                    .flags = SLIPWAY_NOTE_CPUS | SLIPWAY_NOTE_CRASH,
                    .stack_bytes = KERNEL_STACK_BYTES);

static const struct slipway_boot_info *accepted;
static uint64_t entry_tsc;

void boot_accept(const struct slipway_boot_info *info, uint64_t tsc_entry) {
    uint64_t index = 0;
    enum boot_check result = boot_check_info(info, &index);
    if (result != BOOT_CHECK_OK)
        panic("boot_info at 0x%lx: %s (record %lu)", (uint64_t)(uintptr_t)info,
              boot_check_text(result), index);
    accepted = info;
    entry_tsc = tsc_entry;
}

const struct slipway_boot_info *boot_info(void) {
    return accepted;
}

uint64_t boot_tsc_entry(void) {
    return entry_tsc;
}
