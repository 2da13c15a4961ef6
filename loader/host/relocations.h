// Counts the relocations of an image by kind, for people.
#pragma once

#include "loader/elf.h"

#include <stdint.h>

struct relocations {
    uint64_t relative; // R_X86_64_...: entries of DT_RELA and DT_JMPREL
    uint64_t word;     // R_X86_64_64
    uint64_t glob_dat;
    uint64_t jump_slot;
    uint64_t none;
    uint64_t packed; // words that DT_RELR names
};

// Counts those of a relocated image (elf_relocate), whose tables are as they were before.
struct relocations relocations_count(const struct elf_image *image,
                                     const struct elf_memory *memory);
