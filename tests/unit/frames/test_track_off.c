// Without the option tracking is not there at all.
#undef FRAMES_TRACKING
#include "common/frames/track.h"

#include "tests/unit/support/frames_owned.h"

#define TEXT_OF(...) TEXT(__VA_ARGS__)
#define TEXT(...)    #__VA_ARGS__

// Blanks aside, which say nothing.
static void expect_text(const char *text, const char *want) {
    char got[80];
    size_t used = 0;
    for (; *text != '\0' && used < sizeof(got) - 1; text++)
        if (*text != ' ')
            got[used++] = *text;
    got[used] = '\0';
    assert_string_equal(got, want);
}

TEST("track: without the option the calls are the allocator's, which no macro hides") {
    expect_text(TEXT_OF(frames_alloc(f, c, z, r)), "frames_alloc(f,c,z,r)");
    expect_text(TEXT_OF(frames_alloc_run(f, c, q, r)), "frames_alloc_run(f,c,q,r)");
    expect_text(TEXT_OF(frames_alloc_at(f, c, a, n)), "frames_alloc_at(f,c,a,n)");
    expect_text(TEXT_OF(frames_free(f, c, a)), "frames_free(f,c,a)");
    expect_text(TEXT_OF(frames_free_run(f, c, a, n)), "frames_free_run(f,c,a,n)");
    expect_text(TEXT_OF(frames_owners_alloc(o, c, z, r)), "frames_owners_alloc(o,c,z,r)");
    expect_text(TEXT_OF(frames_owners_alloc_run(o, c, q, r)), "frames_owners_alloc_run(o,c,q,r)");
    expect_text(TEXT_OF(frames_owners_put(o, c, a, r)), "frames_owners_put(o,c,a,r)");
}

TEST("track: without the option a place that is passed on changes nothing") {
    MACHINE(plain, 1, {MIB(4), MIB(8), USABLE, true});
    OWNED_MACHINE(passing, owners, {MIB(4), MIB(8), USABLE, true});
    struct frames_place *place = FRAMES_HERE;
    struct frames_request request = {.count = 3};
    paddr_t frame, run, want_frame, want_run;
    assert_int_equal(frames_alloc(&plain.frames, 0, FRAMES_ANY, &want_frame), FRAMES_OK);
    assert_int_equal(frames_alloc_from(place, &passing.frames, 0, FRAMES_ANY, &frame), FRAMES_OK);
    assert_int_equal(frames_alloc_run(&plain.frames, 0, &request, &want_run), FRAMES_OK);
    assert_int_equal(frames_alloc_run_from(place, &passing.frames, 0, &request, &run), FRAMES_OK);
    assert_int_equal(frames_alloc_at_from(place, &passing.frames, 0, paddr(MIB(6)), 2), FRAMES_OK);
    assert_int_equal(frame.value, want_frame.value);
    assert_int_equal(run.value, want_run.value);
    assert_int_equal(frames_owners_alloc_from(place, &owners, 0, FRAMES_ANY, &frame), FRAMES_OK);
    assert_int_equal(frames_owners_alloc_run_from(place, &owners, 0, &request, &run), FRAMES_OK);
    assert_int_equal(frames_owners_count(&owners, frame), 1);
    assert_int_equal(frames_owners_count(&owners, run), 1);
    assert_int_equal(statistics(&passing).used_frames, statistics(&plain).used_frames + 6);
    owners_end(&owners);
    machine_end(&plain);
    machine_end(&passing);
}
