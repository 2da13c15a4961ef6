// The direct map, by Slipway's contract or by the rules of another protocol: see plan.h and
// space_rules.h.
#include "common/base/assert.h"
#include "loader/plan_internal.h"

// The pages of all framebuffers, in rising order and each once: two may overlap.
struct screens {
    struct plan_range ranges[PLAN_FRAMEBUFFERS_MAX];
    uint32_t count;
    uint32_t next; // of those that are not in the manifest yet
};

// The direct map, or the same pages one to one, while it is made. Physical addresses rise.
struct direct {
    struct plan_manifest *manifest;
    const struct plan_input *input;
    uint64_t base;    // virtual address of physical address 0
    uint32_t rights;  // of what nothing seals
    uint16_t purpose; // added to each: 0 or SPACE_MAP_IDENTITY
    struct plan_parts parts;
    struct screens screens;
    // By rules only:
    uint64_t done;     // all below is in the manifest, if it is to be there
    uint64_t guard[2]; // the first that may lie above `done`: of the boot stack, of the others
    uint32_t firmware; // the first range that may end above `done`
};

static void append_direct(struct direct *direct, uint64_t start, uint64_t end, uint32_t rights,
                          uint32_t purpose) {
    plan_append(direct->manifest,
                (struct slipway_mapping){.virt = direct->base + start,
                                         .phys = start,
                                         .bytes = end - start,
                                         .rights = rights,
                                         .cache = SLIPWAY_CACHE_WB,
                                         .purpose = (uint16_t)(purpose | direct->purpose)});
}

// A range, read-only where read-only pages of the kernel lie in it. Ranges and parts rise.
static void append_ram(struct direct *direct, uint64_t at, uint64_t end, uint32_t purpose) {
    const struct plan_input *input = direct->input;
    const uint32_t sealed_rights = direct->rights & ~(uint32_t)SLIPWAY_RIGHT_WRITE;
    struct plan_part part;
    while (!input->rules.unsealed && plan_peek_part(input, &direct->parts, &part)) {
        uint64_t part_start = max_u64(part.phys, at);
        uint64_t part_end = min_u64(part.phys + part.bytes, end);
        if (part_start < part_end && (part.rights & SLIPWAY_RIGHT_WRITE) == 0) {
            append_direct(direct, at, part_start, direct->rights, purpose);
            append_direct(direct, part_start, part_end, sealed_rights, purpose);
            at = part_end;
        }
        if (part.phys + part.bytes > end) // the rest lies in what follows
            break;
        plan_pass_part(input, &direct->parts, &part);
    }
    append_direct(direct, at, end, direct->rights, purpose);
}

static void list_screens(const struct plan_input *input, struct screens *ret_screens) {
    struct plan_range *ranges = ret_screens->ranges;
    for (uint32_t i = 0; i < input->framebuffer_count; i++) {
        uint64_t start = align_down(input->framebuffers[i].address_phys, FRAME_BYTES);
        uint32_t at = i;
        for (; at != 0 && ranges[at - 1].start > start; at--)
            ranges[at] = ranges[at - 1];
        ranges[at] = (struct plan_range){start, start + input->framebuffers[i].bytes};
    }
    for (uint32_t i = 1; i < input->framebuffer_count; i++) {
        ranges[i].start = max_u64(ranges[i].start, ranges[i - 1].end);
        ranges[i].end = max_u64(ranges[i].end, ranges[i].start);
    }
    ret_screens->count = input->framebuffer_count;
    ret_screens->next = 0;
}

// The next framebuffer in the direct map, if it begins below `limit`; else null.
static const struct plan_range *next_screen(const struct direct *direct, uint64_t limit) {
    const struct screens *screens = &direct->screens;
    const struct plan_range *next = &screens->ranges[screens->next];
    return screens->next < screens->count && next->start < limit ? next : NULL;
}

static void append_screen(struct direct *direct, const struct plan_range *screen) {
    plan_append_framebuffer(direct->manifest, direct->base + screen->start, screen->start,
                            screen->end - screen->start, direct->rights, direct->purpose);
    direct->screens.next++;
}

static void append_screens_below(struct direct *direct, uint64_t limit) {
    const struct plan_range *screen;
    while ((screen = next_screen(direct, limit)) != NULL)
        append_screen(direct, screen);
}

// RAM and, if they have no window, the framebuffers between.
static void append_all_ram(struct direct *direct) {
    const struct plan_input *input = direct->input;
    for (uint64_t i = 0; i < input->region_count; i++) {
        const struct memmap_region *region = &input->regions[i];
        if (!region->direct)
            continue;
        append_screens_below(direct, region->start);
        append_ram(direct, region->start, region->end, SLIPWAY_MAP_DIRECT);
    }
    append_screens_below(direct, UINT64_MAX);
}

// ---- The direct map by rules

// The lowest guard that is not below `at`, which rises.
static uint64_t next_guard(struct direct *direct, uint64_t at) {
    const uint64_t count = plan_guard_count(direct->input);
    const uint64_t ends[] = {min_u64(PLAN_BOOT_GUARDS, count), count};
    uint64_t lowest = UINT64_MAX;
    for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
        uint64_t phys = UINT64_MAX;
        for (; direct->guard[i] < ends[i]; direct->guard[i]++) {
            phys = plan_guard_phys(direct->input, direct->guard[i]);
            if (phys >= at)
                break;
            phys = UINT64_MAX;
        }
        lowest = min_u64(lowest, phys);
    }
    return lowest;
}

