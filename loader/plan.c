// See plan.h.
#include "loader/plan.h"

#include "common/base/assert.h"

enum {
    STACK_MAPPINGS = 1,
    BOOT_GUARDS = 2,                             // below and above the boot stack
    LOADER_MAPPINGS = 3,                         // read-only, executable, writable
    FIRMWARE_WINDOW = PLAN_FRAMEBUFFERS_MAX + 1, // of 64 GiB
};

struct manifest {
    struct slipway_mapping *mappings;
    uint64_t count;
    uint64_t capacity;
};

// ---- Places

// As far from the default place as the window is large.
#define WINDOW_ELSEWHERE (SLIPWAY_WINDOW_BASE + 2 * SLIPWAY_WINDOW_BYTES)

static bool meets(uint64_t start, uint64_t bytes, uint64_t other_start, uint64_t other_end) {
    return start < other_end && other_start < start + bytes;
}

uint64_t plan_choose_window(const struct elf_image *elf) {
    bool is_taken =
        meets(SLIPWAY_WINDOW_BASE, SLIPWAY_WINDOW_BYTES, elf->virt_start, elf->virt_end);
    return is_taken ? WINDOW_ELSEWHERE : SLIPWAY_WINDOW_BASE;
}

uint64_t plan_direct_map_room(const struct plan_input *input) {
    uint64_t base = input->hhdm_base;
    uint64_t end = SLIPWAY_KERNEL_MAX;
    if (input->window_base > base)
        end = input->window_base;
    if (input->elf->virt_start > base)
        end = min_u64(end, input->elf->virt_start);
    return min_u64(end - base, SLIPWAY_HHDM_MAX_BYTES);
}

static bool is_free(const struct plan_input *input, uint64_t base, uint64_t bytes) {
    return bytes <= SLIPWAY_HHDM_MAX_BYTES && bytes <= SLIPWAY_KERNEL_MAX - base &&
           !meets(base, bytes, input->window_base, input->window_base + SLIPWAY_WINDOW_BYTES) &&
           !meets(base, bytes, input->elf->virt_start, input->elf->virt_end);
}

uint64_t plan_choose_direct_map(const struct plan_input *input, uint64_t wish, uint64_t bytes,
                                unsigned levels) {
    if (wish != 0)
        return is_free(input, wish, bytes) ? wish : 0;
    const uint64_t last = UINT64_C(0) - SLIPWAY_HHDM_ALIGN;
    for (uint64_t base = SLIPWAY_HHDM_BASE; base != last; base += SLIPWAY_HHDM_ALIGN) {
        if (is_free(input, base, bytes))
            return base;
    }
    // There is nothing in what 5 levels add.
    return levels == 5 ? UPPER_HALF_5LEVELS : 0;
}

// In the window, whether it is there or not: the loader's image lies behind.
static uint64_t window_stack_bottom(const struct plan_input *input) {
    return input->window_base + FRAME_BYTES;
}

uint64_t plan_stack_bottom(const struct plan_input *input) {
    return input->is_direct ? input->hhdm_base + input->stack_phys : window_stack_bottom(input);
}

uint64_t plan_loader_virt(const struct plan_input *input) {
    return window_stack_bottom(input) + input->stack_bytes + FRAME_BYTES;
}

// From one stack to the next, between which there is one page: the guard above the one and below
// the other.
static uint64_t stack_stride(const struct plan_input *input) {
    return input->stack_bytes + (input->is_direct && !plan_has_guards(input) ? 0 : FRAME_BYTES);
}

uint64_t plan_other_stack_bottom(const struct plan_input *input, uint32_t index) {
    uint64_t first = input->is_direct ? input->hhdm_base + input->other_stacks_phys
                                      : plan_loader_virt(input) + input->loader.bytes + FRAME_BYTES;
    return first + index * stack_stride(input);
}

bool plan_has_guards(const struct plan_input *input) {
    return input->is_direct && !input->rules.has_no_guards;
}

uint64_t plan_guard_count(const struct plan_input *input) {
    uint64_t others = input->other_cpus == 0 ? 0 : input->other_cpus + 1;
    return plan_has_guards(input) ? BOOT_GUARDS + others : 0;
}

uint64_t plan_guard_phys(const struct plan_input *input, uint64_t index) {
    ASSERT(index < plan_guard_count(input));
    bool is_boot = index < BOOT_GUARDS;
    uint64_t first = (is_boot ? input->stack_phys : input->other_stacks_phys) - FRAME_BYTES;
    uint64_t nth = is_boot ? index : index - BOOT_GUARDS;
    return first + nth * stack_stride(input);
}

