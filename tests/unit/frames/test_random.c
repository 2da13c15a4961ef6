// Random operations of the frame allocator on random regions, against a model that has one byte for
// each frame. SEED=n replays a run; a failure is shrunk to the shortest list of operations that
// still fails, and printed with its regions. Built without sanitizers, for its ten million
// operations (tests/unit/unit.mk); test_frames_random_checked.c does fewer of them with.
#include "tests/unit/support/frames_world.h"
#include "tests/unit/support/shrink.h"
#include "tests/unit/support/test.h"

#ifndef OPERATIONS
#define OPERATIONS (1u << 21) // for each number of CPUs; OPERATIONS=n in the environment
#endif

enum {
    EPISODE = 2048,     // operations on one map
    VERIFY_ALWAYS = 24, // with so many blocks or fewer frames_verify comes after each operation,
    VERIFY_EVERY = 32,  // with more after so many
    STATISTICS_EVERY = 64,
};

// ---- What the answer must be

static enum frames_zone highest_zone(const struct model *model, enum frames_zone zone) {
    while (zone > 0 && model->zone_free[zone] == 0)
        zone--;
    return zone;
}

static struct model_request request_of(const struct operation *o) {
    const struct frames_request *request = &o->request;
    return (struct model_request){request->count, max_u64(request->align, 1),
                                  request->below == 0 ? UINT64_MAX : request->below / FRAME_BYTES};
}

// The status that is right. *ret_index: of a run that would do, the highest.
static enum frames_status judge(const struct model *model, const struct operation *o,
                                uint64_t *ret_index) {
    struct model_request request = request_of(o);
    switch (o->kind) {
    case ALLOC:
        return model->zone_free[highest_zone(model, o->zone)] != 0 ? FRAMES_OK
                                                                   : FRAMES_ERR_NO_MEMORY;
    case RUN:
        if (request.count == 0)
            return FRAMES_ERR_COUNT;
        if (!is_power_of_two(request.align))
            return FRAMES_ERR_ALIGN;
        *ret_index = model_find(model, 0, model->count, &request);
        return *ret_index != model->count ? FRAMES_OK : FRAMES_ERR_NO_MEMORY;
    case AT:
        return model_judge(model, o->address, o->count, MODEL_FREE);
    case FREE:
    case FREE_RUN:
        return model_judge(model, o->address, o->count, MODEL_USED);
    case RECLAIM:
    case KINDS:
        break;
    }
    return memmap_is_reclaimable(o->reclaimed) ? FRAMES_OK : FRAMES_ERR_MAP;
}

static const char *check_frame(const struct world *world, const struct operation *o,
                               uint64_t number) {
    const struct model *model = world->model;
    uint64_t index = model_index(model, number);
    if (model->state[index] != MODEL_FREE)
        return "a frame was given that was not free";
    enum frames_zone zone = highest_zone(model, o->zone);
    if (model_zone(number) != zone)
        return "a frame was not given from the highest zone that has one";
    const struct model_request one = {1, 1, UINT64_MAX};
    if (world->cpus == 1 && model->blocks[model->block_of[index]].free == FRAMES_PER_2M &&
        model_has_partial(model, zone, &one))
        return "a frame broke a whole block without need";
    return NULL;
}

static const char *check_run(const struct world *world, const struct operation *o, uint64_t number,
                             uint64_t highest) {
    const struct model *model = world->model;
    struct model_request request = request_of(o);
    if (!model_fits(model, number, &request))
        return "a run was given that was not free, or not as asked for";
    enum frames_zone zone = model_zone(number);
    if (zone != model_zone(model->number[highest]))
        return "a run was not given from the highest zone that has one";
    bool is_short = request.count <= 64 && request.align <= 64 && o->request.below == 0;
    uint64_t block = model->block_of[model_index(model, number)];
    if (world->cpus == 1 && is_short && model->blocks[block].free == FRAMES_PER_2M &&
        model_has_partial(model, zone, &request))
        return "a short run broke a whole block without need";
    return NULL;
}

// ---- One operation

struct answer {
    enum frames_status status;
    paddr_t frame;
    uint64_t added;
};

static struct answer run(struct world *world, const struct operation *o) {
    struct frames *frames = &world->machine.frames;
    struct answer answer = {.frame = PADDR_NONE, .added = UINT64_MAX};
    switch (o->kind) {
    case ALLOC:
        answer.status = frames_alloc(frames, o->cpu, o->zone, &answer.frame);
        break;
    case RUN:
        answer.status = frames_alloc_run(frames, o->cpu, &o->request, &answer.frame);
        break;
    case AT:
        answer.status = frames_alloc_at(frames, o->cpu, paddr(o->address), o->count);
        break;
    case FREE:
        answer.status = frames_free(frames, o->cpu, paddr(o->address));
        break;
    case FREE_RUN:
        answer.status = frames_free_run(frames, o->cpu, paddr(o->address), o->count);
        break;
    case RECLAIM:
    case KINDS:
        answer.status = frames_reclaim(frames, world->map.regions, world->map.count, o->reclaimed,
                                       &answer.added);
    }
    return answer;
}

