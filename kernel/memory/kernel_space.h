// The kernel's address space: the loader's tables, adopted once, and every change made to them
// since. Owns the flush: whoever maps through here need not think of the TLB.
#pragma once

#include "common/boot/slipway_boot.h"
#include "common/vmem/vmem.h"

#include <stdbool.h>

enum space_status {
    SPACE_OK,
    SPACE_ERR_ADOPTED,    // the tables have been adopted before
    SPACE_ERR_CR3,        // CR3 is not what boot_info says
    SPACE_ERR_LEVELS,     // CR4.LA57 is not what boot_info says
    SPACE_ERR_TABLES,     // the paging library refuses them
    SPACE_ERR_DIRECT_MAP, // the root table is not where the direct map should have it
};

const char *space_status_text(enum space_status status);

// Takes over the tables that CR3 points to. `info` has passed boot_check_info and stays readable
// for good. Nothing changes on failure.
[[nodiscard]] enum space_status space_adopt(const struct slipway_boot_info *info);

// The adopted space; null before.
const struct vmem *space_kernel(void);

// The pointer to `bytes` bytes at `phys` through the direct map; null if not all of them are in it.
void *space_pointer(paddr_t phys, uint64_t bytes);

// Where the direct map has the frame that `address`, which is mapped, leads to.
uint64_t space_direct_alias(uint64_t address);

// True if `address` is in a mapped part of the direct map.
bool space_is_direct(uint64_t address);

// --- Changes: of the kernel's space, and of those that share its upper half, by any CPU at any
// time, in interrupts too; not in an NMI, in a machine check, nor between space_begin and
// space_end. One at a time, with interrupts off.
//
// An address is its owner's until the change has returned: before, other CPUs may still use what
// was there, though the tables have something else. Whoever reads the tables, by vmem_translate,
// vmem_walk or vmem_dump, knows that nobody changes them meanwhile.

// Begins changes, with an empty record for those of the kernel half, and returns the kernel's
// space. A caller that changes the lower half of another space makes the record's context that
// `struct tlb_space` (shootdown.h); one that wants what was mapped released has ops of its own,
// with shootdown_execute. space_end executes the record, on all CPUs, and frees what is then free;
// `space` is what was changed.
struct vmem *space_begin(struct vmem_flush *flush);
void space_end(const struct vmem *space, struct vmem_flush *flush);

// As vmem_map, vmem_unmap, vmem_protect, vmem_set_cache on the kernel's space, flushed: when they
// return, no CPU uses what was there before. Table frames come from the frame allocator and go back
// to it after the flush.
[[nodiscard]] enum vmem_status space_map(const struct vmem_mapping *mapping);
[[nodiscard]] enum vmem_status space_unmap(vaddr_t virt, uint64_t bytes);
[[nodiscard]] enum vmem_status space_protect(vaddr_t virt, uint64_t bytes, unsigned rights);
[[nodiscard]] enum vmem_status space_set_cache(vaddr_t virt, uint64_t bytes, enum vmem_cache cache);
