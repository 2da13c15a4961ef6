// How many page tables a kernel takes on a machine with so much RAM: the loader's own plan (plan.h)
// over a memory map that is as plain as can be.
//
// All RAM is free and write-back, from 0 to 2 GiB and from 4 GiB on; there is one CPU, one
// framebuffer of 8 MiB, and one page of the firmware's tables outside of RAM. On a real machine
// each end of a run of RAM that lies at no multiple of 2 MiB takes up to two tables more, and so
// does each display.
#pragma once

#include "loader/kernel_file.h"

#include <stdbool.h>
#include <stdint.h>

#define TABLES_RAM_MAX (UINT64_C(32) << 40)

struct tables_machine {
    uint64_t ram_bytes;  // whole frames, TABLES_RAM_MAX at most
    unsigned levels_max; // that the CPU has: 4 or 5. The firmware runs with 4
};

// What the loader decides of the kernel's address space.
struct tables_space {
    unsigned levels;
    uint64_t hhdm_base;
    uint64_t hhdm_end;
    uint64_t hhdm_places; // if its place is random: of so many; else 0
    uint64_t window_base;
};

struct tables_count {
    bool is_known;   // false: no space of so many levels has room for all
    uint64_t tables; // frames
};

// Whether the machine gives the kernel what it wishes. False: the reason is recorded.
[[nodiscard]] bool tables_choose_space(const struct tables_machine *machine,
                                       const struct config *config, const struct kernel *kernel,
                                       struct tables_space *ret_space);

// Counts the tables of a space of so many levels, whatever the CPU has.
struct tables_count tables_count(uint64_t ram_bytes, const struct kernel *kernel, unsigned levels,
                                 bool has_1g);
