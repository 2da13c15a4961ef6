// memmap_normalise on anything at all as a memory map: the result is sound, and at every edge of
// every descriptor and claim it is what the frame-by-frame model says. Between edges nothing
// changes, so that is all of it.
//
// Input: a byte for the stride, whose top bit folds all addresses and sizes into a few MiB so that
// descriptors meet; one for the limit, one for the number of claims; claims of 8 bytes; the rest is
// the map.
#include "common/memmap/memmap.h"

#include "common/base/addr.h"
#include "common/base/arith.h"

#include "tests/unit/support/memmap_model.h"

#include <stdio.h>
#include <stdlib.h>

enum { DESCRIPTORS_MAX = 48, CLAIMS_MAX = 8, STRIDE_MAX = 56 };

struct run {
    struct memmap_input input;
    uint64_t descriptor_count;
    struct model_descriptor descriptors[DESCRIPTORS_MAX];
    struct memmap_claim claims[CLAIMS_MAX];
    struct memmap_region *regions;
    uint64_t region_count;
    struct memmap_report report;
};

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void require_sound(const struct run *run) {
    uint64_t bytes[SLIPWAY_MEM_KINDS] = {0};
    uint64_t direct_bytes = 0;
    for (uint64_t i = 0; i < run->region_count; i++) {
        const struct memmap_region *region = &run->regions[i];
        REQUIRE(region->start < region->end && region->end <= run->input.limit);
        REQUIRE(is_aligned(region->start | region->end, FRAME_BYTES));
        REQUIRE(region->kind >= SLIPWAY_MEM_USABLE && region->kind < SLIPWAY_MEM_KINDS);
        if (i > 0) {
            const struct memmap_region *last = region - 1;
            REQUIRE(last->end <= region->start);
            REQUIRE(last->end < region->start || last->kind != region->kind ||
                    last->direct != region->direct);
        }
        bytes[region->kind] += region->end - region->start;
        direct_bytes += region->direct ? region->end - region->start : 0;
    }
    REQUIRE(memcmp(bytes, run->report.bytes, sizeof(bytes)) == 0);
    REQUIRE(direct_bytes == run->report.direct_bytes);
}

static void require_model(const struct run *run, uint64_t address) {
    struct model_frame want = model_frame(run->descriptors, run->descriptor_count, run->claims,
                                          run->input.claim_count, run->input.limit, address);
    struct model_frame got = {0};
    for (uint64_t i = 0; i < run->region_count; i++) {
        const struct memmap_region *region = &run->regions[i];
        if (region->start <= address && address < region->end)
            got = (struct model_frame){region->kind, region->direct};
    }
    REQUIRE(got.kind == want.kind && got.direct == want.direct);
}

static void require_model_around(const struct run *run, uint64_t edge) {
    uint64_t frame = align_down(edge, FRAME_BYTES);
    for (uint64_t at = frame - FRAME_BYTES; at != frame + 2 * FRAME_BYTES; at += FRAME_BYTES) {
        if (at < UINT64_MAX - FRAME_BYTES) // the model's arithmetic ends there
            require_model(run, at);
    }
}

static void require_model_everywhere(const struct run *run) {
    const uint64_t fixed[] = {0, 0xa0000, 0x100000, run->input.limit};
    for (uint64_t i = 0; i < ARRAY_LEN(fixed); i++)
        require_model_around(run, fixed[i]);
    for (uint64_t i = 0; i < run->descriptor_count; i++) {
        require_model_around(run, run->descriptors[i].start);
        require_model_around(run, run->descriptors[i].start + run->descriptors[i].pages * 4096);
    }
    for (uint64_t i = 0; i < run->input.claim_count; i++) {
        require_model_around(run, run->claims[i].start);
        require_model_around(run, run->claims[i].start + run->claims[i].bytes);
    }
}

// Small numbers, so that claims and descriptors meet.
static struct memmap_claim claim_of(const uint8_t *data) {
    return (struct memmap_claim){
        .start = (uint64_t)(data[0] | data[1] << 8) * FRAME_BYTES,
        .bytes = (1 + (uint64_t)(data[2] | data[3] << 8)) * FRAME_BYTES,
        .kind = 1u + data[4] % (SLIPWAY_MEM_KINDS - 1),
    };
}

static void normalise(struct run *run) {
    uint64_t scratch_bytes = memmap_scratch_bytes(run->descriptor_count, run->input.claim_count);
    uint64_t capacity = memmap_region_bound(run->descriptor_count, run->input.claim_count);
    void *scratch = malloc(scratch_bytes);
    run->regions = malloc(capacity * sizeof(*run->regions));
    REQUIRE(scratch != NULL && run->regions != NULL);
    REQUIRE(memmap_normalise(&run->input, scratch, scratch_bytes, run->regions, capacity,
                             &run->region_count, &run->report) == MEMMAP_OK);
    free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 3)
        return 0;
    uint64_t stride = 40 + 8 * (data[0] % 3);
    bool is_folded = (data[0] & 0x80) != 0;
    uint64_t limit = (1 + (uint64_t)(data[1] & 0xf)) * FRAME_BYTES << (data[1] >> 4) * 2;
    uint64_t claim_count = data[2] % (CLAIMS_MAX + 1);
    data += 3;
    bytes -= 3;
    if (bytes < claim_count * 8)
        return 0;
    struct run run = {.input = {.claim_count = claim_count, .limit = limit}};
    for (uint64_t i = 0; i < claim_count; i++)
        run.claims[i] = claim_of(data + i * 8);
    data += claim_count * 8;
    bytes -= claim_count * 8;

    run.descriptor_count = min_u64(bytes / stride, DESCRIPTORS_MAX);
    unsigned char map[DESCRIPTORS_MAX * STRIDE_MAX];
    for (uint64_t i = 0; i < run.descriptor_count; i++) {
        run.descriptors[i] = model_load(data, i, stride);
        if (is_folded) {
            run.descriptors[i].start %= MIB(4);
            run.descriptors[i].pages %= 512;
        }
        model_store(map, i, stride, &run.descriptors[i]);
    }
    run.input.efi = (struct memmap_efi){map, run.descriptor_count * stride, stride};
    run.input.claims = run.claims;
    normalise(&run);
    require_sound(&run);
    require_model_everywhere(&run);
    free(run.regions);
    return 0;
}
