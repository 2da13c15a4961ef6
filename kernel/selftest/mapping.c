#include "kernel/selftest/mapping.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "kernel/base/layout.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/shootdown.h"
#include "kernel/selftest/check.h"
#include "kernel/stop/probe.h"

#include <stddef.h>

enum {
    RET_INSTRUCTION = 0xC3,
    PATTERN = 0x5A,
    STALE_TRIES = 16,
};

static struct vmem_mapping scratch_mapping(paddr_t frame) {
    return (struct vmem_mapping){
        .virt = vaddr(KERNEL_SCRATCH),
        .phys = frame,
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ | VMEM_WRITE,
        .cache = VMEM_CACHE_WB,
        .largest = VMEM_4K,
    };
}

// Every change is tried at once on the CPU, so that a missing flush cannot hide.
void selftest_mapping(void) {
    paddr_t frame;
    check_frames(memory_alloc(FRAMES_ANY, &frame), FRAMES_OK, "a frame to map");
    volatile uint8_t *alias = space_pointer(frame, FRAME_BYTES);
    alias[0] = RET_INSTRUCTION;
    struct vmem_mapping mapping = scratch_mapping(frame);
    volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)KERNEL_SCRATCH;
    check(!probe_read(KERNEL_SCRATCH), "the scratch page is absent at first");
    check_vmem(space_map(&mapping), VMEM_OK, "mapping a page");
    check_vmem(space_map(&mapping), VMEM_ERR_MAPPED, "mapping over it");
    check(page[0] == RET_INSTRUCTION, "the page shows its frame");
    page[1] = PATTERN;
    check(alias[1] == PATTERN, "the frame shows the page");
    check(!probe_execute(KERNEL_SCRATCH), "a writable page does not execute");
    check_vmem(space_protect(mapping.virt, FRAME_BYTES, VMEM_READ), VMEM_OK, "protecting it");
    check(probe_read(KERNEL_SCRATCH), "a read-only page reads");
    check(!probe_write(KERNEL_SCRATCH), "a read-only page does not write");
    check_vmem(space_protect(mapping.virt, FRAME_BYTES, VMEM_READ | VMEM_EXECUTE), VMEM_OK,
               "making it executable");
    check(probe_execute(KERNEL_SCRATCH), "an executable page executes");
    check(!probe_write(KERNEL_SCRATCH), "an executable page does not write");
    check_vmem(space_unmap(mapping.virt, FRAME_BYTES), VMEM_OK, "unmapping it");
    check(!probe_read(KERNEL_SCRATCH), "an unmapped page is absent");
    check_frames(memory_free(frame), FRAMES_OK, "freeing its frame");
}

// Puts `next` in place of the frame that is mapped and has just been read. True if the CPU went on
// to see `before` until it was told to forget; then it must see `after`.
static bool swap_is_stale(struct vmem_mapping *mapping, paddr_t next, uint8_t before, uint8_t after,
                          bool is_full) {
    volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)KERNEL_SCRATCH;
    struct vmem_flush flush;
    struct vmem *space = space_begin(&flush);
    mapping->phys = next;
    bool was_seen = page[0] == before;
    enum vmem_status status = vmem_map(space, mapping, &flush);
    bool is_stale = page[0] == before;
    flush.full |= is_full; // as if there had been many more pages
    space_end(space, &flush);
    check_vmem(status, VMEM_OK, "replacing a page");
    check(was_seen && page[0] == after, "after a flush the new page is seen");
    return is_stale;
}

// A translation that the CPU remembers must be one that survives a load of CR3, to be sure that
// each kind of flush really drops it.
static void test_stale(bool is_full) {
    paddr_t frame[2];
    for (unsigned i = 0; i < 2; i++) {
        check_frames(memory_alloc(FRAMES_ANY, &frame[i]), FRAMES_OK, "a frame to map");
        *(volatile uint8_t *)space_pointer(frame[i], FRAME_BYTES) = (uint8_t)(PATTERN + i);
    }
    struct vmem_mapping mapping = scratch_mapping(frame[0]);
    mapping.global = true;
    mapping.replace = true;
    check_vmem(space_map(&mapping), VMEM_OK, "mapping a global page");
    bool is_stale = false;
    for (unsigned i = 0; i < STALE_TRIES && !is_stale; i++) { // an interrupt may make it forget
        is_stale = swap_is_stale(&mapping, frame[1], PATTERN, PATTERN + 1, is_full);
        is_stale |= swap_is_stale(&mapping, frame[0], PATTERN + 1, PATTERN, is_full);
    }
    check(is_stale, "without a flush the old page is seen");
    check_vmem(space_unmap(mapping.virt, FRAME_BYTES), VMEM_OK, "unmapping it");
    for (unsigned i = 0; i < 2; i++)
        check_frames(memory_free(frame[i]), FRAMES_OK, "freeing its frames");
}

void selftest_flush(void) {
    test_stale(false);
    test_stale(true);
}

// What every CPU finds in the scratch page: a value, or with a null pointer no page.
static void find_on_every_cpu(void *expected) {
    const volatile uint8_t *page = (const volatile uint8_t *)(uintptr_t)KERNEL_SCRATCH;
    if (expected == NULL && probe_read(KERNEL_SCRATCH))
        panic("self-test: CPU %u still has a page that is gone", this_cpu());
    if (expected != NULL && page[0] != *(const uint8_t *)expected)
        panic("self-test: CPU %u sees a page that was replaced", this_cpu());
}

