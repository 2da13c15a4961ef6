// Tables as text, for people. Runs in fault handlers too, and in an image that is not where it was
// linked for: so there are no tables of pointers here (and the target's flags forbid jump tables).
#include "common/base/fmt.h"
#include "common/vmem/window.h"

static const char *cache_text(enum vmem_cache cache) {
    switch (cache) {
    case VMEM_CACHE_WB:
        return "WB";
    case VMEM_CACHE_WT:
        return "WT";
    case VMEM_CACHE_UC_MINUS:
        return "UC-";
    case VMEM_CACHE_UC:
        return "UC";
    case VMEM_CACHE_WP:
        return "WP";
    case VMEM_CACHE_WC:
        return "WC";
    }
    return "?";
}

static const char *page_text(unsigned page) {
    return page == VMEM_1G ? "1G" : page == VMEM_2M ? "2M" : "4K";
}

struct rights_text {
    char text[5];
};

// "rwxu", '-' for what is missing.
static struct rights_text rights_text(unsigned rights) {
    return (struct rights_text){{
        (rights & VMEM_READ) ? 'r' : '-',
        (rights & VMEM_WRITE) ? 'w' : '-',
        (rights & VMEM_EXECUTE) ? 'x' : '-',
        (rights & VMEM_USER) ? 'u' : '-',
        '\0',
    }};
}

// The largest unit that leaves no remainder.
static void print_size(const struct sink *sink, uint64_t bytes) {
    static const char units[] = "KMGT";
    unsigned unit = 0;
    uint64_t count = bytes >> 10;
    while (unit < sizeof(units) - 2 && count != 0 && count % 1024 == 0) {
        count /= 1024;
        unit++;
    }
    fmt_print(sink, "%7lu %ciB", count, units[unit]);
}

static bool print_run(void *argument, const struct vmem_run *run) {
    const struct sink *sink = argument;
    fmt_print(sink, "%016lx-%016lx -> %013lx ", run->virt.value, run->virt.value + run->bytes - 1,
              run->phys.value);
    print_size(sink, run->bytes);
    fmt_print(sink, " %s %-3s %c", rights_text(run->rights).text, cache_text(run->cache),
              run->global ? 'g' : '-');
    for (unsigned page = VMEM_PAGE_SIZES; page-- != 0;)
        if (run->leaves[page] != 0)
            fmt_print(sink, " %lux%s", run->leaves[page], page_text(page));
    fmt_print(sink, "\n");
    return true;
}

enum vmem_status vmem_dump(const struct vmem *space, const struct sink *sink) {
    struct sink copy = *sink; // the visitor's argument is not const
    enum vmem_status status = vmem_walk(space, vaddr(0), 0, print_run, &copy);
    if (status != VMEM_OK)
        fmt_print(sink, "%s\n", vmem_status_text(status));
    return status;
}

static void print_leaf(const struct sink *sink, vaddr_t virt, unsigned level, uint64_t grants,
                       uint64_t entry) {
    uint64_t offset = virt.value & (vmem_page_bytes((enum vmem_page)(level - 1)) - 1);
    fmt_print(sink, "%s page, %s %s%s%s%s\n    physical %013lx, effective %s\n",
              page_text(level - 1), rights_text(entry_grants_rights(entry_grants(entry))).text,
              cache_text(entry_cache(entry, level)), entry_is_global(entry) ? " global" : "",
              entry_is_accessed(entry) ? " accessed" : "", entry_is_dirty(entry) ? " dirty" : "",
              entry_leaf_address(entry, level).value + offset,
              rights_text(entry_grants_rights(grants)).text);
}

// Prints the entry and what it is; true if it leads to a table.
static bool print_entry(const struct vmem *space, const struct sink *sink, vaddr_t virt,
                        unsigned level, uint64_t grants, uint64_t entry) {
    fmt_print(sink, "  level %u [%3u] %016lx ", level,
              level_index(virt.value >> FRAME_SHIFT, level), entry);
    switch (entry_kind(&space->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        fmt_print(sink, "not present\n");
        return false;
    case ENTRY_IS_BAD:
        fmt_print(sink, "a reserved bit is set\n");
        return false;
    case ENTRY_IS_LEAF:
        print_leaf(sink, virt, level, grants, entry);
        return false;
    case ENTRY_IS_TABLE:
        break;
    }
    fmt_print(sink, "table, %s\n", rights_text(entry_grants_rights(entry_grants(entry))).text);
    return true;
}

void vmem_dump_walk(const struct vmem *space, vaddr_t virt, const struct sink *sink) {
    fmt_print(sink, "walk of %016lx from root %013lx, %u levels\n", virt.value, space->root.value,
              (unsigned)space->levels);
    if (!vmem_is_canonical(virt, space->levels)) {
        fmt_print(sink, "  not a canonical address\n");
        return;
    }
    paddr_t address = space->root;
    uint64_t grants = ENTRY_GRANTS_ALL;
    for (unsigned level = space->levels;; level--) {
        const uint64_t *table = vmem_table(space, address);
        if (table == NULL) {
            fmt_print(sink, "  level %u: no table at %013lx\n", level, address.value);
            return;
        }
        uint64_t entry = entry_load(&table[level_index(virt.value >> FRAME_SHIFT, level)]);
        grants &= entry_grants(entry);
        if (!print_entry(space, sink, virt, level, grants, entry))
            return;
        address = entry_table_address(entry);
    }
}
