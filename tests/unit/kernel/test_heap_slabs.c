// Objects over frames: sizes, places, and where objects and frames go.
#include "kernel/memory/slabs.h"

#include "common/base/arith.h"

#include "tests/unit/support/heap_frames.h"
#include "tests/unit/support/test.h"

enum { OBJECTS = 3000 };

// A heap over frames of its own.
struct world {
    struct slabs slabs;
    struct heap_frames *frames;
    void *object[OBJECTS];
};

static struct world *world_make(void) {
    struct world *world = aligned_alloc(_Alignof(struct slabs), align_up(sizeof(*world), 128));
    world->frames = heap_frames_make();
    struct slabs_ops ops = heap_frames_ops(world->frames);
    slabs_init(&world->slabs, &ops, (uintptr_t)world->frames->memory, HEAP_FRAMES * FRAME_BYTES);
    return world;
}

static void world_end(struct world *world) {
    assert_false(world->frames->is_wrong);
    heap_frames_end(world->frames);
    free(world);
}

static struct slabs_statistics statistics(struct world *world) {
    struct slabs_statistics now;
    slabs_get_statistics(&world->slabs, &now);
    return now;
}

static void assert_empty(struct world *world) {
    for (unsigned cpu = 0; cpu < SLABS_CPUS_MAX; cpu++)
        slabs_trim(&world->slabs, cpu);
    struct slabs_statistics nothing = {0}, now = statistics(world);
    assert_memory_equal(&now, &nothing, sizeof(now));
    assert_int_equal(world->frames->used, 0);
}

static uint64_t room_of(struct world *world, const void *object) {
    uint64_t bytes = 0;
    assert_int_equal(slabs_find(&world->slabs, object, &bytes), SLABS_OK);
    return bytes;
}

static void *alloc(struct world *world, unsigned cpu, uint64_t bytes) {
    void *object = slabs_alloc(&world->slabs, cpu, bytes);
    assert_non_null(object);
    return object;
}

static void give(struct world *world, unsigned cpu, void *object) {
    assert_int_equal(slabs_free(&world->slabs, cpu, object), SLABS_OK);
}

TEST("slabs: an object of any size is aligned, has its room, and is written to without harm") {
    struct world *world = world_make();
    for (uint64_t bytes = 0; bytes <= 3 * FRAME_BYTES; bytes++) {
        void *before = alloc(world, 0, bytes), *object = alloc(world, 0, bytes),
             *behind = alloc(world, 0, bytes);
        memset(before, 1, bytes);
        memset(behind, 3, bytes);
        memset(object, 2, bytes);
        assert_true(is_aligned((uintptr_t)object, SLABS_ALIGN));
        assert_true(room_of(world, object) >= bytes);
        for (uint64_t i = 0; i < bytes; i++)
            assert_true(((uint8_t *)before)[i] == 1 && ((uint8_t *)behind)[i] == 3);
        give(world, 0, behind);
        give(world, 0, before);
        give(world, 0, object);
    }
    assert_empty(world);
    world_end(world);
}

TEST("slabs: no object of up to 2016 bytes wastes more than 32 bytes or a third of its room") {
    struct world *world = world_make();
    for (uint64_t bytes = 1; bytes <= SLABS_SMALL_MAX; bytes++) {
        void *object = alloc(world, 0, bytes);
        uint64_t wasted = room_of(world, object) - bytes;
        assert_true(wasted <= 32 || wasted * 3 <= room_of(world, object));
        give(world, 0, object);
    }
    assert_empty(world);
    world_end(world);
}

TEST("slabs: a slab is full of objects that do not touch its header nor each other") {
    struct world *world = world_make();
    for (uint64_t bytes = 1; bytes <= SLABS_SMALL_MAX; bytes += SLABS_ALIGN) {
        uint64_t room = 0, count = 0;
        do {
            world->object[count] = alloc(world, 0, bytes);
            room = room_of(world, world->object[count]);
            memset(world->object[count], 0x5A, room);
            count++;
        } while (count < (FRAME_BYTES - SLABS_HEADER_BYTES) / room);
        assert_int_equal(world->frames->used, 1);
        for (uint64_t i = 0; i < count; i++) {
            for (uint64_t j = 0; j < i; j++)
                assert_true(world->object[i] != world->object[j]);
        }
        world->object[count++] = alloc(world, 0, bytes);
        assert_int_equal(world->frames->used, 2);
        while (count-- != 0)
            give(world, 0, world->object[count]);
        assert_empty(world);
    }
    world_end(world);
}

