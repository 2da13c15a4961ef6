// Places of image and direct map, against a list of them that is made by trying every multiple of
// the step.
#include "loader/places.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "loader/drbg.h"
#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum { LIST_MAX = 4096 };

static bool meets(uint64_t start, uint64_t bytes, const struct plan_range *range) {
    return start < range->end && range->start < start + bytes;
}

// Whether something of so many bytes may lie there.
static bool is_place(const struct places *places, uint64_t at) {
    bool is_free = at >= places->start && at < places->end && places->end - at >= places->bytes;
    return is_free && !meets(at, places->bytes, &places->taken);
}

static uint64_t list[LIST_MAX];

static uint64_t list_all(const struct places *places) {
    uint64_t count = 0;
    for (uint64_t at = 0; at < places->end; at += places->step) {
        if (!is_place(places, at))
            continue;
        assert_true(count < LIST_MAX);
        list[count++] = at;
    }
    return count;
}

static void assert_listed(const struct places *places) {
    uint64_t count = list_all(places);
    assert_int_equal(places_count(places), count);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(places_at(places, i), list[i]);
}

TEST("places: all zero there are none") {
    const struct places none = {0};
    assert_int_equal(places_count(&none), 0);
}

TEST("places: any range, step, size and taken range give the places of a list") {
    struct random random = random_start("places");
    for (unsigned i = 0; i < 100000; i++) {
        struct places places = {
            .start = random_below(&random, 100),
            .step = UINT64_C(1) << random_below(&random, 6),
            .bytes = 1 + random_below(&random, 60),
        };
        places.end = places.start + random_below(&random, 200);
        uint64_t start = random_below(&random, 320);
        places.taken = (struct plan_range){start, start + random_below(&random, 100)};
        assert_listed(&places);
    }
}

TEST("places: none wraps at the end of the addresses") {
    const struct places places = {
        .start = UINT64_MAX - GIB(3), .end = UINT64_MAX, .step = GIB(1), .bytes = GIB(1) - 1};
    assert_int_equal(places_count(&places), 3);
    assert_int_equal(places_at(&places, 0), UINT64_C(0) - GIB(3));
    assert_int_equal(places_at(&places, 2), UINT64_C(0) - GIB(1));
    const struct places larger = {
        .start = UINT64_MAX - 5, .end = UINT64_MAX, .step = GIB(1), .bytes = 1};
    assert_int_equal(places_count(&larger), 0);
}

// ---- The image

static struct elf_image image_of(uint64_t start, uint64_t bytes, uint64_t align) {
    return (struct elf_image){.type = ELF_TYPE_DYN,
                              .virt_start = start,
                              .virt_end = start + bytes,
                              .align = align,
                              .dynamic_bytes = 16};
}

TEST("places: of an image there are 512 in steps of 2 MiB, and fewer of a large one") {
    const uint64_t base = SLIPWAY_KERNEL_DEFAULT;
    struct elf_image image = image_of(base, 0x5000, FRAME_BYTES);
    struct places places = places_of_image(&image);
    assert_int_equal(places_count(&places), 512);
    assert_int_equal(places_at(&places, 0), base);
    assert_int_equal(places_at(&places, 1), base + MIB(2));
    assert_int_equal(places_at(&places, 511), base + GIB(1) - MIB(2));
    // The last one ends where the highest image may.
    image.virt_end = base + GIB(1) + MIB(2) - FRAME_BYTES;
    places = places_of_image(&image);
    assert_int_equal(places_count(&places), 512);
    image.virt_end += FRAME_BYTES;
    places = places_of_image(&image);
    assert_int_equal(places_count(&places), 511);
    image.virt_end = SLIPWAY_KERNEL_MAX;
    places = places_of_image(&image);
    assert_int_equal(places_count(&places), 1);
    image = image_of(SLIPWAY_KERNEL_MIN, GIB(4), FRAME_BYTES); // no larger one fits either
    places = places_of_image(&image);
    assert_int_equal(places_count(&places), 0);
}

TEST("places: an image keeps its alignment, and its offset from a multiple of it") {
    struct random random = random_start("places of images");
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t align = FRAME_BYTES << random_below(&random, 19);
        uint64_t bytes = FRAME_BYTES * (1 + random_below(&random, UINT64_C(1) << 19));
        uint64_t start = SLIPWAY_KERNEL_MIN + FRAME_BYTES * random_below(&random, 1 << 30);
        struct elf_image image = image_of(start, bytes, align);
        struct places places = places_of_image(&image);
        uint64_t step = max_u64(align, MIB(2)), count = places_count(&places), found = 0;
        uint64_t base = places_image_base(&image);
        assert_true(base <= start && start - base < step && is_aligned(base, step));
        for (uint64_t at = SLIPWAY_KERNEL_DEFAULT; at - SLIPWAY_KERNEL_DEFAULT < GIB(1);
             at += step) {
            uint64_t virt = start + (at - base);
            if (virt >= SLIPWAY_KERNEL_MAX || bytes > SLIPWAY_KERNEL_MAX - virt)
                continue;
            assert_int_equal(places_at(&places, found), at);
            found++;
        }
        assert_int_equal(count, found);
    }
}

TEST("places: an image keeps the alignment of its thread-local template, if that has bytes") {
    struct elf_image image = image_of(SLIPWAY_KERNEL_DEFAULT, 0x5000, FRAME_BYTES);
    image.tls = (struct elf_tls){SLIPWAY_KERNEL_DEFAULT, 8, 16, MIB(64)};
    struct places places = places_of_image(&image);
    assert_int_equal(places_count(&places), 16);
    assert_int_equal(places_at(&places, 15), SLIPWAY_KERNEL_DEFAULT + GIB(1) - MIB(64));
    image.tls = (struct elf_tls){0, 0, 16, MIB(64)};
    places = places_of_image(&image);
    assert_int_equal(places_count(&places), 512);
}

