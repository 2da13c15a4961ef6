// Frames that remember who allocated them, and what of that is still allocated. Compiled with
// FRAMES_TRACKING (frames.mk).
#include "common/base/fmt.h"
#include "tests/unit/support/frames_tracked.h"

// --- Places ---

TEST("track: a frame remembers file, line and function until it is freed") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    assert_int_equal(still_allocated(&machine), 0);
    paddr_t frame, at, first;
    ALLOC(machine, frame);
    struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.count, 1);
    expect_leak(&leaks, 0, 1, __LINE__ - 3, __func__);
    assert_int_equal(frames_free(&machine.frames, 0, frame), FRAMES_OK);
    assert_int_equal(still_allocated(&machine), 0);

    at = paddr(MIB(8) - PAGE(3));
    assert_int_equal(frames_alloc_at(&machine.frames, 0, at, 3), FRAMES_OK);
    ALLOC_RUN(machine, 700, first);
    leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.count, 2);
    expect_leak(&leaks, 0, 700, __LINE__ - 3, __func__);
    expect_leak(&leaks, 1, 3, __LINE__ - 5, __func__);
    assert_int_equal(frames_free_run(&machine.frames, 0, at, 3), FRAMES_OK);
    assert_int_equal(frames_free_run(&machine.frames, 0, first, 700), FRAMES_OK);
    assert_int_equal(still_allocated(&machine), 0);
    TRACKED_END(machine);
}

TEST("track: places come with most frames first, and then by file, line and function") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    static struct frames_place place[] = {
        {.file = "b.c", .function = "f", .line = 7}, {.file = "b.c", .function = "f", .line = 10},
        {.file = "a.c", .function = "f", .line = 9}, {.file = "b.c", .function = "g", .line = 7},
        {.file = "b.c", .function = "f", .line = 3}, {.file = "b.cc", .function = "f", .line = 1},
    };
    const struct {
        unsigned place;
        uint64_t frames;
    } order[] = {{4, 5}, {2, 2}, {0, 2}, {3, 2}, {1, 2}, {5, 2}};
    paddr_t frame;
    for (unsigned i = 0; i < ARRAY_LEN(place); i++)
        for (unsigned j = 0; j < (i == 4 ? 5 : 2); j++)
            assert_int_equal(frames_alloc_from(&place[i], &machine.frames, 0, FRAMES_ANY, &frame),
                             FRAMES_OK);
    struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.count, ARRAY_LEN(order));
    for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
        assert_ptr_equal(leaks.leak[i].place, &place[order[i].place]);
        assert_int_equal(leaks.leak[i].frames, order[i].frames);
    }
    TRACKED_END(machine);
}

TEST("track: records of one file, line and function are one place") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    char other_file[] = "inline.h", other_function[] = "twice"; // not the same pointers
    static struct frames_place first = {.file = "inline.h", .function = "twice", .line = 5};
    struct frames_place second = {.file = other_file, .function = other_function, .line = 5};
    paddr_t frame;
    assert_int_equal(frames_alloc_from(&first, &machine.frames, 0, FRAMES_ANY, &frame), FRAMES_OK);
    assert_int_equal(frames_alloc_from(&second, &machine.frames, 0, FRAMES_ANY, &frame), FRAMES_OK);
    struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.count, 1);
    assert_int_equal(leaks.leak[0].frames, 2);
    assert_ptr_equal(leaks.leak[0].place, &first);
    TRACKED_END(machine);
}

// A function that allocates for others.
static paddr_t take_from(struct frames_place *place, struct machine *machine) {
    paddr_t frame = PADDR_NONE;
    assert_int_equal(frames_alloc_from(place, &machine->frames, 0, FRAMES_ANY, &frame), FRAMES_OK);
    return frame;
}
#define take(...) take_from(FRAMES_HERE, __VA_ARGS__)

TEST("track: who allocates through another function is remembered, not that function") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    (void)take(&machine);
    for (unsigned i = 0; i < 2; i++)
        (void)take(&machine);
    struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.count, 2);
    expect_leak(&leaks, 0, 2, __LINE__ - 3, __func__);
    expect_leak(&leaks, 1, 1, __LINE__ - 6, __func__);
    TRACKED_END(machine);
}

// --- Forgetting ---

TEST("track: a run that is freed in part is forgotten in part") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(16), USABLE, true});
    paddr_t first;
    ALLOC_RUN(machine, 1200, first);
    unsigned line = __LINE__ - 1;
    const struct {
        uint64_t at, count, left;
    } parts[] = {{0, 1, 1199}, {1199, 1, 1198}, {300, 500, 698}, {1, 299, 399}, {800, 399, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        paddr_t part = paddr_add(first, PAGE(parts[i].at));
        if (parts[i].count == 1)
            assert_int_equal(frames_free(&machine.frames, 0, part), FRAMES_OK);
        else
            assert_int_equal(frames_free_run(&machine.frames, 0, part, parts[i].count), FRAMES_OK);
        struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
        assert_int_equal(leaks.frames, parts[i].left);
        if (parts[i].left != 0)
            expect_leak(&leaks, 0, parts[i].left, line, __func__);
    }
    TRACKED_END(machine);
}

