// A boot_info block of anything: the check ends, reads nothing outside the block, and has words for
// what it finds.
#include "common/boot/boot_check.h"

#include "tests/fuzz/patch.h"

#include <stdlib.h>

// The block to be patched.
#include "tests/unit/support/boot_block.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(struct slipway_boot_info *info) {
    uint64_t index = UINT64_MAX;
    enum boot_check result = boot_check_info(info, &index);
    if (index == UINT64_MAX || (result == BOOT_CHECK_OK && index != 0) ||
        strcmp(boot_check_text(result), "unknown") == 0)
        abort();
}

// A block of the fuzzer's own making, in heap memory of exactly its size. Its total_bytes is made
// true, as the check's contract demands; addresses are relative to the block.
static void check_raw(const uint8_t *data, size_t bytes) {
    struct slipway_boot_info *info = malloc(bytes);
    memcpy(info, data, bytes);
    info->magic = SLIPWAY_BOOT_MAGIC;
    info->version = SLIPWAY_BOOT_VERSION;
    info->total_bytes = bytes;
    uint64_t *const addresses[] = {
        &info->mappings.address, &info->memory.address,       &info->ranges.address,
        &info->modules.address,  &info->framebuffers.address, &info->stages.address,
        &info->efi_map,          &info->log.address};
    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        *addresses[i] += (uint64_t)(uintptr_t)info;
    check(info);
    free(info);
}

// The first byte says what follows: a block, or patches of one that is in order.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0)
        return 0;
    if (data[0] % 2 == 0) {
        if (bytes - 1 >= sizeof(struct slipway_boot_info))
            check_raw(data + 1, bytes - 1);
        return 0;
    }
    struct boot_block *block = malloc(sizeof(*block));
    boot_block_fill(block);
    patch_apply(data + 1, bytes - 1, block, sizeof(*block));
    if (block->info.total_bytes > sizeof(*block)) // what is readable is a promise of the caller
        block->info.total_bytes = sizeof(*block);
    check(&block->info);
    free(block);
    return 0;
}
