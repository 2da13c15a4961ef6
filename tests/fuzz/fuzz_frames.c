// Fuzzes the frame allocator in two ways, by the first byte of the input: regions of any kind, also
// unsorted, overlapping, unaligned and huge, for which what is said of the metadata and what the
// start does must agree; and operations on some thousand frames, compared with a naive model and
// followed by the allocator's own check after each.
#include "tests/fuzz/frames_input.h"
#include "tests/unit/support/frames_model.h"

enum {
    METADATA_MAX = 1 << 18, // what needs more is not started
    OPERATIONS_MAX = 1024,
    STATISTICS_EVERY = 16, // operations
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

// --- Any regions

static bool are_sound(const struct machine *machine) {
    uint64_t end = 0;
    for (uint64_t i = 0; i < machine->count; i++) {
        const struct memmap_region *region = &machine->regions[i];
        if (region->start % 4096 != 0 || region->end % 4096 != 0 || region->start < end ||
            region->start >= region->end || region->kind < 1 || region->kind >= SLIPWAY_MEM_KINDS)
            return false;
        end = region->end;
    }
    return true;
}

// Frames of the regions of kinds from `first` to `last`.
static uint64_t sum(const struct machine *machine, uint32_t first, uint32_t last) {
    uint64_t frames = 0;
    for (uint64_t i = 0; i < machine->count; i++) {
        const struct memmap_region *region = &machine->regions[i];
        if (region->kind >= first && region->kind <= last)
            frames += (region->end - region->start) / FRAME_BYTES;
    }
    return frames;
}

// The place for the metadata is in a usable region that is mapped; there is none only if all of
// them are too small. Whether there is one.
static bool check_place(struct machine *machine) {
    bool fits = false, is_inside = false;
    const uint64_t bytes = machine->metadata_bytes;
    machine->metadata_phys = paddr(0x123);
    enum frames_status status =
        frames_place_metadata(machine->regions, machine->count, bytes, &machine->metadata_phys);
    uint64_t place = machine->metadata_phys.value;
    for (uint64_t i = 0; i < machine->count; i++) {
        const struct memmap_region *region = &machine->regions[i];
        if (region->kind != SLIPWAY_MEM_USABLE || !region->direct)
            continue;
        fits |= region->end - region->start >= bytes;
        is_inside |= region->start <= place && place < region->end && region->end - place >= bytes;
    }
    REQUIRE(status == (fits ? FRAMES_OK : FRAMES_ERR_METADATA));
    REQUIRE(fits ? is_inside && place % FRAME_BYTES == 0 : place == 0x123);
    return fits;
}

// The first and the last frame of every region are what their kind says, as long as nothing is
// reclaimed; all that can be reclaimed then is, and is free.
static void check_started(struct machine *machine) {
    for (uint64_t i = 0; i < machine->count; i++) {
        const struct memmap_region *region = &machine->regions[i];
        const uint64_t ends[] = {region->start, region->end - FRAME_BYTES};
        for (unsigned end = 0; end < 2; end++) {
            bool is_metadata = ends[end] - machine->metadata_phys.value < machine->metadata_bytes;
            enum frames_status want = FRAMES_ERR_FOREIGN;
            if (region->kind == SLIPWAY_MEM_USABLE && !is_metadata)
                want = FRAMES_OK;
            else if (region->kind > SLIPWAY_MEM_ACPI_RECLAIM &&
                     region->kind <= SLIPWAY_MEM_PAGE_TABLES)
                want = FRAMES_ERR_USED;
            REQUIRE(frames_alloc_at(&machine->frames, 0, paddr(ends[end]), 1) == want);
            if (want == FRAMES_OK || is_metadata)
                REQUIRE(frames_free(&machine->frames, 0, paddr(ends[end])) == want);
        }
    }
    verify(machine);
    uint64_t reclaimed = 0, here;
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++)
        if (frames_reclaim(&machine->frames, machine->regions, machine->count, kind, &here) ==
            FRAMES_OK)
            reclaimed += here;
    REQUIRE(reclaimed == sum(machine, SLIPWAY_MEM_BOOT_SERVICES, SLIPWAY_MEM_ACPI_RECLAIM));
    verify(machine);
}

