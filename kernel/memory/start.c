// From the raw EFI map and the loader's ranges to regions, and from those to the frame allocator.
#include "common/audit/audit.h"
#include "common/base/arith.h"
#include "common/base/mem.h"
#include "kernel/base/boot.h"
#include "kernel/base/panic.h"
#include "kernel/base/stages.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory_state.h"
#include "kernel/memory/regions.h"

// The direct map's window is 2^46 bytes with 4 levels and with 5.
enum { DIRECT_MAP_BITS = 46 };

// Arrays that are needed before there is an allocator, in one piece of usable memory that nobody
// has claimed yet. They die when the allocator starts, which may then give that memory away.
struct draft {
    struct memmap_claim *claims;
    struct memmap_region *regions;
    struct slipway_mapping *mappings; // packed copies: the audit does not step by stride
    struct slipway_range *ranges;
    uint8_t *audit_scratch;
    uint8_t *scratch;
    uint64_t region_capacity;
    uint64_t audit_scratch_bytes;
    uint64_t scratch_bytes;
};

// Hands out the next piece of the draft's memory, 8-byte aligned. Called first with a null base, to
// add up the sizes.
static void *take(uint8_t *base, uint64_t *used, uint64_t count, uint64_t size) {
    uint64_t bytes;
    if (mul_overflows(count, size, &bytes) || bytes > MIB(1024))
        panic("memory map: %lu records of %lu bytes cannot be true", count, size);
    void *piece = base == NULL ? NULL : base + *used;
    *used += align_up(bytes, 8);
    return piece;
}

// Lays the draft out from `base` (null: only sizes). Returns the bytes that it takes.
static uint64_t draft_lay_out(struct draft *draft, const struct slipway_boot_info *info,
                              uint8_t *base) {
    uint64_t descriptors = info->efi_map_bytes / info->efi_map_stride;
    uint64_t claims = info->ranges.count;
    uint64_t used = 0;
    draft->region_capacity = memmap_region_bound(descriptors, claims);
    draft->scratch_bytes = memmap_scratch_bytes(descriptors, claims);
    draft->claims = take(base, &used, claims, sizeof(*draft->claims));
    draft->regions = take(base, &used, draft->region_capacity, sizeof(*draft->regions));
    draft->mappings = take(base, &used, info->mappings.count, sizeof(*draft->mappings));
    draft->ranges = take(base, &used, claims, sizeof(*draft->ranges));
    draft->scratch = take(base, &used, draft->scratch_bytes, 1);
    // One bit a page table is all the audit wants: never more than this.
    draft->audit_scratch_bytes = info->table_pages / 8 + 64;
    draft->audit_scratch = take(base, &used, draft->audit_scratch_bytes, 1);
    return used;
}

static struct draft draft_make(const struct slipway_boot_info *info) {
    struct draft draft;
    uint64_t bytes = align_up(draft_lay_out(&draft, info, NULL), FRAME_BYTES);
    uint64_t phys;
    if (!regions_find_room(&info->memory, bytes, &phys))
        panic("no %lu bytes of usable memory in one piece to sort the memory map in", bytes);
    uint8_t *base = space_pointer(paddr(phys), bytes);
    if (base == NULL)
        panic("usable memory [0x%lx, 0x%lx) is not in the direct map", phys, phys + bytes);
    draft_lay_out(&draft, info, base);
    return draft;
}

static uint64_t address_limit(void) {
    unsigned bits = space_kernel()->cpu.paddr_bits;
    return UINT64_C(1) << (bits < DIRECT_MAP_BITS ? bits : DIRECT_MAP_BITS);
}

static void normalise(const struct slipway_boot_info *info, struct draft *draft) {
    regions_claim(&info->ranges, draft->claims);
    struct memmap_input input = {
        .efi = {(const void *)(uintptr_t)info->efi_map, info->efi_map_bytes, info->efi_map_stride},
        .claims = draft->claims,
        .claim_count = info->ranges.count,
        .limit = address_limit(),
    };
    enum memmap_status status = memmap_normalise(
        &input, draft->scratch, draft->scratch_bytes, draft->regions, draft->region_capacity,
        &kernel_memory.facts.region_count, &kernel_memory.facts.report);
    if (status != MEMMAP_OK)
        panic("memory map of %lu bytes, stride %u: cannot be normalised (status %d)",
              info->efi_map_bytes, info->efi_map_stride, (int)status);
    kernel_memory.facts.regions = draft->regions;
    kernel_memory.facts.differences =
        regions_count_differences(draft->regions, kernel_memory.facts.region_count, &info->memory);
}

