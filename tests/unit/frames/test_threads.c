// Threads that use the frame allocator at once. Built without sanitizers (tests/unit/unit.mk), so
// that they run into each other; test_frames_races.c is the same under the thread sanitizer.
#include "tests/unit/support/frames_threads.h"

#ifndef ROUNDS
#define ROUNDS 10
#endif

static const unsigned team_sizes[] = {2, 4, 8};

// Few frames in all zones, and zone borders in the middle of regions.
#define SMALL                                                                                      \
    {PAGE(1), PAGE(20), USABLE, true}, {MIB(1) - PAGE(7), MIB(3), USABLE, true},                   \
        {MIB(16) - PAGE(300), MIB(18) + PAGE(9), USABLE, true}, {                                  \
        GIB(4) - PAGE(600), GIB(4) + MIB(5), USABLE, true                                          \
    }

// Two arenas and a bit, in one region.
#define LARGE                                                                                      \
    {MIB(1), MIB(2), USABLE, true}, {                                                              \
        MIB(16), MIB(276), USABLE, true                                                            \
    }

// --- Until nothing is left ---

static void take_singles(struct member *member) {
    while (take_one(member, FRAMES_ANY))
        continue;
}

// Runs of any length and single frames, until not even one of these is left.
static void take_anything(struct member *member) {
    static const uint64_t counts[] = {512, 700, 64, 3, 100, 8, 2};
    for (unsigned i = member->cpu, refused = 0; refused < ARRAY_LEN(counts); i++) {
        uint64_t count = counts[i % ARRAY_LEN(counts)];
        bool is_taken = take_run(member, count, count == 512 ? 512 : 1);
        refused = is_taken ? 0 : refused + 1;
        (void)take_one(member, (enum frames_zone)random_below(&member->random, FRAMES_ZONES));
    }
    take_singles(member);
}

static void race_until_refused(struct team *team, team_work work) {
    uint64_t all = statistics(&team->machine).free_frames;
    for (unsigned i = 0; i < ARRAY_LEN(team_sizes); i++) {
        assert_int_equal(team_run_all(team, team_sizes[i], i, work), all);
        team_check(team, all);
    }
    team_end(team, all);
}

TEST("frames: threads that race until they are refused hold all frames, each once") {
    TEAM(small, 8, SMALL);
    race_until_refused(small, take_singles);
    TEAM(large, 8, LARGE);
    race_until_refused(large, take_singles);
}

TEST("frames: threads that race for runs, blocks and frames hold all frames, each once") {
    TEAM(small, 8, SMALL);
    race_until_refused(small, take_anything);
    TEAM(large, 11, LARGE);
    race_until_refused(large, take_anything);
}

// All take until nothing is left; then each passes half of it on, and gives back the rest.
static void fill_and_drain(struct member *member) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        if ((round + member->cpu) % 2 == 0)
            take_singles(member);
        else
            take_anything(member);
        pthread_barrier_wait(&member->team->barrier);
        uint64_t half = member->runs / 2;
        while (member->runs > half)
            pass_on(member, random_below(&member->random, member->runs));
        give_all(member);
        pthread_barrier_wait(&member->team->barrier);
    }
}

// Gives back what is on its way to nobody.
static void empty_exchange(struct team *team) {
    struct member member = {.team = team, .frames = &team->machine.frames};
    for (unsigned i = 0; i < EXCHANGE; i++) {
        uint64_t run = team->exchange[i];
        team->exchange[i] = 0;
        if (run != 0)
            give(&member, (struct run){run >> 16, run & 0xffff});
    }
}

TEST("frames: what threads have taken to the last frame, and given back crosswise, is all free") {
    struct random random = random_start("fill and drain");
    for (unsigned i = 0; i < ARRAY_LEN(team_sizes); i++) {
        TEAM(team, 8, SMALL);
        uint64_t all = statistics(&team->machine).free_frames;
        assert_int_equal(team_run_all(team, team_sizes[i], random_next(&random), fill_and_drain),
                         0);
        empty_exchange(team);
        team_end(team, all);
    }
}

// --- Everything at once ---

