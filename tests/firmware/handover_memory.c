// The memory map of a hand-over: what the model makes of the firmware's last map and of the
// loader's ranges.
#include "common/base/arith.h"
#include "tests/firmware/handover.h"
#include "tests/unit/support/memmap_model.h"

#include <stdlib.h>

static const struct slipway_boot_info *info;

enum {
    DESCRIPTORS_MAX = 4096,
    CLAIMS_MAX = 2048,
    EDGES_MAX = 4 * DESCRIPTORS_MAX + 2 * CLAIMS_MAX,
};

static struct model_descriptor descriptors[DESCRIPTORS_MAX];
static struct memmap_claim claims[CLAIMS_MAX];
static uint64_t edges[EDGES_MAX]; // frame-aligned addresses where something starts or ends
static uint64_t edge_count;

static void add_edges(uint64_t start, uint64_t end) {
    assert_true(edge_count + 4 <= EDGES_MAX);
    edges[edge_count++] = align_down(start, FRAME_BYTES);
    edges[edge_count++] = align_down(end, FRAME_BYTES);
    if (!is_aligned(start, FRAME_BYTES)) {
        edges[edge_count++] = align_down(start, FRAME_BYTES) + FRAME_BYTES;
        edges[edge_count++] = align_down(end, FRAME_BYTES) + FRAME_BYTES;
    }
}

static int compare_edges(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t load_map(uint64_t limit) {
    uint64_t count = info->efi_map_bytes / info->efi_map_stride;
    const unsigned char *map = (const unsigned char *)(uintptr_t)info->efi_map;
    assert_true(count <= DESCRIPTORS_MAX);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t end;
        descriptors[i] = model_load(map, i, info->efi_map_stride);
        if (model_reach(&descriptors[i], limit, &end) && descriptors[i].start < end)
            add_edges(descriptors[i].start, end);
    }
    return count;
}

static uint64_t load_claims(void) {
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = setup_record(&info->ranges, i);
        assert_true(i < CLAIMS_MAX);
        claims[i] = (struct memmap_claim){range->start_phys, range->bytes,
                                          memmap_kind_of_purpose(range->purpose)};
        add_edges(range->start_phys, range->start_phys + range->bytes);
    }
    return info->ranges.count;
}

// The region that holds `address`; the frames are asked for in rising order. Kind 0: none.
static struct slipway_memory region_at(uint64_t address, uint32_t *at) {
    for (; *at < info->memory.count; ++*at) {
        const struct slipway_memory *memory = setup_record(&info->memory, *at);
        if (address < memory->start_phys)
            break;
        if (address - memory->start_phys < memory->bytes)
            return *memory;
    }
    return (struct slipway_memory){0};
}

static void check_memory(void) {
    uint64_t limit = min_u64(SLIPWAY_HHDM_MAX_BYTES, UINT64_C(1) << fake.paddr_bits);
    edge_count = 0;
    add_edges(0, FRAME_BYTES);
    add_edges(MEMMAP_LEGACY_START, MEMMAP_LEGACY_END);
    uint64_t count = load_map(limit);
    uint64_t claim_count = load_claims();
    for (uint32_t i = 0; i < info->memory.count; i++) {
        const struct slipway_memory *memory = setup_record(&info->memory, i);
        add_edges(memory->start_phys, memory->start_phys + memory->bytes);
    }
    qsort(edges, edge_count, sizeof(edges[0]), compare_edges);
    uint32_t at = 0;
    for (uint64_t i = 0; i < edge_count; i++) {
        if (i != 0 && edges[i] == edges[i - 1])
            continue;
        struct model_frame want =
            model_frame(descriptors, count, claims, claim_count, limit, edges[i]);
        struct slipway_memory got = region_at(edges[i], &at);
        if (got.kind != want.kind || got.in_direct != want.direct)
            fail_msg("memory at 0x%lx is of kind %u, direct %u, instead of %u, %d", edges[i],
                     got.kind, got.in_direct, want.kind, want.direct);
    }
}

// The ranges are all that the loader holds, and its image; and free memory that is for a report.
static void check_ranges(void) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = setup_record(&info->ranges, i);
        bool is_held =
            range->purpose != SLIPWAY_RANGE_DEMOTED && range->purpose != SLIPWAY_RANGE_CRASH;
        bytes += is_held ? range->bytes : 0;
        assert_int_equal(range->reclaimable, range->purpose != SLIPWAY_RANGE_KERNEL &&
                                                 range->purpose != SLIPWAY_RANGE_PAGE_TABLES &&
                                                 range->purpose != SLIPWAY_RANGE_DEMOTED &&
                                                 range->purpose != SLIPWAY_RANGE_GUARD);
    }
    assert_int_equal(bytes, fake_allocated_pages() * FRAME_BYTES +
                                align_up(FAKE_IMAGE_BYTES, FRAME_BYTES));
}

void handover_check_memory(const struct slipway_boot_info *copy) {
    info = copy;
    check_memory();
    check_ranges();
}
