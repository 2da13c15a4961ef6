// See tables.h.
#include "loader/host/tables.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "loader/kaslr.h"
#include "loader/protocol/limine.h"
#include "loader/wishes.h"

#include <stdlib.h>
#include <string.h>

enum {
    RUNS_MAX = 2,   // of RAM
    GUARDS_MAX = 2, // of the boot stack
};

#define LOW_END           GIB(2)
#define HIGH_START        GIB(4)
#define FRAMEBUFFER_BYTES MIB(8)
#define FIRMWARE_PHYS     UINT64_C(0xfeff0000)
#define LOADER_BYTES      KIB(256)
#define LOADER_TEXT_BYTES KIB(128)

// What plan_input points to.
struct plan {
    struct plan_input input;
    struct memory_map map;
    struct slipway_framebuffer framebuffer;
    struct plan_firmware firmware;
    struct slipway_piece image;
    struct mtrr_map mtrrs;
};

static void *must_have(void *memory) {
    if (memory == NULL)
        abort();
    return memory;
}

static void plan_free(struct plan *plan) {
    free(plan->map.regions);
    free(plan->map.scratch);
}

static uint64_t list_ram(uint64_t ram_bytes, EFI_MEMORY_DESCRIPTOR ret_runs[RUNS_MAX]) {
    uint64_t low_bytes = min_u64(ram_bytes, LOW_END);
    ret_runs[0] = (EFI_MEMORY_DESCRIPTOR){.Type = EfiConventionalMemory,
                                          .NumberOfPages = low_bytes / FRAME_BYTES,
                                          .Attribute = EFI_MEMORY_WB};
    ret_runs[1] = (EFI_MEMORY_DESCRIPTOR){.Type = EfiConventionalMemory,
                                          .PhysicalStart = HIGH_START,
                                          .NumberOfPages = (ram_bytes - low_bytes) / FRAME_BYTES,
                                          .Attribute = EFI_MEMORY_WB};
    return ram_bytes > LOW_END ? 2 : 1;
}

// Of the guards, which are frames of RAM, the map has none.
static void normalise(struct plan *plan, uint64_t ram_bytes) {
    EFI_MEMORY_DESCRIPTOR runs[RUNS_MAX];
    struct memmap_claim claims[GUARDS_MAX];
    struct memory_map *map = &plan->map;
    uint64_t count = list_ram(ram_bytes, runs);
    uint64_t guards = plan_guard_count(&plan->input);
    map->scratch_bytes = memmap_scratch_bytes(count, GUARDS_MAX);
    map->region_capacity = memmap_region_bound(count, GUARDS_MAX);
    map->scratch = must_have(calloc(1, map->scratch_bytes));
    map->regions = must_have(calloc(map->region_capacity, sizeof(*map->regions)));
    map->buffer = runs;
    map->bytes = count * sizeof(runs[0]);
    map->stride = sizeof(runs[0]);
    map->limit = SLIPWAY_HHDM_MAX_BYTES;
    for (uint64_t i = 0; i < guards; i++)
        claims[i] = (struct memmap_claim){plan_guard_phys(&plan->input, i), FRAME_BYTES,
                                          SLIPWAY_MEM_RESERVED};
    if (memory_map_normalise(map, claims, guards) != MEMMAP_OK)
        abort(); // the map is sound
    map->buffer = NULL;
    plan->input.regions = map->regions;
    plan->input.region_count = map->region_count;
}

// From `*end` downwards, as firmware allocates. A machine that has no room there has none: the
// kernel was refused before.
static uint64_t take(uint64_t *end, uint64_t bytes, uint64_t align) {
    uint64_t start = *end > bytes ? align_down(*end - bytes, align) : 0;
    *end = max_u64(start, MIB(1));
    return *end;
}