static void take_something(struct member *member) {
    // Where arenas meet: every thread asks for frames on both sides.
    static const uint64_t borders[] = {0x100, 0x1000, 0x1200, 0x100000, 0x100200};
    struct random *random = &member->random;
    uint64_t below = random_below(random, 40);
    uint64_t count = 1 + random_below(random, random_below(random, 8) == 0 ? 900 : 70);
    switch (random_below(random, 8)) {
    case 0:
        (void)take_run(member, FRAMES_PER_2M, FRAMES_PER_2M);
        break;
    case 1:
        (void)take_run(member, count, UINT64_C(1) << random_below(random, 9));
        break;
    case 2:
        (void)take_run(member, count, 1);
        break;
    case 3:
        (void)take_at(member, borders[random_below(random, ARRAY_LEN(borders))] - below % 7,
                      1 + below);
        break;
    default:
        (void)take_one(member, (enum frames_zone)random_below(random, FRAMES_ZONES));
    }
}

// Gives a run back, some of it, or hands it to another thread.
static void give_something(struct member *member) {
    uint64_t index = random_below(&member->random, member->runs);
    if (random_below(&member->random, 3) == 0) {
        pass_on(member, index);
        return;
    }
    struct run *run = &member->hoard[index];
    if (run->count > 1 && random_below(&member->random, 3) == 0) {
        uint64_t part = 1 + random_below(&member->random, run->count - 1);
        struct run first = {run->first, part};
        run->first += part;
        run->count -= part;
        member->allocated -= part;
        give(member, first);
        return;
    }
    give(member, drop(member, index));
}

static void mix(struct member *member) {
    bool is_taking = true;
    for (unsigned i = 0; i < ROUNDS * 3000; i++) {
        if (random_below(&member->random, 300) == 0)
            is_taking = !is_taking;
        bool takes = random_below(&member->random, 8) < (is_taking ? 6 : 2);
        if (takes)
            take_something(member);
        else if (member->runs != 0)
            give_something(member);
    }
}

TEST("frames: no frame is allocated twice, whatever threads do, and any of them may free it") {
    struct random random = random_start("mix");
    for (unsigned i = 0; i < ARRAY_LEN(team_sizes); i++) {
        TEAM(team, 9, SMALL);
        uint64_t all = statistics(&team->machine).free_frames;
        (void)team_run_all(team, team_sizes[i], random_next(&random), mix);
        empty_exchange(team);
        team_end(team, all);
    }
}

// --- What one gives back, another finds ---

static void wait_for_turn(struct team *team, unsigned turn) {
    while (atomic_load_explicit(&team->turn, memory_order_acquire) != turn)
        sched_yield();
}

static void end_turn(struct team *team, unsigned next) {
    atomic_store_explicit(&team->turn, next, memory_order_release);
}

// Holds everything, and gives back some frames, one by one, whenever the other has been refused.
static void hold_all(struct member *member) {
    struct team *team = member->team;
    while (take_run(member, 3, 1))
        continue;
    take_singles(member);
    for (unsigned round = 0; round < ROUNDS * 200; round++) {
        end_turn(team, 1);
        wait_for_turn(team, 0);
        uint64_t index = random_below(&member->random, member->runs);
        struct run run = drop(member, index);
        for (uint64_t i = 0; i < run.count; i++)
            give(member, (struct run){run.first + i, 1});
        team->exchange[0] = run.count;
        end_turn(team, 2);
        wait_for_turn(team, 3);
        if (!take_at(member, run.first, run.count))
            team_is_wrong(team, "frames that were given back are not free");
    }
    end_turn(team, 4);
}

// Is refused, and then finds what has been given back.
static void ask_again(struct member *member) {
    struct team *team = member->team;
    unsigned turn;
    for (;;) {
        while ((turn = atomic_load_explicit(&team->turn, memory_order_acquire)) != 1 && turn != 4)
            sched_yield();
        if (turn == 4)
            return;
        if (take_one(member, FRAMES_ANY) || take_run(member, 3, 1))
            team_is_wrong(team, "something was given that is in use");
        end_turn(team, 0);
        wait_for_turn(team, 2);
        uint64_t count = team->exchange[0];
        if (count == 1 ? !take_one(member, FRAMES_ANY) : !take_run(member, count, 1))
            team_is_wrong(team, "what was given back is not found");
        give_all(member);
        end_turn(team, 3);
    }
}

