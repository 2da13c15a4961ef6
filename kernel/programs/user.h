// What every program here has: system calls as functions, text, and an exit that says what went
// wrong. A program is C without a C library; it defines main, whose result is its status.
#pragma once

#include "kernel/programs/slipway_user.h"
#include "kernel/programs/user_base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int main(void);

static inline int64_t user_call(int64_t number, uint64_t first, uint64_t second, uint64_t third) {
    int64_t result;
    __asm__ volatile("syscall"
                     : "=a"(result), "+d"(third)
                     : "0"(number), "D"(first), "S"(second)
                     : "rcx", "r11", "memory");
    return result;
}

[[gnu::noreturn]] static inline void user_exit(int status) {
    for (;;)
        (void)user_call(SLIPWAY_EXIT, (uint64_t)status, 0, 0);
}

static inline int64_t user_pid(void) {
    return user_call(SLIPWAY_PID, 0, 0, 0);
}

static inline int64_t user_parent(void) {
    return user_call(SLIPWAY_PARENT, 0, 0, 0);
}

static inline int64_t user_cpu(void) {
    return user_call(SLIPWAY_CPU, 0, 0, 0);
}

static inline uint64_t user_time(void) {
    return (uint64_t)user_call(SLIPWAY_TIME, 0, 0, 0);
}

static inline void user_yield(void) {
    (void)user_call(SLIPWAY_YIELD, 0, 0, 0);
}

static inline void user_sleep(uint64_t microseconds) {
    (void)user_call(SLIPWAY_SLEEP, microseconds, 0, 0);
}

static inline int64_t user_fork(void) {
    return user_call(SLIPWAY_FORK, 0, 0, 0);
}

static inline int64_t user_kill(int64_t pid) {
    return user_call(SLIPWAY_KILL, (uint64_t)pid, 0, 0);
}

// The pid of the child that has ended, or an error; `ret_status` is then untouched.
static inline int64_t user_wait(int64_t pid, int *ret_status) {
    int64_t result;
    uint64_t status;
    __asm__ volatile("syscall"
                     : "=a"(result), "=d"(status)
                     : "0"((int64_t)SLIPWAY_WAIT), "D"(pid)
                     : "rcx", "r11", "memory");
    if (result >= 0)
        *ret_status = (int)status;
    return result;
}

static inline int64_t user_map(uint64_t address, uint64_t bytes, unsigned rights) {
    return user_call(SLIPWAY_MAP, address, bytes, rights);
}

static inline int64_t user_guard(uint64_t address, uint64_t bytes) {
    return user_call(SLIPWAY_GUARD, address, bytes, 0);
}

static inline int64_t user_share(uint64_t address, uint64_t bytes, unsigned rights) {
    return user_call(SLIPWAY_SHARE, address, bytes, rights);
}

static inline int64_t user_unmap(uint64_t address, uint64_t bytes) {
    return user_call(SLIPWAY_UNMAP, address, bytes, 0);
}

static inline int64_t user_protect(uint64_t address, uint64_t bytes, unsigned rights) {
    return user_call(SLIPWAY_PROTECT, address, bytes, rights);
}