static void check_sound(struct machine *machine) {
    bool has_place = check_place(machine);
    if (machine->metadata_bytes > METADATA_MAX) {
        machine->metadata_bytes = FRAME_BYTES;
        REQUIRE(start(machine) == FRAMES_ERR_METADATA);
        return;
    }
    if (!has_place) {
        machine->metadata_phys = paddr(0);
        (void)start(machine);
        return;
    }
    REQUIRE(start(machine) == FRAMES_OK);
    struct frames_statistics got;
    frames_get_statistics(&machine->frames, &got);
    REQUIRE(got.free_frames + got.metadata_frames == sum(machine, 1, SLIPWAY_MEM_USABLE));
    REQUIRE(got.reserved_frames ==
            sum(machine, SLIPWAY_MEM_PAGE_TABLES + 1, SLIPWAY_MEM_KINDS - 1));
    REQUIRE(got.total_frames + got.reserved_frames ==
            sum(machine, 1, SLIPWAY_MEM_KINDS - 1) -
                sum(machine, SLIPWAY_MEM_BOOT_SERVICES, SLIPWAY_MEM_ACPI_RECLAIM));
    check_started(machine);
}

static void fuzz_regions(struct input *input, unsigned cpus) {
    struct machine machine = {.cpus = cpus, .metadata_phys = paddr(0)};
    uint64_t last_end = 0;
    while (machine.count < REGIONS_MAX &&
           take_region(input, last_end, &machine.regions[machine.count]))
        last_end = machine.regions[machine.count++].end;
    bool sound = are_sound(&machine);
    bool is_manageable = sum(&machine, 1, SLIPWAY_MEM_PAGE_TABLES) != 0;
    machine.metadata_bytes = frames_metadata_bytes(machine.regions, machine.count, cpus);
    REQUIRE((machine.metadata_bytes != 0) == (sound && is_manageable));
    if (machine.metadata_bytes != 0) {
        check_sound(&machine);
        free(machine.metadata);
        return;
    }
    paddr_t place = paddr(0);
    REQUIRE(frames_place_metadata(machine.regions, machine.count, 0, &place) == FRAMES_OK);
    REQUIRE(paddr_is_none(place));
    (void)frames_place_metadata(machine.regions, machine.count, FRAME_BYTES, &place);
    REQUIRE(frames_init(&machine.frames, machine.regions, machine.count, cpus, NULL, 0,
                        PADDR_NONE) == (sound ? FRAMES_OK : FRAMES_ERR_MAP));
    if (sound)
        REQUIRE(frames_alloc(&machine.frames, 0, FRAMES_ANY, &place) == FRAMES_ERR_NO_MEMORY);
}

// --- Operations

static struct model model; // large

struct operation {
    uint8_t kind, cpu;
    uint8_t zone_or_align;
    uint8_t count, scale;
    uint8_t where[3];
};

static uint64_t count_of(const struct operation *o) {
    static const uint64_t special[] = {0, 512, 511, 513, 1023, 512, 1024, UINT64_MAX / FRAME_BYTES};
    if (o->scale < 160)
        return 1U + o->count % 24U;
    if (o->scale < 220)
        return 1U + (unsigned)o->count * (o->scale % 8U + 1);
    return special[o->count % 8];
}

// The frame that `where` is, as an address, mostly moved on to one in the wanted state; a frame
// that follows the last one of a region is not there.
static uint64_t address_of(const struct operation *o, uint8_t wanted) {
    uint64_t index = (o->where[0] | (uint64_t)o->where[1] << 8) * model.count >> 16;
    if (o->where[2] < 224) {
        const uint8_t *found = memchr(model.state + index, wanted, model.count - index);
        index = found != NULL ? (uint64_t)(found - model.state) : index;
    }
    return model.number[index] * FRAME_BYTES + (o->where[2] == 255 ? 8 : 0);
}

static bool zone_has_partial(enum frames_zone zone) {
    for (unsigned i = 0; i < model.block_count; i++)
        if (model.blocks[i].zone == zone && model.blocks[i].free % FRAMES_PER_2M != 0)
            return true;
    return false;
}

