#include "kernel/selftest/spaces_memory.h"

#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "kernel/base/panic.h"
#include "kernel/memory/counted.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/memory.h"
#include "kernel/process/supply.h"
#include "kernel/process/survey.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/user.h"

#include <stddef.h>

#define PAGE FRAME_BYTES
#define FAR  UINT64_C(0x7000000000) // where there are no page tables

enum { REQUESTS_MAX = 100, AREAS = 8 };

// What each call starts from: a parent with a child, so that its memory is shared; small and large
// pages; and as many areas as there is room for.
static struct user_space *parent, *child;
static struct shared *object;

static void prepare(void) {
    parent = user_begin();
    user_map(parent, USER_SMALL, 4 * PAGE, USER_WRITE);
    user_map(parent, USER_LARGE, 3 * BLOCK_BYTES, USER_WRITE);
    for (unsigned i = 2; i < AREAS; i++)
        user_map(parent, USER_SMALL + i * MIB(4), PAGE, USER_READ);
    user_set(parent, USER_SMALL, 1);
    user_set(parent, USER_LARGE, 2);
    user_set(parent, USER_LARGE + BLOCK_BYTES, 3);
    child = user_clone(parent);
    check_space(shared_create(2 * PAGE, &object), USER_SPACE_OK, "an object");
}

// The contents are as they were, in both.
static void check_contents(void) {
    struct user_space *const spaces[] = {parent, child};
    for (unsigned i = 0; i < ARRAY_LEN(spaces); i++) {
        user_space_load(spaces[i]);
        check(user_value(spaces[i], USER_SMALL) == 1 && user_value(spaces[i], USER_LARGE) == 2 &&
                  user_value(spaces[i], USER_LARGE + BLOCK_BYTES) == 3,
              "a call without memory changes no contents");
    }
    user_space_load(parent);
}

static void end(void) {
    user_space_destroy(child);
    shared_put(object);
    user_end(parent);
}

// ---- The calls

static enum user_space_status create(void) {
    struct user_space *space = NULL;
    enum user_space_status status = user_space_create(&space);
    check((status == USER_SPACE_OK) == (space != NULL), "a space that was made, or none");
    user_space_destroy(space);
    return status;
}

static enum user_space_status clone(void) {
    struct user_space *space = NULL;
    enum user_space_status status = user_space_clone(parent, &space);
    check((status == USER_SPACE_OK) == (space != NULL), "a child that was made, or none");
    user_space_destroy(space);
    return status;
}

static enum user_space_status make_object(void) {
    struct shared *shared = NULL;
    enum user_space_status status = shared_create(3 * PAGE, &shared);
    check((status == USER_SPACE_OK) == (shared != NULL), "an object that was made, or none");
    shared_put(shared);
    return status;
}

static enum user_space_status map(void) {
    return user_space_map(parent, vaddr(FAR), PAGE, USER_READ, USER_AREA_ANONYMOUS);
}

static enum user_space_status share(void) {
    return user_space_share(parent, vaddr(FAR), 2 * PAGE, USER_WRITE, object);
}

// Both ends of the range are inside of large pages.
static enum user_space_status unmap(void) {
    return user_space_unmap(parent, vaddr(USER_LARGE + PAGE), BLOCK_BYTES);
}

static enum user_space_status protect(void) {
    return user_space_protect(parent, vaddr(USER_LARGE + PAGE), BLOCK_BYTES, USER_READ);
}

static enum user_space_status touch_small(void) {
    return user_space_fault(parent, USER_SMALL + 2 * MIB(4), 0);
}

static enum user_space_status touch_large(void) {
    return user_space_fault(parent, USER_LARGE + 2 * BLOCK_BYTES, PF_WRITE);
}

static enum user_space_status write_small(void) {
    return user_space_fault(parent, USER_SMALL, PF_WRITE);
}

static enum user_space_status write_large(void) {
    return user_space_fault(parent, USER_LARGE, PF_WRITE);
}

static enum user_space_status touch_shared(void) {
    return user_space_fault(parent, FAR + PAGE, PF_WRITE);
}

