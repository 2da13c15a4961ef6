// Where RAM and a manifest differ: see plan.h.
#include "common/base/assert.h"
#include "common/mtrr/mtrr_map.h"
#include "loader/plan_internal.h"

// Sorted, disjoint physical ranges, read one by one from records. `read` returns false for a record
// that is not of the list.
struct range_list {
    bool (*read)(const struct range_list *list, uint64_t index, struct plan_range *ret_range);
    const void *records;
    const struct space_rules *rules;
    uint64_t count;
    uint64_t next;
};

static bool read_direct_region(const struct range_list *list, uint64_t index,
                               struct plan_range *ret_range) {
    const struct memmap_region *region = (const struct memmap_region *)list->records + index;
    ASSERT(index == 0 || region[-1].end <= region->start);
    *ret_range = (struct plan_range){region->start, region->end};
    return region->direct;
}

// What of a region the rules want in the direct map, RAM or not.
static bool read_wanted_region(const struct range_list *list, uint64_t index,
                               struct plan_range *ret_range) {
    const struct memmap_region *region = (const struct memmap_region *)list->records + index;
    *ret_range = (struct plan_range){region->start, plan_wanted_end(list->rules, region)};
    return ret_range->start != ret_range->end;
}

static bool read_wanted_ram(const struct range_list *list, uint64_t index,
                            struct plan_range *ret_range) {
    const struct memmap_region *region = (const struct memmap_region *)list->records + index;
    return region->direct && read_wanted_region(list, index, ret_range);
}

static bool read_direct_mapping(const struct range_list *list, uint64_t index,
                                struct plan_range *ret_range) {
    const struct slipway_mapping *mapping = (const struct slipway_mapping *)list->records + index;
    *ret_range = (struct plan_range){mapping->phys, mapping->phys + mapping->bytes};
    return mapping->purpose == SLIPWAY_MAP_DIRECT;
}

// Of the direct map by rules: what it maps, RAM or not.
static bool read_mapped(const struct range_list *list, uint64_t index,
                        struct plan_range *ret_range) {
    const struct slipway_mapping *mapping = (const struct slipway_mapping *)list->records + index;
    *ret_range = (struct plan_range){mapping->phys, mapping->phys + mapping->bytes};
    return mapping->purpose == SLIPWAY_MAP_DIRECT || mapping->purpose == SPACE_MAP_DEVICES;
}

// Of the direct map by rules: RAM in it that is not wanted for its address alone.
static bool read_mapped_ram(const struct range_list *list, uint64_t index,
                            struct plan_range *ret_range) {
    if (!read_direct_mapping(list, index, ret_range))
        return false;
    if (list->rules->all_below_4g)
        ret_range->start = max_u64(ret_range->start, SPACE_BELOW_4G);
    return ret_range->start < ret_range->end;
}

static struct range_list list_regions(const struct plan_input *input) {
    return (struct range_list){read_direct_region, input->regions, &input->rules,
                               input->region_count, 0};
}

static struct range_list list_mappings(const struct plan_input *input,
                                       const struct slipway_mapping *mappings, uint64_t count) {
    return (struct range_list){read_direct_mapping, mappings, &input->rules, count, 0};
}

static bool next_range(struct range_list *list, struct plan_range *ret_range) {
    while (list->next < list->count) {
        struct plan_range range;
        if (list->read(list, list->next++, &range)) {
            *ret_range = range;
            return true;
        }
    }
    return false;
}

// What is in `from` and not in `without`. Both rise, so each is read once: `cut` is the first range
// of `without` that ends behind range.start or, when there is no such range, the last.
static uint64_t subtract(struct range_list from, struct range_list without,
                         struct plan_range *ret_ranges, uint64_t capacity) {
    uint64_t found = 0;
    struct plan_range range;
    struct plan_range cut = {0, 0};
    while (next_range(&from, &range)) {
        while (range.start < range.end) {
            while (cut.end <= range.start && next_range(&without, &cut)) {
            }
            bool is_cut = cut.end > range.start && cut.start < range.end;
            uint64_t end = is_cut ? max_u64(cut.start, range.start) : range.end;
            if (range.start < end) {
                if (found < capacity)
                    ret_ranges[found] = (struct plan_range){range.start, end};
                found++;
            }
            range.start = is_cut ? cut.end : range.end;
        }
    }
    return found;
}

uint64_t plan_find_unmapped(const struct plan_input *input, const struct slipway_mapping *mappings,
                            uint64_t count, struct plan_range *ret_ranges, uint64_t capacity) {
    struct range_list from = list_regions(input);
    struct range_list without = list_mappings(input, mappings, count);
    if (space_has_rules(&input->rules)) {
        from.read = read_wanted_ram;
        without.read = read_mapped;
    }
    return subtract(from, without, ret_ranges, capacity);
}

uint64_t plan_find_stale(const struct plan_input *input, const struct slipway_mapping *mappings,
                         uint64_t count, struct plan_range *ret_ranges, uint64_t capacity) {
    struct range_list from = list_mappings(input, mappings, count);
    struct range_list without = list_regions(input);
    if (space_has_rules(&input->rules)) {
        from.read = read_mapped_ram;
        without.read = read_wanted_region;
    }
    return subtract(from, without, ret_ranges, capacity);
}

static bool read_write_back(const struct range_list *list, uint64_t index,
                            struct plan_range *ret_range) {
    const struct mtrr_run *run = (const struct mtrr_run *)list->records + index;
    *ret_range = (struct plan_range){run->start, run->end};
    return run->type == SLIPWAY_MTRR_WB;
}

uint64_t plan_find_uncached(const struct plan_input *input, const struct mtrr_map *mtrrs,
                            struct plan_range *ret_ranges, uint64_t capacity) {
    const struct range_list write_back = {read_write_back, mtrrs->runs, &input->rules, mtrrs->count,
                                          0};
    if (mtrrs->count == 0)
        return 0;
    return subtract(list_regions(input), write_back, ret_ranges, capacity);
}