// From the highest zone that has one, and with one CPU from a partly used block if there is any.
static enum frames_status do_alloc(struct machine *machine, const struct operation *o) {
    unsigned zone = o->zone_or_align % FRAMES_ZONES;
    paddr_t frame = PADDR_NONE;
    enum frames_status got = frames_alloc(&machine->frames, o->cpu, (enum frames_zone)zone, &frame);
    while (zone != 0 && model.zone_free[zone] == 0)
        zone--;
    REQUIRE(got == (model.zone_free[zone] != 0 ? FRAMES_OK : FRAMES_ERR_NO_MEMORY));
    REQUIRE((got == FRAMES_OK) != paddr_is_none(frame));
    if (got != FRAMES_OK)
        return got;
    uint64_t index = model_index(&model, frame.value / FRAME_BYTES);
    REQUIRE(frame.value % FRAME_BYTES == 0 && model.state[index] == MODEL_FREE);
    const struct model_block *block = &model.blocks[model.block_of[index]];
    REQUIRE(block->zone == zone);
    REQUIRE(machine->cpus != 1 || block->free != FRAMES_PER_2M ||
            !zone_has_partial((enum frames_zone)zone));
    model_set(&model, index, MODEL_USED);
    return got;
}

static enum frames_status judge_request(const struct frames_request *request) {
    if (request->count == 0 || request->count > UINT64_MAX / FRAME_BYTES)
        return FRAMES_ERR_COUNT;
    return (request->align & (request->align - 1)) == 0 ? FRAMES_OK : FRAMES_ERR_ALIGN;
}

static enum frames_status do_run(struct machine *machine, const struct operation *o) {
    struct frames_request request = {.count = count_of(o)};
    request.align = o->zone_or_align < 250 ? UINT64_C(1) << o->zone_or_align % 12U : 6;
    request.align = request.count == 512 && o->zone_or_align < 128 ? 512 : request.align;
    request.below = o->where[2] < 192 ? 0 : address_of(o, MODEL_FREE);
    struct model_request wish = {request.count, request.align,
                                 (request.below == 0 ? UINT64_MAX : request.below) / FRAME_BYTES};
    enum frames_status want = judge_request(&request);
    uint64_t best = want == FRAMES_OK ? model_find(&model, 0, model.count, &wish) : model.count;
    if (want == FRAMES_OK && best == model.count)
        want = FRAMES_ERR_NO_MEMORY;
    paddr_t first = PADDR_NONE;
    REQUIRE(frames_alloc_run(&machine->frames, o->cpu, &request, &first) == want);
    REQUIRE((want == FRAMES_OK) != paddr_is_none(first));
    if (want != FRAMES_OK)
        return want;
    uint64_t number = first.value / FRAME_BYTES;
    REQUIRE(first.value % FRAME_BYTES == 0 && model_fits(&model, number, &wish));
    REQUIRE(model_zone(number) == model_zone(model.number[best]));
    model_set_run(&model, model_index(&model, number), request.count, MODEL_USED);
    return want;
}

// A call for frames by address, which wants them in one state and leaves them in the other.
static enum frames_status do_at(struct machine *machine, const struct operation *o,
                                uint8_t wanted) {
    bool is_single = o->kind % 8 == 5;
    uint64_t address = address_of(o, wanted), count = is_single ? 1 : count_of(o);
    enum frames_status want = model_judge(&model, address, count, wanted), got;
    if (wanted == MODEL_FREE)
        got = frames_alloc_at(&machine->frames, o->cpu, paddr(address), count);
    else if (is_single)
        got = frames_free(&machine->frames, o->cpu, paddr(address));
    else
        got = frames_free_run(&machine->frames, o->cpu, paddr(address), count);
    REQUIRE(got == want);
    if (got == FRAMES_OK)
        model_set_run(&model, model_index(&model, address / FRAME_BYTES), count,
                      wanted == MODEL_FREE ? MODEL_USED : MODEL_FREE);
    return got;
}

