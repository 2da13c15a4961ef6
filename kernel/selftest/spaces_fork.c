// Copies on write: whose a frame is after each write, of parent and child.
#include "kernel/selftest/spaces_fork.h"

#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "kernel/memory/counted.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/user.h"

#include <stddef.h>

#define PAGE FRAME_BYTES

static uint64_t phys_of(struct user_space *space, uint64_t address) {
    return align_down(user_leaf(space, address).phys.value, FRAME_BYTES);
}

static void set_in(struct user_space *space, uint64_t address, uint64_t value) {
    user_space_load(space);
    user_set(space, address, value);
}

static uint64_t value_in(struct user_space *space, uint64_t address) {
    user_space_load(space);
    return user_value(space, address);
}

// ---- Small pages

static void test_owners(void) {
    struct user_space *parent = user_begin();
    user_map(parent, USER_SMALL, 4 * PAGE, USER_WRITE);
    user_set(parent, USER_SMALL, 1);
    user_set(parent, USER_SMALL + PAGE, 2);
    uint64_t frame = phys_of(parent, USER_SMALL);
    struct user_space *child = user_clone(parent);
    check(phys_of(child, USER_SMALL) == frame, "a child has its parent's frames");
    check(!user_is_alone(parent, USER_SMALL), "with two owners");
    check((user_leaf(parent, USER_SMALL).rights & VMEM_WRITE) == 0 &&
              (user_leaf(child, USER_SMALL).rights & VMEM_WRITE) == 0,
          "and neither may write them as they are");
    check(value_in(child, USER_SMALL) == 1 && phys_of(child, USER_SMALL) == frame,
          "reading copies nothing");
    uint64_t free_before = memory_free_frames();
    set_in(child, USER_SMALL, 3);
    check(memory_free_frames() == free_before - 1, "the first writer copies one frame");
    check(phys_of(child, USER_SMALL) != frame && phys_of(parent, USER_SMALL) == frame,
          "which is its own");
    check(user_is_alone(child, USER_SMALL) && user_is_alone(parent, USER_SMALL),
          "what was written by one is shared by none");
    set_in(parent, USER_SMALL, 4);
    check(phys_of(parent, USER_SMALL) == frame && memory_free_frames() == free_before - 1,
          "the last writer copies nothing");
    check(value_in(child, USER_SMALL) == 3 && value_in(parent, USER_SMALL) == 4, "both wrote");
    check(value_in(child, USER_SMALL + PAGE) == 2 && !user_is_alone(child, USER_SMALL + PAGE),
          "what nobody wrote is shared on");
    set_in(child, USER_SMALL + 2 * PAGE, 5);
    check(value_in(parent, USER_SMALL + 2 * PAGE) == 0, "what came later is nobody else's");
    user_space_load(NULL);
    user_space_destroy(parent);
    check(user_is_alone(child, USER_SMALL + PAGE), "who is left owns what is left");
    user_space_load(child);
    user_end(child);
}

// A CPU that has just written the parent may write it no more as it could: what it remembers of the
// page is forgotten when the clone returns.
static void test_at_once(void) {
    struct user_space *parent = user_begin();
    user_map(parent, USER_SMALL, PAGE, USER_WRITE);
    user_set(parent, USER_SMALL, 1);
    struct user_space *child = user_clone(parent);
    user_set(parent, USER_SMALL, 2);
    check(value_in(child, USER_SMALL) == 1, "a write after the clone is not the child's");
    user_space_load(NULL);
    user_space_destroy(parent);
    user_space_destroy(child);
}