// A CPU that slept while a page was replaced, and while it was unmapped, knows.
void selftest_other_cpus(void) {
    struct vmem_mapping mapping = scratch_mapping(paddr(0));
    mapping.global = true;
    mapping.replace = true;
    for (uint8_t value = 1; value <= 2; value++) {
        paddr_t old = mapping.phys;
        check_frames(memory_alloc(FRAMES_ANY, &mapping.phys), FRAMES_OK, "a frame to map");
        *(volatile uint8_t *)space_pointer(mapping.phys, FRAME_BYTES) = value;
        check_vmem(space_map(&mapping), VMEM_OK, "mapping a page for all CPUs");
        cpus_run(find_on_every_cpu, &value);
        if (value == 2)
            check_frames(memory_free(old), FRAMES_OK, "freeing the frame before");
    }
    check_vmem(space_unmap(mapping.virt, FRAME_BYTES), VMEM_OK, "unmapping it");
    cpus_run(find_on_every_cpu, NULL);
    check_frames(memory_free(mapping.phys), FRAMES_OK, "freeing its frame");
}

// What the CPU makes of a cache type: the entry as it stands selects a byte of the PAT. The bits
// are named here once more on purpose: the paging library is what is tested.
static void check_cache(vaddr_t virt, enum vmem_cache cache) {
    static const uint8_t encoding[] = {6, 4, 7, 0, 5, 1}; // SDM 3A table 12-10, by enum vmem_cache
    enum { PWT = 3, PCD = 4, PAT_4K = 7 };                // bits of a 4 KiB leaf
    struct vmem_translation found;
    check_vmem(vmem_translate(space_kernel(), virt, &found), VMEM_OK, "finding a page");
    unsigned index = (unsigned)(found.entry >> PWT & 1) | (unsigned)(found.entry >> PCD & 1) << 1 |
                     (unsigned)(found.entry >> PAT_4K & 1) << 2;
    check((cpu_rdmsr(MSR_PAT) >> (8 * index) & 0xff) == encoding[cache],
          "the PAT has the cache type that was asked for");
}

// A page is mapped with each cache type, and changed from it to each. Nothing touches the page: the
// direct map has its frame, too, write-back.
void selftest_caches(void) {
    enum { TYPES = VMEM_CACHE_WC + 1 };
    paddr_t frame;
    check_frames(memory_alloc(FRAMES_ANY, &frame), FRAMES_OK, "a frame to map");
    struct vmem_mapping mapping = scratch_mapping(frame);
    for (unsigned cache = 0; cache < TYPES; cache++) {
        mapping.cache = (enum vmem_cache)cache;
        check_vmem(space_map(&mapping), VMEM_OK, "mapping a cache type");
        check_cache(mapping.virt, mapping.cache);
        for (unsigned next = 0; next < TYPES; next++) {
            check_vmem(space_set_cache(mapping.virt, FRAME_BYTES, (enum vmem_cache)next), VMEM_OK,
                       "changing a cache type");
            check_cache(mapping.virt, (enum vmem_cache)next);
        }
        check_vmem(space_set_cache(mapping.virt, FRAME_BYTES, (enum vmem_cache)TYPES),
                   VMEM_ERR_CACHE, "a cache type that does not exist");
        check_vmem(space_unmap(mapping.virt, FRAME_BYTES), VMEM_OK, "unmapping it");
    }
    check_vmem(space_set_cache(mapping.virt, FRAME_BYTES, VMEM_CACHE_WB), VMEM_ERR_NOT_MAPPED,
               "the cache type of nothing");
    check_frames(memory_free(frame), FRAMES_OK, "freeing the frame");
}

// Runs in a clone for a moment: what is mapped meanwhile in the kernel's space is there at once.
void selftest_clone(void) {
    paddr_t frame;
    check_frames(memory_alloc(FRAMES_ANY, &frame), FRAMES_OK, "a frame to map");
    struct vmem_flush flush;
    struct vmem clone;
    struct vmem *kernel = space_begin(&flush);
    check_vmem(vmem_clone(kernel, &clone), VMEM_OK, "cloning the kernel's space");
    space_end(kernel, &flush);
    struct tlb_space space = tlb_space_make(clone.root);
    shootdown_switch(&space);
    struct vmem_mapping mapping = scratch_mapping(frame);
    check_vmem(space_map(&mapping), VMEM_OK, "mapping a page beside the clone");
    check(probe_write(KERNEL_SCRATCH), "the clone has it");
    check_vmem(space_unmap(mapping.virt, FRAME_BYTES), VMEM_OK, "unmapping it");
    check(!probe_read(KERNEL_SCRATCH), "the clone has it no more");
    shootdown_switch(NULL);
    check(space.cpus == 0, "no CPU runs in the clone any more");
    kernel = space_begin(&flush);
    flush.context = &space;
    check_vmem(vmem_destroy(&clone, &flush), VMEM_OK, "ending the clone");
    space_end(kernel, &flush);
    check_frames(memory_free(frame), FRAMES_OK, "freeing the frame");
}