static void do_reclaim(struct machine *machine, const struct operation *o) {
    uint32_t kind = o->count % (SLIPWAY_MEM_ACPI_RECLAIM + 2U);
    bool may = memmap_is_reclaimable(kind);
    uint64_t added = 0;
    REQUIRE(frames_reclaim(&machine->frames, machine->regions, machine->count, kind, &added) ==
            (may ? FRAMES_OK : FRAMES_ERR_MAP));
    REQUIRE(added == (may ? model_reclaim(&model, kind) : 0));
}

static void do_operation(struct machine *machine, struct operation *o) {
    enum frames_status status = FRAMES_OK;
    o->cpu = (uint8_t)(o->cpu % machine->cpus);
    switch (o->kind % 8) {
    case 0:
    case 1:
        status = do_alloc(machine, o);
        break;
    case 2:
    case 3:
        status = do_run(machine, o);
        break;
    case 4:
        status = do_at(machine, o, MODEL_FREE);
        break;
    case 5:
    case 6:
        status = do_at(machine, o, MODEL_USED);
        break;
    default:
        do_reclaim(machine, o);
    }
    model.refusals += status != FRAMES_OK;
    verify(machine);
}

static void check_statistics(const struct machine *machine) {
    struct frames_statistics got;
    frames_get_statistics(&machine->frames, &got);
    struct model_free free = model_count_free(&model);
    REQUIRE(got.total_frames == model.total && got.used_frames == model.used);
    REQUIRE(got.free_frames == model.total - model.used && got.refusals == model.refusals);
    REQUIRE(got.largest_run_frames == free.longest && got.free_2m == free.blocks_2m);
    REQUIRE(machine->cpus != 1 || got.peak_used_frames == model.peak);
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
        REQUIRE(got.zone[zone].total_frames == model.zone_total[zone] &&
                got.zone[zone].free_frames == model.zone_free[zone]);
}

// Every run of frames of one state: free ones can be had as a whole, used ones freed, no others.
static void check_every_frame(struct machine *machine) {
    for (uint64_t i = 0, count; i < model.count; i += count) {
        uint8_t state = model.state[i];
        paddr_t first = paddr(model.number[i] * FRAME_BYTES);
        for (count = 1; i + count < model.count && model.state[i + count] == state;)
            count++;
        if (state == MODEL_FREE)
            REQUIRE(frames_alloc_at(&machine->frames, 0, first, count) == FRAMES_OK);
        else if (state == MODEL_USED)
            REQUIRE(frames_free_run(&machine->frames, 0, first, count) == FRAMES_OK);
        else if (state != MODEL_GAP)
            REQUIRE(frames_free(&machine->frames, 0, first) == FRAMES_ERR_FOREIGN);
    }
    verify(machine);
}

static void fuzz_operations(struct input *input, unsigned cpus) {
    struct machine machine = {.cpus = cpus};
    take_arena(input, &machine);
    machine.metadata_bytes = frames_metadata_bytes(machine.regions, machine.count, cpus);
    if (machine.metadata_bytes == 0 ||
        frames_place_metadata(machine.regions, machine.count, machine.metadata_bytes,
                              &machine.metadata_phys) != FRAMES_OK)
        return;
    REQUIRE(start(&machine) == FRAMES_OK);
    model_make(&model, machine.regions, machine.count, machine.metadata_phys,
               machine.metadata_bytes);
    verify(&machine);
    struct operation operation;
    for (unsigned done = 1; done <= OPERATIONS_MAX && take(input, &operation, sizeof(operation));
         done++) {
        do_operation(&machine, &operation);
        if (done % STATISTICS_EVERY == 0)
            check_statistics(&machine);
    }
    check_statistics(&machine);
    check_every_frame(&machine);
    free(machine.metadata);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct input input = {data, bytes};
    uint8_t mode;
    if (!take(&input, &mode, 1))
        return 0;
    unsigned cpus = 1 + (mode >> 1 & 3);
    if ((mode & 1) == 0)
        fuzz_regions(&input, mode >= 0xf8 ? FRAMES_CPUS_MAX : cpus);
    else
        fuzz_operations(&input, cpus);
    return 0;
}
