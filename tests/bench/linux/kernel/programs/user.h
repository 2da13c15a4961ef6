// The reference kernel's calls by those of Linux, for programs of kernel/programs that are measured
// under both: this header is found before the one that they name. Rights and protection have the
// same bits in both.
#pragma once

#include "kernel/programs/slipway_user.h"
#include "kernel/programs/user_base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Numbers and flags of Linux on x86-64.
enum linux_call {
    LINUX_WRITE = 1,
    LINUX_MMAP = 9,
    LINUX_MPROTECT = 10,
    LINUX_MUNMAP = 11,
    LINUX_SCHED_YIELD = 24,
    LINUX_GETPID = 39,
    LINUX_FORK = 57,
    LINUX_WAIT4 = 61,
    LINUX_REBOOT = 169,
    LINUX_SCHED_SETAFFINITY = 203,
    LINUX_SCHED_GETAFFINITY = 204,
    LINUX_EXIT_GROUP = 231,
};

enum {
    LINUX_MAP_SHARED = 0x1,
    LINUX_MAP_PRIVATE = 0x2,
    LINUX_MAP_ANONYMOUS = 0x20,
    LINUX_MAP_FIXED_NOREPLACE = 0x100000,
};

int main(void);

static inline int64_t linux_call6(int64_t number, uint64_t first, uint64_t second, uint64_t third,
                                  uint64_t fourth, uint64_t fifth, uint64_t sixth) {
    int64_t result;
    register uint64_t r10 __asm__("r10") = fourth;
    register uint64_t r8 __asm__("r8") = fifth;
    register uint64_t r9 __asm__("r9") = sixth;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline int64_t linux_call(int64_t number, uint64_t first, uint64_t second, uint64_t third) {
    return linux_call6(number, first, second, third, 0, 0, 0);
}

[[gnu::noreturn]] static inline void user_exit(int status) {
    for (;;)
        (void)linux_call(LINUX_EXIT_GROUP, (uint64_t)status, 0, 0);
}

// Of the numbers of slipway_user.h it knows SLIPWAY_PRINT.
static inline int64_t user_call(int64_t number, uint64_t text, uint64_t bytes, uint64_t unused) {
    (void)unused;
    return number == SLIPWAY_PRINT ? linux_call(LINUX_WRITE, 1, text, bytes) : SLIPWAY_ERR_CALL;
}

static inline int64_t user_pid(void) {
    return linux_call(LINUX_GETPID, 0, 0, 0);
}

static inline void user_yield(void) {
    (void)linux_call(LINUX_SCHED_YIELD, 0, 0, 0);
}

static inline int64_t user_fork(void) {
    return linux_call(LINUX_FORK, 0, 0, 0);
}

static inline int64_t user_wait(int64_t pid, int *ret_status) {
    int status;
    int64_t result = linux_call6(LINUX_WAIT4, (uint64_t)pid, (uint64_t)&status, 0, 0, 0, 0);
    if (result >= 0)
        *ret_status = status >> 8 & 0xff;
    return result;
}

static inline int64_t linux_map(uint64_t address, uint64_t bytes, unsigned rights, unsigned kind) {
    int64_t result =
        linux_call6(LINUX_MMAP, address, bytes, rights,
                    kind | LINUX_MAP_ANONYMOUS | LINUX_MAP_FIXED_NOREPLACE, UINT64_MAX, 0);
    return result > 0 ? 0 : result;
}

static inline int64_t user_map(uint64_t address, uint64_t bytes, unsigned rights) {
    return linux_map(address, bytes, rights, LINUX_MAP_PRIVATE);
}

static inline int64_t user_share(uint64_t address, uint64_t bytes, unsigned rights) {
    return linux_map(address, bytes, rights, LINUX_MAP_SHARED);
}

static inline int64_t user_unmap(uint64_t address, uint64_t bytes) {
    return linux_call(LINUX_MUNMAP, address, bytes, 0);
}

static inline int64_t user_protect(uint64_t address, uint64_t bytes, unsigned rights) {
    return linux_call(LINUX_MPROTECT, address, bytes, rights);
}

// Runs `task` on the CPU of this number in another thread, which shares all memory and has the
// stack below `stack_top`. It must not return.
int64_t linux_thread(void (*task)(uint64_t cpu), uint64_t cpu, void *stack_top);

// This thread alone runs on that CPU from now on.
static inline void linux_stay_on(uint64_t cpu) {
    uint64_t set = UINT64_C(1) << cpu;
    user_check(linux_call(LINUX_SCHED_SETAFFINITY, 0, sizeof set, (uint64_t)&set) == 0,
               "a thread can stay on its CPU");
}

static inline unsigned linux_cpus(void) {
    uint64_t set[16] = {0}; // Linux wants room for all that it was built for
    int64_t bytes = linux_call(LINUX_SCHED_GETAFFINITY, 0, sizeof set, (uint64_t)set);
    user_check(bytes > 0, "the CPUs can be counted");
    unsigned cpus = 0;
    for (; set[0] != 0; set[0] &= set[0] - 1)
        cpus++;
    return cpus;
}
