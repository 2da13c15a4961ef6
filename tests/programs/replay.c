// replay [--1g=off] [--stride=40|48|56] FILE...
//
// Runs memory maps of real and of hostile machines through the code that runs on the machine: the
// normaliser, the planner, the page tables of the direct map in memory whose physical addresses are
// no pointers, the frame allocator with its metadata, and the audit. Prints what came out as
// key=value lines. Exit status 1, with file, line and cause on standard error, for a file that it
// cannot parse.
#include "tests/programs/map_file.h"

#include "common/audit/audit.h"
#include "common/base/arith.h"
#include "common/frames/frames.h"
#include "common/vmem/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define PADDR_BITS     52
#define LEVELS         4
#define CPUS           1
#define TABLES_AT      (UINT64_C(1) << 50) // where the tables pretend to be: beyond all RAM
#define FILE_BYTES_MAX MIB(64)

// A machine and everything that is made of its map. All memory is from malloc.
struct replay {
    struct vmem_cpu cpu;
    struct map_file map;
    struct memmap_region *regions;
    uint64_t region_count;
    struct memmap_report report;
    struct slipway_mapping *manifest;
    uint64_t mapping_count;
    struct vmem_plan plan;
    struct vmem space;
    unsigned char *tables; // table_capacity pages
    uint64_t table_capacity;
    uint64_t table_count;
    uint64_t leaves[VMEM_PAGE_SIZES]; // counted in the tables
    struct frames frames;
    void *metadata;
    bool has_metadata_room;
    uint64_t violations;
};

[[gnu::noreturn]] static void fail(const char *what, uint64_t want, uint64_t got) {
    fprintf(stderr, "replay: %s: expected %" PRIu64 ", got %" PRIu64 "\n", what, want, got);
    exit(2);
}

static void *take_memory(uint64_t count, uint64_t bytes) {
    void *memory = aligned_alloc(FRAME_BYTES, align_up(count * bytes + 1, FRAME_BYTES));
    if (memory == NULL)
        fail("memory, in bytes", count * bytes, 0);
    return memory;
}

// --- The map ---

static void normalise(struct replay *replay) {
    const struct map_file *map = &replay->map;
    uint64_t scratch_bytes = memmap_scratch_bytes(map->count, 0);
    uint64_t capacity = memmap_region_bound(map->count, 0);
    void *scratch = take_memory(scratch_bytes, 1);
    replay->regions = take_memory(capacity, sizeof(*replay->regions));
    struct memmap_input input = {
        .efi = {map->descriptors, map->count * map->stride, map->stride},
        .limit = SLIPWAY_HHDM_MAX_BYTES,
    };
    enum memmap_status status = memmap_normalise(&input, scratch, scratch_bytes, replay->regions,
                                                 capacity, &replay->region_count, &replay->report);
    if (status != MEMMAP_OK)
        fail("memmap_normalise", MEMMAP_OK, status);
    free(scratch);
}

// --- The direct map ---

// One mapping for each range of RAM, whatever the kinds of its regions are.
static void make_manifest(struct replay *replay) {
    replay->manifest = take_memory(replay->region_count, sizeof(*replay->manifest));
    for (uint64_t i = 0; i < replay->region_count; i++) {
        const struct memmap_region *region = &replay->regions[i];
        if (!region->direct)
            continue;
        struct slipway_mapping *last = replay->manifest + replay->mapping_count - 1;
        if (replay->mapping_count > 0 && last->phys + last->bytes == region->start) {
            last->bytes += region->end - region->start;
            continue;
        }
        replay->manifest[replay->mapping_count++] = (struct slipway_mapping){
            .virt = SLIPWAY_HHDM_BASE + region->start,
            .phys = region->start,
            .bytes = region->end - region->start,
            .rights = SLIPWAY_RIGHT_WRITE,
            .cache = SLIPWAY_CACHE_WB,
            .purpose = SLIPWAY_MAP_DIRECT,
        };
    }
}

static struct vmem_mapping mapping_of(const struct replay *replay, uint64_t index) {
    const struct slipway_mapping *listed = &replay->manifest[index];
    return (struct vmem_mapping){
        .virt = vaddr(listed->virt),
        .phys = paddr(listed->phys),
        .bytes = listed->bytes,
        .rights = VMEM_READ | VMEM_WRITE,
        .cache = VMEM_CACHE_WB,
        .largest = replay->cpu.has_1g ? VMEM_1G : VMEM_2M,
    };
}

