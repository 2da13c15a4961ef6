// What tests of address spaces do as a process would: accesses to the memory of the space that this
// CPU runs in. One that faults is given what it is missing, and tried again.
#pragma once

#include "kernel/process/user_space.h"

#include <stdbool.h>
#include <stdint.h>

// Where the areas of tests are. LARGE begins a 2 MiB part.
#define USER_SMALL UINT64_C(0x400000)
#define USER_LARGE UINT64_C(0x80000000)

#define USER_READ    ((unsigned)VMEM_READ)
#define USER_WRITE   ((unsigned)(VMEM_READ | VMEM_WRITE))
#define USER_EXECUTE ((unsigned)(VMEM_READ | VMEM_EXECUTE))

// Reads or writes the 8 bytes at `address`, which is aligned to 8. On an error of user_space_fault
// nothing was read or written. On every CPU.
[[nodiscard]] enum user_space_status user_read(struct user_space *space, uint64_t address,
                                               uint64_t *ret_value);
[[nodiscard]] enum user_space_status user_write(struct user_space *space, uint64_t address,
                                                uint64_t value);

// Whether there is memory enough for tests of large pages: the smallest machines have none in whole
// 2 MiB blocks.
bool user_has_blocks(void);

// --- On CPU 0, each with a check that it succeeds

// A new space, in which this CPU then runs; and its end, with this CPU in the kernel's space.
struct user_space *user_begin(void);
void user_end(struct user_space *space);

void user_map(struct user_space *space, uint64_t start, uint64_t bytes, unsigned rights);
void user_protect(struct user_space *space, uint64_t start, uint64_t bytes, unsigned rights);
struct user_space *user_clone(struct user_space *parent);

uint64_t user_value(struct user_space *space, uint64_t address);
void user_set(struct user_space *space, uint64_t address, uint64_t value);

// The leaf that an address is in; and whether it is in any.
struct vmem_translation user_leaf(struct user_space *space, uint64_t address);
bool user_is_there(struct user_space *space, uint64_t address);

// Whether the frame at an address, or its block, has one owner.
bool user_is_alone(struct user_space *space, uint64_t address);
