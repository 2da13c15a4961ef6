// From the raw EFI map and the loader's ranges to regions, and from those to the frame allocator.
#include "common/audit/audit.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "kernel/base/boot.h"
#include "kernel/base/panic.h"
#include "kernel/base/stages.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory_state.h"
#include "kernel/memory/regions.h"

// Arrays that are needed before there is an allocator, in one run of usable memory that nobody has
// claimed yet. The allocator may hand that memory out as soon as it has started.
struct scratch {
    struct memmap_claim *claims;
    struct memmap_region *regions;
    struct slipway_mapping *mappings; // packed copies: the audit does not step by stride
    struct slipway_range *ranges;
    uint8_t *audit_scratch;
    uint8_t *normalise;
    uint64_t region_capacity;
    uint64_t audit_scratch_bytes;
    uint64_t normalise_bytes;
};

// Cuts the next array out of the scratch memory, 8-byte aligned. A null base only adds up the
// sizes.
static void *carve(uint8_t *base, uint64_t *used, uint64_t count, uint64_t size) {
    uint64_t bytes;
    if (mul_overflows(count, size, &bytes) || bytes > MIB(1024))
        panic("memory map: %lu records of %lu bytes cannot be true", count, size);
    void *array = base == NULL ? NULL : base + *used;
    *used += align_up(bytes, 8);
    return array;
}

// Lays the arrays out from `base`; null asks only for their sizes. Returns the bytes of all.
static uint64_t scratch_lay_out(struct scratch *scratch, const struct slipway_boot_info *info,
                                uint8_t *base) {
    uint64_t descriptors = info->efi_map_bytes / info->efi_map_stride;
    uint64_t claims = info->ranges.count;
    uint64_t used = 0;
    scratch->region_capacity = memmap_region_bound(descriptors, claims);
    scratch->normalise_bytes = memmap_scratch_bytes(descriptors, claims);
    scratch->claims = carve(base, &used, claims, sizeof(*scratch->claims));
    scratch->regions = carve(base, &used, scratch->region_capacity, sizeof(*scratch->regions));
    scratch->mappings = carve(base, &used, info->mappings.count, sizeof(*scratch->mappings));
    scratch->ranges = carve(base, &used, claims, sizeof(*scratch->ranges));
    scratch->normalise = carve(base, &used, scratch->normalise_bytes, 1);
    // One bit a page table is all the audit wants: never more than this.
    scratch->audit_scratch_bytes = info->table_pages / 8 + 64;
    scratch->audit_scratch = carve(base, &used, scratch->audit_scratch_bytes, 1);
    return used;
}

static struct scratch scratch_make(const struct slipway_boot_info *info) {
    struct scratch scratch;
    uint64_t bytes = align_up(scratch_lay_out(&scratch, info, NULL), FRAME_BYTES);
    uint64_t phys;
    if (!regions_find_room(&info->memory, bytes, &phys))
        panic("no %lu bytes of usable memory in one run to sort the memory map in", bytes);
    uint8_t *base = space_pointer(paddr(phys), bytes);
    if (base == NULL)
        panic("usable memory [0x%lx, 0x%lx) is not in the direct map", phys, phys + bytes);
    uint64_t used = scratch_lay_out(&scratch, info, base);
    ASSERT(used <= bytes);
    return scratch;
}

// The end of the addresses that may be usable: what the CPU can address and the direct map can
// hold.
static uint64_t address_limit(void) {
    return min_u64(UINT64_C(1) << space_kernel()->cpu.paddr_bits, SLIPWAY_HHDM_MAX_BYTES);
}

static void normalise(const struct slipway_boot_info *info, struct scratch *scratch) {
    regions_claim(&info->ranges, scratch->claims);
    struct memmap_input input = {
        .efi = {(const void *)(uintptr_t)info->efi_map, info->efi_map_bytes, info->efi_map_stride},
        .claims = scratch->claims,
        .claim_count = info->ranges.count,
        .limit = address_limit(),
    };
    enum memmap_status status = memmap_normalise(
        &input, scratch->normalise, scratch->normalise_bytes, scratch->regions,
        scratch->region_capacity, &kernel_memory.facts.region_count, &kernel_memory.facts.report);
    if (status != MEMMAP_OK)
        panic("memory map of %lu bytes, stride %u: cannot be normalised (status %d)",
              info->efi_map_bytes, info->efi_map_stride, (int)status);
    kernel_memory.facts.regions = scratch->regions;
    kernel_memory.facts.differences = regions_count_differences(
        scratch->regions, kernel_memory.facts.region_count, &info->memory);
}

