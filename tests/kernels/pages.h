// Reads the page tables of CR3 through the direct map, without the project's paging library: what
// that library built is what is being tested. Maps devices meanwhile. Format: SDM 3A 4.5.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_PRESENT  (UINT64_C(1) << 0)
#define ENTRY_WRITE    (UINT64_C(1) << 1)
#define ENTRY_USER     (UINT64_C(1) << 2)
#define ENTRY_PWT      (UINT64_C(1) << 3)
#define ENTRY_PCD      (UINT64_C(1) << 4)
#define ENTRY_LARGE    (UINT64_C(1) << 7)  // in a table above the lowest level
#define ENTRY_PAT_4K   (UINT64_C(1) << 7)  // in a 4 KiB leaf
#define ENTRY_PAT_HIGH (UINT64_C(1) << 12) // in a large leaf
#define ENTRY_NX       (UINT64_C(1) << 63)
#define ENTRY_ADDRESS  UINT64_C(0x000ffffffffff000)

enum { TABLE_ENTRIES = 512 };

// A translation that the CPU would make.
struct leaf {
    uint64_t virt; // of the leaf's first byte
    uint64_t phys;
    uint64_t bytes; // 4 KiB, 2 MiB or 1 GiB
    bool writable;  // along the whole walk
    bool executable;
    bool user;
    unsigned pat_index; // SDM 3A 4.9.2
};

struct pages_visitor {
    void (*table)(void *context, uint64_t phys); // each time that an entry points to one
    void (*leaf)(void *context, const struct leaf *leaf);
    void *context;
};

// Visits all tables and leaves that CR3 reaches, leaves in rising virtual order.
void pages_walk(const struct pages_visitor *visitor);

// Translates one address; false if it is not mapped.
bool pages_translate(uint64_t virt, struct leaf *ret_leaf);

// Maps the page of a device's registers at `phys`, uncached, in the lower half, in the place of the
// one before, with tables of the kernel's own. Returns the pointer to `phys`.
volatile uint32_t *pages_map_device(uint64_t phys);

// The lower half maps nothing again.
void pages_unmap_device(void);