TEST("slabs: statistics count objects, their room, what is at hand, and frames") {
    struct world *world = world_make();
    void *small = alloc(world, 3, 40), *other = alloc(world, 4, 2016),
         *large = alloc(world, 5, 5000);
    struct slabs_statistics now = statistics(world);
    assert_int_equal(now.objects, 3);
    assert_int_equal(now.bytes, 48 + 2016 + 2 * FRAME_BYTES - SLABS_HEADER_BYTES);
    assert_int_equal(now.frames, 4);
    assert_int_equal(now.frames, world->frames->used);
    assert_true(now.at_hand > 0);
    give(world, 5, small);
    give(world, 5, other);
    give(world, 3, large);
    now = statistics(world);
    assert_int_equal(now.objects, 0);
    assert_int_equal(now.bytes, 0);
    assert_int_equal(now.frames, 2);
    assert_empty(world);
    world_end(world);
}

TEST("slabs: what is freed is allocated again first, on the same CPU without a frame") {
    struct world *world = world_make();
    void *first = alloc(world, 0, 100), *second = alloc(world, 0, 100);
    give(world, 0, first);
    give(world, 0, second);
    world->frames->available = 0;
    assert_ptr_equal(alloc(world, 0, 100), second);
    assert_ptr_equal(alloc(world, 0, 100), first);
    assert_null(slabs_alloc(&world->slabs, 0, 200));
    give(world, 0, first);
    give(world, 0, second);
    assert_empty(world);
    world_end(world);
}

TEST("slabs: a CPU keeps no more than a few objects at hand, and whole slabs are freed at once") {
    struct world *world = world_make();
    for (uint64_t bytes = 16; bytes <= SLABS_SMALL_MAX; bytes += 40) {
        for (unsigned i = 0; i < OBJECTS / 10; i++)
            world->object[i] = alloc(world, 0, bytes);
        for (unsigned i = 0; i < OBJECTS / 10; i++)
            give(world, 1, world->object[i]);
        struct slabs_statistics now = statistics(world);
        assert_int_equal(now.objects, 0);
        assert_true(now.at_hand <= 96);
        assert_true(now.at_hand * bytes <= 6 * FRAME_BYTES);
        // One slab that CPU 0 has objects of, and those that CPU 1 has.
        assert_true(world->frames->used <= 8);
        assert_int_equal(now.frames, world->frames->used);
        for (unsigned cpu = 0; cpu < 2; cpu++)
            slabs_trim(&world->slabs, cpu);
        assert_int_equal(world->frames->used, 0);
    }
    world_end(world);
}

TEST("slabs: half-used slabs serve all CPUs before a frame is taken") {
    struct world *world = world_make();
    for (unsigned i = 0; i < OBJECTS; i++)
        world->object[i] = alloc(world, 0, 64);
    uint64_t frames = world->frames->used;
    for (unsigned i = 0; i < OBJECTS; i += 2)
        give(world, 0, world->object[i]);
    assert_int_equal(world->frames->used, frames);
    slabs_trim(&world->slabs, 0);
    world->frames->available = frames;
    for (unsigned i = 0; i < OBJECTS; i += 2)
        world->object[i] = alloc(world, 1 + i % 4, 64);
    for (unsigned i = 0; i < OBJECTS; i++)
        give(world, 7, world->object[i]);
    assert_empty(world);
    world_end(world);
}

TEST("slabs: what is not an object is refused, for every offset in a slab and in a run") {
    struct world *world = world_make();
    for (uint64_t bytes = 16; bytes <= SLABS_SMALL_MAX + 16; bytes += 16) {
        uint8_t *object = alloc(world, 0, bytes);
        uint64_t room = room_of(world, object), base = align_down((uintptr_t)object, FRAME_BYTES);
        uint64_t objects = 0;
        for (uint64_t offset = 0; offset < FRAME_BYTES; offset++) {
            uint64_t of_first = offset - SLABS_HEADER_BYTES, found;
            bool is_object = offset >= SLABS_HEADER_BYTES && of_first % room == 0 &&
                             of_first + room <= FRAME_BYTES - SLABS_HEADER_BYTES;
            if (bytes > SLABS_SMALL_MAX)
                is_object = offset == SLABS_HEADER_BYTES;
            objects += is_object;
            void *here = (void *)(base + offset);
            assert_int_equal(slabs_find(&world->slabs, here, &found) == SLABS_OK, is_object);
            if (!is_object)
                assert_int_equal(slabs_free(&world->slabs, 0, here), SLABS_ERR_WILD);
        }
        assert_true(objects >= 1);
        assert_int_equal(statistics(world).objects, 1);
        give(world, 0, object);
    }
    assert_empty(world);
    world_end(world);
}

