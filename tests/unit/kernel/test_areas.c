#include "kernel/process/areas.h"

#include "common/base/arith.h"

#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#define PAGE UINT64_C(4096)

enum { PAGES = 40, AREAS = PAGES, STEPS = 400 };

// What each page is, as plainly as can be: a number for its kind, rights and object, 0 for none,
// and where in the object it is.
struct model {
    unsigned tag[PAGES];
    uint64_t offset[PAGES];
};

static struct shared *object_of(unsigned tag) {
    return tag % 4 < 2 ? NULL : (struct shared *)(uintptr_t)(tag % 4);
}

static struct area area_of(unsigned tag, uint64_t first, uint64_t count, uint64_t offset) {
    return (struct area){
        .start = first * PAGE,
        .end = (first + count) * PAGE,
        .kind = object_of(tag) != NULL ? USER_AREA_SHARED : USER_AREA_ANONYMOUS,
        .rights = tag,
        .shared = object_of(tag),
        .offset = object_of(tag) != NULL ? offset : 0,
    };
}

static void assert_same_area(const struct area *area, const struct model *model, uint64_t page) {
    if (model->tag[page] == 0) {
        assert_null(area);
        return;
    }
    struct area expected = area_of(model->tag[page], page, 1, model->offset[page]);
    assert_non_null(area);
    assert_true(area->start <= expected.start && area->end >= expected.end);
    assert_int_equal(area->kind, expected.kind);
    assert_int_equal(area->rights, expected.rights);
    assert_ptr_equal(area->shared, expected.shared);
    if (area->shared != NULL)
        assert_int_equal(area->offset + (expected.start - area->start), expected.offset);
    else
        assert_int_equal(area->offset, 0);
}

// Every page, the order of the array, and each answer for a random range.
static void assert_same(const struct areas *areas, const struct model *model,
                        struct random *random) {
    for (uint32_t i = 0; i < areas->count; i++) {
        assert_true(areas->list[i].start < areas->list[i].end);
        assert_true(i == 0 || areas->list[i - 1].end <= areas->list[i].start);
    }
    for (uint64_t page = 0; page < PAGES; page++) {
        uint64_t address = page * PAGE + random_below(random, PAGE);
        uint32_t index = areas_from(areas, address);
        assert_same_area(areas_find(areas, address), model, page);
        assert_true(index == areas->count || areas->list[index].end > address);
        assert_true(index == 0 || areas->list[index - 1].end <= address);
    }
    uint64_t first = random_below(random, PAGES);
    uint64_t count = 1 + random_below(random, PAGES - first);
    uint64_t taken = 0;
    for (uint64_t page = first; page < first + count; page++)
        taken += model->tag[page] != 0;
    uint64_t end = (first + count) * PAGE;
    assert_int_equal(areas_are_absent(areas, first * PAGE, end), taken == 0);
    assert_int_equal(areas_are_whole(areas, first * PAGE, end), taken == count);
}

static void insert(struct areas *areas, struct model *model, struct random *random) {
    uint64_t first = random_below(random, PAGES);
    uint64_t count = 1 + random_below(random, min_u64(8, PAGES - first));
    if (!areas_are_absent(areas, first * PAGE, (first + count) * PAGE))
        return;
    unsigned tag = 1 + (unsigned)random_below(random, 7);
    struct area area = area_of(tag, first, count, random_below(random, 4) * PAGE);
    assert_true(areas_have_room(areas, 1));
    areas_insert(areas, &area);
    for (uint64_t i = 0; i < count; i++) {
        model->tag[first + i] = tag;
        model->offset[first + i] = area.offset + i * PAGE;
    }
}

static void cut(struct areas *areas, const struct model *model, struct random *random) {
    uint64_t page = random_below(random, PAGES);
    const struct area *before = areas_find(areas, page * PAGE);
    bool is_inside = before != NULL && before->start != page * PAGE;
    uint32_t count = areas->count;
    const struct area *second = areas_cut(areas, page * PAGE);
    assert_int_equal(second != NULL, is_inside);
    assert_int_equal(areas->count, count + is_inside);
    if (second != NULL) {
        assert_int_equal(second->start, page * PAGE);
        assert_same_area(second, model, page);
    }
}

static void remove_some(struct areas *areas, struct model *model, struct random *random) {
    if (areas->count == 0)
        return;
    uint32_t index = (uint32_t)random_below(random, areas->count);
    uint32_t count = (uint32_t)random_below(random, min_u64(3, areas->count - index + 1));
    for (uint32_t i = index; i < index + count; i++) {
        for (uint64_t at = areas->list[i].start; at < areas->list[i].end; at += PAGE)
            model->tag[at / PAGE] = 0;
    }
    areas_remove(areas, index, count);
}

static void join(struct areas *areas, const struct model *model, struct random *random) {
    uint32_t index = (uint32_t)random_below(random, AREAS);
    uint32_t count = areas->count;
    bool is_alike = false;
    if (index + 1 < count && areas->list[index].end == areas->list[index + 1].start) {
        uint64_t last = areas->list[index].end / PAGE - 1;
        is_alike = model->tag[last] == model->tag[last + 1] &&
                   (object_of(model->tag[last]) == NULL ||
                    model->offset[last] + PAGE == model->offset[last + 1]);
    }
    assert_int_equal(areas_join(areas, index), is_alike);
    assert_int_equal(areas->count, count - is_alike);
}

TEST("areas: any order of changes leaves what a page by page model has") {
    struct random random = random_start("areas");
    struct area list[2][AREAS + 1];
    struct areas areas = {.list = NULL};
    struct model model = {{0}, {0}};
    assert_false(areas_have_room(&areas, 1));
    assert_null(areas_move(&areas, list[0], AREAS));
    for (unsigned step = 0; step < STEPS; step++) {
        switch (random_below(&random, 5)) {
        case 0:
        case 1:
            insert(&areas, &model, &random);
            break;
        case 2:
            cut(&areas, &model, &random);
            break;
        case 3:
            remove_some(&areas, &model, &random);
            break;
        default:
            join(&areas, &model, &random);
        }
        assert_same(&areas, &model, &random);
    }
    assert_ptr_equal(areas_move(&areas, list[1], AREAS + 1), list[0]);
    assert_int_equal(areas.capacity, AREAS + 1);
    assert_same(&areas, &model, &random);
}

TEST("areas: two that become one are as idle as the less idle of them") {
    for (unsigned more = 0; more < 2; more++) {
        struct area list[2] = {area_of(1, 0, 1, 0), area_of(1, 1, 1, 0)};
        list[more].idle_harvests = 5;
        list[1 - more].idle_harvests = 3;
        struct areas areas = {.list = list, .count = 2, .capacity = 2};
        assert_true(areas_join(&areas, 0));
        assert_int_equal(areas.count, 1);
        assert_int_equal(list[0].end, 2 * PAGE);
        assert_int_equal(list[0].idle_harvests, 3);
    }
}
