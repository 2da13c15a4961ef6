#include "pages.h"
#include "cpu.h"
#include "kit.h"

// What a walk has collected on its way down.
struct path {
    uint64_t virt;
    bool writable;
    bool executable;
    bool user;
};

static uint64_t bytes_of_entry(unsigned level) {
    return PAGE_BYTES << (9 * (level - 1));
}

static struct path step(struct path path, uint64_t entry, unsigned level, uint64_t index) {
    path.virt += index * bytes_of_entry(level);
    path.writable = path.writable && entry & ENTRY_WRITE;
    path.executable = path.executable && !(entry & ENTRY_NX);
    path.user = path.user && entry & ENTRY_USER;
    return path;
}

static bool is_leaf(uint64_t entry, unsigned level) {
    return level == 1 || (level <= 3 && entry & ENTRY_LARGE);
}

static struct leaf leaf_of(struct path path, uint64_t entry, unsigned level) {
    uint64_t bytes = bytes_of_entry(level);
    uint64_t pat_bit = level == 1 ? ENTRY_PAT_4K : ENTRY_PAT_HIGH;
    unsigned pat_index = (entry & ENTRY_PWT) != 0;
    pat_index |= (unsigned)((entry & ENTRY_PCD) != 0) << 1;
    pat_index |= (unsigned)((entry & pat_bit) != 0) << 2;
    return (struct leaf){.virt = path.virt,
                         .phys = entry & ENTRY_ADDRESS & ~(bytes - 1),
                         .bytes = bytes,
                         .writable = path.writable,
                         .executable = path.executable,
                         .user = path.user,
                         .pat_index = pat_index};
}

static void walk_table(const struct pages_visitor *visitor, uint64_t table, unsigned level,
                       struct path path) {
    visitor->table(visitor->context, table);
    const uint64_t *entries = kit_direct(table);
    uint64_t sign = UINT64_MAX << (9 * level + 11);
    for (uint64_t i = 0; i < TABLE_ENTRIES; i++) {
        if (!(entries[i] & ENTRY_PRESENT))
            continue;
        struct path next = step(path, entries[i], level, i);
        if (level == boot->paging_levels && i >= TABLE_ENTRIES / 2)
            next.virt |= sign;
        if (is_leaf(entries[i], level)) {
            struct leaf leaf = leaf_of(next, entries[i], level);
            visitor->leaf(visitor->context, &leaf);
        } else {
            walk_table(visitor, entries[i] & ENTRY_ADDRESS, level - 1, next);
        }
    }
}

static const struct path root_path = {.writable = true, .executable = true, .user = true};

void pages_walk(const struct pages_visitor *visitor) {
    walk_table(visitor, read_cr3() & ENTRY_ADDRESS, boot->paging_levels, root_path);
}

bool pages_translate(uint64_t virt, struct leaf *ret_leaf) {
    uint64_t table = read_cr3() & ENTRY_ADDRESS;
    struct path path = root_path;
    for (unsigned level = boot->paging_levels;; level--) {
        uint64_t index = virt / bytes_of_entry(level) % TABLE_ENTRIES;
        uint64_t entry = ((const uint64_t *)kit_direct(table))[index];
        if (!(entry & ENTRY_PRESENT))
            return false;
        path = step(path, entry, level, index);
        if (is_leaf(entry, level)) {
            *ret_leaf = leaf_of(path, entry, level);
            ret_leaf->virt = virt & ~(ret_leaf->bytes - 1);
            return true;
        }
        table = entry & ENTRY_ADDRESS;
    }
}

enum { LEVELS_MAX = 5 };

// One for each level but the root's.
static _Alignas(PAGE_BYTES) uint64_t device_tables[LEVELS_MAX - 1][TABLE_ENTRIES];

static uint64_t *root_entry(void) {
    return kit_direct(read_cr3() & ENTRY_ADDRESS);
}

static uint64_t phys_of(const void *pointer) {
    struct leaf leaf;
    if (!pages_translate((uint64_t)pointer, &leaf))
        CHECK_FAILED("the kernel's own data is mapped", (uint64_t)pointer);
    return leaf.phys + ((uint64_t)pointer - leaf.virt);
}

// At the page after the null pointer's: entry 0 of each table, and 1 of the lowest.
volatile uint32_t *pages_map_device(uint64_t phys) {
    uint64_t *entry = root_entry();
    for (unsigned level = boot->paging_levels; level > 1; level--) {
        uint64_t *table = device_tables[level - 2];
        *entry = phys_of(table) | ENTRY_PRESENT | ENTRY_WRITE;
        entry = table;
    }
    // PCD and PWT: entry 3 of the PAT, which is UC.
    entry[1] =
        (phys & ENTRY_ADDRESS) | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_PWT | ENTRY_PCD | ENTRY_NX;
    write_cr3(read_cr3());
    return (volatile uint32_t *)(PAGE_BYTES + phys % PAGE_BYTES);
}

void pages_unmap_device(void) {
    *root_entry() = 0;
    write_cr3(read_cr3());
}
