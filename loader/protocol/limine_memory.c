// The sweep that makes the memory map: see limine_memory.h.
#include "loader/protocol/limine_memory.h"

#include "common/base/addr.h"
#include "common/base/arith.h"

// Nothing describes it.
#define NO_TYPE UINT64_MAX

uint64_t limine_type_of_kind(uint32_t kind, uint64_t base_revision) {
    switch (kind) {
    case SLIPWAY_MEM_USABLE:
        return LIMINE_MEMORY_USABLE;
    case SLIPWAY_MEM_BOOT_SERVICES:
    case SLIPWAY_MEM_LOADER:
    case SLIPWAY_MEM_PAGE_TABLES:
        return LIMINE_MEMORY_LOADER_RECLAIMABLE;
    case SLIPWAY_MEM_ACPI_RECLAIM:
        return LIMINE_MEMORY_ACPI_RECLAIMABLE;
    case SLIPWAY_MEM_MODULE:
    case SLIPWAY_MEM_KERNEL:
        return LIMINE_MEMORY_EXECUTABLE_AND_MODULES;
    case SLIPWAY_MEM_ACPI_NVS:
        return LIMINE_MEMORY_ACPI_NVS;
    case SLIPWAY_MEM_RUNTIME:
        return base_revision >= 5 ? LIMINE_MEMORY_RESERVED_MAPPED : LIMINE_MEMORY_RESERVED;
    case SLIPWAY_MEM_UNUSABLE:
        return LIMINE_MEMORY_BAD;
    default: // what no other loader's kernel has words for
        return LIMINE_MEMORY_RESERVED;
    }
}

uint64_t limine_type_of_purpose(uint32_t purpose) {
    switch (purpose) {
    case SLIPWAY_RANGE_KERNEL:
    case SLIPWAY_RANGE_MODULE:
        return LIMINE_MEMORY_EXECUTABLE_AND_MODULES;
    case SLIPWAY_RANGE_PAGE_TABLES:
    case SLIPWAY_RANGE_STACK:
    case SLIPWAY_RANGE_BOOT_INFO:
    case SLIPWAY_RANGE_LOADER:
    case SLIPWAY_RANGE_CPUS:
    case SLIPWAY_RANGE_SYMBOLS:
    case SLIPWAY_RANGE_CRASH:
        return LIMINE_MEMORY_LOADER_RECLAIMABLE;
    default: // SLIPWAY_RANGE_DEMOTED, SLIPWAY_RANGE_GUARD: nothing maps them
        return LIMINE_MEMORY_RESERVED;
    }
}

bool limine_type_is_mapped(uint64_t type, uint64_t base_revision) {
    switch (type) {
    case LIMINE_MEMORY_USABLE:
    case LIMINE_MEMORY_LOADER_RECLAIMABLE:
    case LIMINE_MEMORY_EXECUTABLE_AND_MODULES:
    case LIMINE_MEMORY_FRAMEBUFFER:
        return true;
    case LIMINE_MEMORY_ACPI_RECLAIMABLE:
    case LIMINE_MEMORY_ACPI_NVS:
        return base_revision != 3;
    case LIMINE_MEMORY_RESERVED_MAPPED:
        return base_revision >= 4;
    default: // reserved, bad
        return base_revision == 0;
    }
}

// Every source has two edges an entry. Between two neighbouring edges lies at most one entry.
uint64_t limine_memory_bound(uint64_t regions, uint64_t ranges, uint64_t firmware_mappings,
                             uint32_t framebuffers) {
    return 2 * (regions + ranges + firmware_mappings + framebuffers);
}

// Where the sweep is: the addresses from `at` to `next` are alike.
struct sweep {
    const struct limine_memory_input *input;
    uint64_t at;
    uint64_t next;
    uint64_t region; // the first of each that does not end at or below `at`
    uint64_t range;
    uint64_t mapping;
};

// True if [start, end), which does not lie below, holds `at`. Its next edge bounds what is alike.
static bool covers(struct sweep *sweep, uint64_t start, uint64_t end) {
    bool is_in = start <= sweep->at;
    sweep->next = min_u64(sweep->next, is_in ? end : start);
    return is_in;
}

