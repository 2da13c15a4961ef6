// What the debug build of the heap finds, and what it says.
#include "kernel/memory/guarded.h"

#include "common/base/arith.h"

#include "tests/unit/support/heap_frames.h"
#include "tests/unit/support/test.h"

#include <stdio.h>

struct world {
    struct guarded guarded;
    struct heap_frames *frames;
};

static struct world *world_make(void) {
    struct world *world = aligned_alloc(_Alignof(struct world), sizeof(*world));
    world->frames = heap_frames_make();
    struct slabs_ops ops = heap_frames_ops(world->frames);
    guarded_init(&world->guarded, &ops, (uintptr_t)world->frames->memory,
                 HEAP_FRAMES * FRAME_BYTES);
    return world;
}

static void world_end(struct world *world) {
    heap_frames_end(world->frames);
    free(world);
}

static struct heap_place maker = {.file = "maker.c", .function = "make", .line = 10};
static struct heap_place ender = {.file = "ender.c", .function = "end", .line = 20};
static struct heap_place finder = {.file = "finder.c", .function = "find", .line = 30};

static void *alloc(struct world *world, uint64_t bytes) {
    struct guarded_finding finding;
    void *object = guarded_alloc(&world->guarded, 0, &maker, bytes, &finding);
    assert_int_equal(finding.kind, GUARDED_OK);
    assert_non_null(object);
    return object;
}

static struct guarded_finding give(struct world *world, void *object) {
    struct guarded_finding finding;
    guarded_free(&world->guarded, 0, &ender, object, &finding);
    return finding;
}

static void give_well(struct world *world, void *object) {
    assert_int_equal(give(world, object).kind, GUARDED_OK);
}

static const char *explain(const struct guarded_finding *finding) {
    static char text[512];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    guarded_explain(finding, &finder, &sink);
    return text;
}

// What is said of `object`, with "$" for its address.
static void assert_explained(const struct guarded_finding *finding, const void *object,
                             const char *expected) {
    char whole[512];
    (void)snprintf(whole, sizeof(whole), "object 0x%lx%s", (unsigned long)(uintptr_t)object,
                   expected);
    assert_ptr_equal(finding->object, object);
    assert_string_equal(explain(finding), whole);
}

static const uint64_t sizes[] = {0, 1, 15, 16, 17, 100, 1900, 1936, 1937, 4096, 9001};

TEST("guarded: objects of any size are aligned, theirs to the last byte, and go back") {
    struct world *world = world_make();
    for (uint64_t bytes = 0; bytes <= 2 * FRAME_BYTES; bytes++) {
        uint8_t *object = alloc(world, bytes);
        assert_true(is_aligned((uintptr_t)object, SLABS_ALIGN));
        memset(object, 0, bytes);
        give_well(world, object);
    }
    slabs_trim(&world->guarded.slabs, 0);
    assert_int_equal(world->frames->used, 0);
    assert_false(world->frames->is_wrong);
    world_end(world);
}

TEST("guarded: fresh memory and freed memory are not what they were") {
    struct world *world = world_make();
    uint8_t *object = alloc(world, 64);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(object[i], object[0]);
    assert_true(object[0] != 0 && object[0] != 0xA5);
    memset(object, 0, 64);
    give_well(world, object);
    for (unsigned i = 0; i < 64; i++)
        assert_true(object[i] != 0 && object[i] == object[0]);
    world_end(world);
}

// Each byte of a redzone is written alone.
TEST("guarded: a byte that is written before or behind an object is found when it is freed") {
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct world *world = world_make();
        uint8_t *object = alloc(world, sizes[i]);
        for (int64_t at = -16; at < (int64_t)sizes[i] + 16; at++) {
            if (at == 0)
                at = (int64_t)sizes[i];
            uint8_t *byte = object + at, before = *byte;
            *byte = 0x11;
            struct guarded_finding finding = give(world, object);
            char expected[256];
            (void)snprintf(expected, sizeof(expected),
                           " of %lu bytes: something was written %s it, first at byte %ld, 0x11, "
                           "allocated at maker.c:10 (make), found at finder.c:30 (find)",
                           (unsigned long)sizes[i], at < 0 ? "before" : "behind", (long)at);
            assert_explained(&finding, object, expected);
            *byte = before;
        }
        give_well(world, object);
        world_end(world);
    }
}

TEST("guarded: a header that was written over is found when the object is freed") {
    struct world *world = world_make();
    uint8_t *object = alloc(world, 40);
    memset(object - 48, 0x22, 40);
    struct guarded_finding finding = give(world, object);
    assert_explained(&finding, object,
                     ": something was written before it, first at byte -48, 0x22, found at "
                     "finder.c:30 (find)");
    world_end(world);
}

TEST("guarded: what is freed twice is found, with both places") {
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct world *world = world_make();
        uint8_t *keeper = alloc(world, sizes[i]), *object = alloc(world, sizes[i]);
        give_well(world, object);
        struct guarded_finding finding = give(world, object);
        char expected[256];
        (void)snprintf(expected, sizeof(expected),
                       " of %lu bytes: it is freed twice, allocated at maker.c:10 (make), freed at "
                       "ender.c:20 (end), found at finder.c:30 (find)",
                       (unsigned long)sizes[i]);
        assert_explained(&finding, object, expected);
        give_well(world, keeper);
        world_end(world);
    }
}

TEST("guarded: a run that is freed twice is found though its frames are another's") {
    struct world *world = world_make();
    uint8_t *object = alloc(world, 9000);
    give_well(world, object);
    memset(object - 48, 0, 48);
    struct guarded_finding finding = give(world, object);
    assert_int_equal(finding.kind, GUARDED_TWICE);
    assert_ptr_equal(finding.object, object);
    world_end(world);
}

