#include "kernel/selftest/spaces.h"

#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "kernel/memory/counted.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/user.h"
#include "kernel/stop/probe.h"

#include <stddef.h>

// Where the areas of these tests are. LARGE begins a 2 MiB part.
#define SMALL UINT64_C(0x400000)
#define LARGE UINT64_C(0x80000000)
#define READ  ((unsigned)VMEM_READ)
#define WRITE ((unsigned)(VMEM_READ | VMEM_WRITE))

static struct user_space *new_space(void) {
    struct user_space *space = NULL;
    check_space(user_space_create(&space), USER_SPACE_OK, "making a space");
    user_space_load(space);
    return space;
}

static void end_space(struct user_space *space) {
    user_space_load(NULL);
    user_space_destroy(space);
}

static void map(struct user_space *space, uint64_t start, uint64_t bytes, unsigned rights) {
    check_space(user_space_map(space, vaddr(start), bytes, rights, USER_AREA_ANONYMOUS),
                USER_SPACE_OK, "mapping an area");
}

static struct vmem_translation leaf_at(struct user_space *space, uint64_t address) {
    struct vmem_translation leaf = {.phys = PADDR_NONE};
    check(user_space_translate(space, address, &leaf), "user memory is mapped");
    return leaf;
}

// ---- Demand

static void test_demand(void) {
    struct user_space *space = new_space();
    struct vmem_translation leaf;
    map(space, SMALL, 4 * FRAME_BYTES, WRITE);
    check(!user_space_translate(space, SMALL, &leaf), "an area has no memory at first");
    check(user_value(space, SMALL + 8) == 0, "its memory is zeroed");
    user_set(space, SMALL, 1);
    check(leaf_at(space, SMALL).page == VMEM_4K, "a small area has small pages");
    check(!user_space_translate(space, SMALL + FRAME_BYTES, &leaf), "only what is touched comes");
    map(space, LARGE, 2 * BLOCK_BYTES, WRITE);
    user_set(space, LARGE + 5 * FRAME_BYTES, 2);
    check(leaf_at(space, LARGE).page == VMEM_2M, "2 MiB of an area have a large page");
    check(user_value(space, LARGE) == 0, "and are zeroed");
    check(!user_space_translate(space, LARGE + BLOCK_BYTES, &leaf), "2 MiB alone came");
    end_space(space);
}

static void test_fork(void) {
    struct user_space *parent = new_space();
    struct user_space *child = NULL;
    map(parent, SMALL, FRAME_BYTES, WRITE);
    map(parent, LARGE, BLOCK_BYTES, WRITE);
    user_set(parent, SMALL, 1);
    user_set(parent, LARGE, 2);
    check_space(user_space_clone(parent, &child), USER_SPACE_OK, "cloning a space");
    user_set(parent, SMALL, 3);
    user_set(parent, LARGE, 4);
    user_space_load(child);
    check(user_value(child, SMALL) == 1 && user_value(child, LARGE) == 2, "a child has a copy");
    user_set(child, LARGE, 5);
    user_space_load(parent);
    check(user_value(parent, SMALL) == 3 && user_value(parent, LARGE) == 4, "of its own");
    user_space_load(NULL);
    user_space_destroy(parent);
    user_space_load(child);
    check(user_value(child, SMALL) == 1 && user_value(child, LARGE) == 5, "it outlives its parent");
    end_space(child);
}

static void test_range(void) {
    struct user_space *space = new_space();
    uint64_t value;
    map(space, LARGE, BLOCK_BYTES, WRITE);
    user_set(space, LARGE, 1);
    user_set(space, LARGE + MIB(1), 2);
    check_space(user_space_protect(space, vaddr(LARGE), MIB(1), READ), USER_SPACE_OK, "protecting");
    check_space(user_write(space, LARGE, 3), USER_SPACE_ERR_RIGHTS, "writing what is read-only");
    user_set(space, LARGE + MIB(1), 4);
    check_space(user_space_protect(space, vaddr(LARGE), MIB(1), WRITE), USER_SPACE_OK, "and back");
    check(leaf_at(space, LARGE).page == VMEM_2M, "a large page comes together again");
    check_space(user_space_unmap(space, vaddr(LARGE), FRAME_BYTES), USER_SPACE_OK, "unmapping");
    check_space(user_read(space, LARGE, &value), USER_SPACE_ERR_NONE, "reading it");
    check(user_value(space, LARGE + MIB(1)) == 4, "the rest stays");
    end_space(space);
}

void selftest_spaces(void) {
    test_demand();
    test_fork();
    test_range();
}
