// Accesses to the memory of the space that this CPU runs in, as a process makes them: one that
// faults is given what it is missing, and tried again.
#pragma once

#include "kernel/process/user_space.h"

#include <stdint.h>

// Reads or writes the 8 bytes at `address`, which is aligned to 8. On an error of user_space_fault
// nothing was read or written.
[[nodiscard]] enum user_space_status user_read(struct user_space *space, uint64_t address,
                                               uint64_t *ret_value);
[[nodiscard]] enum user_space_status user_write(struct user_space *space, uint64_t address,
                                                uint64_t value);

// The two, and a check that they succeed.
uint64_t user_value(struct user_space *space, uint64_t address);
void user_set(struct user_space *space, uint64_t address, uint64_t value);
