#include "kernel/memory/tlb.h"

#include "common/x86/cpu.h"
#include "common/x86/regs.h"

// A change of CR4.PGE drops global translations too, which a reload of CR3 does not.
void tlb_forget_all(void) {
    uint64_t cr4 = cpu_read_cr4();
    cpu_write_cr4(cr4 ^ CR4_PGE);
    cpu_write_cr4(cr4);
}

static void forget_range(const struct vmem_flush_range *range) {
    uint64_t step = vmem_page_bytes(range->page);
    for (uint64_t offset = 0; offset < range->bytes; offset += step)
        cpu_invlpg(range->virt.value + offset);
}

void tlb_forget(const struct vmem_flush *flush) {
    if (flush->full && flush->global) {
        tlb_forget_all();
        return;
    }
    if (flush->full) {
        cpu_write_cr3(cpu_read_cr3());
        return;
    }
    for (unsigned i = 0; i < flush->range_count; i++)
        forget_range(&flush->range[i]);
    if (flush->range_count == 0 && flush->structures)
        cpu_invlpg(0); // any address: all paging-structure caches go with it (SDM 3A 4.10.4.1)
}

void tlb_load_root(paddr_t root) {
    cpu_write_cr3(root.value);
}
