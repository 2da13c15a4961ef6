// Tracking of several allocators, by owners, and on four CPUs, with the answers that there are
// without it. Compiled with FRAMES_TRACKING (frames.mk).
#include "tests/unit/support/frames_tracked.h"
#include "tests/unit/support/random.h"

#include <pthread.h>

// --- Allocators ---

TEST("track: four bytes for each frame of the blocks that exist, and before and after nothing") {
    MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true}, {TIB(12), TIB(12) + PAGE(1), USABLE, true});
    uint64_t bytes = frames_track_bytes(&machine.frames);
    assert_int_equal(bytes, 3 * 2048);
    unsigned char *memory = malloc(bytes + 4);
    struct frames_track tracker;
    assert_int_equal(frames_track_start(&tracker, &machine.frames, memory, bytes - 1),
                     FRAMES_ERR_METADATA);
    assert_int_equal(frames_track_start(&tracker, &machine.frames, memory + 2, bytes + 2),
                     FRAMES_ERR_METADATA);
    paddr_t frame;
    ALLOC(machine, frame);
    assert_int_equal(still_allocated(&machine), 0); // not tracked
    assert_int_equal(frames_track_moment(&machine.frames).index, 0);
    assert_int_equal(frames_track_start(&tracker, &machine.frames, memory, bytes), FRAMES_OK);
    ALLOC(machine, frame);
    assert_int_equal(still_allocated(&machine), 1); // what was before is not known
    frames_track_stop(&tracker);
    assert_int_equal(still_allocated(&machine), 0);
    assert_int_equal(frames_free(&machine.frames, 0, frame), FRAMES_OK);
    free(memory);
    machine_end(&machine);
}

TEST("track: every allocator has what was allocated from it, and those that stop leave the rest") {
    TRACKED_MACHINE(one, 1, {MIB(4), MIB(8), USABLE, true});
    TRACKED_MACHINE(two, 1, {MIB(4), MIB(8), USABLE, true});
    TRACKED_MACHINE(three, 1, {MIB(4), MIB(8), USABLE, true});
    paddr_t first;
    ALLOC_RUN(one, 1, first);
    ALLOC_RUN(two, 2, first);
    ALLOC_RUN(three, 3, first);
    (void)frames_track_moment(&two.frames);
    assert_int_equal(still_allocated(&one), 1);
    assert_int_equal(still_allocated(&two), 2);
    assert_int_equal(still_allocated(&three), 3);
    untrack(&two_track);
    assert_int_equal(still_allocated(&one), 1);
    assert_int_equal(still_allocated(&two), 0);
    assert_int_equal(still_allocated(&three), 3);
    frames_track_stop(&two_track); // again, which changes nothing
    machine_end(&two);
    TRACKED_END(three);
    assert_int_equal(still_allocated(&one), 1);
    TRACKED_END(one);
}

TEST("track: frames with owners stay allocated until the last owner has put them") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    struct frames_owners owners;
    uint64_t freed, bytes = frames_owners_bytes(&machine.frames);
    void *counts = malloc(bytes);
    paddr_t frame, first;
    assert_int_equal(frames_owners_init(&owners, &machine.frames, counts, bytes), FRAMES_OK);
    assert_int_equal(frames_owners_alloc(&owners, 0, FRAMES_ANY, &frame), FRAMES_OK);
    struct frames_request request = {.count = 4};
    assert_int_equal(frames_owners_alloc_run(&owners, 0, &request, &first), FRAMES_OK);
    struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.count, 2);
    expect_leak(&leaks, 0, 4, __LINE__ - 3, __func__);
    expect_leak(&leaks, 1, 1, __LINE__ - 6, __func__);
    assert_int_equal(frames_owners_get(&owners, frame), FRAMES_OWNERS_OK);
    assert_int_equal(frames_owners_put(&owners, 0, frame, &freed), FRAMES_OWNERS_OK);
    assert_int_equal(still_allocated(&machine), 5);
    assert_int_equal(frames_owners_put(&owners, 0, frame, &freed), FRAMES_OWNERS_OK);
    assert_int_equal(frames_owners_put(&owners, 0, frame, &freed), FRAMES_OWNERS_ERR_NONE);
    assert_int_equal(still_allocated(&machine), 4);
    assert_int_equal(frames_owners_split(&owners, first), FRAMES_OWNERS_OK);
    assert_int_equal(frames_owners_put(&owners, 0, first, &freed), FRAMES_OWNERS_OK);
    assert_int_equal(still_allocated(&machine), 3);
    free(counts);
    TRACKED_END(machine);
}

// --- The same answers as without

static uint64_t pick(struct random *random, uint64_t frames) {
    return MIB(4) + PAGE(random_below(random, frames)) + (random_below(random, 50) == 0);
}

