#include "kernel/selftest/spaces.h"

#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "kernel/memory/counted.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/process/survey.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/user.h"
#include "kernel/stop/probe.h"

#include <stddef.h>

#define PAGE        FRAME_BYTES
#define ANONYMOUS   USER_AREA_ANONYMOUS
#define RET_FOREVER UINT64_C(0xc3c3c3c3c3c3c3c3) // a RET instruction at each byte

// ---- Errors

static uint64_t half_end(void) {
    return space_kernel()->levels == 5 ? UINT64_C(1) << 56 : UINT64_C(1) << 47;
}

// Ranges that no call takes.
static void test_ranges(struct user_space *space, struct shared *shared) {
    const struct {
        uint64_t start, bytes;
    } bad[] = {
        {USER_SMALL, 0},
        {USER_SMALL + 1, PAGE},
        {USER_SMALL, PAGE + 1},
        {0, PAGE},
        {half_end() - PAGE, PAGE},
        {half_end() - 2 * PAGE, 2 * PAGE},
        {half_end(), PAGE},
        {UINT64_MAX - PAGE + 1, 2 * PAGE},
        {USER_SMALL, UINT64_MAX - PAGE + 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        vaddr_t start = vaddr(bad[i].start);
        uint64_t bytes = bad[i].bytes;
        check_space(user_space_map(space, start, bytes, USER_READ, ANONYMOUS), USER_SPACE_ERR_RANGE,
                    "mapping a bad range");
        check_space(user_space_unmap(space, start, bytes), USER_SPACE_ERR_RANGE,
                    "unmapping a bad range");
        check_space(user_space_protect(space, start, bytes, USER_READ), USER_SPACE_ERR_RANGE,
                    "protecting a bad range");
        check_space(user_space_share(space, start, bytes, USER_READ, shared), USER_SPACE_ERR_RANGE,
                    "sharing a bad range");
    }
    user_map(space, PAGE, PAGE, USER_READ);
    user_map(space, half_end() - 2 * PAGE, PAGE, USER_READ);
}

// Rights that no area has, memory that is writable and executable above all.
static void test_rights(struct user_space *space, struct shared *shared) {
    static const unsigned bad[] = {VMEM_WRITE, VMEM_EXECUTE, VMEM_READ | VMEM_USER, 16,
                                   VMEM_READ | VMEM_WRITE | VMEM_EXECUTE};
    vaddr_t start = vaddr(USER_SMALL);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        check_space(user_space_map(space, start, PAGE, bad[i], ANONYMOUS), USER_SPACE_ERR_RIGHTS,
                    "mapping with bad rights");
        check_space(user_space_share(space, start, PAGE, bad[i], shared), USER_SPACE_ERR_RIGHTS,
                    "sharing with bad rights");
        check_space(user_space_protect(space, vaddr(PAGE), PAGE, bad[i]), USER_SPACE_ERR_RIGHTS,
                    "protecting with bad rights");
    }
    check_space(user_space_map(space, start, PAGE, USER_READ, USER_AREA_SHARED),
                USER_SPACE_ERR_RIGHTS, "mapping as shared what no object has");
}

static void test_errors(void) {
    struct user_space *space = user_begin();
    struct shared *shared = NULL;
    check_space(shared_create(0, &shared), USER_SPACE_ERR_RANGE, "an object of nothing");
    check_space(shared_create(PAGE + 8, &shared), USER_SPACE_ERR_RANGE, "an object of half a page");
    check(shared == NULL, "what fails leaves its result alone");
    check_space(shared_create(PAGE, &shared), USER_SPACE_OK, "an object of a page");
    test_ranges(space, shared);
    test_rights(space, shared);
    vaddr_t start = vaddr(USER_SMALL);
    check_space(user_space_share(space, start, 2 * PAGE, USER_READ, shared), USER_SPACE_ERR_RANGE,
                "sharing more than an object has");
    check_space(user_space_protect(space, start, PAGE, USER_READ), USER_SPACE_ERR_NONE,
                "protecting nothing");
    check_space(user_space_unmap(space, start, PAGE), USER_SPACE_OK, "unmapping nothing");
    user_map(space, USER_SMALL, PAGE, USER_READ);
    check_space(user_space_protect(space, start, 2 * PAGE, USER_READ), USER_SPACE_ERR_NONE,
                "protecting more than there is");
    check_space(user_space_map(space, vaddr(USER_SMALL - PAGE), 2 * PAGE, USER_READ, ANONYMOUS),
                USER_SPACE_ERR_TAKEN, "mapping over the start of an area");
    check_space(user_space_share(space, start, PAGE, USER_READ, shared), USER_SPACE_ERR_TAKEN,
                "sharing over an area");
    shared_put(shared);
    shared_put(NULL);
    user_space_destroy(NULL);
    user_end(space);
}