// In the window the offset within 1 GiB is that of the physical address, so that large leaves fit.
uint64_t plan_framebuffer_virt(const struct plan_input *input, uint32_t index) {
    uint64_t phys = input->framebuffers[index].address_phys;
    return input->is_direct ? input->hhdm_base + phys
                            : input->window_base + GIB(64) * (index + 1) + (phys & (GIB(1) - 1));
}

// By rules each region, and each gap before one, is a range of the direct map. Framebuffers, guards
// and read-only parts of the kernel cut them, and they cut tables of the firmware's.
static uint64_t bound_by_rules(const struct plan_input *input, uint64_t region_count) {
    uint64_t ranges = 2 * region_count + 1;
    uint64_t cuts = 3 * PLAN_FRAMEBUFFERS_MAX + plan_guard_count(input) + PLAN_FIRMWARE_MAX +
                    2 * plan_kernel_parts(input);
    return (input->rules.identity ? 2 : 1) * (2 * ranges + cuts);
}

// The direct map: a region is one mapping, and each read-only part of the kernel in it cuts it at
// both ends. A region of RAM cuts at most one range of the firmware's pages in two.
uint64_t plan_mapping_bound(const struct plan_input *input, uint64_t region_count) {
    uint64_t kernel_parts = plan_kernel_parts(input);
    uint64_t bound = 2 * region_count + 2 * kernel_parts + STACK_MAPPINGS + LOADER_MAPPINGS +
                     input->other_cpus + PLAN_FRAMEBUFFERS_MAX + PLAN_FIRMWARE_MAX + kernel_parts;
    if (space_has_rules(&input->rules))
        bound += bound_by_rules(input, region_count);
    return bound;
}

uint64_t plan_kernel_parts(const struct plan_input *input) {
    return (uint64_t)input->elf->run_count + (input->piece_count - 1); // where two pieces meet
}

// Appends a mapping, or makes the last one longer where the two could be one.
static void append(struct manifest *manifest, struct slipway_mapping mapping) {
    if (mapping.bytes == 0)
        return;
    if (manifest->count != 0) {
        struct slipway_mapping *last = &manifest->mappings[manifest->count - 1];
        ASSERT(last->virt + last->bytes <= mapping.virt); // in rising order
        if (last->virt + last->bytes == mapping.virt && last->phys + last->bytes == mapping.phys &&
            last->rights == mapping.rights && last->cache == mapping.cache &&
            last->purpose == mapping.purpose) {
            last->bytes += mapping.bytes;
            return;
        }
    }
    ASSERT(manifest->count < manifest->capacity);
    manifest->mappings[manifest->count++] = mapping;
}

// A run of the kernel's pages, as far as it lies in one piece.
struct image_part {
    uint64_t virt;
    uint64_t phys;
    uint64_t bytes;
    uint32_t rights;
};

// Where the next part begins: in this run and in this piece. Parts rise, as both lists do.
struct parts {
    uint32_t run;
    uint32_t piece;
};

// The next part, or false.
static bool peek_part(const struct plan_input *input, struct parts *parts,
                      struct image_part *ret_part) {
    if (parts->run == input->elf->run_count)
        return false;
    const struct elf_run *run = &input->elf->runs[parts->run];
    const struct slipway_piece *piece = &input->pieces[parts->piece];
    for (; piece->virt + piece->bytes <= run->start; piece++)
        ASSERT(piece < &input->pieces[input->piece_count - 1]); // runs lie in pieces
    parts->piece = (uint32_t)(piece - input->pieces);
    uint64_t start = max_u64(run->start, piece->virt);
    *ret_part = (struct image_part){
        .virt = start,
        .phys = piece->phys + (start - piece->virt),
        .bytes = min_u64(run->end, piece->virt + piece->bytes) - start,
        .rights = run->rights,
    };
    return true;
}

static void pass_part(const struct plan_input *input, struct parts *parts,
                      const struct image_part *part) {
    if (part->virt + part->bytes == input->elf->runs[parts->run].end)
        parts->run++;
    else
        parts->piece++;
}

// The pages of all framebuffers, in rising order and each once: two may overlap.
struct screens {
    struct plan_range ranges[PLAN_FRAMEBUFFERS_MAX];
    uint32_t count;
    uint32_t next; // of those that are not in the manifest yet
};

