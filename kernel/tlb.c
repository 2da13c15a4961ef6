#include "kernel/tlb.h"

#include "common/x86/cpu.h"
#include "common/x86/regs.h"

// Above this many pages one full flush, whose refill costs a walk a page in use, beats a string of
// INVLPGs of some 100 cycles each. The same order of magnitude as other kernels' limits (Linux:
// 33).
enum { INVLPG_MAX = 64 };

void tlb_flush_range(vaddr_t virt, uint64_t bytes) {
    if (bytes / FRAME_BYTES > INVLPG_MAX) {
        tlb_flush_all();
        return;
    }
    for (uint64_t offset = 0; offset < bytes; offset += FRAME_BYTES)
        cpu_invlpg(virt.value + offset);
}

void tlb_flush_all(void) {
    // A change of CR4.PGE drops global translations too, which a reload of CR3 does not.
    uint64_t cr4 = cpu_read_cr4();
    cpu_write_cr4(cr4 ^ CR4_PGE);
    cpu_write_cr4(cr4);
}
