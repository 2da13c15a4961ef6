// Memory maps of real and of hostile machines, as they are and altered at random, through the
// normaliser and the allocator: what is handed out, to the last frame, is what a model says that
// shares no code with either. SEED=n replays the alterations, SINGLE=n lets the allocator give that
// many frames one by one.
#include "common/base/arith.h"
#include "common/frames/frames.h"

#include "tests/unit/support/frame_runs.h"
#include "tests/unit/support/map_files.h"
#include "tests/unit/support/random.h"

#define LIMIT    SLIPWAY_HHDM_MAX_BYTES
#define CPUS_MAX 4
#define USABLE   (1u << SLIPWAY_MEM_USABLE)
#define RECLAIMABLE                                                                                \
    (1u << SLIPWAY_MEM_BOOT_SERVICES | 1u << SLIPWAY_MEM_LOADER | 1u << SLIPWAY_MEM_ACPI_RECLAIM)

enum {
    SINGLE = 1 << 16, // free frames at and below which they are taken one by one
    STRIDE_MAX = 128,
};

// --- An allocator over a map

struct machine {
    const struct efi_map *map;
    unsigned cpus;
    struct memmap_region *regions;
    uint64_t region_count;
    void *metadata;
    paddr_t metadata_phys;
    uint64_t metadata_bytes;
    bool has_room;
    struct frames frames;
};

static void *take(uint64_t bytes) {
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, FRAME_BYTES, bytes == 0 ? 1 : bytes), 0);
    return memory;
}

static void normalise(struct machine *machine, uint64_t stride) {
    const struct efi_map *map = machine->map;
    unsigned char *raw = take(map->count * stride);
    for (uint64_t i = 0; i < map->count; i++)
        model_store(raw, i, stride, &map->descriptors[i]);
    uint64_t scratch_bytes = memmap_scratch_bytes(map->count, 0);
    uint64_t capacity = memmap_region_bound(map->count, 0);
    void *scratch = take(scratch_bytes);
    machine->regions = take(capacity * sizeof(*machine->regions));
    struct memmap_input input = {.efi = {raw, map->count * stride, stride}, .limit = LIMIT};
    struct memmap_report report;
    assert_int_equal(memmap_normalise(&input, scratch, scratch_bytes, machine->regions, capacity,
                                      &machine->region_count, &report),
                     MEMMAP_OK);
    free(scratch);
    free(raw);
}

static struct machine machine_make(const struct efi_map *map, uint64_t stride, unsigned cpus) {
    struct machine machine = {.map = map, .cpus = cpus};
    normalise(&machine, stride);
    machine.metadata_bytes = frames_metadata_bytes(machine.regions, machine.region_count, cpus);
    machine.has_room =
        frames_place_metadata(machine.regions, machine.region_count, machine.metadata_bytes,
                              &machine.metadata_phys) == FRAMES_OK;
    if (!machine.has_room)
        return machine;
    machine.metadata = take(machine.metadata_bytes);
    assert_int_equal(frames_init(&machine.frames, machine.regions, machine.region_count, cpus,
                                 machine.metadata, machine.metadata_bytes, machine.metadata_phys),
                     FRAMES_OK);
    return machine;
}

static void machine_end(struct machine *machine) {
    if (machine->has_room)
        assert_int_equal(frames_verify(&machine->frames, NULL), 0);
    free(machine->metadata);
    free(machine->regions);
}

static uint64_t free_frames(const struct machine *machine) {
    struct frames_statistics statistics;
    frames_get_statistics(&machine->frames, &statistics);
    return statistics.free_frames;
}

// --- Taking everything

// What is handed out. Of each CPU the last run grows as long as frames follow one another.
struct taken {
    struct frame_runs runs;
    struct frame_run open[CPUS_MAX];
};

static void taken_add(struct taken *taken, unsigned cpu, paddr_t phys, uint64_t count) {
    struct frame_run *open = &taken->open[cpu];
    assert_true(is_aligned(phys.value, FRAME_BYTES));
    uint64_t first = phys.value / FRAME_BYTES;
    if (open->end != first || open->end == open->first) {
        if (open->end != open->first)
            frame_runs_add(&taken->runs, open->first, open->end);
        open->first = first;
    }
    open->end = first + count;
}

