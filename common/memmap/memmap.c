// The sweep over descriptors and claims that makes regions.
#include "common/memmap/memmap.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/memmap/descriptor.h"

// Every descriptor and every claim becomes ranges of frames. The two edges of a range are events: a
// frame-aligned address, and in the bits below it a tag that says what the range is. The sweep
// reads the sorted events from the lowest address up and counts the ranges that are open; between
// two addresses these counts say what the frames are.
//
// At one address ends sort before starts. So ranges that touch and are listed in order give events
// that are sorted already.
#define EVENT_KIND  UINT64_C(0xf)  // SLIPWAY_MEM_...
#define EVENT_WHOLE UINT64_C(0x10) // covers its frames whole, else touches them
#define EVENT_RAM   UINT64_C(0x20) // of a descriptor that belongs in the direct map
#define EVENT_CLAIM UINT64_C(0x40) // of a claim, not of a descriptor
#define EVENT_UNMAP UINT64_C(0x80) // of a claim that takes its frames out of the direct map
#define EVENT_START UINT64_C(0x800)
#define EVENT_TAG   (FRAME_BYTES - 1)
_Static_assert(SLIPWAY_MEM_KINDS - 1 <= EVENT_KIND, "a kind fits in the tag");
_Static_assert((EVENT_KIND ^ EVENT_WHOLE ^ EVENT_RAM ^ EVENT_CLAIM ^ EVENT_UNMAP) ==
                   EVENT_KIND + EVENT_WHOLE + EVENT_RAM + EVENT_CLAIM + EVENT_UNMAP,
               "the parts of a tag are disjoint");
_Static_assert(EVENT_START > EVENT_KIND + EVENT_WHOLE + EVENT_RAM + EVENT_CLAIM + EVENT_UNMAP,
               "an end, whatever its tag, sorts before a start");
_Static_assert(EVENT_START <= EVENT_TAG, "a tag fits below the address of a frame");

// An unaligned descriptor has three ranges: its middle, and the frames it covers in part.
#define EVENTS_PER_DESCRIPTOR    6
#define ADDRESSES_PER_DESCRIPTOR 4 // where these events can be
#define EVENTS_PER_CLAIM         2
#define EVENTS_OF_POLICY_5       4

static uint64_t event_bound(uint64_t descriptors, uint64_t claims) {
    return EVENTS_PER_DESCRIPTOR * descriptors + EVENTS_PER_CLAIM * claims + EVENTS_OF_POLICY_5;
}

// Two arrays of events: sorting merges from one into the other.
uint64_t memmap_scratch_bytes(uint64_t descriptors, uint64_t claims) {
    return 2 * event_bound(descriptors, claims) * sizeof(uint64_t);
}

uint64_t memmap_region_bound(uint64_t descriptors, uint64_t claims) {
    return ADDRESSES_PER_DESCRIPTOR * descriptors + EVENTS_PER_CLAIM * claims + EVENTS_OF_POLICY_5;
}

struct event_list {
    uint64_t *events;
    uint64_t count;
};

static void add_range(struct event_list *list, uint64_t start, uint64_t end, uint64_t tag) {
    if (start == end)
        return;
    list->events[list->count++] = start | tag | EVENT_START;
    list->events[list->count++] = end | tag;
}

static void add_descriptor(struct event_list *list, uint64_t start, uint64_t end, uint64_t tag) {
    uint64_t whole_start = align_up(start, FRAME_BYTES);
    uint64_t whole_end = align_down(end, FRAME_BYTES);
    add_range(list, align_down(start, FRAME_BYTES), whole_start, tag);
    add_range(list, whole_start, whole_end, tag | EVENT_WHOLE);
    add_range(list, whole_end, align_up(end, FRAME_BYTES), tag);
}

// Counts what is odd about a descriptor's place in the map. `last` is the descriptor before it that
// was not ignored.
static void count_order_oddities(const struct memmap_descriptor *descriptor,
                                 const struct memmap_descriptor *last, uint64_t last_end,
                                 uint64_t odd[MEMMAP_ODDITIES]) {
    odd[MEMMAP_ODD_UNSORTED] += descriptor->start < last->start;
    odd[MEMMAP_ODD_UNMERGED] += descriptor->start == last_end && descriptor->type == last->type &&
                                descriptor->attributes == last->attributes;
}

