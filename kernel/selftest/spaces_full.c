#include "kernel/selftest/spaces_full.h"

#include "common/base/arith.h"
#include "kernel/base/panic.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/user.h"

#include <stdbool.h>
#include <stddef.h>

#define PAGE       FRAME_BYTES
#define LOT_BYTES  MIB(64)
#define CHILD_STEP (64 * PAGE) // a child writes a page of each

enum { LOTS = 24 };

// A parent and its child, and how many bytes of them were written before memory ran out.
struct lot {
    struct user_space *parent, *child;
    uint64_t parent_bytes, child_bytes;
};
static struct lot lots[LOTS];

// One in four has small pages: no 2 MiB are in one area.
static bool has_small_pages(unsigned lot) {
    return lot % 4 == 1;
}

static uint64_t parent_word(unsigned lot, uint64_t offset) {
    return (uint64_t)(lot + 1) << 32 | offset;
}

static uint64_t child_word(unsigned lot, uint64_t offset) {
    return ~parent_word(lot, offset);
}

// All calls answer false if there is no memory.
static bool is_done(enum user_space_status status, const char *what) {
    if (status != USER_SPACE_OK && status != USER_SPACE_ERR_NO_MEMORY)
        panic("spaces: %s: %s", what, user_space_status_text(status));
    return status == USER_SPACE_OK;
}

// ---- Filling

static bool map(struct user_space *space, bool is_small) {
    uint64_t step = is_small ? MIB(1) : LOT_BYTES;
    for (uint64_t at = 0; at < LOT_BYTES; at += step) {
        unsigned rights = at % MIB(2) == 0 ? USER_WRITE : USER_READ; // so that none are joined
        if (!is_done(
                user_space_map(space, vaddr(USER_LARGE + at), step, rights, USER_AREA_ANONYMOUS),
                "mapping 64 MiB"))
            return false;
    }
    for (uint64_t at = MIB(1); is_small && at < LOT_BYTES; at += MIB(2)) {
        if (!is_done(user_space_unmap(space, vaddr(USER_LARGE + at), PAGE), "a hole") ||
            !is_done(
                user_space_protect(space, vaddr(USER_LARGE + at + PAGE), MIB(1) - PAGE, USER_WRITE),
                "giving rights"))
            return false;
    }
    return true;
}

static bool is_hole(unsigned lot, uint64_t offset) {
    return has_small_pages(lot) && offset % MIB(2) == MIB(1);
}

static bool fill_parent(unsigned number) {
    struct lot *lot = &lots[number];
    if (!is_done(user_space_create(&lot->parent), "making a space") ||
        !map(lot->parent, has_small_pages(number)))
        return false;
    user_space_load(lot->parent);
    for (; lot->parent_bytes < LOT_BYTES; lot->parent_bytes += PAGE) {
        uint64_t offset = lot->parent_bytes;
        if (!is_hole(number, offset) &&
            !is_done(user_write(lot->parent, USER_LARGE + offset, parent_word(number, offset)),
                     "touching 64 MiB"))
            return false;
    }
    return true;
}

static bool fill_child(unsigned number) {
    struct lot *lot = &lots[number];
    if (!is_done(user_space_clone(lot->parent, &lot->child), "cloning 64 MiB"))
        return false;
    user_space_load(lot->child);
    for (; lot->child_bytes < LOT_BYTES; lot->child_bytes += CHILD_STEP) {
        uint64_t offset = lot->child_bytes;
        if (!is_hole(number, offset) &&
            !is_done(user_write(lot->child, USER_LARGE + offset, child_word(number, offset)),
                     "writing a child"))
            return false;
    }
    return true;
}

// ---- Checking

static void expect(struct user_space *space, uint64_t offset, uint64_t expected) {
    uint64_t value;
    enum user_space_status status = user_read(space, USER_LARGE + offset, &value);
    if (status != USER_SPACE_OK || value != expected)
        panic("spaces: at 0x%lx of space %lu: %s, 0x%lx, expected 0x%lx", offset,
              user_space_id(space), user_space_status_text(status), value, expected);
}

static void check_lot(unsigned number) {
    const struct lot *lot = &lots[number];
    user_space_load(lot->parent);
    for (uint64_t at = 0; at < lot->parent_bytes; at += PAGE) {
        if (!is_hole(number, at))
            expect(lot->parent, at, parent_word(number, at));
    }
    user_space_load(lot->child);
    for (uint64_t at = 0; lot->child != NULL && at < LOT_BYTES; at += PAGE) {
        bool is_written = at % CHILD_STEP == 0 && at < lot->child_bytes;
        if (!is_hole(number, at))
            expect(lot->child, at, is_written ? child_word(number, at) : parent_word(number, at));
    }
    user_space_load(NULL);
}

void selftest_spaces_full(void) {
    unsigned count = 0;
    bool has_memory = true;
    while (count < LOTS && has_memory) {
        lots[count] = (struct lot){.parent = NULL};
        has_memory = fill_parent(count) && fill_child(count);
        count++;
    }
    user_space_load(NULL);
    for (unsigned i = 0; i < count; i++)
        check_lot(i);
    for (unsigned i = 0; i < count; i++) { // every other one loses its child first
        user_space_destroy(i % 2 == 0 ? lots[i].child : lots[i].parent);
        user_space_destroy(i % 2 == 0 ? lots[i].parent : lots[i].child);
    }
    check(count != 0, "spaces were filled");
    check(memory_verify(NULL) == 0, "the allocator is sound after that");
}