TEST("slabs: addresses outside of all memory, and in frames that are no slabs, are refused") {
    struct world *world = world_make();
    static uint64_t elsewhere[2];
    uint8_t *memory = world->frames->memory;
    void *const wild[] = {elsewhere,
                          memory - 16,
                          memory + HEAP_FRAMES * FRAME_BYTES,
                          memory,
                          memory + SLABS_HEADER_BYTES,
                          memory + 5 * FRAME_BYTES + 64};
    for (size_t i = 0; i < ARRAY_LEN(wild); i++) {
        uint64_t bytes;
        assert_int_equal(slabs_free(&world->slabs, 0, wild[i]), SLABS_ERR_WILD);
        assert_int_equal(slabs_find(&world->slabs, wild[i], &bytes), SLABS_ERR_WILD);
    }
    assert_empty(world);
    world_end(world);
}

TEST("slabs: an object that is free is refused, wherever it lies by then") {
    struct world *world = world_make();
    void *keeper = alloc(world, 0, 500), *object = alloc(world, 0, 500);
    give(world, 1, object);
    assert_int_equal(slabs_free(&world->slabs, 0, object), SLABS_ERR_FREE);
    slabs_trim(&world->slabs, 1);
    assert_int_equal(slabs_free(&world->slabs, 0, object), SLABS_ERR_FREE);
    uint8_t *never = (uint8_t *)keeper - room_of(world, keeper);
    assert_int_equal(slabs_free(&world->slabs, 0, never), SLABS_ERR_FREE);
    assert_int_equal(statistics(world).objects, 1);
    give(world, 0, keeper);
    slabs_trim(&world->slabs, 0);
    assert_int_equal(slabs_free(&world->slabs, 0, keeper), SLABS_ERR_WILD);
    void *run = alloc(world, 0, 9000);
    give(world, 0, run);
    assert_int_equal(slabs_free(&world->slabs, 0, run), SLABS_ERR_FREE);
    assert_empty(world);
    world_end(world);
}

TEST("slabs: what is too large is never there, and takes no frame") {
    struct world *world = world_make();
    static const uint64_t sizes[] = {SLABS_BYTES_MAX + 1, UINT64_MAX, UINT64_MAX - 4095,
                                     UINT64_MAX - SLABS_HEADER_BYTES + 1, UINT64_C(1) << 63};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        assert_null(slabs_alloc(&world->slabs, 0, sizes[i]));
    assert_int_equal(world->frames->calls, 0);
    assert_null(slabs_alloc(&world->slabs, 0, SLABS_BYTES_MAX));
    assert_null(slabs_alloc(&world->slabs, 0, HEAP_FRAMES * FRAME_BYTES));
    void *all = alloc(world, 0, HEAP_FRAMES * FRAME_BYTES - SLABS_HEADER_BYTES);
    assert_int_equal(world->frames->used, HEAP_FRAMES);
    give(world, 0, all);
    assert_empty(world);
    world_end(world);
}

// Some of all that there is; returns how many objects there were.
static unsigned fill_up(struct world *world) {
    static const uint64_t sizes[] = {24, 2016, 64, 700, 5000, 16, 1300};
    unsigned count = 0;
    for (; count < 400; count++) {
        world->object[count] =
            slabs_alloc(&world->slabs, count % 3, sizes[count % ARRAY_LEN(sizes)]);
        if (world->object[count] == NULL)
            break;
    }
    return count;
}

TEST("slabs: when any call for frames fails there is null, and nothing is lost") {
    uint64_t refusals = 0;
    for (uint64_t refused = 1;; refused++) {
        struct world *world = world_make();
        world->frames->refused_call = refused;
        unsigned count = fill_up(world);
        bool is_refused = count != 400;
        assert_int_equal(statistics(world).objects, count);
        assert_int_equal(statistics(world).frames, world->frames->used);
        while (count-- != 0)
            give(world, count % 2, world->object[count]);
        assert_empty(world);
        refusals += is_refused;
        uint64_t calls = world->frames->calls;
        world_end(world);
        if (refused > calls)
            break;
    }
    assert_true(refusals > 50);
}

TEST("slabs: at the end of memory objects go on until all is used, and again") {
    struct world *world = world_make();
    world->frames->available = 40;
    for (unsigned round = 0; round < 3; round++) {
        unsigned count = 0;
        while ((world->object[count] = slabs_alloc(&world->slabs, 0, 1000)) != NULL)
            count++;
        assert_int_equal(count, 40 * 4);
        while (count-- != 0)
            give(world, round, world->object[count]);
        slabs_trim(&world->slabs, round);
    }
    assert_empty(world);
    world_end(world);
}