TEST("guarded: what nobody allocated is found when it is freed") {
    struct world *world = world_make();
    static uint64_t elsewhere[16];
    uint8_t *object = alloc(world, 30), *large = alloc(world, 10000);
    uint8_t *const wild[] = {(uint8_t *)&elsewhere[8],
                             object + 1,
                             object + 16,
                             object - 16,
                             object + 3 * 112,
                             large + 16,
                             large + FRAME_BYTES,
                             world->frames->memory,
                             world->frames->memory + 9 * FRAME_BYTES + 64,
                             NULL};
    for (size_t i = 0; i < ARRAY_LEN(wild); i++) {
        struct guarded_finding finding = give(world, wild[i]);
        assert_explained(&finding, wild[i],
                         ": it is freed and was never allocated, found at finder.c:30 (find)");
    }
    give_well(world, object);
    give_well(world, large);
    world_end(world);
}

TEST("guarded: a byte that is written after the free is found by the next allocation") {
    for (unsigned at = 0; at < 100; at++) {
        struct world *world = world_make();
        uint8_t *object = alloc(world, 100);
        give_well(world, object);
        object[at] = 0x33;
        struct guarded_finding finding;
        assert_null(guarded_alloc(&world->guarded, 0, &maker, 110, &finding));
        char expected[256];
        (void)snprintf(expected, sizeof(expected),
                       " of 100 bytes: it was written after it was freed, first at byte %u, 0x33, "
                       "allocated at maker.c:10 (make), freed at ender.c:20 (end), found at "
                       "finder.c:30 (find)",
                       at);
        assert_explained(&finding, object, expected);
        world_end(world);
    }
}

TEST("guarded: a byte that is written where nobody has been yet is found by the allocation") {
    struct world *world = world_make();
    uint8_t *object = alloc(world, 30); // its slab's objects are 112 bytes apart
    object[112 + 7] = 0x44;
    struct guarded_finding finding;
    assert_null(guarded_alloc(&world->guarded, 0, &maker, 30, &finding));
    assert_explained(&finding, object + 112,
                     ": it was written while nobody had it, first at byte 7, 0x44, found at "
                     "finder.c:30 (find)");
    give_well(world, object);
    world_end(world);
}

TEST("guarded: an object that is allocated again has its new size, place and guards") {
    struct world *world = world_make();
    uint8_t *object = alloc(world, 30);
    give_well(world, object);
    assert_ptr_equal(alloc(world, 20), object);
    object[20] = 0;
    struct guarded_finding finding = give(world, object);
    assert_int_equal(finding.kind, GUARDED_WRITTEN_ABOVE);
    assert_int_equal(finding.bytes, 20);
    assert_null(finding.freed);
    world_end(world);
}

TEST("guarded: without memory there is null, nothing is found and nothing is lost") {
    struct world *world = world_make();
    world->frames->available = 3;
    struct guarded_finding finding;
    assert_null(guarded_alloc(&world->guarded, 0, &maker, UINT64_MAX, &finding));
    assert_null(guarded_alloc(&world->guarded, 0, &maker, UINT64_MAX - 80, &finding));
    assert_int_equal(world->frames->calls, 0);
    void *object[100];
    unsigned count = 0;
    while ((object[count] = guarded_alloc(&world->guarded, 0, &maker, 400, &finding)) != NULL)
        count++;
    assert_int_equal(finding.kind, GUARDED_OK);
    assert_int_equal(count, 3 * 8);
    while (count-- != 0)
        give_well(world, object[count]);
    slabs_trim(&world->guarded.slabs, 0);
    assert_int_equal(world->frames->used, 0);
    world_end(world);
}

// --- Leaks

static char leaks[1024];

static uint64_t report(struct world *world) {
    struct fmt_buffer buffer = fmt_buffer_make(leaks, sizeof(leaks));
    struct sink sink = fmt_buffer_sink(&buffer);
    return guarded_leaks(&world->guarded, &sink);
}

TEST("guarded: leaks are listed by place, the most objects first, since the last mark") {
    struct world *world = world_make();
    static struct heap_place place[] = {
        {.file = "a.c", .function = "a", .line = 1},
        {.file = "b.c", .function = "b", .line = 2},
        {.file = "c.c", .function = "c", .line = 3},
        {.file = "d.c", .function = "d", .line = 4},
    };
    struct guarded_finding finding;
    void *object[6];
    for (unsigned i = 0; i < 6; i++) // a 1, b 2, c 3
        object[i] = guarded_alloc(&world->guarded, i,
                                  &place[i == 0  ? 0
                                         : i < 3 ? 1
                                                 : 2],
                                  10 * i, &finding);
    assert_int_equal(report(world), 6);
    assert_string_equal(leaks, "  3 objects, 120 bytes: c.c:3 c\n  2 objects, 30 bytes: b.c:2 b\n"
                               "  1 object, 0 bytes: a.c:1 a\n");
    give_well(world, object[5]);
    guarded_mark(&world->guarded);
    assert_int_equal(report(world), 0);
    assert_string_equal(leaks, "");
    give_well(world, object[4]); // which was there at the mark
    void *more = guarded_alloc(&world->guarded, 0, &place[1], 500, &finding);
    void *other = guarded_alloc(&world->guarded, 0, &place[3], 7000, &finding);
    assert_int_equal(report(world), 2);
    assert_string_equal(leaks, "  1 object, 500 bytes: b.c:2 b\n  1 object, 7000 bytes: d.c:4 d\n");
    assert_int_equal(guarded_leaks(&world->guarded, NULL), 2);
    give_well(world, more);
    give_well(world, other);
    assert_int_equal(report(world), 0);
    world_end(world);
}
