// Owners under load: random operations against a plain model, and four CPUs that share, split and
// free the same runs.
#include "tests/unit/support/frames_owned.h"
#include "tests/unit/support/random.h"

#include <pthread.h>

// --- A plain model ---

enum { MODEL_FRAMES = 3 * 512, OPERATIONS = 40000 };

// Of each frame from MIB(2) on: its owners, and how far behind the first of its run it is.
struct model {
    unsigned count[MODEL_FRAMES];
    unsigned inside[MODEL_FRAMES];
};

static uint64_t model_run(const struct model *model, uint64_t first) {
    uint64_t frames = 1;
    while (first + frames < MODEL_FRAMES && model->inside[first + frames] == frames)
        frames++;
    return frames;
}

static enum frames_owners_status model_status(const struct model *model, uint64_t at) {
    return model->inside[at] != 0  ? FRAMES_OWNERS_ERR_INSIDE
           : model->count[at] == 0 ? FRAMES_OWNERS_ERR_NONE
                                   : FRAMES_OWNERS_OK;
}

static void model_alloc(struct model *model, struct frames_owners *owners, uint64_t count) {
    struct frames_request request = {.count = count};
    paddr_t first;
    if (frames_owners_alloc_run(owners, 0, &request, &first) != FRAMES_OK)
        return;
    uint64_t at = (first.value - MIB(2)) / FRAME_BYTES;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(model_status(model, at + i), FRAMES_OWNERS_ERR_NONE);
        model->inside[at + i] = i;
    }
    model->count[at] = 1;
}

static void model_put(struct model *model, struct frames_owners *owners, uint64_t at) {
    uint64_t freed = NOTHING;
    enum frames_owners_status status = model_status(model, at);
    assert_int_equal(frames_owners_put(owners, 0, paddr(MIB(2) + PAGE(at)), &freed), status);
    if (status != FRAMES_OWNERS_OK)
        return;
    uint64_t frames = model_run(model, at);
    assert_int_equal(freed, model->count[at] == 1 ? frames : 0);
    if (--model->count[at] != 0)
        return;
    for (uint64_t i = 0; i < frames; i++)
        model->inside[at + i] = 0;
}

static void model_split(struct model *model, struct frames_owners *owners, uint64_t at) {
    enum frames_owners_status status = model_status(model, at);
    assert_int_equal(frames_owners_split(owners, paddr(MIB(2) + PAGE(at))), status);
    if (status != FRAMES_OWNERS_OK)
        return;
    for (uint64_t i = 0, frames = model_run(model, at); i < frames; i++) {
        model->count[at + i] = model->count[at];
        model->inside[at + i] = 0;
    }
}

static void model_step(struct model *model, struct frames_owners *owners, struct random *random) {
    uint64_t at = random_below(random, MODEL_FRAMES);
    uint64_t kind = random_below(random, 16);
    if (kind < 2) {
        model_alloc(model, owners, 1 + random_below(random, kind == 0 ? 4 : 70));
    } else if (kind < 6) {
        enum frames_owners_status status = model_status(model, at);
        assert_int_equal(get(owners, MIB(2) + PAGE(at)), status);
        model->count[at] += status == FRAMES_OWNERS_OK;
    } else if (kind < 15) {
        model_put(model, owners, at);
    } else {
        model_split(model, owners, at);
    }
}

TEST("owners: 40000 random operations do what a plain model does") {
    OWNED_MACHINE(machine, owners, {MIB(2), MIB(8), USABLE, true});
    static struct model model;
    memset(&model, 0, sizeof(model));
    struct random random = random_start("owners");
    for (unsigned i = 0; i < OPERATIONS; i++) {
        model_step(&model, &owners, &random);
        if (i % 256 != 0)
            continue;
        uint64_t held = statistics(&machine).metadata_frames;
        for (uint64_t at = 0; at < MODEL_FRAMES; at++) {
            assert_int_equal(owner_count(&owners, MIB(2) + PAGE(at)), model.count[at]);
            held += model.count[at] != 0 || model.inside[at] != 0;
        }
        assert_int_equal(statistics(&machine).used_frames, held);
        assert_int_equal(frames_verify(&machine.frames, NULL), 0);
    }
    owners_end(&owners);
    machine_end(&machine);
}