TEST("places: an image moves if it is ET_DYN and says what is to be relocated") {
    struct elf_image image = image_of(SLIPWAY_KERNEL_DEFAULT, 0x5000, FRAME_BYTES);
    assert_true(places_image_moves(&image));
    image.dynamic_bytes = 0;
    assert_false(places_image_moves(&image));
    image.dynamic_bytes = 16;
    image.type = ELF_TYPE_EXEC;
    assert_false(places_image_moves(&image));
}

// ---- The direct map

static struct plan_input plan_of(const struct elf_image *image) {
    return (struct plan_input){.elf = image, .window_base = plan_choose_window(image)};
}

TEST("places: a direct map of 2 GiB has 65535 places of a GiB, with 5 levels all that they add") {
    struct elf_image image = image_of(SLIPWAY_KERNEL_DEFAULT, 0x5000, FRAME_BYTES);
    struct plan_input plan = plan_of(&image);
    struct places places = places_of_direct_map(&plan, GIB(2), 4, PLACES_DIRECT_FINE);
    assert_int_equal(places_count(&places), 65535);
    assert_int_equal(places_at(&places, 0), SLIPWAY_HHDM_BASE);
    assert_int_equal(places_at(&places, 65534), SLIPWAY_WINDOW_BASE - GIB(2));
    places = places_of_direct_map(&plan, GIB(2), 5, PLACES_DIRECT_FINE);
    assert_int_equal(places_count(&places),
                     (SLIPWAY_WINDOW_BASE - UPPER_HALF_5LEVELS) / GIB(1) - 1);
    assert_int_equal(places_at(&places, 0), UPPER_HALF_5LEVELS);
    for (unsigned levels = 4; levels <= 5; levels++) {
        places = places_of_direct_map(&plan, GIB(2), levels, PLACES_DIRECT_COARSE);
        assert_int_equal(places_count(&places), 128);
        assert_int_equal(places_at(&places, 0), SLIPWAY_HHDM_BASE);
        assert_int_equal(places_at(&places, 127), SLIPWAY_WINDOW_BASE - GIB(512));
    }
    places = places_of_direct_map(&plan, SLIPWAY_HHDM_MAX_BYTES, 4, PLACES_DIRECT_FINE);
    assert_int_equal(places_count(&places), 1);
    places = places_of_direct_map(&plan, SLIPWAY_HHDM_MAX_BYTES + 1, 4, PLACES_DIRECT_FINE);
    assert_int_equal(places_count(&places), 0);
}

// Every one of them, for images and windows anywhere, is what the planner calls free, if it is
// asked; and none that it calls free is missing.
TEST("places: those of a direct map are the ones that the planner would take as a wish") {
    struct random random = random_start("places of direct maps");
    for (unsigned i = 0; i < 400; i++) {
        uint64_t unit = random_below(&random, 2) ? GIB(1) : TIB(1);
        uint64_t span = random_below(&random, 3) == 0 ? TIB(80) : TIB(20);
        uint64_t start = SLIPWAY_KERNEL_MIN + FRAME_BYTES * random_below(&random, span >> 12);
        uint64_t image_bytes = FRAME_BYTES + random_below(&random, 8) * unit;
        struct elf_image image = image_of(start, min_u64(image_bytes, TIB(8)), FRAME_BYTES);
        struct plan_input plan = plan_of(&image);
        uint64_t bytes = 1 + random_below(&random, TIB(64));
        const struct places places = places_of_direct_map(&plan, bytes, 4, PLACES_DIRECT_COARSE);
        uint64_t found = 0;
        for (uint64_t at = SLIPWAY_HHDM_BASE; at < SLIPWAY_WINDOW_BASE; at += SLIPWAY_HHDM_ALIGN) {
            bool is_free = plan_choose_direct_map(&plan, at, bytes, 4) == at;
            if (!is_free || bytes > SLIPWAY_WINDOW_BASE - at)
                continue;
            assert_int_equal(places_at(&places, found), at);
            found++;
        }
        assert_int_equal(places_count(&places), found);
        const struct places fine = places_of_direct_map(&plan, bytes, 4, PLACES_DIRECT_FINE);
        uint64_t count = places_count(&fine), last = 0;
        for (uint64_t index = 0; index < count; index += 1 + count / 64) {
            uint64_t at = places_at(&fine, index);
            assert_int_equal(plan_choose_direct_map(&plan, at, bytes, 4), at);
            assert_true(at > last && is_aligned(at, GIB(1)));
            last = at;
        }
    }
}

TEST("places: drawn at random, all are met, the first and the last too") {
    struct elf_image image = image_of(SLIPWAY_KERNEL_DEFAULT, MIB(5), FRAME_BYTES);
    const struct places places = places_of_image(&image);
    uint64_t count = places_count(&places), left = count;
    static bool is_met[512];
    struct drbg drbg;
    drbg_begin(&drbg, "places", 6);
    for (unsigned draw = 0; draw < 512 * 20; draw++) {
        uint64_t at = places_at(&places, drbg_below(&drbg, count)) - SLIPWAY_KERNEL_DEFAULT;
        left -= is_met[at / MIB(2)] ? 0 : 1;
        is_met[at / MIB(2)] = true;
    }
    assert_int_equal(left, 0);
}
