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

// Between two stacks there is one page: the guard above the one and below the other.
uint64_t plan_other_stack_bottom(const struct plan_input *input, uint32_t index) {
    uint64_t first = input->is_direct ? input->hhdm_base + input->other_stacks_phys
                                      : plan_loader_virt(input) + input->loader.bytes + FRAME_BYTES;
    return first + index * (input->stack_bytes + FRAME_BYTES);
}

uint64_t plan_guard_count(const struct plan_input *input) {
    uint64_t others = input->other_cpus == 0 ? 0 : input->other_cpus + 1;
    return input->is_direct ? BOOT_GUARDS + others : 0;
}

uint64_t plan_guard_phys(const struct plan_input *input, uint64_t index) {
    ASSERT(index < plan_guard_count(input));
    bool is_boot = index < BOOT_GUARDS;
    uint64_t first = (is_boot ? input->stack_phys : input->other_stacks_phys) - FRAME_BYTES;
    uint64_t nth = is_boot ? index : index - BOOT_GUARDS;
    return first + nth * (input->stack_bytes + FRAME_BYTES);
}

// In the window the offset within 1 GiB is that of the physical address, so that large leaves fit.
uint64_t plan_framebuffer_virt(const struct plan_input *input, uint32_t index) {
    uint64_t phys = input->framebuffers[index].address_phys;
    return input->is_direct ? input->hhdm_base + phys
                            : input->window_base + GIB(64) * (index + 1) + (phys & (GIB(1) - 1));
}