// --- Four CPUs ---

enum { CPUS = 4 };

struct worker {
    struct frames_owners *owners;
    unsigned cpu;
    struct random random;
    pthread_barrier_t *barrier;
    struct shadow *shadow;
    uint64_t wrong; // what the test must not see; assertions are for the main thread
};

// What the test knows, beside the counts.
enum { BOXES = 16, SHADOW_FRAMES = 512, ROUNDS = 300, RUNS = 32, LENGTH = 8, SPLIT = 1000 };
struct shadow {
    uint64_t box[BOXES]; // the address of a run; who takes it out has one reference
    uint32_t held[SHADOW_FRAMES];
    uint64_t length[SHADOW_FRAMES];
    uint64_t allocated[SHADOW_FRAMES]; // how often
    uint64_t freed[SHADOW_FRAMES];
    uint64_t run[RUNS]; // of which every thread has a reference
    uint64_t run_freed[RUNS];
    uint64_t split_freed[SPLIT];
    bool is_split;
};

// Runs `body` on four threads that are four CPUs; returns what they found wrong.
static uint64_t run_workers(struct frames_owners *owners, struct shadow *shadow,
                            struct random *random, void *(*body)(void *)) {
    struct worker worker[CPUS];
    pthread_t thread[CPUS];
    pthread_barrier_t barrier;
    uint64_t wrong = 0;
    pthread_barrier_init(&barrier, NULL, CPUS);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        worker[cpu] = (struct worker){.owners = owners,
                                      .cpu = cpu,
                                      .random = {random_next(random)},
                                      .barrier = &barrier,
                                      .shadow = shadow};
        assert_int_equal(pthread_create(&thread[cpu], NULL, body, &worker[cpu]), 0);
    }
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        pthread_join(thread[cpu], NULL);
        wrong += worker[cpu].wrong;
    }
    pthread_barrier_destroy(&barrier);
    return wrong;
}

#define SHARED_MACHINE(machine, owners, ...)                                                       \
    MACHINE(machine, CPUS, __VA_ARGS__);                                                           \
    struct frames_owners owners = owners_start(&machine)

// No frame has an owner, and the allocator has all that it had.
static void expect_all_free(struct machine *machine, struct frames_owners *owners, uint64_t free) {
    uint64_t bytes = frames_owners_bytes(&machine->frames);
    for (uint64_t i = 0; i < bytes; i++)
        assert_int_equal(((unsigned char *)owners->counts)[i], 0);
    assert_int_equal(statistics(machine).free_frames, free);
}

// Each has one reference to each run, and all put them at the same time.
static void *put_all(void *argument) {
    struct worker *worker = argument;
    struct shadow *shadow = worker->shadow;
    pthread_barrier_wait(worker->barrier);
    for (unsigned i = 0; i < RUNS; i++) {
        uint64_t freed = NOTHING;
        worker->wrong += frames_owners_put(worker->owners, worker->cpu, paddr(shadow->run[i]),
                                           &freed) != FRAMES_OWNERS_OK;
        __atomic_add_fetch(&shadow->run_freed[i], freed, __ATOMIC_RELAXED);
    }
    return NULL;
}

