// Memory as a process sees it: it comes when it is touched, zeroed; rights hold; a guard is a
// guard; what was unmapped is gone; shared memory is shared, all else is not.
#include "kernel/programs/user.h"

#define BASE  UINT64_C(0x10000000)
#define LARGE UINT64_C(0x40000000)
#define PAGE  UINT64_C(0x1000)
#define PAGES 64
#define BLOCK UINT64_C(0x200000)
#define LAST  UINT64_C(0x7fffffffe000) // the last page that a process may have

enum { PAGE_FAULT = SLIPWAY_FAULTED(14), READ_WRITE = SLIPWAY_READ | SLIPWAY_WRITE };

static void read_word(uint64_t address) {
    (void)*user_word(address);
}

static void write_word(uint64_t address) {
    *user_word(address) = 1;
}

static void call_address(uint64_t address) {
    ((void (*)(void))address)();
}

static void check_demand(void) {
    user_check(user_map(BASE, PAGES * PAGE, READ_WRITE) == 0, "memory is mapped");
    user_check(user_map(BASE + PAGE, PAGE, READ_WRITE) == SLIPWAY_ERR_TAKEN, "once");
    for (unsigned i = 0; i < PAGES; i++) {
        user_check(*user_word(BASE + i * PAGE) == 0, "memory is zeroed");
        *user_word(BASE + i * PAGE) = i + 1;
    }
    for (unsigned i = 0; i < PAGES; i++)
        user_check(*user_word(BASE + i * PAGE) == i + 1, "memory keeps what is written");
}

static void check_protect(void) {
    user_check(user_protect(BASE, PAGE, SLIPWAY_READ) == 0, "memory is protected");
    user_check(user_try(read_word, BASE) == 0, "what can be read is read");
    user_check(user_try(write_word, BASE) == PAGE_FAULT, "and not written");
    user_check(user_try(call_address, BASE) == PAGE_FAULT, "nor executed");
    user_check(user_protect(BASE, PAGE, READ_WRITE | SLIPWAY_EXECUTE) == SLIPWAY_ERR_RIGHTS,
               "nothing is writable and executable");
    user_check(user_protect(BASE, PAGE, 0) == 0, "all rights are taken away");
    user_check(user_try(read_word, BASE) == PAGE_FAULT, "then it is not read");
    user_check(user_protect(BASE, PAGE, READ_WRITE) == 0 && *user_word(BASE) == 1,
               "with its rights its contents come back");
}

static void check_code(void) {
    *(volatile uint8_t *)BASE = 0xc3; // RET
    user_check(user_protect(BASE, PAGE, SLIPWAY_READ | SLIPWAY_EXECUTE) == 0, "code is protected");
    user_check(user_try(call_address, BASE) == 0, "code is executed");
    user_check(user_try(write_word, BASE) == PAGE_FAULT, "and not written");
    user_check(user_protect(BASE, PAGE, READ_WRITE) == 0, "it is data again");
}

static void check_guard(void) {
    user_check(user_guard(BASE + PAGES * PAGE, PAGE) == 0, "a guard is put behind it");
    user_check(user_try(write_word, BASE + PAGES * PAGE) == PAGE_FAULT, "which guards");
    user_check(user_unmap(BASE + PAGE, PAGE) == 0, "a page in the middle is unmapped");
    user_check(user_try(read_word, BASE + PAGE) == PAGE_FAULT, "it is gone");
    user_check(*user_word(BASE + 2 * PAGE) == 3, "its neighbour is not");
    user_check(user_unmap(BASE, (PAGES + 1) * PAGE) == 0, "all of it is unmapped");
    user_check(user_try(read_word, BASE + 2 * PAGE) == PAGE_FAULT, "all is gone");
}

static void check_large(void) {
    user_check(user_map(LARGE, 4 * BLOCK, READ_WRITE) == 0, "much is mapped");
    for (uint64_t at = LARGE; at < LARGE + 4 * BLOCK; at += PAGE)
        *user_word(at) = at;
    user_check(user_unmap(LARGE + BLOCK + PAGE, PAGE) == 0, "a hole is cut");
    user_check(*user_word(LARGE + BLOCK) == LARGE + BLOCK &&
                   *user_word(LARGE + BLOCK + 2 * PAGE) == LARGE + BLOCK + 2 * PAGE,
               "around it all is there");
    user_check(user_map(LARGE + BLOCK + PAGE, PAGE, READ_WRITE) == 0 &&
                   *user_word(LARGE + BLOCK + PAGE) == 0,
               "the hole is filled with new memory");
    user_check(user_unmap(LARGE, 4 * BLOCK) == 0, "much is unmapped");
}

static void write_both(uint64_t address) {
    *user_word(address) = 7;
    *user_word(address + PAGE) = 7;
}

static void check_share(void) {
    user_check(user_share(BASE, PAGE, READ_WRITE) == 0, "shared memory is mapped");
    user_check(user_map(BASE + PAGE, PAGE, READ_WRITE) == 0, "and other memory");
    user_check(user_try(write_both, BASE) == 0, "a child writes both");
    user_check(*user_word(BASE) == 7 && *user_word(BASE + PAGE) == 0, "one of them is shared");
    user_check(user_unmap(BASE, 2 * PAGE) == 0, "both are unmapped");
}

static void check_ends(void) {
    user_check(user_map(0, PAGE, READ_WRITE) == SLIPWAY_ERR_RANGE, "nobody has the first page");
    user_check(user_map(LAST, PAGE, READ_WRITE) == 0, "the last page can be had");
    user_check(user_map(LAST + PAGE, PAGE, READ_WRITE) == SLIPWAY_ERR_RANGE, "no page behind it");
    user_check(user_try(write_word, LAST) == 0, "it can be used");
    user_check(user_try(read_word, LAST + PAGE - 4) == PAGE_FAULT, "but not beyond its end");
    user_check(user_unmap(LAST, PAGE) == 0, "it is unmapped");
}

int main(void) {
    check_demand();
    check_protect();
    check_code();
    check_guard();
    check_large();
    check_share();
    check_ends();
    user_print("memory: all as it should be\n");
    return 0;
}