// The direct map: a region is one mapping, and each read-only part of the kernel in it cuts it at
// both ends. A region of RAM cuts at most one range of the firmware's pages in two.
uint64_t plan_mapping_bound(uint64_t region_count, uint64_t kernel_parts, uint32_t other_cpus) {
    return 2 * region_count + 2 * kernel_parts + STACK_MAPPINGS + LOADER_MAPPINGS + other_cpus +
           PLAN_FRAMEBUFFERS_MAX + PLAN_FIRMWARE_MAX + kernel_parts;
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

static void append_direct(struct manifest *manifest, uint64_t hhdm_base, uint64_t start,
                          uint64_t end, uint32_t rights) {
    append(manifest, (struct slipway_mapping){.virt = hhdm_base + start,
                                              .phys = start,
                                              .bytes = end - start,
                                              .rights = rights,
                                              .cache = SLIPWAY_CACHE_WB,
                                              .purpose = SLIPWAY_MAP_DIRECT});
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

// A range of RAM, read-only where read-only pages of the kernel lie in it. Ranges and parts rise.
static void append_ram(struct manifest *manifest, const struct plan_input *input,
                       const struct memmap_region *region, struct parts *parts) {
    uint64_t at = region->start;
    struct image_part part;
    while (peek_part(input, parts, &part)) {
        uint64_t start = max_u64(part.phys, at);
        uint64_t end = min_u64(part.phys + part.bytes, region->end);
        if (start < end && (part.rights & SLIPWAY_RIGHT_WRITE) == 0) {
            append_direct(manifest, input->hhdm_base, at, start, SLIPWAY_RIGHT_WRITE);
            append_direct(manifest, input->hhdm_base, start, end, 0);
            at = end;
        }
        if (part.phys + part.bytes > region->end) // the rest lies in what follows
            break;
        pass_part(input, parts, &part);
    }
    append_direct(manifest, input->hhdm_base, at, region->end, SLIPWAY_RIGHT_WRITE);
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
                               uint64_t bytes) {
    append(manifest, (struct slipway_mapping){.virt = virt,
                                              .phys = phys,
                                              .bytes = bytes,
                                              .rights = SLIPWAY_RIGHT_WRITE,
                                              .cache = SLIPWAY_CACHE_WC,
                                              .purpose = SLIPWAY_MAP_FRAMEBUFFER});
}

static void append_framebuffers(struct manifest *manifest, const struct plan_input *input) {
    for (uint32_t i = 0; i < input->framebuffer_count; i++) {
        uint64_t phys = input->framebuffers[i].address_phys;
        append_framebuffer(manifest, align_down(plan_framebuffer_virt(input, i), FRAME_BYTES),
                           align_down(phys, FRAME_BYTES), input->framebuffers[i].bytes);
    }
}

// The pages of all framebuffers, in rising order and each once: two may overlap.
struct screens {
    struct plan_range ranges[PLAN_FRAMEBUFFERS_MAX];
    uint32_t count;
    uint32_t next; // of those that are not in the manifest yet
};

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

static void append_screens_below(struct manifest *manifest, uint64_t hhdm_base,
                                 struct screens *screens, uint64_t limit) {
    for (; screens->next < screens->count; screens->next++) {
        const struct plan_range *range = &screens->ranges[screens->next];
        if (range->start >= limit)
            return;
        append_framebuffer(manifest, hhdm_base + range->start, range->start,
                           range->end - range->start);
    }
}

// RAM and, if they have no window, the framebuffers between.
static void append_direct_map(struct manifest *manifest, const struct plan_input *input) {
    struct screens screens = {.count = 0};
    struct parts parts = {0};
    if (input->is_direct)
        list_screens(input, &screens);
    for (uint64_t i = 0; i < input->region_count; i++) {
        const struct memmap_region *region = &input->regions[i];
        if (!region->direct)
            continue;
        append_screens_below(manifest, input->hhdm_base, &screens, region->start);
        append_ram(manifest, input, region, &parts);
    }
    append_screens_below(manifest, input->hhdm_base, &screens, UINT64_MAX);
}

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
    struct manifest manifest = {
        .mappings = mappings,
        .capacity =
            plan_mapping_bound(input->region_count, plan_kernel_parts(input), input->other_cpus)};
    ASSERT(input->framebuffer_count <= PLAN_FRAMEBUFFERS_MAX);
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
        .global = true,
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

enum vmem_status plan_build_tables(struct vmem *space, const struct slipway_mapping *mappings,
                                   uint64_t count, uint64_t *ret_index) {
    enum vmem_status status = VMEM_OK;
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    *ret_index = 0;
    for (uint64_t i = 0; status == VMEM_OK && i < count; i++) {
        struct vmem_mapping mapping = to_vmem(&mappings[i], space->cpu);
        *ret_index = i;
        status = vmem_map(space, &mapping, &flush);
    }
    vmem_flush_finish(space, &flush);
    return status;
}

// ---- RAM that has changed

// Sorted, disjoint physical ranges, read one by one from records. `read` returns false for a record
// that is not of the list.
struct range_list {
    bool (*read)(const void *records, uint64_t index, struct plan_range *ret_range);
    const void *records;
    uint64_t count;
    uint64_t next;
};

static bool read_direct_region(const void *records, uint64_t index, struct plan_range *ret_range) {
    const struct memmap_region *region = (const struct memmap_region *)records + index;
    ASSERT(index == 0 || region[-1].end <= region->start);
    *ret_range = (struct plan_range){region->start, region->end};
    return region->direct;
}

static bool read_direct_mapping(const void *records, uint64_t index, struct plan_range *ret_range) {
    const struct slipway_mapping *mapping = (const struct slipway_mapping *)records + index;
    *ret_range = (struct plan_range){mapping->phys, mapping->phys + mapping->bytes};
    return mapping->purpose == SLIPWAY_MAP_DIRECT;
}

static struct range_list list_regions(const struct plan_input *input) {
    return (struct range_list){read_direct_region, input->regions, input->region_count, 0};
}

static struct range_list list_mappings(const struct slipway_mapping *mappings, uint64_t count) {
    return (struct range_list){read_direct_mapping, mappings, count, 0};
}

static bool next_range(struct range_list *list, struct plan_range *ret_range) {
    while (list->next < list->count) {
        struct plan_range range;
        if (list->read(list->records, list->next++, &range)) {
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
    return subtract(list_regions(input), list_mappings(mappings, count), ret_ranges, capacity);
}

uint64_t plan_find_stale(const struct plan_input *input, const struct slipway_mapping *mappings,
                         uint64_t count, struct plan_range *ret_ranges, uint64_t capacity) {
    return subtract(list_mappings(mappings, count), list_regions(input), ret_ranges, capacity);
}

static bool read_write_back(const void *records, uint64_t index, struct plan_range *ret_range) {
    const struct mtrr_run *run = (const struct mtrr_run *)records + index;
    *ret_range = (struct plan_range){run->start, run->end};
    return run->type == SLIPWAY_MTRR_WB;
}

uint64_t plan_find_uncached(const struct plan_input *input, const struct mtrr_map *mtrrs,
                            struct plan_range *ret_ranges, uint64_t capacity) {
    const struct range_list write_back = {read_write_back, mtrrs->runs, mtrrs->count, 0};
    if (mtrrs->count == 0)
        return 0;
    return subtract(list_regions(input), write_back, ret_ranges, capacity);
}