// Three generations: a frame is copied until one owner is left.
static void test_generations(void) {
    enum { SPACES = 5 };
    struct user_space *spaces[SPACES] = {user_begin()};
    user_map(spaces[0], USER_SMALL, PAGE, USER_WRITE);
    user_set(spaces[0], USER_SMALL, 100);
    for (unsigned i = 1; i < SPACES; i++)
        spaces[i] = user_clone(spaces[i / 2]);
    uint64_t frame = phys_of(spaces[0], USER_SMALL);
    for (unsigned i = 0; i < SPACES; i++) {
        check(phys_of(spaces[i], USER_SMALL) == frame, "all generations have one frame");
        set_in(spaces[i], USER_SMALL, i);
        bool is_last = i == SPACES - 1;
        check((phys_of(spaces[i], USER_SMALL) == frame) == is_last, "all but the last copy it");
    }
    for (unsigned i = 0; i < SPACES; i++) {
        check(value_in(spaces[i], USER_SMALL) == i, "each has what it wrote");
        user_space_load(NULL);
        user_space_destroy(spaces[i]);
    }
}

// ---- Rights of what is shared

static void test_rights(void) {
    struct user_space *parent = user_begin();
    user_map(parent, USER_SMALL, 3 * PAGE, USER_WRITE);
    for (unsigned i = 0; i < 3; i++)
        user_set(parent, USER_SMALL + i * PAGE, i);
    user_protect(parent, USER_SMALL + PAGE, PAGE, USER_READ);
    user_protect(parent, USER_SMALL + 2 * PAGE, PAGE, 0);
    struct user_space *child = user_clone(parent);
    user_space_load(child);
    check_space(user_write(child, USER_SMALL + PAGE, 9), USER_SPACE_ERR_RIGHTS,
                "a child may not write what its parent could not");
    check_space(user_space_fault(child, USER_SMALL + 2 * PAGE, 0), USER_SPACE_ERR_RIGHTS,
                "nor read it");
    user_protect(child, USER_SMALL, 3 * PAGE, USER_WRITE);
    for (unsigned i = 0; i < 3; i++)
        user_set(child, USER_SMALL + i * PAGE, 10 + i);
    user_protect(parent, USER_SMALL, 3 * PAGE, USER_WRITE);
    user_space_load(parent);
    for (unsigned i = 0; i < 3; i++)
        check(user_value(parent, USER_SMALL + i * PAGE) == i,
              "rights that are given back write nobody else's memory");
    user_protect(child, USER_SMALL, PAGE, USER_EXECUTE);
    user_space_load(child);
    check(user_value(child, USER_SMALL) == 10, "a child's rights are its own");
    set_in(parent, USER_SMALL, 20);
    user_space_destroy(child);
    user_end(parent);
}

// ---- Large pages

// The child has ended: of two large pages one was split, and the other not.
static void test_whole_again(struct user_space *parent, uint64_t block) {
    uint64_t free_now = memory_free_frames();
    set_in(parent, USER_LARGE + BLOCK_BYTES, 5);
    check(user_leaf(parent, USER_LARGE + BLOCK_BYTES).page == VMEM_2M &&
              memory_free_frames() == free_now,
          "a large page that nobody else has is taken whole");
    for (uint64_t at = 0; at < BLOCK_BYTES; at += PAGE)
        user_set(parent, USER_LARGE + at, at);
    user_protect(parent, USER_LARGE, BLOCK_BYTES, USER_READ);
    user_protect(parent, USER_LARGE, BLOCK_BYTES, USER_WRITE);
    check(user_leaf(parent, USER_LARGE).page == VMEM_2M && phys_of(parent, USER_LARGE) == block,
          "and what was split is whole again when one owner is left");
    for (uint64_t at = 0; at < BLOCK_BYTES; at += PAGE)
        check(user_value(parent, USER_LARGE + at) == at, "with all that was written");
    struct user_space *child = user_clone(parent);
    set_in(child, USER_LARGE, 6);
    check(value_in(parent, USER_LARGE) == 0, "it can be shared and split once more");
    user_space_load(NULL);
    user_space_destroy(parent);
    user_space_destroy(child);
}