TEST("track: what is refused is neither remembered nor forgotten") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(6), USABLE, true});
    paddr_t first, none = PADDR_NONE;
    ALLOC_RUN(machine, 4, first);
    unsigned line = __LINE__ - 1;
    struct frames_request too_many = {.count = 512};
    assert_int_equal(frames_free(&machine.frames, 0, paddr_add(first, PAGE(2))), FRAMES_OK);
    assert_int_equal(frames_alloc_run(&machine.frames, 0, &too_many, &none), FRAMES_ERR_NO_MEMORY);
    assert_int_equal(frames_alloc(&machine.frames, 0, FRAMES_BELOW_1M, &none),
                     FRAMES_ERR_NO_MEMORY);
    assert_int_equal(frames_alloc_at(&machine.frames, 0, first, 4), FRAMES_ERR_USED);
    assert_int_equal(frames_free_run(&machine.frames, 0, first, 4), FRAMES_ERR_FREE);
    assert_int_equal(frames_free_run(&machine.frames, 0, first, 0), FRAMES_ERR_COUNT);
    assert_int_equal(frames_free(&machine.frames, 0, paddr_add(first, 1)), FRAMES_ERR_ALIGN);
    assert_int_equal(frames_free(&machine.frames, 0, paddr(MIB(6))), FRAMES_ERR_FOREIGN);
    assert_int_equal(frames_free_run(&machine.frames, 0, first, 512), FRAMES_ERR_FOREIGN);
    assert_true(paddr_is_none(none));
    struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.count, 1);
    expect_leak(&leaks, 0, 3, line, __func__);
    TRACKED_END(machine);
}

TEST("track: a frame that is allocated again has the place that allocated it last") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    paddr_t first;
    ALLOC_RUN(machine, 3, first);
    assert_int_equal(frames_free_run(&machine.frames, 0, first, 3), FRAMES_OK);
    assert_int_equal(frames_alloc_at(&machine.frames, 0, first, 2), FRAMES_OK);
    struct leaks leaks = leaks_since(&machine, FRAMES_MOMENT_START);
    assert_int_equal(leaks.count, 1);
    expect_leak(&leaks, 0, 2, __LINE__ - 3, __func__);
    TRACKED_END(machine);
}

// --- Marks ---

TEST("track: a mark tells what was allocated after it from what was before") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    paddr_t before, between, after;
    ALLOC_RUN(machine, 3, before);
    struct frames_moment first = frames_track_moment(&machine.frames);
    assert_int_equal(frames_leaks_since(&machine.frames, first, NULL, NULL), 0);
    ALLOC_RUN(machine, 5, between);
    unsigned line = __LINE__ - 1;
    struct frames_moment second = frames_track_moment(&machine.frames);
    ALLOC(machine, after);
    struct leaks leaks = leaks_since(&machine, first);
    assert_int_equal(leaks.count, 2);
    expect_leak(&leaks, 0, 5, line, __func__);
    expect_leak(&leaks, 1, 1, line + 3, __func__);
    leaks = leaks_since(&machine, second);
    assert_int_equal(leaks.count, 1);
    expect_leak(&leaks, 0, 1, line + 3, __func__);
    // What goes of the old does not hide what stays of the new.
    assert_int_equal(frames_free_run(&machine.frames, 0, before, 3), FRAMES_OK);
    assert_int_equal(frames_free_run(&machine.frames, 0, between, 5), FRAMES_OK);
    assert_int_equal(leaks_since(&machine, first).frames, 1);
    assert_int_equal(frames_free(&machine.frames, 0, after), FRAMES_OK);
    assert_int_equal(leaks_since(&machine, first).frames, 0);
    TRACKED_END(machine);
}

TEST("track: after the last moment too much seems allocated, never too little") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    struct frames_moment moment = FRAMES_MOMENT_START;
    paddr_t frame;
    for (uint32_t i = 1; i < FRAMES_MOMENTS_MAX; i++) {
        moment = frames_track_moment(&machine.frames);
        assert_int_equal(moment.index, i);
    }
    ALLOC(machine, frame);
    for (unsigned i = 0; i < 3; i++) {
        moment = frames_track_moment(&machine.frames);
        assert_int_equal(leaks_since(&machine, moment).frames, i);
        ALLOC(machine, frame);
        assert_int_equal(leaks_since(&machine, moment).frames, i + 1);
    }
    TRACKED_END(machine);
}

// --- Printing ---

TEST("track: the list for people has a line for each place and the sum") {
    TRACKED_MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    static struct frames_place places[] = {
        {.file = "kernel/memory/kernel_space.c", .function = "space_make", .line = 41},
        {.file = "kernel/cpus/stacks.c", .function = "stacks_add", .line = 9}};
    struct frames_request request = {.count = 300};
    paddr_t frame;
    char text[400];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    assert_int_equal(frames_alloc_from(&places[0], &machine.frames, 0, FRAMES_ANY, &frame),
                     FRAMES_OK);
    struct frames_moment moment = frames_track_moment(&machine.frames);
    assert_int_equal(frames_alloc_run_from(&places[1], &machine.frames, 0, &request, &frame),
                     FRAMES_OK);
    frames_leaks_print(&machine.frames, FRAMES_MOMENT_START, &sink);
    assert_string_equal(
        text, "     300 frames,       1200 KiB: kernel/cpus/stacks.c:9 stacks_add\n"
              "       1 frames,          4 KiB: kernel/memory/kernel_space.c:41 space_make\n"
              "     301 frames,       1204 KiB still allocated\n");
    buffer = fmt_buffer_make(text, sizeof(text));
    frames_leaks_print(&machine.frames, moment, &sink);
    assert_string_equal(text, "     300 frames,       1200 KiB: kernel/cpus/stacks.c:9 stacks_add\n"
                              "     300 frames,       1200 KiB still allocated\n");
    TRACKED_END(machine);
}
