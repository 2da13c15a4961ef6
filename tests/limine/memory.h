// The loader's memory map as answers to questions, whatever order and overlaps it has; and a list
// of what the loader says that it put into memory, none of which may lie over another.
#pragma once

#include "common/limine/limine.h"

#include <stdbool.h>
#include <stdint.h>

#define TYPE(name)      (UINT64_C(1) << LIMINE_MEMORY_##name)
#define TYPES_ALL       UINT64_C(0x1ff)
#define TYPES_OF_LOADER TYPE(LOADER_RECLAIMABLE)

uint64_t memory_count(void);
const struct limine_memory_entry *memory_entry(uint64_t index);

// The types of all entries that have this address, as bits, and where that changes; no bits in a
// hole.
struct memory_at {
    uint64_t types;
    uint64_t end;
};
struct memory_at memory_look(uint64_t physical);

// Whether each byte is in an entry of one of the types; whether none is.
bool memory_all_in(uint64_t physical, uint64_t bytes, uint64_t types);
bool memory_none_in(uint64_t physical, uint64_t bytes, uint64_t types);

// Types of which the HHDM has everything, at the kernel's base revision and above 4 GiB.
uint64_t memory_mapped_types(void);

// Whether all of it is at HHDM addresses of bootloader-reclaimable memory.
bool is_given(uint64_t address, uint64_t bytes);
// The same of ASCII text, ended by 0, in memory of one of the types.
bool is_given_text(uint64_t address, uint64_t types);

// Enters what the loader put there.
void claim(uint64_t physical, uint64_t bytes, const char *what);
// Checks that no two lie over each other.
void check_claims(void);