// ---- Memory on demand

static void test_demand(void) {
    struct user_space *space = user_begin();
    user_map(space, USER_SMALL, 4 * PAGE, USER_WRITE);
    check(!user_is_there(space, USER_SMALL), "an area has no memory at first");
    check(user_value(space, USER_SMALL + 8) == 0, "its memory is zeroed");
    user_set(space, USER_SMALL, 1);
    check(user_leaf(space, USER_SMALL).page == VMEM_4K, "a small area has small pages");
    check(!user_is_there(space, USER_SMALL + PAGE), "only the page that is touched comes");
    check_space(user_space_fault(space, USER_SMALL, PF_WRITE | PF_PRESENT), USER_SPACE_OK,
                "a fault that is over");
    user_end(space);
}

static void test_large_demand(void) {
    struct user_space *space = user_begin();
    user_map(space, USER_LARGE - PAGE, BLOCK_BYTES + PAGE, USER_WRITE);
    user_map(space, USER_LARGE + BLOCK_BYTES, BLOCK_BYTES - PAGE, USER_WRITE);
    user_set(space, USER_LARGE + 5 * PAGE, 2);
    check(user_leaf(space, USER_LARGE).page == VMEM_2M, "2 MiB of an area have a large page");
    check(user_value(space, USER_LARGE + BLOCK_BYTES - 8) == 0, "which is zeroed");
    user_set(space, USER_LARGE - PAGE, 3);
    user_set(space, USER_LARGE + BLOCK_BYTES, 4);
    check(user_leaf(space, USER_LARGE - PAGE).page == VMEM_4K &&
              user_leaf(space, USER_LARGE + BLOCK_BYTES).page == VMEM_4K,
          "what an area has less than 2 MiB of has small pages");
    user_map(space, USER_LARGE + 2 * BLOCK_BYTES - PAGE, PAGE, USER_WRITE);
    user_set(space, USER_LARGE + 2 * BLOCK_BYTES - PAGE, 5);
    check(user_leaf(space, USER_LARGE + 2 * BLOCK_BYTES - PAGE).page == VMEM_4K,
          "and so has what has small pages already");
    user_end(space);
}

// Frames come back to processes, but not what was in them.
static void test_old_contents(void) {
    for (unsigned round = 0; round < 2; round++) {
        struct user_space *space = user_begin();
        user_map(space, USER_SMALL, 16 * PAGE, USER_WRITE);
        user_map(space, USER_LARGE, BLOCK_BYTES, USER_WRITE);
        for (uint64_t at = 0; at < 16 * PAGE; at += PAGE)
            check(user_value(space, USER_SMALL + at + 8 * round) == 0, "no old contents in a page");
        for (uint64_t at = 0; at < BLOCK_BYTES; at += 16 * PAGE) {
            check(user_value(space, USER_LARGE + at) == 0, "no old contents in a large page");
            user_set(space, USER_LARGE + at, UINT64_MAX);
        }
        for (uint64_t at = 0; at < 16 * PAGE; at += 8)
            (void)user_write(space, USER_SMALL + at, UINT64_MAX);
        user_end(space);
    }
}