TEST("owners: four CPUs that put the last references free every run exactly once") {
    SHARED_MACHINE(machine, owners, {MIB(4), MIB(8), USABLE, true});
    struct random random = random_start("owners, last references");
    uint64_t free = statistics(&machine).free_frames;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct shadow shadow = {0};
        for (unsigned i = 0; i < RUNS; i++) {
            shadow.run[i] = owned_run(&owners, 1 + i % LENGTH, 0);
            for (unsigned cpu = 1; cpu < CPUS; cpu++)
                assert_int_equal(get(&owners, shadow.run[i]), FRAMES_OWNERS_OK);
        }
        assert_int_equal(run_workers(&owners, &shadow, &random, put_all), 0);
        for (unsigned i = 0; i < RUNS; i++)
            assert_int_equal(shadow.run_freed[i], 1 + i % LENGTH);
        expect_all_free(&machine, &owners, free);
    }
    owners_end(&owners);
    machine_end(&machine);
}

// Gets and puts a frame inside of the run; returns whether that is a frame of its own by now, which
// it has to be if any of them was seen to be one before.
static bool look_inside(struct worker *worker, uint64_t inside) {
    struct shadow *shadow = worker->shadow;
    paddr_t frame = paddr(shadow->run[0] + PAGE(inside));
    uint64_t freed = NOTHING;
    bool was_split = __atomic_load_n(&shadow->is_split, __ATOMIC_SEQ_CST);
    enum frames_owners_status status = frames_owners_get(worker->owners, frame);
    if (status != FRAMES_OWNERS_OK) {
        worker->wrong += status != FRAMES_OWNERS_ERR_INSIDE || was_split;
        return false;
    }
    __atomic_store_n(&shadow->is_split, true, __ATOMIC_SEQ_CST);
    worker->wrong +=
        frames_owners_put(worker->owners, worker->cpu, frame, &freed) != FRAMES_OWNERS_OK ||
        freed != 0;
    return true;
}

// One splits a run of which each has a reference; the others look inside until it is done, where
// counts are written first and where they are last.
static void *split_and_look(void *argument) {
    struct worker *worker = argument;
    struct shadow *shadow = worker->shadow;
    paddr_t run = paddr(shadow->run[0]);
    pthread_barrier_wait(worker->barrier);
    if (worker->cpu == 0)
        worker->wrong += frames_owners_split(worker->owners, run) != FRAMES_OWNERS_OK;
    for (unsigned split = 0; split < 4;) {
        split += look_inside(worker, SPLIT - 1);
        split += look_inside(worker, 1);
        split += look_inside(worker, 1 + random_below(&worker->random, SPLIT - 1));
        unsigned owners = frames_owners_count(worker->owners, run);
        worker->wrong += owners == 0 || owners > CPUS;
    }
    for (unsigned i = 0; i < SPLIT; i++) {
        uint64_t freed = NOTHING;
        worker->wrong += frames_owners_put(worker->owners, worker->cpu, paddr_add(run, PAGE(i)),
                                           &freed) != FRAMES_OWNERS_OK;
        __atomic_add_fetch(&shadow->split_freed[i], freed, __ATOMIC_RELAXED);
    }
    return NULL;
}

TEST("owners: a run is split for all CPUs at once, and each of its frames freed exactly once") {
    SHARED_MACHINE(machine, owners, {MIB(4), MIB(16), USABLE, true});
    struct random random = random_start("owners, splitting");
    uint64_t free = statistics(&machine).free_frames;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct shadow shadow = {.run = {owned_run(&owners, SPLIT, 0)}};
        for (unsigned cpu = 1; cpu < CPUS; cpu++)
            assert_int_equal(get(&owners, shadow.run[0]), FRAMES_OWNERS_OK);
        assert_int_equal(run_workers(&owners, &shadow, &random, split_and_look), 0);
        for (unsigned i = 0; i < SPLIT; i++)
            assert_int_equal(shadow.split_freed[i], 1);
    }
    expect_all_free(&machine, &owners, free);
    owners_end(&owners);
    machine_end(&machine);
}

// --- References go from hand to hand, in boxes, while frames are used again and again

static uint64_t shadow_index(uint64_t address) {
    return (address - MIB(4)) / FRAME_BYTES;
}

