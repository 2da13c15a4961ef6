#include "kernel/selftest/spaces_order.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/counted.h"
#include "kernel/memory/shootdown.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/user.h"

#include <stdbool.h>
#include <stddef.h>

#define PAGE FRAME_BYTES

enum {
    CHANGES = 0,      // the CPU that changes a page
    HOLDS = 1,        // the one that remembers it, and keeps interrupts off
    FOLLOWS = 2,      // the one that makes the next step
    BEGIN_US = 20000, // the most that the CPU that holds waits until both steps have begun
    HOLD_US = 1000,   // from then on
    LEAD_US = 300,    // that the change has before the next step
    LATE = 77,        // what the CPU that holds writes in the end
};

// One case. Both steps are made in the space; null: there is none.
struct order {
    const char *what;
    bool is_written; // by the CPU that holds, before; else it has read the page
    bool is_cloned;  // the space has a child before
    enum user_space_status (*change)(void);
    enum user_space_status (*follow)(void);
};

static const struct order *order;
static struct user_space *space, *child;
static paddr_t frame; // of the page, before
static volatile bool holds, begins_to_change, begins_to_follow, has_changed, has_followed;
static volatile bool was_changed, was_followed, was_owned; // when the CPU held no longer
static enum user_space_status statuses[2];

// ---- Steps

static enum user_space_status unmap(void) {
    return user_space_unmap(space, vaddr(USER_SMALL), PAGE);
}

static enum user_space_status write_page(void) {
    return user_write(space, USER_SMALL, this_cpu());
}

static enum user_space_status clone(void) {
    return user_space_clone(space, &child);
}

static enum user_space_status forbid_writes(void) {
    return user_space_protect(space, vaddr(USER_SMALL), PAGE, USER_READ);
}

static const struct order orders[] = {
    {"a frame has its owner until all have forgotten it", true, false, unmap, NULL},
    {"a copy is not written while the old page is read", false, true, write_page, write_page},
    {"a page that was cloned is not copied while it is written", true, false, clone, write_page},
    {"a page that was protected is not cloned while it is written", true, false, forbid_writes,
     clone},
};

// ---- CPUs

static bool is_alone(void) {
    bool is_alone;
    (void)counted_alike(frame, PAGE, &is_alone);
    return is_alone;
}

static bool have_begun(void) {
    bool is_followed = order->follow != NULL && cpus_started() > FOLLOWS;
    return begins_to_change && (begins_to_follow || !is_followed);
}

// Serves nobody until it has held for long enough. What has happened by then came too early.
static void hold(void) {
    uint64_t value;
    enum user_space_status status = order->is_written ? user_write(space, USER_SMALL, HOLDS)
                                                      : user_read(space, USER_SMALL, &value);
    uint64_t limit = clock_after(BEGIN_US);
    holds = status == USER_SPACE_OK;
    while (!have_begun() && !clock_reached(limit))
        cpu_pause();
    uint64_t end = clock_after(HOLD_US);
    while (!clock_reached(end))
        cpu_pause();
    if (order->is_written) // by what it remembers
        (void)user_write(space, USER_SMALL + 8, LATE);
    was_owned = is_alone();
    was_changed = has_changed;
    was_followed = has_followed;
}

static void change(void) {
    while (!holds)
        shootdown_serve();
    begins_to_change = true;
    statuses[0] = order->change();
    has_changed = true;
}

static void follow(void) {
    if (order->follow == NULL)
        return;
    while (!begins_to_change)
        shootdown_serve();
    uint64_t start = clock_after(LEAD_US);
    while (!clock_reached(start))
        shootdown_serve();
    begins_to_follow = true;
    statuses[1] = order->follow();
    has_followed = true;
}

static void work_here(void *argument) {
    static void (*const works[])(void) = {[CHANGES] = change, [HOLDS] = hold, [FOLLOWS] = follow};
    (void)argument;
    if (this_cpu() >= ARRAY_LEN(works))
        return;
    user_space_load(space);
    works[this_cpu()]();
    user_space_load(NULL);
}

static void run(void) {
    space = user_begin();
    child = NULL;
    user_map(space, USER_SMALL, PAGE, USER_WRITE);
    user_set(space, USER_SMALL, 0);
    frame = user_leaf(space, USER_SMALL).phys;
    struct user_space *other = order->is_cloned ? user_clone(space) : NULL;
    user_space_load(NULL);
    holds = begins_to_change = begins_to_follow = has_changed = has_followed = false;
    statuses[0] = statuses[1] = USER_SPACE_OK;
    cpus_run(work_here, NULL);
    for (unsigned i = 0; i < 2; i++)
        check_space(statuses[i], USER_SPACE_OK, order->what);
    check(!was_changed, order->what);
    check(!was_followed || order->change == clone, order->what); // a write before it needs no fault
    check(was_owned || order->change != unmap, order->what);
    if (order->change == clone) {
        user_space_load(space);
        check(user_value(space, USER_SMALL + 8) == LATE, order->what);
        user_space_load(NULL);
    }
    user_space_destroy(other);
    user_space_destroy(child);
    user_space_destroy(space);
}

void selftest_spaces_order(void) {
    for (unsigned i = 0; i < ARRAY_LEN(orders) && cpus_started() > HOLDS; i++) {
        order = &orders[i];
        run();
    }
}