static void test_large(void) {
    struct user_space *parent = user_begin();
    user_map(parent, USER_LARGE, 2 * BLOCK_BYTES, USER_WRITE);
    user_set(parent, USER_LARGE, 1);
    user_set(parent, USER_LARGE + BLOCK_BYTES, 2);
    uint64_t block = phys_of(parent, USER_LARGE);
    struct user_space *child = user_clone(parent);
    check(user_leaf(child, USER_LARGE).page == VMEM_2M && phys_of(child, USER_LARGE) == block,
          "a child has its parent's large pages");
    uint64_t free_before = memory_free_frames();
    set_in(child, USER_LARGE + 3 * PAGE, 3);
    check(user_leaf(child, USER_LARGE).page == VMEM_4K, "of a shared large page");
    check(memory_free_frames() >= free_before - 2, "one small one is copied, and a table is made");
    check(phys_of(child, USER_LARGE + 3 * PAGE) != block + 3 * PAGE &&
              phys_of(child, USER_LARGE + 4 * PAGE) == block + 4 * PAGE,
          "the others stay shared");
    check(user_leaf(parent, USER_LARGE).page == VMEM_2M, "its parent has the large page");
    set_in(parent, USER_LARGE + 3 * PAGE, 4);
    check(phys_of(parent, USER_LARGE + 3 * PAGE) == block + 3 * PAGE,
          "until it writes, and owns the frame that was copied");
    check(value_in(child, USER_LARGE + 3 * PAGE) == 3 && value_in(child, USER_LARGE) == 1 &&
              value_in(parent, USER_LARGE + 3 * PAGE) == 4,
          "each has its own");
    user_space_load(NULL);
    user_space_destroy(child);
    test_whole_again(parent, block);
}

// One splits a block, the other still has a large page over its frames and gives up all of them,
// or a part.
static void test_split_by_one(bool is_part) {
    struct user_space *parent = user_begin();
    user_map(parent, USER_LARGE, BLOCK_BYTES, USER_WRITE);
    user_set(parent, USER_LARGE + MIB(1), 1);
    struct user_space *child = user_clone(parent);
    set_in(child, USER_LARGE, 2);
    check(user_leaf(parent, USER_LARGE).page == VMEM_2M, "one has a large page, the other none");
    uint64_t bytes = is_part ? MIB(1) : BLOCK_BYTES;
    check_space(user_space_unmap(parent, vaddr(USER_LARGE), bytes), USER_SPACE_OK, "unmapping it");
    check(user_is_alone(child, USER_LARGE + MIB(1)) == !is_part, "frames lose one owner each");
    check(user_value(child, USER_LARGE + MIB(1)) == 1 && user_value(child, USER_LARGE) == 2,
          "and are the other's on");
    user_end(child);
    user_space_destroy(parent);
}

// More areas than a new space has room for, each with memory.
static void test_many_areas(void) {
    enum { AREAS = 70 };
    struct user_space *parent = user_begin();
    for (uint64_t i = 0; i < AREAS; i++) {
        user_map(parent, USER_SMALL + 2 * i * PAGE, PAGE, USER_WRITE);
        user_set(parent, USER_SMALL + 2 * i * PAGE, i);
    }
    struct user_space *child = user_clone(parent);
    user_space_load(NULL);
    user_space_destroy(parent);
    user_space_load(child);
    for (uint64_t i = 0; i < AREAS; i++) {
        check(user_value(child, USER_SMALL + 2 * i * PAGE) == i, "a child has all areas");
        check(!user_space_allows(child, USER_SMALL + (2 * i + 1) * PAGE, 1, VMEM_READ),
              "and the holes between them");
    }
    user_end(child);
}

void selftest_spaces_fork(void) {
    test_owners();
    test_at_once();
    test_generations();
    test_many_areas();
    test_rights();
    if (user_has_blocks()) {
        test_large();
        test_split_by_one(false);
        test_split_by_one(true);
    }
}
