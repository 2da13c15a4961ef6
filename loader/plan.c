// See plan.h.
#include "loader/plan.h"

#include "common/base/assert.h"
#include "loader/plan_internal.h"

enum {
    STACK_MAPPINGS = 1,
    LOADER_MAPPINGS = 3,                         // read-only, executable, writable
    FIRMWARE_WINDOW = PLAN_FRAMEBUFFERS_MAX + 1, // of 64 GiB
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
    return plan_has_guards(input) ? PLAN_BOOT_GUARDS + others : 0;
}

uint64_t plan_guard_phys(const struct plan_input *input, uint64_t index) {
    ASSERT(index < plan_guard_count(input));
    bool is_boot = index < PLAN_BOOT_GUARDS;
    uint64_t first = (is_boot ? input->stack_phys : input->other_stacks_phys) - FRAME_BYTES;
    uint64_t nth = is_boot ? index : index - PLAN_BOOT_GUARDS;
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

// ---- What the manifest is made of

void plan_append(struct plan_manifest *manifest, struct slipway_mapping mapping) {
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

bool plan_peek_part(const struct plan_input *input, struct plan_parts *parts,
                    struct plan_part *ret_part) {
    if (parts->run == input->elf->run_count)
        return false;
    const struct elf_run *run = &input->elf->runs[parts->run];
    const struct slipway_piece *piece = &input->pieces[parts->piece];
    for (; piece->virt + piece->bytes <= run->start; piece++)
        ASSERT(piece < &input->pieces[input->piece_count - 1]); // runs lie in pieces
    parts->piece = (uint32_t)(piece - input->pieces);
    uint64_t start = max_u64(run->start, piece->virt);
    *ret_part = (struct plan_part){
        .virt = start,
        .phys = piece->phys + (start - piece->virt),
        .bytes = min_u64(run->end, piece->virt + piece->bytes) - start,
        .rights = run->rights,
    };
    return true;
}

void plan_pass_part(const struct plan_input *input, struct plan_parts *parts,
                    const struct plan_part *part) {
    if (part->virt + part->bytes == input->elf->runs[parts->run].end)
        parts->run++;
    else
        parts->piece++;
}

void plan_append_framebuffer(struct plan_manifest *manifest, uint64_t virt, uint64_t phys,
                             uint64_t bytes, uint32_t rights, uint16_t more_purpose) {
    plan_append(manifest,
                (struct slipway_mapping){.virt = virt,
                                         .phys = phys,
                                         .bytes = bytes,
                                         .rights = rights,
                                         .cache = SLIPWAY_CACHE_WC,
                                         .purpose = SLIPWAY_MAP_FRAMEBUFFER | more_purpose});
}

// ---- The window

static void append_stack(struct plan_manifest *manifest, uint64_t virt, uint64_t phys,
                         uint64_t bytes) {
    plan_append(manifest, (struct slipway_mapping){.virt = virt,
                                                   .phys = phys,
                                                   .bytes = bytes,
                                                   .rights = SLIPWAY_RIGHT_WRITE,
                                                   .cache = SLIPWAY_CACHE_WB,
                                                   .purpose = SLIPWAY_MAP_STACK});
}

static void append_other_stacks(struct plan_manifest *manifest, const struct plan_input *input) {
    for (uint32_t i = 0; i < input->other_cpus; i++)
        append_stack(manifest, plan_other_stack_bottom(input, i),
                     input->other_stacks_phys + i * input->stack_bytes, input->stack_bytes);
}

static void append_loader(struct plan_manifest *manifest, const struct plan_input *input) {
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
        plan_append(manifest,
                    (struct slipway_mapping){.virt = plan_loader_virt(input) + runs[i].start,
                                             .phys = loader->phys + runs[i].start,
                                             .bytes = runs[i].end - runs[i].start,
                                             .rights = runs[i].rights,
                                             .cache = SLIPWAY_CACHE_WB,
                                             .purpose = SLIPWAY_MAP_LOADER});
    }
}

static void append_framebuffers(struct plan_manifest *manifest, const struct plan_input *input) {
    for (uint32_t i = 0; i < input->framebuffer_count; i++) {
        uint64_t phys = input->framebuffers[i].address_phys;
        plan_append_framebuffer(manifest, align_down(plan_framebuffer_virt(input, i), FRAME_BYTES),
                                align_down(phys, FRAME_BYTES), input->framebuffers[i].bytes,
                                SLIPWAY_RIGHT_WRITE, 0);
    }
}

// What of a range is no RAM. `*region`, the first that may hold RAM from there on, moves on.
static void append_firmware_range(struct plan_manifest *manifest, const struct plan_input *input,
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
        plan_append(manifest, (struct slipway_mapping){.virt = virt + (at - range->start),
                                                       .phys = at,
                                                       .bytes = ram_start - at,
                                                       .cache = range->cache,
                                                       .purpose = SLIPWAY_MAP_FIRMWARE});
        at = ram_start < range->end ? ram->end : range->end;
    }
}

// Ranges that follow each other stay together: only their cache types differ.
static void append_firmware(struct plan_manifest *manifest, const struct plan_input *input) {
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

static void append_window(struct plan_manifest *manifest, const struct plan_input *input) {
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

static void append_kernel(struct plan_manifest *manifest, const struct plan_input *input) {
    struct plan_parts parts = {0};
    struct plan_part part;
    for (; plan_peek_part(input, &parts, &part); plan_pass_part(input, &parts, &part)) {
        plan_append(manifest, (struct slipway_mapping){.virt = part.virt,
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
    void (*append)(struct plan_manifest *manifest, const struct plan_input *input);
};

uint64_t plan_make_manifest(const struct plan_input *input, struct slipway_mapping *mappings) {
    const struct elf_image *elf = input->elf;
    struct plan_manifest manifest = {.mappings = mappings,
                                     .capacity = plan_mapping_bound(input, input->region_count)};
    ASSERT(input->framebuffer_count <= PLAN_FRAMEBUFFERS_MAX);
    ASSERT(input->is_direct || !space_has_rules(&input->rules));
    struct place places[] = {{input->hhdm_base, plan_append_direct_map},
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
        plan_append_identity(&manifest, input);
    for (uint32_t i = 0; i < ARRAY_LEN(places); i++)
        places[i].append(&manifest, input);
    return manifest.count;
}