TEST("frames: a frame or run that one thread gives back is found by one that was refused before") {
    static const team_work work[] = {hold_all, ask_again};
    TEAM(small, 2, SMALL);
    uint64_t all = statistics(&small->machine).free_frames;
    (void)team_run(small, 2, 1, work);
    small->exchange[0] = 0;
    team_end(small, all);
}

// --- A request fails only if nothing that would do was free all the while ---

static const struct frames_request *asked;  // for again and again by one thread,
static uint64_t disturbed_first, disturbed; // while another takes and gives back these frames

static void disturb(struct member *member) {
    while (atomic_load_explicit(&member->team->turn, memory_order_relaxed) == 0) {
        if (take_at(member, disturbed_first, disturbed))
            give_all(member);
    }
}

static void ask(struct member *member) {
    for (unsigned i = 0; i < ROUNDS * 3000; i++) {
        paddr_t first = PADDR_NONE;
        if (!keep(member, frames_alloc_run(member->frames, member->cpu, asked, &first), first,
                  asked->count))
            team_is_wrong(member->team, "refused, though frames that would do were always free");
        give_all(member);
    }
    atomic_store_explicit(&member->team->turn, 1, memory_order_relaxed);
}

// Asks for `request` in a machine where only frames of [first, first + count) are free, while one
// of them, or a few from `busy` on, come and go.
static void ask_in(uint64_t first, uint64_t count, struct frames_request request, uint64_t busy,
                   uint64_t busy_count) {
    static const team_work work[] = {ask, disturb};
    TEAM(team, 2, SMALL);
    struct machine *machine = &team->machine;
    while (alloc(machine, FRAMES_ANY) != NOTHING)
        continue;
    assert_int_equal(free_run(machine, PAGE(first), count), FRAMES_OK);
    asked = &request;
    disturbed_first = busy;
    disturbed = busy_count;
    (void)team_run(team, 2, 1, work);
    if (team->wrong != NULL)
        print_message("%lu frames, align %lu, below %#lx\n", request.count, request.align,
                      request.below);
    team_end(team, count);
}

TEST("frames: a run that would do and stays free is found, whatever else comes and goes") {
    uint64_t block = GIB(4) / FRAME_BYTES;
    // A whole block that is partly used from time to time, with room for a run in it always.
    ask_in(block, 512, (struct frames_request){8, 1, 0}, block + 200, 1);
    ask_in(block, 512, (struct frames_request){64, 64, 0}, block, 1);
    ask_in(block, 512, (struct frames_request){200, 1, 0}, block + 511, 1);
    ask_in(block, 512, (struct frames_request){64, 1, GIB(4) + MIB(1)}, block + 300, 9);
    // Across two blocks: the frames at one end, or the other, or both but one.
    ask_in(block + 505, 9, (struct frames_request){8, 1, 0}, block + 505, 1);
    ask_in(block + 505, 9, (struct frames_request){8, 1, 0}, block + 513, 1);
    ask_in(block - 30, 60, (struct frames_request){40, 1, 0}, block - 30, 5);
    ask_in(block - 100, 200, (struct frames_request){150, 1, 0}, block - 100, 50);
    // One block stays whole, and one does not.
    ask_in(block, 1024, (struct frames_request){512, 512, 0}, block + 30, 9);
    ask_in(block, 1024, (struct frames_request){512, 512, 0}, block + 600, 9);
    ask_in(block, 1100, (struct frames_request){1050, 1, 0}, block + 3, 9);
}

// --- Arenas that change hands ---

enum { LONE_BLOCKS = 256, LONE_FRAMES = 2, WANDERER_FRAMES = 200 };

// Takes more than an arena has, and gives back what lies in those that it has left.
static void wander(struct member *member) {
    for (unsigned i = 0; i < ROUNDS * 3000; i++)
        if (member->allocated < WANDERER_FRAMES && random_below(&member->random, 8) < 5)
            (void)take_one(member, FRAMES_ANY);
        else if (member->runs != 0)
            give(member, drop(member, random_below(&member->random, member->runs)));
    give_all(member);
}

