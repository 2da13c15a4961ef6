#include "kernel/selftest/user.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "kernel/memory/counted.h"
#include "kernel/selftest/check.h"
#include "kernel/stop/probe.h"

#include <stddef.h>

enum { BLOCKS = 8 }; // that a test has at once, at most

enum user_space_status user_read(struct user_space *space, uint64_t address, uint64_t *ret_value) {
    for (;;) {
        uint64_t flags = cpu_user_access_begin();
        bool is_read = probe_load(address, ret_value);
        cpu_user_access_end(flags);
        if (is_read)
            return USER_SPACE_OK;
        enum user_space_status status = user_space_fault(space, address, 0);
        if (status != USER_SPACE_OK)
            return status;
    }
}

enum user_space_status user_write(struct user_space *space, uint64_t address, uint64_t value) {
    for (;;) {
        uint64_t flags = cpu_user_access_begin();
        bool is_written = probe_store(address, value);
        cpu_user_access_end(flags);
        if (is_written)
            return USER_SPACE_OK;
        enum user_space_status status = user_space_fault(space, address, PF_WRITE);
        if (status != USER_SPACE_OK)
            return status;
    }
}

struct user_space *user_begin(void) {
    struct user_space *space = NULL;
    check_space(user_space_create(&space), USER_SPACE_OK, "making a space");
    user_space_load(space);
    return space;
}

void user_end(struct user_space *space) {
    user_space_load(NULL);
    user_space_destroy(space);
}

void user_map(struct user_space *space, uint64_t start, uint64_t bytes, unsigned rights) {
    check_space(user_space_map(space, vaddr(start), bytes, rights, USER_AREA_ANONYMOUS),
                USER_SPACE_OK, "mapping an area");
}

void user_protect(struct user_space *space, uint64_t start, uint64_t bytes, unsigned rights) {
    check_space(user_space_protect(space, vaddr(start), bytes, rights), USER_SPACE_OK,
                "protecting an area");
}

struct user_space *user_clone(struct user_space *parent) {
    struct user_space *child = NULL;
    check_space(user_space_clone(parent, &child), USER_SPACE_OK, "cloning a space");
    return child;
}

bool user_has_blocks(void) {
    struct frames_statistics now;
    memory_get_statistics(&now);
    return now.free_2m >= BLOCKS;
}

uint64_t user_value(struct user_space *space, uint64_t address) {
    uint64_t value = 0;
    check_space(user_read(space, address, &value), USER_SPACE_OK, "reading user memory");
    return value;
}

void user_set(struct user_space *space, uint64_t address, uint64_t value) {
    check_space(user_write(space, address, value), USER_SPACE_OK, "writing user memory");
}

struct vmem_translation user_leaf(struct user_space *space, uint64_t address) {
    struct vmem_translation leaf = {.phys = PADDR_NONE};
    check(user_space_translate(space, address, &leaf), "user memory is mapped");
    return leaf;
}

bool user_is_there(struct user_space *space, uint64_t address) {
    struct vmem_translation leaf;
    return user_space_translate(space, address, &leaf);
}

bool user_is_alone(struct user_space *space, uint64_t address) {
    struct vmem_translation leaf = user_leaf(space, address);
    uint64_t bytes = vmem_page_bytes(leaf.page);
    bool is_alone = false;
    return counted_alike(paddr(align_down(leaf.phys.value, bytes)), bytes, &is_alone) == bytes &&
           is_alone;
}
