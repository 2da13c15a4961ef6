// The tables of CR3 as runs: what follows each other in both spaces and is alike. And a window, in
// a space of the kernel's own, onto physical memory that the loader does not map.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { RUN_WRITE = 1, RUN_EXECUTE = 2, RUN_USER = 4, RUN_GLOBAL = 8 };

struct run {
    uint64_t virt;
    uint64_t phys;
    uint64_t bytes;
    uint8_t rights; // RUN_...
    uint8_t cache;  // index into the PAT
};

// Reads the tables, through the HHDM. A table outside of bootloader-reclaimable memory is counted
// in `foreign_tables`, and read only if it is in memory that is mapped.
extern struct paging {
    uint64_t count;
    struct run runs[8192];
    uint64_t tables;
    uint64_t foreign_tables;
    uint64_t first_foreign; // physical
    uint64_t reserved_bits; // entries with bits that must be 0
} paging;
void paging_read(void);

// The run of an address, or null.
const struct run *paging_find(uint64_t virt);
// Whether all of it is mapped to one range of physical memory, from `phys` on.
bool paging_maps(uint64_t virt, uint64_t phys, uint64_t bytes);
// The first address of [virt, virt + bytes) that is not in a run with these rights, or the end.
uint64_t paging_lacking(uint64_t virt, uint64_t bytes, uint8_t rights);

// Loads the kernel's own tables on this CPU: those of the loader and the window. After paging_read.
void window_start(void);
// Where physical memory is mapped, to be read; and a device, uncached. What is mapped stays so.
const void *window_memory(uint64_t physical, uint64_t bytes);
volatile uint32_t *window_device(uint64_t physical, uint64_t bytes);