static uint64_t region_type(struct sweep *sweep) {
    const struct limine_memory_input *input = sweep->input;
    for (; sweep->region < input->region_count; sweep->region++) {
        const struct slipway_memory *region = &input->regions[sweep->region];
        uint64_t end = region->start_phys + region->bytes;
        if (end > sweep->at)
            return covers(sweep, region->start_phys, end)
                       ? limine_type_of_kind(region->kind, input->base_revision)
                       : NO_TYPE;
    }
    return NO_TYPE;
}

static uint64_t range_type(struct sweep *sweep) {
    const struct limine_memory_input *input = sweep->input;
    for (; sweep->range < input->range_count; sweep->range++) {
        const struct slipway_range *range = &input->ranges[sweep->range];
        uint64_t end = range->start_phys + range->bytes;
        if (end > sweep->at)
            return covers(sweep, range->start_phys, end) ? limine_type_of_purpose(range->purpose)
                                                         : NO_TYPE;
    }
    return NO_TYPE;
}

// The manifest rises in virtual addresses, and what counts of it in physical ones, too.
static uint64_t firmware_type(struct sweep *sweep) {
    const struct limine_memory_input *input = sweep->input;
    for (; sweep->mapping < input->mapping_count; sweep->mapping++) {
        const struct slipway_mapping *mapping = &input->mappings[sweep->mapping];
        uint64_t end = mapping->phys + mapping->bytes;
        if (mapping->purpose == SLIPWAY_MAP_FIRMWARE && end > sweep->at &&
            mapping->virt - mapping->phys == input->hhdm_base)
            return covers(sweep, mapping->phys, end) ? LIMINE_MEMORY_RESERVED_MAPPED : NO_TYPE;
    }
    return NO_TYPE;
}

// In whole frames: what shares one with a framebuffer has other caching.
static uint64_t framebuffer_type(struct sweep *sweep) {
    const struct limine_memory_input *input = sweep->input;
    uint64_t type = NO_TYPE;
    for (uint32_t i = 0; i < input->framebuffer_count; i++) {
        const struct slipway_framebuffer *framebuffer = &input->framebuffers[i];
        uint64_t start = align_down(framebuffer->address_phys, FRAME_BYTES);
        uint64_t end = align_up(framebuffer->address_phys + framebuffer->bytes, FRAME_BYTES);
        if (framebuffer->bytes != 0 && end > sweep->at && covers(sweep, start, end))
            type = LIMINE_MEMORY_FRAMEBUFFER;
    }
    return type;
}

// All are asked, whoever decides: each has edges.
static uint64_t type_here(struct sweep *sweep) {
    uint64_t base_revision = sweep->input->base_revision;
    uint64_t framebuffer = framebuffer_type(sweep);
    uint64_t range = range_type(sweep);
    uint64_t region = region_type(sweep);
    uint64_t firmware = base_revision >= 4 ? firmware_type(sweep) : NO_TYPE;
    if (framebuffer != NO_TYPE)
        return framebuffer;
    if (range != NO_TYPE)
        return range;
    if (firmware != NO_TYPE && (region == NO_TYPE || !limine_type_is_mapped(region, base_revision)))
        return firmware;
    return region;
}

// Entries so far; the last one may grow.
struct entry_list {
    struct limine_memory_entry *entries;
    uint64_t capacity;
    uint64_t count;
    struct limine_memory_entry last;
};

static void append(struct entry_list *list, uint64_t start, uint64_t end, uint64_t type) {
    struct limine_memory_entry *last = &list->last;
    if (list->count != 0 && last->base + last->bytes == start && last->type == type) {
        last->bytes += end - start;
    } else {
        *last = (struct limine_memory_entry){start, end - start, type};
        list->count++;
    }
    if (list->count <= list->capacity)
        list->entries[list->count - 1] = *last;
}

uint64_t limine_make_memory(const struct limine_memory_input *input,
                            struct limine_memory_entry *ret_entries, uint64_t capacity) {
    struct sweep sweep = {.input = input, .next = 0};
    struct entry_list list = {.entries = ret_entries, .capacity = capacity};
    while (sweep.next != UINT64_MAX) {
        sweep.at = sweep.next;
        sweep.next = UINT64_MAX;
        uint64_t type = type_here(&sweep);
        if (type != NO_TYPE)
            append(&list, sweep.at, sweep.next, type);
    }
    return list.count;
}