// Checks what was done, and does it to the model.
static const char *accept(struct world *world, const struct operation *o,
                          const struct answer *answer, uint64_t highest) {
    struct model *model = world->model;
    const char *wrong = NULL;
    uint64_t number = answer->frame.value / FRAME_BYTES, count = o->count;
    uint8_t state = o->kind == FREE || o->kind == FREE_RUN ? MODEL_FREE : MODEL_USED;
    if (o->kind == RECLAIM)
        return answer->added == model_reclaim(model, o->reclaimed) ? NULL : "not all was reclaimed";
    if (o->kind == ALLOC)
        wrong = check_frame(world, o, number);
    else if (o->kind == RUN)
        wrong = check_run(world, o, number, highest);
    else
        number = o->address / FRAME_BYTES;
    if (o->kind == ALLOC)
        count = 1;
    if (o->kind == RUN)
        count = o->request.count;
    if (wrong == NULL)
        model_set_run(model, model_index(model, number), count, state);
    return wrong;
}

static const char *refuse(struct world *world, const struct operation *o,
                          const struct answer *answer, const struct snapshot *before) {
    world->model->refusals += o->kind != RECLAIM;
    if (!paddr_is_none(answer->frame) || answer->added != UINT64_MAX)
        return "a refusal has a result";
    if (before != NULL && !snapshot_equals(before, &world->machine))
        return "a refusal changed the state";
    return NULL;
}

static const char *check_statistics(const struct world *world) {
    const struct model *model = world->model;
    struct frames_statistics got = statistics(&world->machine);
    struct model_free free = model_count_free(model);
    uint64_t off = world->cpus == 1 ? 0 : max_u64(64 * world->cpus, got.total_frames / 256);
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++)
        if (got.zone[zone].free_frames != model->zone_free[zone] ||
            got.zone[zone].total_frames != model->zone_total[zone])
            return "the statistics of a zone are wrong";
    if (got.total_frames != model->total || got.used_frames != model->used ||
        got.free_frames != model->total - model->used)
        return "the sums of the statistics are wrong";
    if (got.refusals != model->refusals)
        return "refusals were not counted";
    if (got.peak_used_frames > model->peak + off || got.peak_used_frames + off < model->peak)
        return "the peak is wrong";
    if (got.largest_run_frames != free.longest)
        return "the largest run is wrong";
    return got.free_2m == free.blocks_2m ? NULL : "whole blocks are not counted";
}

static const char *check_all(struct world *world) {
    const struct model *model = world->model;
    bool is_small = model->block_count <= VERIFY_ALWAYS;
    if ((is_small || world->steps % VERIFY_EVERY == 0) &&
        frames_verify(&world->machine.frames, NULL) != 0)
        return "the self-check finds something wrong";
    return world->steps % STATISTICS_EVERY == 0 ? check_statistics(world) : NULL;
}

// Does one operation to both; null if all is as it should be, else what is not.
static const char *step(struct world *world, const struct shrink_operation *coded,
                        struct snapshot *snapshot) {
    struct model *model = world->model;
    if (model->used == model->total)
        world->is_draining = true;
    if (model->used * 3 < model->total)
        world->is_draining = false;
    struct operation o = decode(world, coded->bytes);
    if (world->is_printed)
        print_operation(&o);
    uint64_t highest = 0;
    enum frames_status want = judge(model, &o, &highest);
    bool is_compared = want != FRAMES_OK && coded->bytes[15] < 64;
    if (is_compared)
        snapshot_fill(snapshot, &world->machine);
    struct answer answer = run(world, &o);
    world->steps++;
    if (answer.status != want)
        return answer.status == FRAMES_OK ? "done what should be refused"
               : want == FRAMES_OK        ? "refused what can be done"
                                          : "refused for the wrong reason";
    ++(want == FRAMES_OK ? world->done : world->refused)[o.kind];
    const char *wrong = want == FRAMES_OK
                            ? accept(world, &o, &answer, highest)
                            : refuse(world, &o, &answer, is_compared ? snapshot : NULL);
    return wrong != NULL ? wrong : check_all(world);
}

// ---- Runs