static void test_guard(void) {
    struct user_space *space = user_begin();
    uint64_t value = 7;
    check_space(user_space_map(space, vaddr(USER_SMALL), PAGE, USER_WRITE, USER_AREA_GUARD),
                USER_SPACE_OK, "a guard area");
    user_map(space, USER_SMALL + PAGE, 8 * PAGE, USER_WRITE);
    for (uint64_t top = 9 * PAGE; top != PAGE; top -= PAGE) // a stack that grows
        user_set(space, USER_SMALL + top - 8, top);
    check_space(user_write(space, USER_SMALL + PAGE - 8, 1), USER_SPACE_ERR_GUARD,
                "writing below a stack");
    check_space(user_read(space, USER_SMALL, &value), USER_SPACE_ERR_GUARD, "reading there");
    check(value == 7 && !user_is_there(space, USER_SMALL), "a guard never has memory");
    check_space(user_read(space, USER_SMALL - 8, &value), USER_SPACE_ERR_NONE, "reading nowhere");
    check(!user_space_allows(space, USER_SMALL, PAGE, VMEM_READ), "a guard allows nothing");
    user_end(space);
}

// ---- Rights

static bool executes(uint64_t address) {
    return probe_execute(address);
}

static void test_protect(void) {
    struct user_space *space = user_begin();
    uint64_t value;
    user_map(space, USER_SMALL, 3 * PAGE, USER_WRITE);
    for (unsigned i = 0; i < 3; i++)
        user_set(space, USER_SMALL + i * PAGE, RET_FOREVER);
    check(!executes(USER_SMALL), "writable memory does not execute");
    check_space(user_space_fault(space, USER_SMALL, PF_FETCH), USER_SPACE_ERR_RIGHTS,
                "executing writable memory");
    user_protect(space, USER_SMALL + PAGE, PAGE, USER_READ);
    check_space(user_write(space, USER_SMALL + PAGE, 1), USER_SPACE_ERR_RIGHTS,
                "writing memory that is read-only now");
    check(user_value(space, USER_SMALL + PAGE) == RET_FOREVER, "which keeps its contents");
    user_set(space, USER_SMALL, RET_FOREVER);
    user_set(space, USER_SMALL + 2 * PAGE, RET_FOREVER);
    user_protect(space, USER_SMALL + PAGE, PAGE, USER_EXECUTE);
    check((user_leaf(space, USER_SMALL + PAGE).rights & VMEM_EXECUTE) != 0, "it can execute now");
    check_space(user_space_fault(space, USER_SMALL + PAGE, PF_FETCH), USER_SPACE_OK,
                "a fetch that is allowed now");
    check_space(user_write(space, USER_SMALL + PAGE, 1), USER_SPACE_ERR_RIGHTS,
                "writing executable memory");
    user_protect(space, USER_SMALL, 3 * PAGE, 0);
    check((user_leaf(space, USER_SMALL).rights & VMEM_USER) == 0, "ring 3 has no right any more");
    check_space(user_space_fault(space, USER_SMALL, 0), USER_SPACE_ERR_RIGHTS, "nor may it fault");
    check(!user_space_allows(space, USER_SMALL, PAGE, VMEM_READ), "nor a call for it read");
    user_protect(space, USER_SMALL, 3 * PAGE, USER_WRITE);
    for (unsigned i = 0; i < 3; i++) {
        check(user_value(space, USER_SMALL + i * PAGE) == RET_FOREVER, "all came through that");
        check_space(user_write(space, USER_SMALL + i * PAGE, i), USER_SPACE_OK, "and is writable");
    }
    check_space(user_read(space, USER_SMALL + 3 * PAGE, &value), USER_SPACE_ERR_NONE,
                "behind an area is nothing");
    check(user_space_allows(space, USER_SMALL + 8, 3 * PAGE - 8, USER_WRITE), "calls may write");
    check(!user_space_allows(space, USER_SMALL + 8, 3 * PAGE, VMEM_READ), "but not beyond");
    check(!user_space_allows(space, UINT64_MAX - 7, 16, 0), "nor past the end of all");
    user_end(space);
}