static void add_all_descriptors(struct event_list *list, const struct memmap_efi *efi,
                                uint64_t limit, struct memmap_report *report) {
    struct memmap_descriptor last = {0};
    uint64_t last_end = UINT64_MAX; // where none starts: the first one has no neighbour
    for (uint64_t i = 0; i < report->descriptors; i++) {
        struct memmap_descriptor descriptor = memmap_descriptor_read(efi, i);
        uint64_t end;
        if (!memmap_descriptor_end(&descriptor, &end)) {
            report->odd[descriptor.pages == 0 ? MEMMAP_ODD_ZERO_PAGES : MEMMAP_ODD_WRAPS]++;
            continue;
        }
        uint32_t kind = memmap_descriptor_kind(&descriptor);
        memmap_descriptor_count_oddities(&descriptor, kind, end, report->odd);
        count_order_oddities(&descriptor, &last, last_end, report->odd);
        last = descriptor;
        last_end = end;

        report->odd[MEMMAP_ODD_BEYOND_LIMIT] += end > limit;
        if (descriptor.start >= limit)
            continue;
        bool is_general = kind == SLIPWAY_MEM_USABLE || memmap_is_reclaimable(kind);
        bool is_direct = memmap_descriptor_is_direct(&descriptor);
        if (is_general && end > limit)
            add_range(list, align_down(descriptor.start, FRAME_BYTES), limit, kind | EVENT_CLAIM);
        else
            add_descriptor(list, descriptor.start, min_u64(end, limit),
                           kind | (is_direct ? EVENT_RAM : 0));
    }
    report->odd[MEMMAP_ODD_EMPTY] = report->descriptors == 0;
}

static enum memmap_status add_all_claims(struct event_list *list, const struct memmap_claim *claims,
                                         uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const struct memmap_claim *claim = &claims[i];
        uint64_t end;
        if (claim->bytes == 0 || add_overflows(claim->start, claim->bytes, &end) ||
            !is_aligned(claim->start | claim->bytes, FRAME_BYTES) || claim->kind == 0 ||
            claim->kind >= SLIPWAY_MEM_KINDS)
            return MEMMAP_ERR_CLAIM;
        uint64_t unmap = claim->kind > SLIPWAY_MEM_PAGE_TABLES ? EVENT_UNMAP : 0;
        add_range(list, claim->start, end, claim->kind | EVENT_CLAIM | unmap);
    }
    return MEMMAP_OK;
}

// Policy 5, as two claims of our own. They have no EVENT_UNMAP: policy 5 leaves the direct map
// alone.
static void reserve_legacy_frames(struct event_list *list) {
    add_range(list, 0, FRAME_BYTES, SLIPWAY_MEM_RESERVED | EVENT_CLAIM);
    add_range(list, MEMMAP_LEGACY_START, MEMMAP_LEGACY_END, SLIPWAY_MEM_RESERVED | EVENT_CLAIM);
}

// The end of the sorted run that starts at `start`, which is below `count`.
static uint64_t run_end(const uint64_t *values, uint64_t start, uint64_t count) {
    uint64_t end = start + 1;
    while (end < count && values[end - 1] <= values[end])
        end++;
    return end;
}

