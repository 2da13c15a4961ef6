#include "kernel/memory/kernel_space.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/features.h"
#include "kernel/base/boot.h"
#include "kernel/base/panic.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/shootdown.h"

#include <stddef.h>

static struct vmem kernel_space;
static bool adopted;
static const struct slipway_boot_info *boot;
static struct vmem_direct main_direct; // the longest part of the direct map; 0 bytes: not known yet

const char *space_status_text(enum space_status status) {
    switch (status) {
    case SPACE_OK:
        return "ok";
    case SPACE_ERR_ADOPTED:
        return "the page tables have been adopted before";
    case SPACE_ERR_CR3:
        return "CR3 is not the root that boot_info names";
    case SPACE_ERR_LEVELS:
        return "CR4.LA57 does not agree with the paging levels that boot_info names";
    case SPACE_ERR_TABLES:
        return "the paging library refuses the root";
    case SPACE_ERR_DIRECT_MAP:
        return "the root table is not where the direct map should have it";
    }
    return "unknown";
}

// The manifest's record of the direct map that covers the virtual range whole; null if none does.
// The manifest is sorted, so this is a binary search for the last record that starts at or below.
static const struct slipway_mapping *direct_mapping(uint64_t virt, uint64_t bytes) {
    uint64_t low = 0;
    uint64_t high = boot->mappings.count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (boot_mapping(boot, middle)->virt <= virt)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const struct slipway_mapping *mapping = boot_mapping(boot, low - 1);
    uint64_t offset = virt - mapping->virt;
    bool covers = offset < mapping->bytes && mapping->bytes - offset >= bytes;
    return mapping->purpose == SLIPWAY_MAP_DIRECT && covers ? mapping : NULL;
}

// Most of what is asked for is in the longest part, and found without a search.
void *space_pointer(paddr_t phys, uint64_t bytes) {
    uint64_t virt;
    uint64_t offset = phys.value - main_direct.start.value;
    if (offset < main_direct.bytes && bytes <= main_direct.bytes - offset)
        return main_direct.pointer + offset;
    if (boot == NULL || phys.value >= SLIPWAY_HHDM_MAX_BYTES ||
        add_overflows(boot->hhdm_base, phys.value, &virt) || direct_mapping(virt, bytes) == NULL)
        return NULL;
    return (void *)(uintptr_t)virt;
}

uint64_t space_direct_alias(uint64_t address) {
    struct vmem_translation translation;
    enum vmem_status status = vmem_translate(space_kernel(), vaddr(address), &translation);
    if (status != VMEM_OK)
        panic("0x%lx is not mapped: %s", address, vmem_status_text(status));
    return boot->hhdm_base + translation.phys.value;
}

bool space_is_direct(uint64_t address) {
    return boot != NULL && direct_mapping(address, 1) != NULL;
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    return is_aligned(table.value, FRAME_BYTES) ? space_pointer(table, FRAME_BYTES) : NULL;
}

static paddr_t table_alloc(void *context) {
    (void)context;
    paddr_t table;
    if (memory_alloc(FRAMES_ANY, &table) != FRAMES_OK)
        return PADDR_NONE;
    return table;
}

static void table_free(void *context, paddr_t table) {
    (void)context;
    enum frames_status status = memory_free(table);
    if (status != FRAMES_OK)
        panic("page table 0x%lx cannot be freed: %s", table.value, frames_status_text(status));
}

static bool may_hold_tables(const struct slipway_mapping *mapping) {
    return mapping->purpose == SLIPWAY_MAP_DIRECT && (mapping->rights & SLIPWAY_RIGHT_WRITE) != 0;
}

// The longest part of the direct map without a hole: most tables are there.
static struct vmem_direct longest_direct(void *context) {
    (void)context;
    struct vmem_direct longest = {.bytes = 0};
    struct vmem_direct part = {.bytes = 0};
    for (uint64_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *mapping = boot_mapping(boot, i);
        if (!may_hold_tables(mapping))
            continue;
        if (part.bytes == 0 || mapping->phys != part.start.value + part.bytes) {
            part = (struct vmem_direct){.start = paddr(mapping->phys), .bytes = 0};
            part.pointer = (unsigned char *)(uintptr_t)mapping->virt;
        }
        part.bytes += mapping->bytes;
        if (part.bytes > longest.bytes)
            longest = part;
    }
    return longest;
}

