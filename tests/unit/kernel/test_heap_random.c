// Operations at random, by several CPUs in turn, against a model that knows each object: its place,
// its size and what is in it. SEED= replays a run. Built without sanitizers (tests/unit/unit.mk).
#include "kernel/memory/slabs.h"

#include "common/base/arith.h"

#include "tests/unit/support/heap_frames.h"
#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

enum { OPERATIONS = 300000, LIVE_MAX = 2000, CPUS = 5 };

struct live {
    uint8_t *object;
    uint64_t bytes, room;
    uint8_t fill;
};

struct model {
    struct slabs slabs;
    struct heap_frames *frames;
    struct random random;
    struct live live[LIVE_MAX];
    uint64_t count, refusals;
};

static uint64_t below(struct model *model, uint64_t bound) {
    return random_below(&model->random, bound);
}

static unsigned any_cpu(struct model *model) {
    return (unsigned)below(model, CPUS);
}

static void assert_filled(const struct live *live) {
    for (uint64_t i = 0; i < live->bytes; i++)
        assert_int_equal(live->object[i], live->fill);
}

static void assert_apart(const struct model *model, const struct live *added) {
    for (uint64_t i = 0; i < model->count; i++) {
        const struct live *other = &model->live[i];
        assert_true(added->object + added->room <= other->object ||
                    other->object + other->room <= added->object);
    }
}

static void allocate(struct model *model) {
    struct live added = {.bytes = below(model, UINT64_C(1) << below(model, 15)),
                         .fill = (uint8_t)below(model, 256)};
    added.object = slabs_alloc(&model->slabs, any_cpu(model), added.bytes);
    if (added.object == NULL) {
        model->refusals++;
        return;
    }
    assert_int_equal(slabs_find(&model->slabs, added.object, &added.room), SLABS_OK);
    assert_true(added.room >= added.bytes && is_aligned((uintptr_t)added.object, SLABS_ALIGN));
    if (model->count % 16 == 0)
        assert_apart(model, &added);
    memset(added.object, added.fill, added.bytes);
    model->live[model->count++] = added;
}

static void release(struct model *model) {
    uint64_t index = below(model, model->count);
    struct live freed = model->live[index];
    assert_filled(&freed);
    assert_int_equal(slabs_free(&model->slabs, any_cpu(model), freed.object), SLABS_OK);
    if (below(model, 8) == 0)
        assert_int_not_equal(slabs_free(&model->slabs, any_cpu(model), freed.object), SLABS_OK);
    model->live[index] = model->live[--model->count];
}

// An address inside of an object, which is none, unless an object begins there.
static void release_wrongly(struct model *model) {
    const struct live *live = &model->live[below(model, model->count)];
    uint8_t *wild = live->object + 1 + below(model, live->room - 1);
    if ((uintptr_t)wild % FRAME_BYTES < SLABS_HEADER_BYTES || live->room <= SLABS_SMALL_MAX)
        assert_int_equal(slabs_free(&model->slabs, any_cpu(model), wild), SLABS_ERR_WILD);
}

static void check_counts(struct model *model) {
    struct slabs_statistics now;
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < model->count; i++)
        bytes += model->live[i].room;
    slabs_get_statistics(&model->slabs, &now);
    assert_int_equal(now.objects, model->count);
    assert_int_equal(now.bytes, bytes);
    assert_int_equal(now.frames, model->frames->used);
    assert_false(model->frames->is_wrong);
}

static void operate(struct model *model) {
    uint64_t choice = below(model, 100);
    bool is_growing = model->random.state >> 60 < 9;
    if (choice == 0)
        slabs_trim(&model->slabs, any_cpu(model));
    else if (choice == 1)
        check_counts(model);
    else if (choice == 2) // no more than there are, or some more
        model->frames->available = min_u64(model->frames->used + below(model, 60), HEAP_FRAMES);
    else if (choice < 5 && model->count != 0)
        release_wrongly(model);
    else if (model->count == 0 || (model->count < LIVE_MAX && (choice & 1) == is_growing))
        allocate(model);
    else
        release(model);
}

TEST("slabs: any order of operations gives what a model of all objects expects") {
    struct model *model = aligned_alloc(_Alignof(struct model), sizeof(*model));
    memset(model, 0, sizeof(*model));
    model->frames = heap_frames_make();
    model->random = random_start("heap");
    struct slabs_ops ops = heap_frames_ops(model->frames);
    slabs_init(&model->slabs, &ops, (uintptr_t)model->frames->memory, HEAP_FRAMES * FRAME_BYTES);
    for (unsigned i = 0; i < OPERATIONS; i++)
        operate(model);
    while (model->count != 0)
        release(model);
    check_counts(model);
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        slabs_trim(&model->slabs, cpu);
    check_counts(model);
    assert_int_equal(model->frames->used, 0);
    assert_true(model->refusals > 0);
    heap_frames_end(model->frames);
    free(model);
}