static void audit(const struct slipway_boot_info *info, struct scratch *scratch,
                  const struct sink *out) {
    for (uint64_t i = 0; i < info->mappings.count; i++)
        scratch->mappings[i] = *boot_mapping(info, i);
    for (uint64_t i = 0; i < info->ranges.count; i++)
        scratch->ranges[i] = *boot_range(info, i);
    if (audit_scratch_bytes(scratch->ranges, info->ranges.count) > scratch->audit_scratch_bytes)
        panic("the loader lists more page tables than the %u it counted", info->table_pages);
    struct audit_input input = {
        .space = space_kernel(),
        .hhdm_base = info->hhdm_base,
        .hhdm_room = info->hhdm_end - info->hhdm_base,
        .mappings = scratch->mappings,
        .mapping_count = info->mappings.count,
        .ranges = scratch->ranges,
        .range_count = info->ranges.count,
        .regions = scratch->regions,
        .region_count = kernel_memory.facts.region_count,
        .report = &kernel_memory.facts.report,
        .stack_bottom = info->stack_bottom,
        .stack_top = info->stack_top,
        .boot_info = (uint64_t)(uintptr_t)info,
        .boot_info_bytes = info->total_bytes,
        .kernel_entry = info->kernel_entry,
        .tables_planned = info->table_pages,
        .scratch = scratch->audit_scratch,
        .scratch_bytes = scratch->audit_scratch_bytes,
    };
    kernel_memory.facts.audit_violations = audit_run(&input, out);
    if (kernel_memory.facts.audit_violations != 0)
        panic("the audit of the page tables found %lu violations",
              kernel_memory.facts.audit_violations);
}

// Starts the allocator. Its metadata may land on the scratch memory, so the regions are first moved
// behind the place of the metadata; memmove copes with the overlap.
static void start_allocator(struct scratch *scratch, unsigned cpus) {
    uint64_t metadata_bytes =
        frames_metadata_bytes(scratch->regions, kernel_memory.facts.region_count, cpus);
    uint64_t regions_at = align_up(metadata_bytes, 8);
    uint64_t region_bytes = kernel_memory.facts.region_count * sizeof(struct memmap_region);
    uint64_t bytes = regions_at + region_bytes;
    paddr_t phys;
    enum frames_status status =
        frames_place_metadata(scratch->regions, kernel_memory.facts.region_count, bytes, &phys);
    if (status != FRAMES_OK)
        panic("frame allocator: no place for %lu bytes of metadata: %s", bytes,
              frames_status_text(status));
    uint8_t *metadata = space_pointer(phys, bytes);
    if (metadata == NULL)
        panic("frame allocator: metadata at 0x%lx is not in the direct map", phys.value);
    kernel_memory.facts.regions = memmove(metadata + regions_at, scratch->regions, region_bytes);
    status = frames_init(&kernel_memory.allocator, kernel_memory.facts.regions,
                         kernel_memory.facts.region_count, cpus, metadata, metadata_bytes, phys);
    if (status != FRAMES_OK)
        panic("frame allocator: %s", frames_status_text(status));
    frames_get_statistics(&kernel_memory.allocator, &kernel_memory.facts.frames);
}

// Moves the regions, which lie in memory that is free by now, to frames of their own. Those may be
// the very same: nothing has been allocated in between.
static void keep_regions(void) {
    uint64_t bytes = kernel_memory.facts.region_count * sizeof(struct memmap_region);
    struct frames_request request = {.count = align_up(bytes, FRAME_BYTES) / FRAME_BYTES};
    paddr_t phys;
    enum frames_status status = memory_alloc_run(&request, &phys);
    if (status != FRAMES_OK)
        panic("no %lu bytes for the list of regions: %s", bytes, frames_status_text(status));
    kernel_memory.facts.regions =
        memmove(space_pointer(phys, bytes), kernel_memory.facts.regions, bytes);
}

// Counts of owners, for frames that come to have several. After keep_regions: until then memory
// that is in use counts as free.
static void start_counting(void) {
    uint64_t bytes = frames_owners_bytes(&kernel_memory.allocator);
    struct frames_request request = {.count = align_up(bytes, FRAME_BYTES) / FRAME_BYTES};
    paddr_t phys;
    enum frames_status status = memory_alloc_run(&request, &phys);
    if (status == FRAMES_OK)
        status = frames_owners_init(&kernel_memory.owners, &kernel_memory.allocator,
                                    space_pointer(phys, bytes), bytes);
    kernel_memory.facts.owner_frames = request.count;
    if (status != FRAMES_OK)
        panic("no %lu bytes to count owners of frames in: %s", bytes, frames_status_text(status));
}

#ifdef FRAMES_TRACKING

// After keep_regions: until then memory that is in use counts as free.
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
    struct scratch scratch = scratch_make(info);
    normalise(info, &scratch);
    stages_end(info->efi_map_bytes);

    stages_begin("audit");
    audit(info, &scratch, out);
    stages_end((uint64_t)info->table_pages * FRAME_BYTES);

    stages_begin("frames");
    start_allocator(&scratch, cpus);
    keep_regions();
    start_counting();
    start_tracking();
    stages_end(kernel_memory.facts.frames.metadata_bytes);
}
