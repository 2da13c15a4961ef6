#include "kernel/selftest/frames.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "kernel/console/console.h"
#include "kernel/cpus/start.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"

enum {
    RUN_FRAMES = 24,
    RUN_ALIGN = 16,
    PATTERN = 0x5A,
};

static struct frames_statistics statistics(void) {
    struct frames_statistics now;
    memory_get_statistics(&now);
    return now;
}

static bool is_filled(const uint8_t *bytes, uint8_t value) {
    for (uint64_t i = 0; i < FRAME_BYTES; i++) {
        if (bytes[i] != value)
            return false;
    }
    return true;
}

static void test_single(void) {
    paddr_t first, second;
    check_frames(memory_alloc(FRAMES_ANY, &first), FRAMES_OK, "a frame");
    check_frames(memory_alloc(FRAMES_ANY, &second), FRAMES_OK, "another frame");
    check(first.value != second.value, "two frames are two");
    memset(memory_frame_bytes(first), PATTERN, FRAME_BYTES);
    memset(memory_frame_bytes(second), 0, FRAME_BYTES);
    check(is_filled(memory_frame_bytes(first), PATTERN), "a frame keeps what it is told");
    check_frames(memory_free(first), FRAMES_OK, "freeing a frame");
    check_frames(memory_free(second), FRAMES_OK, "freeing the other");
}

// The zone that a frame asked of `zone` has to come from now: FRAMES_ZONES if there is none.
static unsigned source_of(enum frames_zone zone) {
    struct frames_statistics now = statistics();
    for (unsigned i = (unsigned)zone + 1; i-- != 0;) {
        if (now.zone[i].free_frames != 0)
            return i;
    }
    return FRAMES_ZONES;
}

static void test_zones(void) {
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++) {
        unsigned source = source_of((enum frames_zone)zone);
        paddr_t frame;
        enum frames_status status = memory_alloc((enum frames_zone)zone, &frame);
        if (source == FRAMES_ZONES) {
            check_frames(status, FRAMES_ERR_NO_MEMORY, "a frame of a zone that has none");
            continue;
        }
        check_frames(status, FRAMES_OK, "a frame of a zone");
        check(frame.value < frames_zones[source].end, "a frame lies below the end of its zone");
        check(source == 0 || frame.value >= frames_zones[source - 1].end,
              "a frame comes from the highest zone that has one");
        check_frames(memory_free(frame), FRAMES_OK, "freeing it");
    }
}

static void test_run(void) {
    struct frames_request request = {.count = 0};
    paddr_t run;
    check_frames(memory_alloc_run(&request, &run), FRAMES_ERR_COUNT, "an empty run");
    request = (struct frames_request){.count = 1, .align = 3};
    check_frames(memory_alloc_run(&request, &run), FRAMES_ERR_ALIGN, "an alignment to 3 frames");
    request = (struct frames_request){.count = RUN_FRAMES, .align = RUN_ALIGN, .below = GIB(4)};
    check_frames(memory_alloc_run(&request, &run), FRAMES_OK, "an aligned run below 4 GiB");
    check(run.value % (RUN_ALIGN * FRAME_BYTES) == 0, "an aligned run is aligned");
    check(run.value + RUN_FRAMES * FRAME_BYTES <= request.below, "a run ends below its limit");
    for (unsigned i = 0; i < RUN_FRAMES; i++)
        memset(memory_frame_bytes(paddr_add(run, i * FRAME_BYTES)), PATTERN, FRAME_BYTES);
    paddr_t middle = paddr_add(run, 7 * FRAME_BYTES);
    check_frames(memory_free(middle), FRAMES_OK, "freeing one frame of a run");
    check_frames(memory_free_run(run, RUN_FRAMES), FRAMES_ERR_FREE,
                 "freeing a run of which one frame is free");
    check_frames(memory_free_run(run, 7), FRAMES_OK, "freeing the run before it");
    check_frames(memory_free_run(paddr_add(middle, FRAME_BYTES), RUN_FRAMES - 8), FRAMES_OK,
                 "freeing the run behind it");
}

