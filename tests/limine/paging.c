#include "paging.h"
#include "boot.h"
#include "memory.h"
#include "tap.h"

#include <stddef.h>

// Entries of page tables, Intel SDM 3A, 4.5.
#define PTE_PRESENT UINT64_C(1)
#define PTE_WRITE   (UINT64_C(1) << 1)
#define PTE_USER    (UINT64_C(1) << 2)
#define PTE_PWT     (UINT64_C(1) << 3)
#define PTE_PCD     (UINT64_C(1) << 4)
#define PTE_LARGE   (UINT64_C(1) << 7) // above level 1; at level 1 the PAT bit
#define PTE_GLOBAL  (UINT64_C(1) << 8)
#define PTE_PAT     (UINT64_C(1) << 12) // of a large page
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)
#define PTE_NX      (UINT64_C(1) << 63)

enum { ENTRIES = 512, WINDOW_PAGES = ENTRIES };

struct paging paging;

// The window's tables: a root like the loader's, and one table of each level below.
static uint64_t own_tables[5][ENTRIES] __attribute__((aligned(4096)));
static uint64_t window_base;
static uint64_t window_used; // in pages

static uint64_t bytes_of_level(int level) {
    return PAGE_BYTES << 9 * (level - 1);
}

static void add_leaf(uint64_t virt, uint64_t entry, int level, uint8_t rights) {
    uint64_t bytes = bytes_of_level(level);
    uint64_t pat = level == 1 ? entry & PTE_LARGE : entry & PTE_PAT;
    uint64_t phys = entry & PTE_ADDRESS & ~(bytes - 1);
    uint8_t cache =
        (uint8_t)((entry & PTE_PWT ? 1 : 0) | (entry & PTE_PCD ? 2 : 0) | (pat ? 4 : 0));
    if (entry & PTE_GLOBAL)
        rights |= RUN_GLOBAL;
    if (level > 1 && entry & (bytes - 1) & PTE_ADDRESS & ~PTE_PAT)
        paging.reserved_bits++;
    struct run *last = paging.count ? &paging.runs[paging.count - 1] : NULL;
    if (last && last->virt + last->bytes == virt && last->phys + last->bytes == phys &&
        last->rights == rights && last->cache == cache) {
        last->bytes += bytes;
        return;
    }
    if (paging.count == sizeof(paging.runs) / sizeof(*paging.runs))
        tap_bail_out("more than %lu runs of leaves: enlarge paging.runs", paging.count);
    paging.runs[paging.count++] = (struct run){virt, phys, bytes, rights, cache};
}

static void read_table(uint64_t table, int level, uint64_t virt, uint8_t rights) {
    paging.tables++;
    claim(table, PAGE_BYTES, "a page table");
    if (!memory_all_in(table, PAGE_BYTES, TYPES_OF_LOADER)) {
        if (paging.foreign_tables++ == 0)
            paging.first_foreign = table;
        if (!memory_all_in(table, PAGE_BYTES, memory_mapped_types()))
            return;
    }
    const uint64_t *entries = direct(table);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        uint64_t entry = entries[i];
        if (!(entry & PTE_PRESENT))
            continue;
        uint64_t at = virt + i * bytes_of_level(level);
        if (level == boot.levels && i >= ENTRIES / 2) // sign-extended
            at |= ~(2 * bytes_of_level(level) * (ENTRIES / 2) - 1);
        uint8_t here = rights;
        if (!(entry & PTE_WRITE))
            here &= (uint8_t)~RUN_WRITE;
        if (!(entry & PTE_USER))
            here &= (uint8_t)~RUN_USER;
        if (entry & PTE_NX)
            here &= (uint8_t)~RUN_EXECUTE;
        if (level == 1 || (level <= 3 && entry & PTE_LARGE))
            add_leaf(at, entry, level, here);
        else
            read_table(entry & PTE_ADDRESS, level - 1, at, here);
    }
}

void paging_read(void) {
    read_table(boot.state.cr3 & PTE_ADDRESS, boot.levels, 0, RUN_WRITE | RUN_EXECUTE | RUN_USER);
}

const struct run *paging_find(uint64_t virt) {
    uint64_t first = 0, end = paging.count;
    while (first < end) {
        uint64_t middle = first + (end - first) / 2;
        const struct run *run = &paging.runs[middle];
        if (virt < run->virt)
            end = middle;
        else if (virt - run->virt >= run->bytes)
            first = middle + 1;
        else
            return run;
    }
    return NULL;
}

bool paging_maps(uint64_t virt, uint64_t phys, uint64_t bytes) {
    while (bytes > 0) {
        const struct run *run = paging_find(virt);
        if (!run || run->phys + (virt - run->virt) != phys)
            return false;
        uint64_t part = run->bytes - (virt - run->virt);
        if (part > bytes)
            part = bytes;
        virt += part;
        phys += part;
        bytes -= part;
    }
    return true;
}

uint64_t paging_lacking(uint64_t virt, uint64_t bytes, uint8_t rights) {
    uint64_t left = bytes;
    while (left > 0) {
        const struct run *run = paging_find(virt);
        if (!run || (run->rights & rights) != rights)
            return virt;
        uint64_t part = run->bytes - (virt - run->virt);
        if (part > left)
            part = left;
        virt += part;
        left -= part;
    }
    return virt;
}

static uint64_t physical_of(const void *pointer) {
    const struct run *run = paging_find((uint64_t)pointer);
    if (!run)
        tap_bail_out("the page tables do not map the kernel at %lx", (uint64_t)pointer);
    return run->phys + ((uint64_t)pointer - run->virt);
}

void window_start(void) {
    uint64_t *root = own_tables[0];
    if (window_base == 0) {
        const uint64_t *theirs = direct(boot.state.cr3 & PTE_ADDRESS);
        uint64_t slot = ENTRIES - 2;
        for (int i = 0; i < ENTRIES; i++)
            root[i] = theirs[i];
        while (root[slot] & PTE_PRESENT)
            slot--;
        root[slot] = physical_of(own_tables[1]) | PTE_WRITE | PTE_PRESENT;
        for (int i = 1; i < boot.levels - 1; i++)
            own_tables[i][0] = physical_of(own_tables[i + 1]) | PTE_WRITE | PTE_PRESENT;
        uint64_t bytes = bytes_of_level(boot.levels);
        window_base = slot * bytes | ~(bytes * ENTRIES - 1);
    }
    write_cr3(physical_of(root));
}

static uint64_t map_in_window(uint64_t physical, uint64_t bytes, uint64_t cache) {
    uint64_t *table = own_tables[boot.levels - 1];
    uint64_t offset = physical % PAGE_BYTES;
    uint64_t pages = (offset + bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    if (pages > WINDOW_PAGES - window_used)
        tap_bail_out("no room in the window for %lx bytes at %lx", bytes, physical);
    uint64_t at = window_base + window_used * PAGE_BYTES;
    for (uint64_t i = 0; i < pages; i++)
        table[window_used++] =
            (physical - offset + i * PAGE_BYTES) | cache | PTE_NX | PTE_WRITE | PTE_PRESENT;
    return at + offset;
}

const void *window_memory(uint64_t physical, uint64_t bytes) {
    return (const void *)map_in_window(physical, bytes, 0);
}

volatile uint32_t *window_device(uint64_t physical, uint64_t bytes) {
    return (volatile uint32_t *)map_in_window(physical, bytes, PTE_PCD | PTE_PWT);
}