// Asks for every frame by its address, which says what it is; then gives all back.
static const char *sweep(struct world *world) {
    static const enum frames_status want[] = {
        [MODEL_USED] = FRAMES_ERR_USED,
        [MODEL_FREE] = FRAMES_OK,
        [MODEL_FOREIGN] = FRAMES_ERR_FOREIGN,
        [MODEL_METADATA] = FRAMES_ERR_FOREIGN,
    };
    const struct model *model = world->model;
    struct frames *frames = &world->machine.frames;
    for (uint64_t i = 0; i < model->count; i++) {
        paddr_t frame = paddr(model->number[i] * FRAME_BYTES);
        if (model->state[i] != MODEL_GAP &&
            frames_alloc_at(frames, 0, frame, 1) != want[model->state[i]])
            return "a frame is not what it should be at the end";
    }
    if (statistics(&world->machine).free_frames != 0)
        return "something is free that the model does not have";
    for (uint64_t i = 0; i < model->count; i++)
        if (model->state[i] <= MODEL_FREE &&
            frames_free(frames, 0, paddr(model->number[i] * FRAME_BYTES)) != FRAMES_OK)
            return "a frame cannot be given back at the end";
    return frames_verify(frames, NULL) == 0 ? NULL : "the self-check finds something at the end";
}

// Metadata where it would be placed, or further on in that region.
static void start(struct world *world) {
    struct machine *machine = &world->machine;
    *machine = machine_make(world->map.regions, world->map.count, world->cpus);
    for (uint64_t i = 0; i < world->map.count; i++) {
        const struct memmap_region *region = &world->map.regions[i];
        uint64_t start = machine->metadata_phys.value, end = region->end;
        if (start < region->start || start >= end)
            continue;
        uint64_t room =
            (end - start) / FRAME_BYTES - (machine->metadata_bytes + FRAME_BYTES - 1) / FRAME_BYTES;
        machine->metadata_phys.value += PAGE(min_u64(room, world->metadata_shift));
    }
    machine_start(machine);
    model_make(world->model, world->map.regions, world->map.count, machine->metadata_phys,
               machine->metadata_bytes);
    world->steps = 0;
    world->is_draining = false;
}

// Runs a list from the start; *ret_count is how far it came.
static const char *run_list(struct world *world, const struct shrink_operation *list,
                            unsigned count, unsigned *ret_count) {
    start(world);
    struct snapshot snapshot = snapshot_take(&world->machine);
    const char *wrong = check_statistics(world);
    unsigned i = 0;
    while (i < count && wrong == NULL)
        wrong = step(world, &list[i++], &snapshot);
    *ret_count = i;
    if (wrong == NULL)
        wrong = check_statistics(world);
    if (wrong == NULL)
        wrong = sweep(world);
    snapshot_drop(&snapshot);
    free(world->machine.metadata);
    return wrong;
}

static bool list_fails(void *argument, const struct shrink_operation *list, unsigned count) {
    unsigned reached;
    return run_list(argument, list, count, &reached) != NULL;
}

// Prints the operations while it does them: what the bytes mean depends on what was before.
static void shrink_and_fail(struct world *world, struct shrink_operation *list, unsigned count,
                            const char *wrong) {
    print_message("%s; shrinking %u operations\n", wrong, count);
    count = shrink_list(list, count, list_fails, world);
    world->is_printed = true;
    print_map(&world->map, world->machine.metadata_phys);
    wrong = run_list(world, list, count, &count);
    fail_msg("%s, after the %u operations above", wrong, count);
}

static void run_random(const char *name, unsigned cpus) {
    struct random random = random_start(name);
    const char *wish = getenv("OPERATIONS");
    uint64_t operations = wish != NULL ? strtoull(wish, NULL, 0) : OPERATIONS;
    struct world *world = calloc(1, sizeof(*world));
    struct shrink_operation *list = calloc(EPISODE, sizeof(*list));
    world->cpus = cpus;
    world->model = calloc(1, sizeof(*world->model));
    for (uint64_t at = 0; at < operations; at += EPISODE) {
        bool is_large = at / EPISODE % 16 == 15;
        map_make(&world->map, &random, is_large ? 40000 : 300 + random_below(&random, 4000));
        world->metadata_shift = random_below(&random, 3) == 0 ? random_below(&random, 600) : 0;
        for (unsigned i = 0; i < EPISODE; i++)
            for (unsigned j = 0; j < 16; j += 8) {
                uint64_t bytes = random_next(&random);
                memcpy(&list[i].bytes[j], &bytes, 8);
            }
        unsigned reached;
        const char *wrong = run_list(world, list, EPISODE, &reached);
        if (wrong != NULL)
            shrink_and_fail(world, list, reached, wrong);
    }
    for (unsigned kind = 0; kind < KINDS; kind++) // else the test tests little
        assert_true(world->done[kind] > operations / 1000 &&
                    world->refused[kind] > operations / 1000);
    free(world->model);
    free(world);
    free(list);
}

TEST("frames: random operations on random regions do what the model does, 1 CPU") {
    run_random("1 CPU", 1);
}

TEST("frames: random operations on random regions do what the model does, 2 CPUs") {
    run_random("2 CPUs", 2);
}

TEST("frames: random operations on random regions do what the model does, 3 CPUs") {
    run_random("3 CPUs", 3);
}

TEST("frames: random operations on random regions do what the model does, 4 CPUs") {
    run_random("4 CPUs", 4);
}

TEST("frames: random operations on random regions do what the model does, 5 CPUs") {
    run_random("5 CPUs", 5);
}