// The direct map, or the same pages one to one, while it is made. Physical addresses rise.
struct direct {
    struct manifest *manifest;
    const struct plan_input *input;
    uint64_t base;    // virtual address of physical address 0
    uint32_t rights;  // of what nothing seals
    uint16_t purpose; // added to each: 0 or SPACE_MAP_IDENTITY
    struct parts parts;
    struct screens screens;
    // By rules only:
    uint64_t done;     // all below is in the manifest, if it is to be there
    uint64_t guard[2]; // the first that may lie above `done`: of the boot stack, of the others
    uint32_t firmware; // the first range that may end above `done`
};

static void append_direct(struct direct *direct, uint64_t start, uint64_t end, uint32_t rights,
                          uint32_t purpose) {
    append(direct->manifest,
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
    struct image_part part;
    while (!input->rules.unsealed && peek_part(input, &direct->parts, &part)) {
        uint64_t part_start = max_u64(part.phys, at);
        uint64_t part_end = min_u64(part.phys + part.bytes, end);
        if (part_start < part_end && (part.rights & SLIPWAY_RIGHT_WRITE) == 0) {
            append_direct(direct, at, part_start, direct->rights, purpose);
            append_direct(direct, part_start, part_end, sealed_rights, purpose);
            at = part_end;
        }
        if (part.phys + part.bytes > end) // the rest lies in what follows
            break;
        pass_part(input, &direct->parts, &part);
    }
    append_direct(direct, at, end, direct->rights, purpose);
}

static void append_stack(struct manifest *manifest, uint64_t virt, uint64_t phys, uint64_t bytes) {
    append(manifest, (struct slipway_mapping){.virt = virt,
                                              .phys = phys,
                                              .bytes = bytes,
                                              .rights = SLIPWAY_RIGHT_WRITE,
                                              .cache = SLIPWAY_CACHE_WB,
                                              .purpose = SLIPWAY_MAP_STACK});
}

static void append_other_stacks(struct manifest *manifest, const struct plan_input *input) {
    for (uint32_t i = 0; i < input->other_cpus; i++)
        append_stack(manifest, plan_other_stack_bottom(input, i),
                     input->other_stacks_phys + i * input->stack_bytes, input->stack_bytes);
}

static void append_loader(struct manifest *manifest, const struct plan_input *input) {
    const struct plan_loader_image *loader = &input->loader;
    const struct {
        uint64_t start, end; // offsets
        uint32_t rights;
    } runs[LOADER_MAPPINGS] = {
        {0, loader->text_start, 0},
        {loader->text_start, loader->text_end, SLIPWAY_RIGHT_EXECUTE},
        {loader->text_end, loader->bytes, SLIPWAY_RIGHT_WRITE},
    };
    for (uint32_t i = 0; i < ARRAY_LEN(runs); i++) {
        append(manifest, (struct slipway_mapping){.virt = plan_loader_virt(input) + runs[i].start,
                                                  .phys = loader->phys + runs[i].start,
                                                  .bytes = runs[i].end - runs[i].start,
                                                  .rights = runs[i].rights,
                                                  .cache = SLIPWAY_CACHE_WB,
                                                  .purpose = SLIPWAY_MAP_LOADER});
    }
}

static void append_framebuffer(struct manifest *manifest, uint64_t virt, uint64_t phys,
                               uint64_t bytes, uint32_t rights, uint16_t more_purpose) {
    append(manifest, (struct slipway_mapping){.virt = virt,
                                              .phys = phys,
                                              .bytes = bytes,
                                              .rights = rights,
                                              .cache = SLIPWAY_CACHE_WC,
                                              .purpose = SLIPWAY_MAP_FRAMEBUFFER | more_purpose});
}

static void append_framebuffers(struct manifest *manifest, const struct plan_input *input) {
    for (uint32_t i = 0; i < input->framebuffer_count; i++) {
        uint64_t phys = input->framebuffers[i].address_phys;
        append_framebuffer(manifest, align_down(plan_framebuffer_virt(input, i), FRAME_BYTES),
                           align_down(phys, FRAME_BYTES), input->framebuffers[i].bytes,
                           SLIPWAY_RIGHT_WRITE, 0);
    }
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
    append_framebuffer(direct->manifest, direct->base + screen->start, screen->start,
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
    const uint64_t ends[] = {min_u64(BOOT_GUARDS, count), count};
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

static bool has_firmware(const struct plan_input *input) {
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
            append(direct->manifest,
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
    bool has_tables = has_firmware(direct->input);
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

// What of a region the rules want, where it begins: up to its end, to 4 GiB, or nothing.
static uint64_t wanted_end(const struct space_rules *rules, const struct memmap_region *region) {
    if (space_wants_kind(rules, region->kind))
        return region->end;
    return rules->all_below_4g && region->start < SPACE_BELOW_4G
               ? min_u64(region->end, SPACE_BELOW_4G)
               : region->start;
}

// RAM is told from the rest even where all is wanted: a leaf that has both has memory of two cache
// types by the MTRRs.
static void append_by_rules(struct direct *direct) {
    const struct plan_input *input = direct->input;
    const uint64_t all_end = input->rules.all_below_4g ? SPACE_BELOW_4G : 0;
    for (uint64_t i = 0; i < input->region_count; i++) {
        const struct memmap_region *region = &input->regions[i];
        uint64_t end = wanted_end(&input->rules, region);
        if (region->start == end)
            continue;
        append_wanted(direct, direct->done, min_u64(region->start, all_end), SPACE_MAP_DEVICES);
        append_wanted(direct, region->start, end,
                      region->direct ? SLIPWAY_MAP_DIRECT : SPACE_MAP_DEVICES);
    }
    append_wanted(direct, direct->done, all_end, SPACE_MAP_DEVICES);
    append_between(direct, UINT64_MAX);
}

static struct direct begin_direct(struct manifest *manifest, const struct plan_input *input,
                                  uint64_t base) {
    struct direct direct = {
        .manifest = manifest,
        .input = input,
        .base = base,
        .rights = SLIPWAY_RIGHT_WRITE |
                  (input->rules.executes_direct ? (uint32_t)SLIPWAY_RIGHT_EXECUTE : 0),
        .guard = {0, BOOT_GUARDS},
    };
    if (input->is_direct)
        list_screens(input, &direct.screens);
    return direct;
}

static void append_direct_map(struct manifest *manifest, const struct plan_input *input) {
    struct direct direct = begin_direct(manifest, input, input->hhdm_base);
    if (space_has_rules(&input->rules))
        append_by_rules(&direct);
    else
        append_all_ram(&direct);
}

// A null pointer leads nowhere.
static void append_identity(struct manifest *manifest, const struct plan_input *input) {
    struct direct direct = begin_direct(manifest, input, 0);
    direct.purpose = SPACE_MAP_IDENTITY;
    direct.done = FRAME_BYTES;
    append_by_rules(&direct);
}

// ---- The window

// What of a range is no RAM. `*region`, the first that may hold RAM from there on, moves on.
static void append_firmware_range(struct manifest *manifest, const struct plan_input *input,
                                  const struct plan_firmware *range, uint64_t virt,
                                  uint64_t *region) {
    uint64_t at = range->start;
    while (at < range->end) {
        const struct memmap_region *ram = &input->regions[*region];
        const struct memmap_region *end = &input->regions[input->region_count];
        while (ram < end && (!ram->direct || ram->end <= at))
            ram++;
        *region = (uint64_t)(ram - input->regions);
        uint64_t ram_start = ram < end ? min_u64(max_u64(ram->start, at), range->end) : range->end;
        append(manifest, (struct slipway_mapping){.virt = virt + (at - range->start),
                                                  .phys = at,
                                                  .bytes = ram_start - at,
                                                  .cache = range->cache,
                                                  .purpose = SLIPWAY_MAP_FIRMWARE});
        at = ram_start < range->end ? ram->end : range->end;
    }
}

// Ranges that follow each other stay together: only their cache types differ.
static void append_firmware(struct manifest *manifest, const struct plan_input *input) {
    ASSERT(input->firmware_count <= PLAN_FIRMWARE_MAX);
    uint64_t virt = input->window_base + GIB(64) * FIRMWARE_WINDOW;
    uint64_t region = 0;
    for (uint32_t i = 0; i < input->firmware_count; i++) {
        const struct plan_firmware *range = &input->firmware[i];
        ASSERT(i == 0 || range[-1].end <= range->start);
        if (i != 0 && range[-1].end != range->start)
            virt += FRAME_BYTES;
        append_firmware_range(manifest, input, range, virt, &region);
        virt += range->end - range->start;
    }
}

static void append_window(struct manifest *manifest, const struct plan_input *input) {
    if (!input->is_direct)
        append_stack(manifest, plan_stack_bottom(input), input->stack_phys, input->stack_bytes);
    append_loader(manifest, input);
    if (!input->is_direct) {
        append_other_stacks(manifest, input);
        append_framebuffers(manifest, input);
    }
    if (input->rules.firmware == SPACE_FIRMWARE_WINDOW)
        append_firmware(manifest, input);
}

static void append_kernel(struct manifest *manifest, const struct plan_input *input) {
    struct parts parts = {0};
    struct image_part part;
    for (; peek_part(input, &parts, &part); pass_part(input, &parts, &part)) {
        append(manifest, (struct slipway_mapping){.virt = part.virt,
                                                  .phys = part.phys,
                                                  .bytes = part.bytes,
                                                  .rights = part.rights,
                                                  .cache = SLIPWAY_CACHE_WB,
                                                  .purpose = SLIPWAY_MAP_KERNEL});
    }
}

// One of the three places of the upper half.
struct place {
    uint64_t start;
    void (*append)(struct manifest *manifest, const struct plan_input *input);
};

uint64_t plan_make_manifest(const struct plan_input *input, struct slipway_mapping *mappings) {
    const struct elf_image *elf = input->elf;
    struct manifest manifest = {.mappings = mappings,
                                .capacity = plan_mapping_bound(input, input->region_count)};
    ASSERT(input->framebuffer_count <= PLAN_FRAMEBUFFERS_MAX);
    ASSERT(input->is_direct || !space_has_rules(&input->rules));
    struct place places[] = {{input->hhdm_base, append_direct_map},
                             {input->window_base, append_window},
                             {elf->virt_start, append_kernel}};
    for (uint32_t i = 1; i < ARRAY_LEN(places); i++) {
        struct place moving = places[i];
        uint32_t to = i;
        for (; to > 0 && places[to - 1].start > moving.start; to--)
            places[to] = places[to - 1];
        places[to] = moving;
    }
    if (input->rules.identity)
        append_identity(&manifest, input);
    for (uint32_t i = 0; i < ARRAY_LEN(places); i++)
        places[i].append(&manifest, input);
    return manifest.count;
}

static struct vmem_mapping to_vmem(const struct slipway_mapping *mapping, struct vmem_cpu cpu) {
    return (struct vmem_mapping){
        .virt = vaddr(mapping->virt),
        .phys = paddr(mapping->phys),
        .bytes = mapping->bytes,
        .rights = VMEM_READ | (mapping->rights & SLIPWAY_RIGHT_WRITE ? VMEM_WRITE : 0U) |
                  (mapping->rights & SLIPWAY_RIGHT_EXECUTE ? VMEM_EXECUTE : 0U),
        .cache = (enum vmem_cache)mapping->cache,
        .largest = cpu.has_1g ? VMEM_1G : VMEM_2M,
    };
}

enum vmem_status plan_count_tables(const struct slipway_mapping *mappings, uint64_t count,
                                   struct vmem_cpu cpu, unsigned levels, struct vmem_plan *ret_plan,
                                   uint64_t *ret_index) {
    *ret_index = 0;
    enum vmem_status status = vmem_plan_begin(ret_plan, cpu, levels);
    for (uint64_t i = 0; status == VMEM_OK && i < count; i++) {
        struct vmem_mapping mapping = to_vmem(&mappings[i], cpu);
        *ret_index = i;
        status = vmem_plan_add(ret_plan, &mapping);
    }
    return status;
}

enum vmem_status plan_build_tables(struct vmem *space, const struct space_rules *rules,
                                   const struct slipway_mapping *mappings, uint64_t count,
                                   uint64_t *ret_index) {
    enum vmem_status status = VMEM_OK;
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    *ret_index = 0;
    for (uint64_t i = 0; status == VMEM_OK && i < count; i++) {
        struct vmem_mapping mapping = to_vmem(&mappings[i], space->cpu);
        mapping.global = !rules->has_no_global;
        *ret_index = i;
        status = vmem_map(space, &mapping, &flush);
    }
    vmem_flush_finish(space, &flush);
    return status;
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
    if (has_firmware(input) && input->firmware_count != 0)
        end = max_u64(end, input->firmware[input->firmware_count - 1].end);
    return end;
}

// ---- RAM that has changed

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
    *ret_range = (struct plan_range){region->start, wanted_end(list->rules, region)};
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