static void plan_tables(struct replay *replay) {
    enum vmem_status status = vmem_plan_begin(&replay->plan, replay->cpu, LEVELS);
    for (uint64_t i = 0; i < replay->mapping_count && status == VMEM_OK; i++) {
        struct vmem_mapping mapping = mapping_of(replay, i);
        status = vmem_plan_add(&replay->plan, &mapping);
    }
    if (status != VMEM_OK)
        fail(vmem_status_text(status), VMEM_OK, status);
}

static paddr_t table_alloc(void *context) {
    struct replay *replay = context;
    if (replay->table_count == replay->table_capacity)
        return PADDR_NONE;
    uint64_t offset = replay->table_count++ * FRAME_BYTES;
    return paddr(TABLES_AT + offset);
}

// Nothing that is built here is ever taken down.
static void table_free(void *context, paddr_t table) {
    (void)context;
    fail("a freed table", 0, table.value);
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    const struct replay *replay = context;
    uint64_t offset = table.value - TABLES_AT;
    if (table.value < TABLES_AT || offset >= replay->table_count * FRAME_BYTES)
        return NULL;
    return (uint64_t *)(void *)(replay->tables + offset);
}

static bool count_leaves(void *argument, const struct vmem_run *run) {
    struct replay *replay = argument;
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        replay->leaves[page] += run->leaves[page];
    return true;
}

// Builds with exactly the tables that were planned, and finds in them the leaves that were planned.
static void build_tables(struct replay *replay) {
    static const struct vmem_ops ops = {
        .table_alloc = table_alloc,
        .table_free = table_free,
        .table_pointer = table_pointer,
    };
    replay->table_capacity = replay->plan.tables;
    replay->tables = take_memory(replay->table_capacity, FRAME_BYTES);
    enum vmem_status status = vmem_new(&replay->space, &ops, replay, replay->cpu, LEVELS);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    for (uint64_t i = 0; i < replay->mapping_count && status == VMEM_OK; i++) {
        struct vmem_mapping mapping = mapping_of(replay, i);
        status = vmem_map(&replay->space, &mapping, &flush);
    }
    if (status == VMEM_OK)
        status = vmem_walk(&replay->space, vaddr(0), 0, count_leaves, replay);
    if (status != VMEM_OK)
        fail(vmem_status_text(status), VMEM_OK, status);
    if (replay->table_count != replay->plan.tables)
        fail("tables", replay->plan.tables, replay->table_count);
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++) {
        if (replay->leaves[page] != replay->plan.leaves[page])
            fail("leaves", replay->plan.leaves[page], replay->leaves[page]);
    }
}

static void write_text(void *context, const char *text, size_t bytes) {
    fwrite(text, 1, bytes, context);
}

static void audit(struct replay *replay) {
    struct slipway_range range = {
        .start_phys = TABLES_AT,
        .bytes = replay->table_count * FRAME_BYTES,
        .purpose = SLIPWAY_RANGE_PAGE_TABLES,
    };
    struct audit_input input = {
        .scope = AUDIT_DIRECT_MAP,
        .space = &replay->space,
        .hhdm_base = SLIPWAY_HHDM_BASE,
        .hhdm_room = SLIPWAY_HHDM_MAX_BYTES,
        .mappings = replay->manifest,
        .mapping_count = replay->mapping_count,
        .ranges = &range,
        .range_count = 1,
        .regions = replay->regions,
        .region_count = replay->region_count,
        .report = &replay->report,
        .tables_planned = replay->plan.tables,
        .scratch_bytes = audit_scratch_bytes(&range, 1),
    };
    input.scratch = take_memory(input.scratch_bytes, 1);
    struct sink sink = {write_text, stderr};
    replay->violations = audit_run(&input, &sink);
    free(input.scratch);
}

// --- The frames ---

static void start_frames(struct replay *replay) {
    uint64_t bytes = frames_metadata_bytes(replay->regions, replay->region_count, CPUS);
    paddr_t phys;
    replay->has_metadata_room =
        frames_place_metadata(replay->regions, replay->region_count, bytes, &phys) == FRAMES_OK;
    if (!replay->has_metadata_room)
        return;
    replay->metadata = take_memory(bytes, 1);
    enum frames_status status = frames_init(&replay->frames, replay->regions, replay->region_count,
                                            CPUS, replay->metadata, bytes, phys);
    if (status != FRAMES_OK)
        fail(frames_status_text(status), FRAMES_OK, status);
    struct sink sink = {write_text, stderr};
    uint64_t wrong = frames_verify(&replay->frames, &sink);
    if (wrong != 0)
        fail("disagreements of the frame counters", 0, wrong);
}

// --- The program ---

static void print(const char *key, uint64_t value) {
    printf("%s=%" PRIu64 "\n", key, value);
}