// Takes runs of this size, aligned to it, for as long as that leaves `left` frames.
static void take_runs(struct machine *machine, uint64_t count, uint64_t left, struct taken *taken) {
    struct frames_request request = {.count = count, .align = count};
    paddr_t first;
    unsigned cpu = 0;
    for (uint64_t rest = free_frames(machine); rest >= left + count; rest -= count) {
        if (frames_alloc_run(&machine->frames, cpu, &request, &first) != FRAMES_OK)
            break;
        taken_add(taken, cpu, first, count);
        cpu = (cpu + 1) % machine->cpus;
    }
}

// Takes all there is, each frame on another CPU, in the end by single frames until every CPU is
// refused one.
static struct frame_runs take_all(struct machine *machine) {
    struct taken taken = {0};
    const char *wish = getenv("SINGLE");
    uint64_t single = wish != NULL ? strtoull(wish, NULL, 0) : SINGLE;
    take_runs(machine, FRAMES_PER_1G, single, &taken);
    take_runs(machine, FRAMES_PER_2M, single, &taken);
    paddr_t frame;
    unsigned refused = 0;
    for (unsigned cpu = 0; refused < machine->cpus; cpu = (cpu + 1) % machine->cpus) {
        if (frames_alloc(&machine->frames, cpu, FRAMES_ANY, &frame) != FRAMES_OK) {
            refused++;
            continue;
        }
        assert_int_equal(refused, 0);
        taken_add(&taken, cpu, frame, 1);
    }
    for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
        if (taken.open[cpu].end != taken.open[cpu].first)
            frame_runs_add(&taken.runs, taken.open[cpu].first, taken.open[cpu].end);
    frame_runs_join(&taken.runs);
    return taken.runs;
}

static void free_all(struct machine *machine, const struct frame_runs *runs) {
    uint64_t before = free_frames(machine);
    for (uint64_t i = 0; i < runs->count; i++) {
        const struct frame_run *run = &runs->list[i];
        assert_int_equal(frames_free_run(&machine->frames, 0, paddr(run->first * FRAME_BYTES),
                                         run->end - run->first),
                         FRAMES_OK);
    }
    assert_int_equal(free_frames(machine), before + frame_runs_sum(runs));
}

// --- Comparing

static void assert_runs(const struct machine *machine, const char *what,
                        const struct frame_runs *got, const struct frame_runs *want) {
    for (uint64_t i = 0; i < got->count || i < want->count; i++) {
        struct frame_run g = i < got->count ? got->list[i] : (struct frame_run){0};
        struct frame_run w = i < want->count ? want->list[i] : (struct frame_run){0};
        if (g.first != w.first || g.end != w.end)
            fail_msg("%s, %u CPUs: %s: frames [0x%lx, 0x%lx), the model says [0x%lx, 0x%lx)",
                     machine->map->name, machine->cpus, what, g.first, g.end, w.first, w.end);
    }
}

static void assert_no_room(const struct machine *machine, const struct frame_runs *usable) {
    for (uint64_t i = 0; i < usable->count; i++)
        assert_true((usable->list[i].end - usable->list[i].first) * FRAME_BYTES <
                    machine->metadata_bytes);
}

// Takes what is free at first, which with the metadata is what is usable; then what is reclaimed;
// gives both back.
static void check(const struct efi_map *map, uint64_t stride, unsigned cpus,
                  const struct frame_runs *usable, const struct frame_runs *reclaimable) {
    struct machine machine = machine_make(map, stride, cpus);
    assert_int_equal(machine.metadata_bytes == 0, usable->count == 0 && reclaimable->count == 0);
    if (!machine.has_room) {
        assert_no_room(&machine, usable);
        machine_end(&machine);
        return;
    }
    struct frame_runs first = take_all(&machine);
    uint64_t reclaimed = 0, here;
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++) {
        if (!memmap_is_reclaimable(kind))
            continue;
        assert_int_equal(
            frames_reclaim(&machine.frames, machine.regions, machine.region_count, kind, &here),
            FRAMES_OK);
        reclaimed += here;
    }
    assert_int_equal(reclaimed, frame_runs_sum(reclaimable));
    struct frame_runs second = take_all(&machine);
    assert_runs(&machine, "reclaimed", &second, reclaimable);
    free_all(&machine, &first);
    free_all(&machine, &second);
    uint64_t metadata_frames = align_up(machine.metadata_bytes, FRAME_BYTES) / FRAME_BYTES;
    if (metadata_frames != 0) {
        uint64_t at = machine.metadata_phys.value / FRAME_BYTES;
        frame_runs_add(&first, at, at + metadata_frames);
    }
    frame_runs_join(&first);
    assert_runs(&machine, "usable", &first, usable);
    frame_runs_free(&first);
    frame_runs_free(&second);
    machine_end(&machine);
}