// From `done` to `end`, without guards.
static void append_but_guards(struct direct *direct, uint64_t end, uint32_t purpose) {
    while (direct->done < end) {
        uint64_t guard = next_guard(direct, direct->done);
        append_ram(direct, direct->done, min_u64(guard, end), purpose);
        direct->done = guard < end ? guard + FRAME_BYTES : end;
    }
}

// A framebuffer, which may begin below `done` no more: what is done are other framebuffers.
static void pass_screen(struct direct *direct, const struct plan_range *screen) {
    ASSERT(direct->done <= screen->start);
    append_screen(direct, screen);
    direct->done = screen->end;
}

bool plan_has_tables(const struct plan_input *input) {
    return input->rules.firmware == SPACE_FIRMWARE_ACPI ||
           input->rules.firmware == SPACE_FIRMWARE_ALL;
}

// The firmware's tables from `done` to `limit`.
static void append_tables(struct direct *direct, uint64_t limit) {
    const struct plan_input *input = direct->input;
    for (; direct->firmware < input->firmware_count; direct->firmware++) {
        const struct plan_firmware *range = &input->firmware[direct->firmware];
        uint64_t start = max_u64(range->start, direct->done);
        uint64_t end = min_u64(range->end, limit);
        if (start < end) {
            plan_append(direct->manifest,
                        (struct slipway_mapping){
                            .virt = direct->base + start,
                            .phys = start,
                            .bytes = end - start,
                            .rights = direct->rights,
                            .cache = range->cache,
                            .purpose = (uint16_t)(SLIPWAY_MAP_FIRMWARE | direct->purpose)});
            direct->done = end;
        }
        if (range->end > limit)
            return;
    }
}

// What lies from `done` to `limit` and is there for itself: framebuffers and tables.
static void append_between(struct direct *direct, uint64_t limit) {
    const struct plan_range *screen;
    bool has_tables = plan_has_tables(direct->input);
    while ((screen = next_screen(direct, limit)) != NULL) {
        if (has_tables)
            append_tables(direct, screen->start);
        pass_screen(direct, screen);
    }
    if (has_tables)
        append_tables(direct, limit);
}

// A range that the rules want, with the framebuffers in it in their own way.
static void append_wanted(struct direct *direct, uint64_t start, uint64_t end, uint32_t purpose) {
    const struct plan_range *screen;
    append_between(direct, start);
    direct->done = max_u64(direct->done, start);
    while ((screen = next_screen(direct, end)) != NULL) {
        append_but_guards(direct, screen->start, purpose);
        pass_screen(direct, screen);
    }
    append_but_guards(direct, end, purpose);
}

uint64_t plan_wanted_end(const struct space_rules *rules, const struct memmap_region *region) {
    if (space_wants_kind(rules, region->kind))
        return region->end;
    return rules->all_below_4g && region->start < SPACE_BELOW_4G
               ? min_u64(region->end, SPACE_BELOW_4G)
               : region->start;
}

// RAM is told from the rest even where all is wanted: the kernel's memory map tells them, too.
static void append_by_rules(struct direct *direct) {
    const struct plan_input *input = direct->input;
    const uint64_t all_end = input->rules.all_below_4g ? SPACE_BELOW_4G : 0;
    for (uint64_t i = 0; i < input->region_count; i++) {
        const struct memmap_region *region = &input->regions[i];
        uint64_t end = plan_wanted_end(&input->rules, region);
        if (region->start == end)
            continue;
        append_wanted(direct, direct->done, min_u64(region->start, all_end), SPACE_MAP_DEVICES);
        append_wanted(direct, region->start, end,
                      region->direct ? SLIPWAY_MAP_DIRECT : SPACE_MAP_DEVICES);
    }
    append_wanted(direct, direct->done, all_end, SPACE_MAP_DEVICES);
    append_between(direct, UINT64_MAX);
}

static struct direct begin_direct(struct plan_manifest *manifest, const struct plan_input *input,
                                  uint64_t base) {
    struct direct direct = {
        .manifest = manifest,
        .input = input,
        .base = base,
        .rights = SLIPWAY_RIGHT_WRITE |
                  (input->rules.executes_direct ? (uint32_t)SLIPWAY_RIGHT_EXECUTE : 0),
        .guard = {0, PLAN_BOOT_GUARDS},
    };
    if (input->is_direct)
        list_screens(input, &direct.screens);
    return direct;
}

void plan_append_direct_map(struct plan_manifest *manifest, const struct plan_input *input) {
    struct direct direct = begin_direct(manifest, input, input->hhdm_base);
    if (space_has_rules(&input->rules))
        append_by_rules(&direct);
    else
        append_all_ram(&direct);
}

void plan_append_identity(struct plan_manifest *manifest, const struct plan_input *input) {
    struct direct direct = begin_direct(manifest, input, 0);
    direct.purpose = SPACE_MAP_IDENTITY;
    direct.done = FRAME_BYTES;
    append_by_rules(&direct);
}

uint64_t plan_direct_map_end(const struct plan_input *input, uint64_t ram_end) {
    const struct space_rules *rules = &input->rules;
    if (!space_has_rules(rules))
        return ram_end;
    uint64_t end = rules->all_below_4g ? SPACE_BELOW_4G : 0;
    for (uint64_t i = 0; i < input->region_count; i++) {
        const struct memmap_region *region = &input->regions[i];
        if (space_wants_kind(rules, region->kind))
            end = max_u64(end, region->end);
    }
    if (plan_has_tables(input) && input->firmware_count != 0)
        end = max_u64(end, input->firmware[input->firmware_count - 1].end);
    return end;
}
