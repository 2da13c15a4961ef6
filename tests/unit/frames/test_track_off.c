// Without the option tracking is not there at all.
#undef FRAMES_TRACKING
#include "common/frames/track.h"

#include "tests/unit/support/test.h"

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

TEST("track: without the option the calls are the allocator's, and not even an argument is added") {
    expect_text(TEXT_OF(frames_alloc(f, c, z, r)), "frames_alloc(f,c,z,r)");
    expect_text(TEXT_OF(frames_alloc_run(f, c, q, r)), "frames_alloc_run(f,c,q,r)");
    expect_text(TEXT_OF(frames_alloc_at(f, c, a, n)), "frames_alloc_at(f,c,a,n)");
    expect_text(TEXT_OF(frames_free(f, c, a)), "frames_free(f,c,a)");
    expect_text(TEXT_OF(frames_free_run(f, c, a, n)), "frames_free_run(f,c,a,n)");
    expect_text(TEXT_OF(frames_owners_alloc(o, c, z, r)), "frames_owners_alloc(o,c,z,r)");
    expect_text(TEXT_OF(frames_owners_alloc_run(o, c, q, r)), "frames_owners_alloc_run(o,c,q,r)");
    expect_text(TEXT_OF(frames_owners_put(o, c, a, r)), "frames_owners_put(o,c,a,r)");
}

TEST("track: without the option a function that allocates for others has no more to pass on") {
    expect_text(TEXT_OF(take_from(FRAMES_PLACE_PARAMETER int n)), "take_from(intn)");
    expect_text(TEXT_OF(take_from(FRAMES_PLACE_HERE 1)), "take_from(1)");
    expect_text(TEXT_OF(frames_alloc_from(FRAMES_PLACE_ARGUMENT f, c, z, r)),
                "frames_alloc(f,c,z,r)");
    expect_text(TEXT_OF(frames_alloc_run_from(FRAMES_PLACE_ARGUMENT f, c, q, r)),
                "frames_alloc_run(f,c,q,r)");
    expect_text(TEXT_OF(frames_alloc_at_from(FRAMES_PLACE_ARGUMENT f, c, a, n)),
                "frames_alloc_at(f,c,a,n)");
    expect_text(TEXT_OF(frames_owners_alloc_from(FRAMES_PLACE_ARGUMENT o, c, z, r)),
                "frames_owners_alloc(o,c,z,r)");
    expect_text(TEXT_OF(frames_owners_alloc_run_from(FRAMES_PLACE_ARGUMENT o, c, q, r)),
                "frames_owners_alloc_run(o,c,q,r)");
}
