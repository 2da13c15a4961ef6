#include "kernel/memory/direct_map.h"

#include "kernel/base/boot.h"
#include "kernel/base/panic.h"
#include "kernel/memory/kernel_space.h"

// RAM is write-back; a framebuffer that lies between (SLIPWAY_NOTE_DIRECT) is not.
static bool add_run(void *argument, const struct vmem_run *run) {
    struct direct_map_facts *facts = argument;
    if (run->cache != VMEM_CACHE_WB)
        return true;
    facts->bytes += run->bytes;
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        facts->leaves[page] += run->leaves[page];
    return true;
}

struct direct_map_facts direct_map_measure(void) {
    struct direct_map_facts facts = {0};
    enum vmem_status status = vmem_walk(space_kernel(), vaddr(boot_info()->hhdm_base),
                                        SLIPWAY_HHDM_MAX_BYTES, add_run, &facts);
    if (status != VMEM_OK)
        panic("the direct map cannot be walked: %s", vmem_status_text(status));
    return facts;
}