static void test_address(void) {
    struct frames_request request = {.count = RUN_FRAMES};
    paddr_t run;
    check_frames(memory_alloc_run(&request, &run), FRAMES_OK, "a run");
    paddr_t inside = paddr_add(run, 5 * FRAME_BYTES);
    check_frames(memory_free_run(inside, 3), FRAMES_OK, "freeing three frames inside it");
    check_frames(memory_alloc_at(inside, 4), FRAMES_ERR_USED, "four frames there");
    check_frames(memory_alloc_at(inside, 3), FRAMES_OK, "the three frames by their address");
    check_frames(memory_alloc_at(inside, 1), FRAMES_ERR_USED, "one of them again");
    check_frames(memory_free_run(run, RUN_FRAMES), FRAMES_OK, "freeing the run as a whole");
}

static void test_block(void) {
    struct frames_request request = {.count = FRAMES_PER_2M, .align = FRAMES_PER_2M};
    uint64_t whole = statistics().free_2m;
    paddr_t block;
    enum frames_status status = memory_alloc_run(&request, &block);
    if (whole == 0) {
        check_frames(status, FRAMES_ERR_NO_MEMORY, "a 2 MiB block where none is free");
        return;
    }
    check_frames(status, FRAMES_OK, "a 2 MiB block");
    check(is_aligned(block.value, MIB(2)), "a 2 MiB block is aligned");
    check(statistics().free_2m == whole - 1, "one whole block less is free");
    check_frames(memory_free(block), FRAMES_OK, "freeing its first frame");
    check_frames(memory_free_run(paddr_add(block, FRAME_BYTES), FRAMES_PER_2M - 1), FRAMES_OK,
                 "freeing the others");
    check(statistics().free_2m == whole, "the block is whole again");
}

static void check_refused(paddr_t frame, enum frames_status expected, const char *what) {
    check_frames(memory_free(frame), expected, what);
    check_frames(memory_free_run(frame, 1), expected, what);
}

static void try_foreign(void) {
    const struct memory_facts *facts = memory_facts();
    paddr_t beyond = paddr(facts->regions[facts->region_count - 1].end);
    check_refused(paddr(0), FRAMES_ERR_FOREIGN, "freeing frame 0");
    check_refused(beyond, FRAMES_ERR_FOREIGN, "freeing beyond all memory");
    check_frames(memory_alloc_at(paddr(0), 1), FRAMES_ERR_FOREIGN, "allocating frame 0");
    for (uint64_t i = 0; i < facts->region_count; i++) {
        if (facts->regions[i].kind == SLIPWAY_MEM_RUNTIME) {
            check_refused(paddr(facts->regions[i].start), FRAMES_ERR_FOREIGN,
                          "freeing the firmware's runtime memory");
            return;
        }
    }
}

static void test_refusals(void) {
    paddr_t frame, other;
    check_frames(memory_alloc(FRAMES_ANY, &frame), FRAMES_OK, "a frame");
    check_frames(memory_alloc(FRAMES_ANY, &other), FRAMES_OK, "another frame");
    check_frames(memory_free(frame), FRAMES_OK, "freeing a frame");
    struct frames_statistics before = statistics();
    check(memory_verify(console_sink()) == 0, "the allocator is sound before what it refuses");
    check_refused(frame, FRAMES_ERR_FREE, "freeing it twice");
    check_refused(paddr_add(other, 8), FRAMES_ERR_ALIGN, "freeing part of a frame");
    check_frames(memory_alloc_at(paddr_add(frame, 8), 1), FRAMES_ERR_ALIGN, "part of a frame");
    check_frames(memory_free_run(other, 0), FRAMES_ERR_COUNT, "freeing no frames");
    try_foreign();
    struct frames_statistics after = statistics();
    check(after.refusals > before.refusals, "refusals are counted");
    after.refusals = before.refusals;
    check(memcmp(&after, &before, sizeof(after)) == 0, "a refusal changes nothing else");
    check(memory_verify(console_sink()) == 0, "the allocator is sound after what it refused");
    check_frames(memory_free(other), FRAMES_OK, "freeing the other");
}