// Merges [start, middle) and [middle, end) of `from`, each sorted, into the same place in `to`.
static void merge_runs(const uint64_t *from, uint64_t *to, uint64_t start, uint64_t middle,
                       uint64_t end) {
    uint64_t left = start, right = middle;
    for (uint64_t i = start; i < end; i++) {
        bool take_left = right == end || (left < middle && from[left] <= from[right]);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

// Sorts `count` values, not 0, that are in `from`; returns whichever array holds the result. A
// natural merge sort: firmware lists a few sorted runs one after the other, which takes a pass or
// two; any other order takes n log n.
static const uint64_t *sort_values(uint64_t *from, uint64_t *to, uint64_t count) {
    while (run_end(from, 0, count) < count) {
        for (uint64_t start = 0; start < count;) {
            uint64_t middle = run_end(from, start, count);
            uint64_t end = middle < count ? run_end(from, middle, count) : count;
            merge_runs(from, to, start, middle, end);
            start = end;
        }
        uint64_t *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

// How many ranges of each kind are open, and which kinds have any.
struct kind_count {
    uint64_t count[SLIPWAY_MEM_KINDS];
    uint32_t present; // bit k: count[k] is not 0
};

// The ranges that are open where the sweep is.
struct coverage {
    struct kind_count kinds; // of descriptors
    struct kind_count claims;
    uint64_t descriptors;
    uint64_t not_ram;
    uint64_t unmapped;
    uint64_t whole_ram;
    uint64_t whole_usable;
    uint64_t whole_reclaimable;
};

// `step` is 1 or, modulo 2^64, minus 1.
static void kind_count_add(struct kind_count *kinds, uint32_t kind, uint64_t step) {
    kinds->count[kind] += step;
    uint32_t bit = UINT32_C(1) << kind;
    kinds->present = kinds->count[kind] != 0 ? kinds->present | bit : kinds->present & ~bit;
}

// The least usable kind present; 0, more usable than any, when there is none.
static uint32_t kind_count_highest(const struct kind_count *kinds) {
    return kinds->present == 0 ? 0 : 31 - (uint32_t)__builtin_clz(kinds->present);
}

static void coverage_apply(struct coverage *coverage, uint64_t event) {
    uint64_t step = (event & EVENT_START) != 0 ? 1 : UINT64_MAX;
    uint32_t kind = (uint32_t)(event & EVENT_KIND);
    if ((event & EVENT_CLAIM) != 0) {
        kind_count_add(&coverage->claims, kind, step);
        coverage->unmapped += (event & EVENT_UNMAP) != 0 ? step : 0;
        return;
    }
    kind_count_add(&coverage->kinds, kind, step);
    coverage->descriptors += step;
    bool is_ram = (event & EVENT_RAM) != 0;
    bool is_whole = (event & EVENT_WHOLE) != 0;
    coverage->not_ram += is_ram ? 0 : step;
    coverage->whole_ram += is_ram && is_whole ? step : 0;
    coverage->whole_usable += kind == SLIPWAY_MEM_USABLE && is_whole ? step : 0;
    coverage->whole_reclaimable += memmap_is_reclaimable(kind) && is_whole ? step : 0;
}

// Policy 4: the least usable descriptor that touches a frame decides, and general memory must be
// covered whole. A claim then makes it less usable still, or changes nothing.
static uint32_t coverage_kind(const struct coverage *coverage) {
    uint32_t kind = kind_count_highest(&coverage->kinds);
    if ((kind == SLIPWAY_MEM_USABLE && coverage->whole_usable == 0) ||
        (memmap_is_reclaimable(kind) && coverage->whole_reclaimable == 0))
        kind = SLIPWAY_MEM_RESERVED;
    uint32_t claim = kind_count_highest(&coverage->claims);
    return claim > kind ? claim : kind;
}

struct region_list {
    struct memmap_region *regions;
    uint64_t capacity;
    uint64_t count;
};

// Appends a region, or makes the last one longer where they touch and are alike.
static enum memmap_status append_region(struct region_list *list, struct memmap_region region) {
    if (list->count > 0) {
        struct memmap_region *last = &list->regions[list->count - 1];
        if (last->end == region.start && last->kind == region.kind &&
            last->direct == region.direct) {
            last->end = region.end;
            return MEMMAP_OK;
        }
    }
    if (list->count == list->capacity)
        return MEMMAP_ERR_ROOM;
    list->regions[list->count++] = region;
    return MEMMAP_OK;
}

// Turns sorted events into regions. Where no descriptor is open there is no region, whatever is
// claimed: what firmware does not list stays absent.
static enum memmap_status sweep(const uint64_t *events, uint64_t count, struct region_list *list,
                                uint64_t *overlaps) {
    struct coverage coverage = {0};
    uint64_t next = 0;
    while (next < count) {
        uint64_t start = events[next] & ~EVENT_TAG;
        bool was_shared = coverage.descriptors > 1;
        while (next < count && (events[next] & ~EVENT_TAG) == start)
            coverage_apply(&coverage, events[next++]);
        *overlaps += !was_shared && coverage.descriptors > 1;
        if (coverage.descriptors == 0)
            continue;
        struct memmap_region region = {
            .start = start,
            .end = events[next] & ~EVENT_TAG, // there is one: every range ends
            .kind = coverage_kind(&coverage),
            .direct = coverage.whole_ram > 0 && coverage.not_ram == 0 && coverage.unmapped == 0,
        };
        enum memmap_status status = append_region(list, region);
        if (status != MEMMAP_OK)
            return status;
    }
    return MEMMAP_OK;
}

static void sum_regions(const struct memmap_region *regions, uint64_t count,
                        struct memmap_report *report) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t bytes = regions[i].end - regions[i].start;
        report->bytes[regions[i].kind] += bytes;
        if (regions[i].direct) {
            report->direct_bytes += bytes;
            report->direct_end = regions[i].end;
        }
    }
}

enum memmap_status memmap_normalise(const struct memmap_input *input, void *scratch,
                                    uint64_t scratch_bytes, struct memmap_region *regions,
                                    uint64_t capacity, uint64_t *ret_count,
                                    struct memmap_report *ret_report) {
    const struct memmap_efi *efi = &input->efi;
    if (efi->stride < EFI_DESCRIPTOR_BYTES || efi->bytes % efi->stride != 0)
        return MEMMAP_ERR_STRIDE;
    if (input->limit == 0 || !is_aligned(input->limit, FRAME_BYTES))
        return MEMMAP_ERR_LIMIT;
    *ret_report = (struct memmap_report){.descriptors = efi->bytes / efi->stride};
    uint64_t bound = event_bound(ret_report->descriptors, input->claim_count);
    if (scratch_bytes < memmap_scratch_bytes(ret_report->descriptors, input->claim_count))
        return MEMMAP_ERR_SCRATCH;

    struct event_list events = {.events = scratch};
    reserve_legacy_frames(&events);
    add_all_descriptors(&events, efi, input->limit, ret_report);
    enum memmap_status status = add_all_claims(&events, input->claims, input->claim_count);
    if (status != MEMMAP_OK)
        return status;

    struct region_list list = {.regions = regions, .capacity = capacity};
    const uint64_t *sorted = sort_values(events.events, events.events + bound, events.count);
    status = sweep(sorted, events.count, &list, &ret_report->odd[MEMMAP_ODD_OVERLAP]);
    if (status != MEMMAP_OK)
        return status;
    sum_regions(regions, list.count, ret_report);
    *ret_count = list.count;
    return MEMMAP_OK;
}