static void audit(const struct slipway_boot_info *info, struct draft *draft,
                  const struct sink *out) {
    for (uint64_t i = 0; i < info->mappings.count; i++)
        draft->mappings[i] = *boot_mapping(info, i);
    for (uint64_t i = 0; i < info->ranges.count; i++)
        draft->ranges[i] = *boot_range(info, i);
    if (audit_scratch_bytes(draft->ranges, info->ranges.count) > draft->audit_scratch_bytes)
        panic("the loader lists more page tables than the %u it counted", info->table_pages);
    struct audit_input input = {
        .space = space_kernel(),
        .hhdm_base = info->hhdm_base,
        .mappings = draft->mappings,
        .mapping_count = info->mappings.count,
        .ranges = draft->ranges,
        .range_count = info->ranges.count,
        .regions = draft->regions,
        .region_count = kernel_memory.facts.region_count,
        .report = &kernel_memory.facts.report,
        .stack_bottom = info->stack_bottom,
        .stack_top = info->stack_top,
        .boot_info = (uint64_t)(uintptr_t)info,
        .boot_info_bytes = info->total_bytes,
        .kernel_entry = info->kernel_entry,
        .tables_planned = info->table_pages,
        .scratch = draft->audit_scratch,
        .scratch_bytes = draft->audit_scratch_bytes,
    };
    kernel_memory.facts.audit_violations = audit_run(&input, out);
    if (kernel_memory.facts.audit_violations != 0)
        panic("the audit of the page tables found %lu violations",
              kernel_memory.facts.audit_violations);
}

// Starts the allocator. Its metadata may land on the draft, so the regions are first moved behind
// the place of the metadata; memmove copes with the overlap.
static void start_allocator(struct draft *draft, unsigned cpus) {
    uint64_t metadata_bytes =
        frames_metadata_bytes(draft->regions, kernel_memory.facts.region_count, cpus);
    uint64_t regions_at = align_up(metadata_bytes, 8);
    uint64_t region_bytes = kernel_memory.facts.region_count * sizeof(struct memmap_region);
    uint64_t bytes = regions_at + region_bytes;
    paddr_t phys;
    enum frames_status status =
        frames_place_metadata(draft->regions, kernel_memory.facts.region_count, bytes, &phys);
    if (status != FRAMES_OK)
        panic("frame allocator: no place for %lu bytes of metadata: %s", bytes,
              frames_status_text(status));
    uint8_t *metadata = space_pointer(phys, bytes);
    if (metadata == NULL)
        panic("frame allocator: metadata at 0x%lx is not in the direct map", phys.value);
    kernel_memory.facts.regions = memmove(metadata + regions_at, draft->regions, region_bytes);
    status = frames_init(&kernel_memory.allocator, kernel_memory.facts.regions,
                         kernel_memory.facts.region_count, cpus, metadata, metadata_bytes, phys);
    if (status != FRAMES_OK)
        panic("frame allocator: %s", frames_status_text(status));
    frames_get_statistics(&kernel_memory.allocator, &kernel_memory.facts.frames);
}

// Moves the regions, which lie in memory that is free by now, to frames of their own. Those may be
// the very same: nothing has been allocated in between.
static void settle_regions(void) {
    uint64_t bytes = kernel_memory.facts.region_count * sizeof(struct memmap_region);
    struct frames_request request = {.count = align_up(bytes, FRAME_BYTES) / FRAME_BYTES};
    paddr_t phys;
    enum frames_status status = memory_alloc_run(&request, &phys);
    if (status != FRAMES_OK)
        panic("no %lu bytes for the list of regions: %s", bytes, frames_status_text(status));
    kernel_memory.facts.regions =
        memmove(space_pointer(phys, bytes), kernel_memory.facts.regions, bytes);
}

#ifdef FRAMES_TRACKING

// After settle_regions: until then memory that is in use counts as free.
static void start_tracking(void) {
    static struct frames_track track;
    uint64_t bytes = frames_track_bytes(&kernel_memory.allocator);
    struct frames_request request = {.count = align_up(bytes, FRAME_BYTES) / FRAME_BYTES};
    paddr_t phys;
    enum frames_status status = memory_alloc_run(&request, &phys);
    if (status == FRAMES_OK)
        status =
            frames_track_start(&track, &kernel_memory.allocator, space_pointer(phys, bytes), bytes);
    if (status != FRAMES_OK)
        panic("no %lu bytes to track frames in: %s", bytes, frames_status_text(status));
}

#else

static void start_tracking(void) {}

#endif

void memory_start(unsigned cpus, const struct sink *out) {
    const struct slipway_boot_info *info = boot_info();
    stages_begin("normalise");
    struct draft draft = draft_make(info);
    normalise(info, &draft);
    stages_end(info->efi_map_bytes);

    stages_begin("audit");
    audit(info, &draft, out);
    stages_end((uint64_t)info->table_pages * FRAME_BYTES);

    stages_begin("frames");
    start_allocator(&draft, cpus);
    settle_regions();
    start_tracking();
    stages_end(kernel_memory.facts.frames.metadata_bytes);
}