static const struct call {
    const char *name;
    enum user_space_status (*run)(void);
    enum user_space_status (*first)(void); // with memory; or null
    unsigned requests;                     // that it makes at least
} calls[] = {
    {"create", create, NULL, 2},
    {"clone", clone, NULL, 4},
    {"object", make_object, NULL, 4},
    {"map", map, NULL, 1},
    {"share", share, NULL, 1},
    {"unmap", unmap, NULL, 3},
    {"protect", protect, NULL, 3},
    {"touch a small page", touch_small, NULL, 2},
    {"touch a large page", touch_large, NULL, 1},
    {"write a shared small page", write_small, NULL, 1},
    {"write a shared large page", write_large, NULL, 2},
    {"touch an object", touch_shared, share, 1},
};

// ---- Refusals

// What a call that fails leaves as it is. Large pages may have been split.
struct state {
    uint64_t areas, area_bytes, bytes, shared_bytes;
};

static struct state state_of(struct user_space *space) {
    struct user_space_facts facts;
    check(user_space_next(user_space_id(space) - 1, &facts), "a space is there");
    return (struct state){facts.areas, facts.area_bytes, facts.memory.bytes,
                          facts.memory.shared_bytes};
}

static bool is_same(struct state left, struct state right) {
    return left.areas == right.areas && left.area_bytes == right.area_bytes &&
           left.bytes == right.bytes && left.shared_bytes == right.shared_bytes;
}

// Refuses request number `number`. True if the call made that many.
static bool refuse(const struct call *call, unsigned number) {
    prepare();
    if (call->first != NULL)
        check_space(call->first(), USER_SPACE_OK, "what a call needs first");
    struct state before[] = {state_of(parent), state_of(child)};
    supply_refuse(number);
    enum user_space_status status = call->run();
    bool was_refused = supply_has_refused();
    supply_refuse(UINT64_MAX);
    if (status != USER_SPACE_OK && status != USER_SPACE_ERR_NO_MEMORY)
        panic("%s, with request %u refused: %s", call->name, number,
              user_space_status_text(status));
    check(was_refused || status == USER_SPACE_OK, "a call that gets all it asks for succeeds");
    if (status != USER_SPACE_OK) {
        check(is_same(before[0], state_of(parent)) && is_same(before[1], state_of(child)),
              "a call without memory changes nothing");
        check_space(call->run(), USER_SPACE_OK, "and with memory it succeeds");
    }
    if (call->run != unmap)
        check_contents();
    end();
    return was_refused;
}

// The heap may keep frames for objects to come.
static uint64_t free_frames(void) {
    return memory_free_frames() + heap_statistics().frames;
}

// One area in every second page, so that none is joined with another.
static void test_most_areas(void) {
    struct user_space *space = user_begin();
    struct user_space_facts facts;
    enum user_space_status status;
    uint64_t at = USER_LARGE;
    do {
        at += 2 * PAGE;
        status = user_space_map(space, vaddr(at), PAGE, VMEM_READ, USER_AREA_ANONYMOUS);
    } while (status == USER_SPACE_OK);
    check_space(status, USER_SPACE_ERR_NO_MEMORY, "an area too many");
    check(user_space_next(user_space_id(space) - 1, &facts) && facts.areas == USER_AREAS_MAX,
          "a space has the areas that it can have");
    check_space(user_space_unmap(space, vaddr(USER_LARGE + 2 * PAGE), PAGE), USER_SPACE_OK,
                "removing one of the most areas");
    check_space(user_space_map(space, vaddr(at), PAGE, VMEM_READ, USER_AREA_ANONYMOUS),
                USER_SPACE_OK, "and adding another");
    user_end(space);
}

void selftest_spaces_memory(void) {
    test_most_areas();
    for (unsigned i = 0; i < ARRAY_LEN(calls) && user_has_blocks(); i++) {
        unsigned number = 0;
        uint64_t free_before = free_frames();
        while (refuse(&calls[i], number)) {
            number++;
            check(number < REQUESTS_MAX, "a call makes few requests");
            check(free_frames() == free_before, "a call without memory loses none");
        }
        check(number >= calls[i].requests, "each request of a call was refused");
    }
}