// Fills all frames below 1 MiB that are free, so that whichever is asked for next is dirty. Each
// leads to the one before.
static uint64_t soil_lowest_zone(void) {
    paddr_t last = PADDR_NONE;
    paddr_t frame;
    uint64_t count = 0;
    while (memory_alloc(FRAMES_BELOW_1M, &frame) == FRAMES_OK) {
        uint8_t *bytes = memory_frame_bytes(frame);
        memset(bytes, PATTERN, FRAME_BYTES);
        memcpy(bytes, &last, sizeof(last));
        last = frame;
        count++;
    }
    check(statistics().zone[FRAMES_BELOW_1M].free_frames == 0, "a zone can be used up");
    uint64_t freed = 0;
    for (frame = last; !paddr_is_none(frame); frame = last) {
        memcpy(&last, memory_frame_bytes(frame), sizeof(last));
        freed += memory_free(frame) == FRAMES_OK;
    }
    check(freed == count, "every frame of a zone can be freed");
    return count;
}

static void test_zeroed(void) {
    uint64_t dirty = soil_lowest_zone();
    check(statistics().zone[FRAMES_BELOW_1M].free_frames == dirty, "all of the zone came back");
    if (dirty < 2)
        return;
    paddr_t frame, run;
    check_frames(memory_alloc_zeroed(FRAMES_BELOW_1M, &frame), FRAMES_OK, "a zeroed frame");
    check(is_filled(memory_frame_bytes(frame), 0), "a zeroed frame is zero to its last byte");
    struct frames_request request = {.count = 1, .below = frames_zones[FRAMES_BELOW_1M].end};
    check_frames(memory_alloc_run_zeroed(&request, &run), FRAMES_OK, "a zeroed run");
    check(is_filled(memory_frame_bytes(run), 0), "a zeroed run is zero to its last byte");
    check_frames(memory_free(frame), FRAMES_OK, "freeing the zeroed frame");
    check_frames(memory_free(run), FRAMES_OK, "freeing the zeroed run");
}

// True if neither an allocation nor its end changes whether interrupts are on.
static bool keeps_interrupts(bool are_on) {
    paddr_t frame;
    bool kept = memory_alloc(FRAMES_ANY, &frame) == FRAMES_OK && cpu_interrupts_are_on() == are_on;
    return kept && memory_free(frame) == FRAMES_OK && cpu_interrupts_are_on() == are_on;
}

// Exact with one CPU; frames.h says how near it is with several.
void selftest_frames_check_peak(uint64_t least) {
    struct frames_statistics now = statistics();
    uint64_t unreported = max_u64(now.total_frames / 256, 64 * cpus_count());
    check(now.peak_used_frames + (cpus_count() == 1 ? 0 : unreported) >= least,
          "the peak is not below what was used at once");
}

void selftest_frames(void) {
    struct frames_statistics before = statistics();
    test_single();
    test_zones();
    test_run();
    test_address();
    test_block();
    test_refusals();
    test_zeroed();
    check(keeps_interrupts(false), "interrupts that were off stay off");
    struct frames_statistics after = statistics();
    check(after.free_frames == before.free_frames && after.used_frames == before.used_frames,
          "every frame came back");
    selftest_frames_check_peak(before.used_frames + 1);
    check(memory_verify(console_sink()) == 0, "the allocator is sound");
}

void selftest_frames_check_restored(const struct frames_statistics *before, uint64_t refusals) {
    struct frames_statistics now = statistics();
    check(now.refusals - before->refusals == refusals, "every refusal is counted");
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
        check(now.zone[zone].free_frames == before->zone[zone].free_frames,
              "every frame of a zone came back");
    check(now.free_2m == before->free_2m && now.free_1g == before->free_1g &&
              now.largest_run_frames == before->largest_run_frames,
          "what was whole is whole again");
    check(memory_verify(console_sink()) == 0, "the allocator is sound after all");
}