static void let_go(struct worker *worker, uint64_t run) {
    struct shadow *shadow = worker->shadow;
    uint64_t at = shadow_index(run), length = shadow->length[at], freed = NOTHING;
    for (uint64_t i = 0; i < length; i++)
        __atomic_sub_fetch(&shadow->held[at + i], 1, __ATOMIC_RELAXED);
    worker->wrong +=
        frames_owners_put(worker->owners, worker->cpu, paddr(run), &freed) != FRAMES_OWNERS_OK ||
        (freed != 0 && freed != length);
    for (uint64_t i = 0; i < freed && i < length; i++)
        __atomic_add_fetch(&shadow->freed[at + i], 1, __ATOMIC_RELAXED);
}

// Puts a reference into a box, and lets the one go that was there.
static void box(struct worker *worker, uint64_t run) {
    uint64_t *place = &worker->shadow->box[random_below(&worker->random, BOXES)];
    uint64_t before = __atomic_exchange_n(place, run, __ATOMIC_ACQ_REL);
    if (before != 0)
        let_go(worker, before);
}

static void box_new(struct worker *worker) {
    struct shadow *shadow = worker->shadow;
    struct frames_request request = {.count = 1 + random_below(&worker->random, 5)};
    paddr_t first;
    if (frames_owners_alloc_run(worker->owners, worker->cpu, &request, &first) != FRAMES_OK)
        return;
    uint64_t at = shadow_index(first.value);
    shadow->length[at] = request.count;
    for (uint64_t i = 0; i < request.count; i++) {
        worker->wrong += __atomic_exchange_n(&shadow->held[at + i], 1, __ATOMIC_RELAXED) != 0;
        __atomic_add_fetch(&shadow->allocated[at + i], 1, __ATOMIC_RELAXED);
    }
    box(worker, first.value);
}

static void box_shared(struct worker *worker, uint64_t run) {
    struct shadow *shadow = worker->shadow;
    uint64_t at = shadow_index(run);
    worker->wrong += frames_owners_get(worker->owners, paddr(run)) != FRAMES_OWNERS_OK;
    for (uint64_t i = 0; i < shadow->length[at]; i++)
        __atomic_add_fetch(&shadow->held[at + i], 1, __ATOMIC_RELAXED);
    box(worker, run);
    box(worker, run);
}

static void *pass_around(void *argument) {
    struct worker *worker = argument;
    pthread_barrier_wait(worker->barrier);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t *place = &worker->shadow->box[random_below(&worker->random, BOXES)];
        uint64_t run = __atomic_exchange_n(place, 0, __ATOMIC_ACQ_REL);
        uint64_t kind = random_below(&worker->random, 8);
        if (run == 0 || kind == 0)
            box_new(worker);
        if (run != 0 && kind < 4)
            box_shared(worker, run);
        else if (run != 0)
            let_go(worker, run);
    }
    return NULL;
}

TEST("owners: of runs that four CPUs get, share and put each is freed as often as allocated") {
    SHARED_MACHINE(machine, owners, {MIB(4), MIB(6), USABLE, true});
    struct random random = random_start("owners, four CPUs");
    uint64_t free = statistics(&machine).free_frames;
    static struct shadow shadow;
    memset(&shadow, 0, sizeof(shadow));
    assert_int_equal(run_workers(&owners, &shadow, &random, pass_around), 0);
    struct worker last = {.owners = &owners, .shadow = &shadow};
    for (unsigned i = 0; i < BOXES; i++)
        if (shadow.box[i] != 0)
            let_go(&last, shadow.box[i]);
    assert_int_equal(last.wrong, 0);
    uint64_t allocated = 0;
    for (unsigned i = 0; i < SHADOW_FRAMES; i++) {
        assert_int_equal(shadow.held[i], 0);
        assert_int_equal(shadow.freed[i], shadow.allocated[i]);
        allocated += shadow.allocated[i];
    }
    assert_true(allocated > OPERATIONS);
    expect_all_free(&machine, &owners, free);
    owners_end(&owners);
    machine_end(&machine);
}
