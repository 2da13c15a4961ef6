// Threads as CPUs, which allocate and free at once, most of what others have allocated. Built
// without sanitizers (tests/unit/unit.mk), so that they run into each other; test_heap_races.c is
// the same under the thread sanitizer, which sees whether the heap orders what one holder of an
// object does before what the next one does.
#include "kernel/memory/slabs.h"

#include "common/base/arith.h"

#include "tests/unit/support/heap_frames.h"
#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <stdatomic.h>

#ifndef ROUNDS
#define ROUNDS 200000
#endif

enum { THREADS_MAX = 8, SLOTS = 64 };

struct team {
    struct slabs slabs;
    struct heap_frames *frames;
    pthread_barrier_t barrier;
    _Atomic(uint64_t *)
        slot[SLOTS]; // objects on their way, each of which has its size at both ends
    _Atomic(const char *) wrong;
    atomic_uint refusals;
};

struct member {
    struct team *team;
    unsigned cpu;
    struct random random;
};

static struct team *team_make(void) {
    struct team *team = aligned_alloc(_Alignof(struct team), sizeof(*team));
    memset(team, 0, sizeof(*team));
    team->frames = heap_frames_make();
    struct slabs_ops ops = heap_frames_ops(team->frames);
    slabs_init(&team->slabs, &ops, (uintptr_t)team->frames->memory, HEAP_FRAMES * FRAME_BYTES);
    return team;
}

static void end_object(struct member *member, uint64_t *object) {
    if (object == NULL)
        return;
    uint64_t words = object[0];
    if (words < 2 || words > 4096 || object[words - 1] != words)
        member->team->wrong = "an object was given to two";
    else
        memset(object, 0x11, words * sizeof(*object));
    if (slabs_free(&member->team->slabs, member->cpu, object) != SLABS_OK)
        member->team->wrong = "what was allocated could not be freed";
}

static uint64_t *make_object(struct member *member) {
    uint64_t words =
        2 + random_below(&member->random, UINT64_C(1) << random_below(&member->random, 11));
    uint64_t *object = slabs_alloc(&member->team->slabs, member->cpu, words * sizeof(*object));
    if (object == NULL) {
        member->team->refusals++;
        return NULL;
    }
    memset(object, 0x22, words * sizeof(*object));
    object[0] = object[words - 1] = words;
    return object;
}

static void exchange(struct member *member) {
    _Atomic(uint64_t *) *slot = &member->team->slot[random_below(&member->random, SLOTS)];
    end_object(member, atomic_exchange_explicit(slot, make_object(member), memory_order_acq_rel));
}

// Some are kept for a while, so that lists run empty and full.
static void hoard(struct member *member) {
    uint64_t *object[96];
    uint64_t count = 1 + random_below(&member->random, ARRAY_LEN(object));
    for (uint64_t i = 0; i < count; i++)
        object[i] = make_object(member);
    while (count-- != 0)
        end_object(member, object[count]);
}

static void *work(void *argument) {
    struct member *member = argument;
    pthread_barrier_wait(&member->team->barrier);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 500 == 0)
            hoard(member);
        else if (i % 777 == 0)
            slabs_trim(&member->team->slabs, member->cpu);
        else
            exchange(member);
    }
    return NULL;
}

static void team_run(struct team *team, unsigned threads, uint64_t seed) {
    pthread_t thread[THREADS_MAX];
    struct member member[THREADS_MAX];
    assert_int_equal(pthread_barrier_init(&team->barrier, NULL, threads), 0);
    for (unsigned i = 0; i < threads; i++) {
        member[i] = (struct member){team, i, {seed + i}};
        assert_int_equal(pthread_create(&thread[i], NULL, work, &member[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    pthread_barrier_destroy(&team->barrier);
    for (unsigned i = 0; i < SLOTS; i++) {
        end_object(&member[0], team->slot[i]);
        team->slot[i] = NULL;
    }
    if (team->wrong != NULL)
        fail_msg("%s", team->wrong);
}

static void team_end(struct team *team) {
    struct slabs_statistics now, nothing = {0};
    for (unsigned cpu = 0; cpu < THREADS_MAX; cpu++)
        slabs_trim(&team->slabs, cpu);
    slabs_get_statistics(&team->slabs, &now);
    assert_memory_equal(&now, &nothing, sizeof(now));
    assert_int_equal(team->frames->used, 0);
    assert_false(team->frames->is_wrong);
    heap_frames_end(team->frames);
    free(team);
}

TEST("slabs: threads that free what others have allocated lose nothing and share nothing") {
    struct random random = random_start("heap threads");
    static const unsigned sizes[] = {2, 4, 8};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct team *team = team_make();
        team_run(team, sizes[i], random_next(&random));
        assert_int_equal(team->refusals, 0);
        team_end(team);
    }
}

TEST("slabs: threads at the end of memory get null, lose nothing and share nothing") {
    struct random random = random_start("heap threads without memory");
    struct team *team = team_make();
    team->frames->available = 60;
    team_run(team, 4, random_next(&random));
    assert_true(team->refusals != 0);
    team_end(team);
}