// ---- Ranges

static void test_unmap(void) {
    struct user_space *space = user_begin();
    uint64_t value;
    user_map(space, USER_LARGE, 2 * BLOCK_BYTES, USER_WRITE);
    user_set(space, USER_LARGE, 1);
    user_set(space, USER_LARGE + BLOCK_BYTES - PAGE, 2);
    user_set(space, USER_LARGE + BLOCK_BYTES + PAGE, 3);
    check_space(user_space_unmap(space, vaddr(USER_LARGE + PAGE), BLOCK_BYTES - 2 * PAGE),
                USER_SPACE_OK, "unmapping the middle of a large page");
    check_space(user_read(space, USER_LARGE + PAGE, &value), USER_SPACE_ERR_NONE, "it is gone");
    check(user_value(space, USER_LARGE) == 1 &&
              user_value(space, USER_LARGE + BLOCK_BYTES - PAGE) == 2 &&
              user_value(space, USER_LARGE + BLOCK_BYTES + PAGE) == 3,
          "what is around it stays");
    check(user_leaf(space, USER_LARGE).page == VMEM_4K, "in small pages");
    user_map(space, USER_LARGE + PAGE, BLOCK_BYTES - 2 * PAGE, USER_WRITE);
    check(user_value(space, USER_LARGE + PAGE) == 0, "what comes there again is zeroed");
    check_space(user_space_unmap(space, vaddr(USER_SMALL), GIB(4)), USER_SPACE_OK,
                "unmapping all that there is, and holes");
    check(!user_is_there(space, USER_LARGE) && !user_is_there(space, USER_LARGE + BLOCK_BYTES),
          "nothing is left");
    user_end(space);
}

static void test_merge(void) {
    struct user_space *space = user_begin();
    user_map(space, USER_LARGE, BLOCK_BYTES, USER_WRITE);
    user_set(space, USER_LARGE, 1);
    user_set(space, USER_LARGE + MIB(1), 2);
    paddr_t first = user_leaf(space, USER_LARGE).phys;
    user_protect(space, USER_LARGE, MIB(1), USER_READ);
    check(user_leaf(space, USER_LARGE).page == VMEM_4K, "different rights split a large page");
    user_set(space, USER_LARGE + MIB(1), 3);
    user_protect(space, USER_LARGE, MIB(1), USER_WRITE);
    check(user_leaf(space, USER_LARGE).page == VMEM_2M, "equal rights make it whole again");
    check(user_leaf(space, USER_LARGE).phys.value == first.value, "where it was");
    check(user_value(space, USER_LARGE) == 1 && user_value(space, USER_LARGE + MIB(1)) == 3,
          "with its contents");
    user_protect(space, USER_LARGE + PAGE, PAGE, USER_READ);
    check_space(user_write(space, USER_LARGE + PAGE, 1), USER_SPACE_ERR_RIGHTS,
                "it can be split once more");
    user_set(space, USER_LARGE, 4);
    user_end(space);
}

// ---- Shared objects

