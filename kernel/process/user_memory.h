// Between the kernel and the memory of a process, whose space this CPU has loaded. Every address is
// checked, and memory that has not been touched yet comes on the way. With interrupts off.
#pragma once

#include "kernel/process/user_space.h"

// Copies `bytes` bytes from or to a process. False if not all of them are memory that it could read
// or write itself, or none is left; then a part may have been copied.
bool user_memory_read(struct user_space *space, void *to, uint64_t from, uint64_t bytes);
bool user_memory_write(struct user_space *space, uint64_t to, const void *from, uint64_t bytes);