TEST("frames: arenas that are used up and given up change hands, and what they have is counted") {
    // Few frames in each block, so that an arena is used up soon.
    static struct memmap_region regions[LONE_BLOCKS + 1];
    for (uint64_t i = 0; i < LONE_BLOCKS; i++)
        regions[i] = (struct memmap_region){
            MIB(16) + i * MIB(2), MIB(16) + i * MIB(2) + PAGE(LONE_FRAMES), USABLE, false};
    regions[LONE_BLOCKS] = (struct memmap_region){GIB(1), GIB(1) + MIB(1), USABLE, true};
    static const team_work work[] = {wander, wander, wander, wander};
    for (unsigned threads = 2; threads <= 4; threads += 2) {
        struct team *team = team_make(regions, LONE_BLOCKS + 1, threads);
        struct machine *machine = &team->machine;
        assert_int_equal(alloc_at(machine, GIB(1) + MIB(1) / 2, 128), FRAMES_OK);
        uint64_t all = statistics(machine).free_frames;
        assert_int_equal(team_run(team, threads, 1, work), 0);
        team_end(team, all);
    }
}

// --- Reclaiming, and reading statistics, at the same time ---

// Small regions in turns, so that reclaiming takes long and happens where others take frames.
enum { REGIONS = 400, REGION_FRAMES = 6, RECLAIMED = REGIONS / 2 * REGION_FRAMES };

static struct memmap_region reclaimed_regions[REGIONS];

static void make_regions(void) {
    for (uint64_t i = 0; i < REGIONS; i++) {
        uint64_t first = MIB(15) + PAGE(i * REGION_FRAMES);
        reclaimed_regions[i] = (struct memmap_region){
            first, first + PAGE(REGION_FRAMES), i % 2 == 0 ? USABLE : SLIPWAY_MEM_LOADER, true};
    }
}

static void take_and_give(struct member *member, unsigned times) {
    for (unsigned i = 0; i < times; i++)
        if (random_below(&member->random, 2) == 0 || member->runs == 0)
            (void)take_run(member, 1 + random_below(&member->random, 3), 1);
        else
            give(member, drop(member, random_below(&member->random, member->runs)));
}

static void reclaim_and_take(struct member *member) {
    uint64_t added = UINT64_MAX;
    atomic_fetch_add(&member->team->turn, 1);
    while (atomic_load(&member->team->turn) % 2 != 0) // for the other one
        continue;
    if (frames_reclaim(member->frames, reclaimed_regions, REGIONS, SLIPWAY_MEM_LOADER, &added) !=
        FRAMES_OK)
        team_is_wrong(member->team, "reclaiming was refused");
    atomic_fetch_add(&member->team->exchange[0], added);
    take_singles(member);
}

static void read_statistics(struct member *member) {
    for (unsigned i = 0; i < 20; i++) {
        struct frames_statistics got;
        frames_get_statistics(member->frames, &got);
        if (got.free_frames > REGIONS * REGION_FRAMES)
            team_is_wrong(member->team, "more is free than there is");
        take_and_give(member, 10);
    }
    take_singles(member);
}

static void use_memory(struct member *member) {
    take_and_give(member, 300);
    take_singles(member);
}

TEST("frames: a kind is reclaimed once, whoever else reclaims, takes frames or reads statistics") {
    make_regions();
    struct team *team = team_make(reclaimed_regions, REGIONS, 4);
    uint64_t all = statistics(&team->machine).free_frames + RECLAIMED;
    static const team_work work[] = {reclaim_and_take, read_statistics, reclaim_and_take,
                                     use_memory};
    for (unsigned round = 0; round < ROUNDS * 20; round++) {
        machine_start(&team->machine);
        // Who was done before the rest was reclaimed holds less: the last one holds what is left.
        assert_int_equal(team_run(team, 4, round, work), all);
        assert_int_equal(team->exchange[0], RECLAIMED);
        team->exchange[0] = 0;
        team_check(team, all);
    }
    team_end(team, all);
}