TEST("track: every call answers what it answers without tracking") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(10), USABLE, true});
    MACHINE(plain, 1, {MIB(4), MIB(10), USABLE, true});
    struct random random = random_start("track");
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t kind = random_below(&random, 5);
        paddr_t at = paddr(pick(&random, 1600)), got = PADDR_NONE, want = PADDR_NONE;
        uint64_t count = random_below(&random, 40);
        struct frames_request request = {count, UINT64_C(1) << random_below(&random, 5), 0};
        struct frames *tracked = &machine.frames, *untracked = &plain.frames;
        enum frames_status status = kind == 0   ? frames_alloc(tracked, 0, FRAMES_ANY, &got)
                                    : kind == 1 ? frames_alloc_run(tracked, 0, &request, &got)
                                    : kind == 2 ? frames_alloc_at(tracked, 0, at, count)
                                    : kind == 3 ? frames_free(tracked, 0, at)
                                                : frames_free_run(tracked, 0, at, count);
        enum frames_status wanted = kind == 0   ? (frames_alloc)(untracked, 0, FRAMES_ANY, &want)
                                    : kind == 1 ? (frames_alloc_run)(untracked, 0, &request, &want)
                                    : kind == 2 ? (frames_alloc_at)(untracked, 0, at, count)
                                    : kind == 3 ? (frames_free)(untracked, 0, at)
                                                : (frames_free_run)(untracked, 0, at, count);
        assert_int_equal(status, wanted);
        assert_int_equal(got.value, want.value);
        if (i % 64 == 0)
            assert_int_equal(still_allocated(&machine), statistics(&machine).used_frames -
                                                            statistics(&machine).metadata_frames);
    }
    machine_end(&plain);
    TRACKED_END(machine);
}

// --- Four CPUs

enum { CPUS = 4, OPERATIONS = 20000, HOLD = 40 };

struct worker {
    struct machine *machine;
    unsigned cpu;
    struct random random;
    struct frames_place place;
    paddr_t frame[HOLD];
    unsigned count; // of them
    uint64_t told;  // how many the list says it holds
    uint64_t wrong; // assertions are for the main thread
};

static void count_own(void *context, const struct frames_leak *leak) {
    struct worker *worker = context;
    worker->told += leak->place == &worker->place ? leak->frames : 0;
}

// What this CPU holds only this CPU changes: it is exact while the others go on.
static bool knows_own(struct worker *worker) {
    worker->told = 0;
    (void)frames_leaks(&worker->machine->frames, count_own, worker);
    return worker->told == worker->count;
}

static void *alloc_and_free(void *argument) {
    struct worker *worker = argument;
    struct frames *frames = &worker->machine->frames;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        bool is_alloc = random_below(&worker->random, 2) == 0;
        if (is_alloc && worker->count < HOLD) {
            paddr_t *frame = &worker->frame[worker->count];
            if (frames_alloc_from(&worker->place, frames, worker->cpu, FRAMES_ANY, frame) ==
                FRAMES_OK)
                worker->count++;
        } else if (!is_alloc && worker->count > 0) {
            paddr_t frame = worker->frame[--worker->count];
            worker->wrong += frames_free(frames, worker->cpu, frame) != FRAMES_OK;
        }
        if (i % 16 == 0)
            worker->wrong += !knows_own(worker);
    }
    return NULL;
}

TEST("track: of what four CPUs hold each has its own, exactly") {
    TRACKED_MACHINE(machine, CPUS, {MIB(4), MIB(4) + PAGE(120), USABLE, true});
    struct random random = random_start("track, four CPUs");
    static struct worker worker[CPUS];
    pthread_t thread[CPUS];
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        worker[cpu] = (struct worker){.machine = &machine,
                                      .cpu = cpu,
                                      .random = {random_next(&random)},
                                      .place = {.file = "cpu", .function = "", .line = cpu}};
        assert_int_equal(pthread_create(&thread[cpu], NULL, alloc_and_free, &worker[cpu]), 0);
    }
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        pthread_join(thread[cpu], NULL);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        assert_int_equal(worker[cpu].wrong, 0);
        assert_true(knows_own(&worker[cpu]));
    }
    TRACKED_END(machine);
}

// The last test: it fills the table of places.
TEST("track: places beyond the most that are told apart are one place") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(16), USABLE, true});
    static struct frames_place many[FRAMES_PLACES_MAX + 10];
    paddr_t frame;
    for (unsigned i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = (struct frames_place){.file = "many", .function = "", .line = i};
        assert_int_equal(frames_alloc_from(&many[i], &machine.frames, 0, FRAMES_ANY, &frame),
                         FRAMES_OK);
    }
    assert_int_equal(still_allocated(&machine), ARRAY_LEN(many));
    struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.frames, ARRAY_LEN(many));
    assert_in_range(leaks.leak[0].frames, 10, ARRAY_LEN(many) - 1);
    assert_int_equal(leaks.count, ARRAY_LEN(many) - leaks.leak[0].frames + 1);
    assert_string_equal(leaks.leak[0].place->file, "elsewhere");
    for (unsigned i = 1; i < leaks.count; i++)
        assert_ptr_equal(leaks.leak[i].place, &many[i - 1]);
    TRACKED_END(machine);
}