static void test_shared(void) {
    struct user_space *one = user_begin();
    struct user_space *other = NULL;
    struct shared *shared = NULL;
    check_space(user_space_create(&other), USER_SPACE_OK, "a second space");
    check_space(shared_create(3 * PAGE, &shared), USER_SPACE_OK, "an object");
    check_space(user_space_share(one, vaddr(USER_SMALL), 3 * PAGE, USER_WRITE, shared),
                USER_SPACE_OK, "sharing it");
    check_space(user_space_share(other, vaddr(USER_LARGE), 2 * PAGE, USER_READ, shared),
                USER_SPACE_OK, "sharing it elsewhere");
    shared_put(shared);
    check(user_value(one, USER_SMALL) == 0, "an object is zeroed");
    user_set(one, USER_SMALL + PAGE, 1);
    check_space(user_space_unmap(one, vaddr(USER_SMALL), PAGE), USER_SPACE_OK, "unmapping some");
    user_protect(one, USER_SMALL + 2 * PAGE, PAGE, USER_READ);
    struct user_space *child = user_clone(one);
    user_set(one, USER_SMALL + PAGE, 2);
    user_space_load(child);
    check(user_value(child, USER_SMALL + PAGE) == 2, "a child shares what was shared");
    user_set(child, USER_SMALL + PAGE, 3);
    check_space(user_write(child, USER_SMALL + 2 * PAGE, 1), USER_SPACE_ERR_RIGHTS,
                "with the same rights");
    user_space_load(other);
    check(user_value(other, USER_LARGE + PAGE) == 3, "another space sees what was written");
    check_space(user_write(other, USER_LARGE + PAGE, 4), USER_SPACE_ERR_RIGHTS,
                "and writes where it may");
    user_space_load(NULL);
    user_space_destroy(one);
    user_space_destroy(child);
    user_space_load(other);
    check(user_value(other, USER_LARGE + PAGE) == 3, "the last one keeps the object");
    user_end(other);
}

// ---- What there is

static void test_survey(void) {
    struct user_space *space = user_begin();
    uint64_t id = user_space_id(space);
    struct user_space_facts facts;
    struct user_area_facts area;
    uint64_t accessed;
    user_map(space, USER_SMALL, 8 * PAGE, USER_WRITE);
    user_map(space, USER_LARGE, 2 * BLOCK_BYTES, USER_WRITE);
    check_space(user_space_map(space, vaddr(USER_SMALL - PAGE), PAGE, 0, USER_AREA_GUARD),
                USER_SPACE_OK, "a guard area");
    for (unsigned i = 0; i < 3; i++)
        user_set(space, USER_SMALL + i * PAGE, i);
    user_set(space, USER_LARGE, 1);
    check(user_space_next(id - 1, &facts) && facts.id == id, "a space is found by its number");
    check(!user_space_next(id, &facts), "no other one is left");
    check(facts.areas == 3 && facts.area_bytes == 2 * BLOCK_BYTES + 8 * PAGE, "with its areas");
    check(facts.memory.pages[VMEM_4K] == 3 && facts.memory.pages[VMEM_2M] == 1 &&
              facts.memory.bytes == BLOCK_BYTES + 3 * PAGE && facts.memory.shared_bytes == 0,
          "its pages");
    check(facts.cpus == 1, "and the CPU that runs in it");
    check(user_space_next_area(id, USER_SMALL + 8 * PAGE, &area) && area.area.start == USER_LARGE &&
              area.memory.bytes == BLOCK_BYTES,
          "an area is found by its address");
    check(!user_space_next_area(id, USER_LARGE + 2 * BLOCK_BYTES, &area), "and none behind it");
    check(!user_space_next_area(id + 1, 0, &area), "nor one of a space that is not there");
    check(user_space_harvest(id, &accessed) && accessed == BLOCK_BYTES + 3 * PAGE,
          "all pages were accessed");
    user_set(space, USER_SMALL + PAGE, 1);
    check(user_space_harvest(id, &accessed) && accessed == PAGE, "one page was accessed since");
    check(user_space_harvest(id, &accessed) && accessed == 0, "no page was accessed since");
    check(user_space_next_area(id, USER_LARGE, &area) && area.area.idle_harvests == 2,
          "an area is idle for two harvests");
    check(user_space_next_area(id, USER_SMALL, &area) && area.area.idle_harvests == 1,
          "another for one");
    struct user_space *child = user_clone(space);
    check(user_space_next(id - 1, &facts) && facts.memory.shared_bytes == facts.memory.bytes,
          "all is shared with a child");
    user_space_destroy(child);
    user_end(space);
    check(!user_space_harvest(id, &accessed), "a space that ended is not found");
}

void selftest_spaces(void) {
    test_errors();
    test_demand();
    test_old_contents();
    test_guard();
    test_protect();
    test_shared();
    if (user_has_blocks()) {
        test_large_demand();
        test_unmap();
        test_merge();
        test_survey();
    }
}
