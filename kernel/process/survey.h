// What there is of address spaces, for people, and which of their memory is cold.
//
// By numbers, since a space may end between two calls: every call may be made on every CPU, as
// those of user_space.h. Cost grows with the pages of the space that it is about.
#pragma once

#include "kernel/process/user_space.h"

#include <stdbool.h>
#include <stdint.h>

// Memory that is mapped now.
struct user_memory {
    uint64_t pages[VMEM_PAGE_SIZES]; // leaves of each size
    uint64_t bytes;
    uint64_t shared_bytes; // of these, with more than one owner
};

struct user_space_facts {
    uint64_t id;
    uint64_t areas;
    uint64_t area_bytes; // guard areas left out
    struct user_memory memory;
    uint64_t tables; // page tables of its own
    uint64_t cpus;   // bit n: CPU n runs in it
};

// The space with the lowest number above `id`; false if there is none.
bool user_space_next(uint64_t id, struct user_space_facts *ret_facts);

struct user_area_facts {
    struct area area;
    struct user_memory memory;
};

// The first area of the space with this number that ends above `address`; false if there is none.
bool user_space_next_area(uint64_t id, uint64_t address, struct user_area_facts *ret_facts);

// Harvests a space: counts how much of what is mapped was accessed since the last harvest, and for
// each area for how many harvests nothing was (struct area); makes large pages of what has
// become whole again. False if there is no such space.
bool user_space_harvest(uint64_t id, uint64_t *ret_accessed_bytes);