static uint64_t random_stride(struct random *random) {
    static const uint64_t strides[] = {40, 41, 44, 47, 48, 56, 64, 100, STRIDE_MAX};
    return strides[random_below(random, ARRAY_LEN(strides))];
}

static struct frame_runs runs_of(const struct efi_map *map, uint32_t kinds) {
    return frame_runs_of_map(map->descriptors, map->count, LIMIT, kinds);
}

// For one CPU and for several; where there are terabytes, which take their time, for either.
static void check_map(const struct efi_map *map, struct random *random) {
    struct frame_runs usable = runs_of(map, USABLE);
    struct frame_runs reclaimable = runs_of(map, RECLAIMABLE);
    bool is_large = frame_runs_sum(&usable) > TIB(1) / FRAME_BYTES;
    uint64_t only = random_below(random, 2);
    if (!is_large || only == 0)
        check(map, random_stride(random), 1, &usable, &reclaimable);
    if (!is_large || only == 1)
        check(map, random_stride(random), CPUS_MAX, &usable, &reclaimable);
    frame_runs_free(&usable);
    frame_runs_free(&reclaimable);
}

TEST("frames: of every map exactly the usable frames are handed out, and then the reclaimed ones") {
    struct random random = random_start("frames of maps");
    struct map_files files = map_files_load();
    for (uint64_t i = 0; i < files.count; i++)
        check_map(&files.maps[i], &random);
    map_files_free(&files);
}

// --- Altered maps

// Room doubles at every power of two.
static void append(struct efi_map *map, struct model_descriptor descriptor) {
    if (map->count == 0 || is_power_of_two(map->count)) {
        uint64_t capacity = 2 * map->count + 1;
        map->descriptors = realloc(map->descriptors, capacity * sizeof(*map->descriptors));
        assert_non_null(map->descriptors);
    }
    map->descriptors[map->count++] = descriptor;
}

static bool is_plain(const struct model_descriptor *d) {
    return is_aligned(d->start, FRAME_BYTES) && d->pages != 0 &&
           d->pages <= (LIMIT - d->start) / FRAME_BYTES && d->start < LIMIT;
}

// A part of a descriptor: some of its pages.
static struct model_descriptor part_of(const struct model_descriptor *d, struct random *random) {
    struct model_descriptor part = *d;
    uint64_t skipped = random_below(random, d->pages);
    part.start += skipped * FRAME_BYTES;
    part.pages = 1 + random_below(random, d->pages - skipped);
    return part;
}

static void shuffle(struct efi_map *map, struct random *random) {
    for (uint64_t i = map->count; i-- > 1;) {
        uint64_t other = random_below(random, i + 1);
        struct model_descriptor swap = map->descriptors[i];
        map->descriptors[i] = map->descriptors[other];
        map->descriptors[other] = swap;
    }
}

static void split(struct efi_map *map, uint64_t index, struct random *random) {
    struct model_descriptor *d = &map->descriptors[index];
    if (!is_plain(d) || d->pages < 2)
        return;
    struct model_descriptor rest = *d;
    d->pages = 1 + random_below(random, d->pages - 1);
    rest.start += d->pages * FRAME_BYTES;
    rest.pages -= d->pages;
    append(map, rest);
}

static void duplicate(struct efi_map *map, uint64_t index, struct random *random) {
    (void)random;
    append(map, map->descriptors[index]);
}

static void overlap_same(struct efi_map *map, uint64_t index, struct random *random) {
    if (is_plain(&map->descriptors[index]))
        append(map, part_of(&map->descriptors[index], random));
}