// All but the direct map's base.
static void make_plan(struct plan *plan, uint64_t ram_bytes, const struct kernel *kernel) {
    const struct elf_image *elf = &kernel->elf;
    uint64_t image_bytes = elf->virt_end - elf->virt_start;
    uint64_t end = min_u64(ram_bytes, LOW_END);
    bool is_large = image_bytes >= MIB(2) && is_aligned(elf->virt_start, MIB(2));
    plan->framebuffer =
        (struct slipway_framebuffer){.address_phys = LOW_END, .bytes = FRAMEBUFFER_BYTES};
    plan->firmware =
        (struct plan_firmware){FIRMWARE_PHYS, FIRMWARE_PHYS + FRAME_BYTES, SLIPWAY_CACHE_WB};
    plan->mtrrs = (struct mtrr_map){.count = 3,
                                    .runs = {{0, LOW_END, SLIPWAY_MTRR_WB},
                                             {LOW_END, HIGH_START, SLIPWAY_MTRR_UC},
                                             {HIGH_START, UINT64_MAX, SLIPWAY_MTRR_WB}}};
    plan->input = (struct plan_input){
        .rules = kernel->rules,
        .window_base = plan_choose_window(elf),
        .is_direct = (kernel->wishes.flags & SLIPWAY_NOTE_DIRECT) != 0,
        .elf = elf,
        .stack_bytes = kernel->wishes.stack_bytes,
        .loader = {.phys = take(&end, LOADER_BYTES, FRAME_BYTES),
                   .bytes = LOADER_BYTES,
                   .text_start = FRAME_BYTES,
                   .text_end = FRAME_BYTES + LOADER_TEXT_BYTES},
        .framebuffers = &plan->framebuffer,
        .framebuffer_count = 1,
        .firmware = &plan->firmware,
        .firmware_count = 1,
    };
    uint64_t stack_bytes = kernel->wishes.stack_bytes + GUARDS_MAX * FRAME_BYTES;
    plan->input.stack_phys = take(&end, stack_bytes, FRAME_BYTES) + FRAME_BYTES;
    uint64_t image_phys = image_bytes < end - MIB(1)
                              ? take(&end, image_bytes, is_large ? MIB(2) : FRAME_BYTES)
                              : HIGH_START;
    plan->image = (struct slipway_piece){elf->virt_start, image_phys, image_bytes};
    plan->input.pieces = &plan->image;
    plan->input.piece_count = 1;
    normalise(plan, ram_bytes);
}

// Of what the direct map is to have.
static uint64_t highest_end(const struct plan *plan) {
    uint64_t end = plan_direct_map_end(&plan->input, plan->map.report.direct_end);
    return plan->input.is_direct ? max_u64(end, LOW_END + FRAMEBUFFER_BYTES) : end;
}

static bool choose(const struct tables_machine *machine, const struct config *config,
                   const struct kernel *kernel, struct plan *plan, struct tables_space *space) {
    static struct displays displays = {.count = 1};
    const struct cpu_features features = {.paging_levels = 4,
                                          .paging_levels_max = machine->levels_max};
    space->hhdm_end = plan_direct_map_end(&plan->input, plan->map.report.direct_end);
    space->window_base = plan->input.window_base;
    EFI_STATUS status =
        kernel->protocol == CONFIG_PROTOCOL_LIMINE
            ? limine_choose_paging(kernel, config, &features, &space->levels)
            : wishes_choose_levels(&kernel->wishes, config, &features, &space->levels);
    if (EFI_ERROR(status) ||
        EFI_ERROR(wishes_choose_direct_map(&kernel->wishes, &plan->input, space->levels,
                                           space->hhdm_end, &space->hhdm_base)))
        return false;
    const struct places places =
        kaslr_direct_places(kernel, &plan->input, highest_end(plan), space->levels);
    space->hhdm_places = places_count(&places);
    space->hhdm_end += space->hhdm_base;
    return !EFI_ERROR(wishes_check(&kernel->wishes, &plan->map, &displays));
}

bool tables_choose_space(const struct tables_machine *machine, const struct config *config,
                         const struct kernel *kernel, struct tables_space *ret_space) {
    struct plan plan = {0};
    struct tables_space space = {0};
    make_plan(&plan, machine->ram_bytes, kernel);
    bool has_all = choose(machine, config, kernel, &plan, &space);
    plan_free(&plan);
    if (has_all)
        *ret_space = space;
    return has_all;
}

struct tables_count tables_count(uint64_t ram_bytes, const struct kernel *kernel, unsigned levels,
                                 bool has_1g) {
    const struct vmem_cpu cpu = {.paddr_bits = 52, .has_nx = true, .has_1g = has_1g};
    struct plan plan = {0};
    struct vmem_plan counted = {0};
    uint64_t index;
    enum vmem_status status = VMEM_ERR_LEVELS;
    make_plan(&plan, ram_bytes, kernel);
    plan.input.hhdm_base = plan_choose_direct_map(
        &plan.input, kernel->wishes.hhdm_base,
        plan_direct_map_end(&plan.input, plan.map.report.direct_end), levels);
    bool is_wished = kernel->wishes.paging_levels == 0 || kernel->wishes.paging_levels == levels;
    if (plan.input.hhdm_base != 0 && is_wished) {
        uint64_t room = plan_direct_map_room(&plan.input);
        if (plan.input.is_direct && LOW_END + FRAMEBUFFER_BYTES > room)
            plan.input.framebuffer_count = 0; // left out
        uint64_t bound = plan_mapping_bound(&plan.input, plan.input.region_count);
        struct slipway_mapping *mappings = must_have(calloc(bound, sizeof(*mappings)));
        uint64_t count = plan_make_manifest(&plan.input, mappings);
        const struct plan_list list = plan_list_of(&plan.input.rules, mappings, count, &plan.mtrrs);
        status = plan_count_tables(&list, cpu, levels, &counted, &index);
        free(mappings);
    }
    plan_free(&plan);
    return (struct tables_count){status == VMEM_OK, counted.tables};
}