static const struct vmem_ops space_ops = {
    .table_alloc = table_alloc,
    .table_free = table_free,
    .table_pointer = table_pointer,
    .direct = longest_direct,
};

static const struct vmem_flush_ops flush_ops = {.execute = shootdown_execute};

// True if the tables themselves say that the direct map leads to their root.
static bool direct_map_holds(const struct vmem *space, const struct slipway_boot_info *info) {
    struct vmem_translation found;
    vaddr_t alias = vaddr(info->hhdm_base + space->root.value);
    return vmem_translate(space, alias, &found) == VMEM_OK && found.phys.value == space->root.value;
}

static enum space_status adopt(struct vmem *space, const struct slipway_boot_info *info) {
    struct cpu_features features = cpu_find_features();
    if (vmem_adopt(space, &space_ops, NULL, features.paging, info->paging_levels, cpu_read_cr3()) !=
        VMEM_OK)
        return SPACE_ERR_TABLES;
    if (space->root.value != info->root_phys)
        return SPACE_ERR_CR3;
    if (features.paging_levels != info->paging_levels)
        return SPACE_ERR_LEVELS;
    return direct_map_holds(space, info) ? SPACE_OK : SPACE_ERR_DIRECT_MAP;
}

enum space_status space_adopt(const struct slipway_boot_info *info) {
    if (adopted)
        return SPACE_ERR_ADOPTED;
    boot = info; // table_pointer needs the manifest
    struct vmem space;
    enum space_status status = adopt(&space, info);
    if (status != SPACE_OK) {
        boot = NULL;
        return status;
    }
    kernel_space = space;
    main_direct = longest_direct(NULL);
    adopted = true;
    return SPACE_OK;
}

const struct vmem *space_kernel(void) {
    return adopted ? &kernel_space : NULL;
}

// One for all spaces: they share the kernel half, and count as one (vmem.h).
static struct {
    bool is_locked;
    bool were_on; // interrupts, before it was locked
} lock;

// Whoever has it may wait for this CPU to forget something.
static void lock_spaces(void) {
    bool were_on = cpu_interrupts_save();
    while (__atomic_exchange_n(&lock.is_locked, true, __ATOMIC_ACQUIRE)) {
        while (__atomic_load_n(&lock.is_locked, __ATOMIC_RELAXED)) {
            shootdown_serve();
            cpu_pause();
        }
    }
    lock.were_on = were_on;
}

static void unlock_spaces(void) {
    __atomic_store_n(&lock.is_locked, false, __ATOMIC_RELEASE);
}

struct vmem *space_begin(struct vmem_flush *flush) {
    lock_spaces();
    vmem_flush_begin(flush, &flush_ops, NULL);
    return &kernel_space;
}

// Other CPUs go on with their changes while this one waits, unless tables were detached. Until a
// CPU has forgotten those it may not see what a later change puts into the table that took their
// place, and would fault on a neighbour's page that is mapped.
void space_end(const struct vmem *space, struct vmem_flush *flush) {
    bool were_on = lock.were_on;
    bool is_detached = flush->table_count != 0;
    if (!is_detached)
        unlock_spaces();
    vmem_flush_finish(space, flush);
    if (is_detached)
        unlock_spaces();
    cpu_interrupts_restore(were_on);
}

static enum vmem_status finish(enum vmem_status status, struct vmem_flush *flush) {
    space_end(&kernel_space, flush);
    return status;
}

enum vmem_status space_map(const struct vmem_mapping *mapping) {
    struct vmem_flush flush;
    return finish(vmem_map(space_begin(&flush), mapping, &flush), &flush);
}

enum vmem_status space_unmap(vaddr_t virt, uint64_t bytes) {
    struct vmem_flush flush;
    return finish(vmem_unmap(space_begin(&flush), virt, bytes, &flush), &flush);
}

enum vmem_status space_protect(vaddr_t virt, uint64_t bytes, unsigned rights) {
    struct vmem_flush flush;
    return finish(vmem_protect(space_begin(&flush), virt, bytes, rights, &flush), &flush);
}

enum vmem_status space_set_cache(vaddr_t virt, uint64_t bytes, enum vmem_cache cache) {
    struct vmem_flush flush;
    return finish(vmem_set_cache(space_begin(&flush), virt, bytes, cache, &flush), &flush);
}