static void print_figures(const struct replay *replay) {
    const struct memmap_report *report = &replay->report;
    uint64_t reclaimable = 0;
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++)
        reclaimable += memmap_is_reclaimable(kind) ? report->bytes[kind] : 0;
    struct frames_statistics frames;
    frames_get_statistics(&replay->frames, &frames);
    if (!replay->has_metadata_room) // then nothing can be handed out
        frames.total_frames = report->bytes[SLIPWAY_MEM_USABLE] / FRAME_BYTES;

    print("descriptors", report->descriptors);
    print("ram.bytes", report->direct_bytes);
    print("usable.bytes", report->bytes[SLIPWAY_MEM_USABLE]);
    print("reclaimable.bytes", reclaimable);
    print("frames.total", frames.total_frames);
    print("frames.free", frames.free_frames);
    print("frames.metadata_bytes",
          frames_metadata_bytes(replay->regions, replay->region_count, CPUS));
    print("hhdm.leaves_1g", replay->leaves[VMEM_1G]);
    print("hhdm.leaves_2m", replay->leaves[VMEM_2M]);
    print("hhdm.leaves_4k", replay->leaves[VMEM_4K]);
    print("tables.pages", replay->table_count);
    print("audit.violations", replay->violations);
    for (unsigned odd = 0; odd < MEMMAP_ODDITIES; odd++) {
        if (report->odd[odd] != 0)
            printf("map.oddity=%s %" PRIu64 "\n", memmap_oddity_text((enum memmap_oddity)odd),
                   report->odd[odd]);
    }
    if (!replay->has_metadata_room)
        printf("map.oddity=no-room-for-frame-metadata 1\n");
}

static void replay_free(struct replay *replay) {
    map_file_free(&replay->map);
    free(replay->regions);
    free(replay->manifest);
    free(replay->tables);
    free(replay->metadata);
}

// The file's text, from malloc; null, with a message, if it cannot be had.
static char *read_text(const char *name, uint64_t *ret_bytes) {
    FILE *file = fopen(name, "rb");
    char *text = NULL;
    uint64_t bytes = 0, capacity = KIB(64);
    const char *cause = file == NULL ? strerror(errno) : NULL;
    while (cause == NULL && (text == NULL || bytes == capacity)) {
        capacity *= 2;
        char *more = capacity > FILE_BYTES_MAX ? NULL : realloc(text, capacity);
        if (more == NULL) {
            cause = "too large";
            break;
        }
        text = more;
        bytes += fread(text + bytes, 1, capacity - bytes, file);
        if (ferror(file))
            cause = strerror(errno);
    }
    if (file != NULL)
        fclose(file);
    if (cause == NULL) {
        *ret_bytes = bytes;
        return text;
    }
    fprintf(stderr, "%s: %s\n", name, cause);
    free(text);
    return NULL;
}

// False, with a message, if the file cannot be read or parsed.
static bool replay_file(const char *name, struct vmem_cpu cpu, uint64_t stride) {
    struct replay replay = {.cpu = cpu};
    uint64_t bytes;
    char *text = read_text(name, &bytes);
    if (text == NULL)
        return false;
    struct map_file_error error;
    bool is_parsed = map_file_parse(text, bytes, stride, &replay.map, &error);
    free(text);
    if (!is_parsed) {
        fprintf(stderr, "%s:%" PRIu64 ": %s\n", name, error.line, error.cause);
        return false;
    }
    normalise(&replay);
    make_manifest(&replay);
    plan_tables(&replay);
    build_tables(&replay);
    start_frames(&replay);
    audit(&replay);
    print_figures(&replay);
    replay_free(&replay);
    return true;
}

int main(int argc, char **argv) {
    struct vmem_cpu cpu = {.paddr_bits = PADDR_BITS, .has_nx = true, .has_1g = true};
    uint64_t stride = 48;
    int first = 1;
    for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
        if (strcmp(argv[first], "--1g=off") == 0)
            cpu.has_1g = false;
        else if (strcmp(argv[first], "--stride=40") == 0)
            stride = 40;
        else if (strcmp(argv[first], "--stride=48") == 0)
            stride = 48;
        else if (strcmp(argv[first], "--stride=56") == 0)
            stride = 56;
        else
            first = argc;
    }
    if (first >= argc) {
        fprintf(stderr, "usage: replay [--1g=off] [--stride=40|48|56] FILE...\n");
        return 1;
    }
    bool all_parsed = true;
    for (int i = first; i < argc; i++) {
        if (argc - first > 1)
            printf("file=%s\n", argv[i]);
        all_parsed &= replay_file(argv[i], cpu, stride);
    }
    return all_parsed ? 0 : 1;
}