static void overlap_other(struct efi_map *map, uint64_t index, struct random *random) {
    static const uint32_t types[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 77};
    if (!is_plain(&map->descriptors[index]))
        return;
    struct model_descriptor part = part_of(&map->descriptors[index], random);
    part.pages += random_below(random, 3) == 0 ? random_below(random, 64) : 0; // beyond its end
    part.type = types[random_below(random, ARRAY_LEN(types))];
    part.attributes = random_below(random, 4) == 0 ? random_below(random, 16) : MODEL_WB;
    append(map, part);
}

static void misalign(struct efi_map *map, uint64_t index, struct random *random) {
    struct model_descriptor *d = &map->descriptors[index];
    if (is_plain(d))
        d->start += 1 + random_below(random, FRAME_BYTES - 1);
}

typedef void (*alteration)(struct efi_map *map, uint64_t index, struct random *random);

// A copy, altered at every eighth entry or so, and shuffled.
static struct efi_map alter(const struct efi_map *map, const alteration *alterations,
                            unsigned count, struct random *random) {
    struct efi_map altered = {.name = map->name};
    for (uint64_t i = 0; i < map->count; i++)
        append(&altered, map->descriptors[i]);
    for (unsigned a = 0; a < count; a++)
        for (uint64_t i = altered.count; i-- > 0;)
            if (random_below(random, 8) == 0)
                alterations[a](&altered, i, random);
    shuffle(&altered, random);
    return altered;
}

TEST("frames: maps shuffled, split and with what they have said twice give the same frames") {
    static const alteration harmless[] = {split, duplicate, overlap_same, split};
    struct random random = random_start("frames of redundant maps");
    struct map_files files = map_files_load();
    for (uint64_t i = 0; i < files.count; i++) {
        struct frame_runs usable = runs_of(&files.maps[i], USABLE);
        struct frame_runs reclaimable = runs_of(&files.maps[i], RECLAIMABLE);
        struct efi_map altered = alter(&files.maps[i], harmless, ARRAY_LEN(harmless), &random);
        check(&altered, random_stride(&random), 1, &usable, &reclaimable);
        frame_runs_free(&usable);
        frame_runs_free(&reclaimable);
        free(altered.descriptors);
    }
    map_files_free(&files);
}

TEST("frames: of maps that contradict themselves exactly the frames of the model are handed out") {
    static const alteration alterations[] = {overlap_other, misalign, split, overlap_other};
    struct random random = random_start("frames of contradictory maps");
    struct map_files files = map_files_load();
    for (uint64_t i = 0; i < files.count; i++) {
        for (unsigned count = 2; count <= ARRAY_LEN(alterations); count += 2) {
            struct efi_map altered = alter(&files.maps[i], alterations, count, &random);
            check_map(&altered, &random);
            free(altered.descriptors);
        }
    }
    map_files_free(&files);
}

// --- Many descriptors

// One after the other or overlapping, with a few that are empty or wrap.
static struct efi_map many(uint64_t count, struct random *random) {
    static const uint32_t types[] = {7, 4, 7, 2, 7, 9, 7, 6, 7, 0, 7, 11};
    struct efi_map map = {.name = "many"};
    uint64_t at = MIB(1);
    for (uint64_t i = 0; i < count; i++) {
        struct model_descriptor d = {types[i % ARRAY_LEN(types)], at, 1 + random_below(random, 12),
                                     MODEL_WB};
        at += (1 + random_below(random, 12)) * FRAME_BYTES;
        if (random_below(random, 10) == 0)
            d.pages = random_below(random, 2) == 0 ? 0 : UINT64_MAX / (1 + i % 4096);
        append(&map, d);
    }
    append(&map, (struct model_descriptor){7, at, 65536, MODEL_WB}); // where metadata fits
    shuffle(&map, random);
    return map;
}

TEST("frames: maps of 1 to 100,001 descriptors, in any order, give the frames of the model") {
    struct random random = random_start("frames of many descriptors");
    for (uint64_t count = 0; count <= 100000; count = count == 0 ? 1 : count * 10) {
        struct efi_map map = many(count, &random);
        check_map(&map, &random);
        free(map.descriptors);
    }
}
