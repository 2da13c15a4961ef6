// Frames with several owners: every call, one at a time.
#include "tests/unit/support/frames_owned.h"

// Every call on this frame is refused for that reason, and neither counts nor bitmap change.
static void expect_refused(struct frames_owners *owners, struct machine *machine, uint64_t frame,
                           enum frames_owners_status why) {
    uint64_t bytes = frames_owners_bytes(&machine->frames);
    void *before = malloc(bytes);
    memcpy(before, owners->counts, bytes);
    struct snapshot snapshot = snapshot_take(machine);
    uint64_t freed = NOTHING;
    assert_int_equal(get(owners, frame), why);
    assert_int_equal(frames_owners_put(owners, 0, paddr(frame), &freed), why);
    assert_int_equal(frames_owners_split(owners, paddr(frame)), why);
    assert_int_equal(owner_count(owners, frame), 0);
    assert_int_equal(freed, NOTHING);
    assert_memory_equal(owners->counts, before, bytes);
    assert_true(snapshot_equals(&snapshot, machine));
    snapshot_drop(&snapshot);
    free(before);
}

// --- Starting ---

TEST("owners: two bytes for each frame of the blocks that exist, and none for holes and zones") {
    const struct memmap_region regions[] = {{PAGE(1), MIB(4), USABLE, true},
                                            {TIB(12), TIB(12) + PAGE(1), USABLE, true}};
    for (uint64_t count = 1; count <= 2; count++) {
        struct machine machine = machine_make(regions, count, 1);
        machine_start(&machine);
        // Of the zones below 1 MiB and below 16 MiB both have the block at 0.
        assert_int_equal(frames_owners_bytes(&machine.frames), (count + 2) * 1024);
        machine_end(&machine);
    }
}

TEST("owners: no frames need no counts, and every call is refused calmly") {
    struct machine machine = machine_make(NULL, 0, 1);
    machine_start(&machine);
    assert_int_equal(frames_owners_bytes(&machine.frames), 0);
    struct frames_owners owners;
    assert_int_equal(frames_owners_init(&owners, &machine.frames, NULL, 0), FRAMES_OK);
    paddr_t frame = PADDR_NONE;
    struct frames_request request = {.count = 1};
    assert_int_equal(frames_owners_alloc(&owners, 0, FRAMES_ANY, &frame), FRAMES_ERR_NO_MEMORY);
    assert_int_equal(frames_owners_alloc_run(&owners, 0, &request, &frame), FRAMES_ERR_NO_MEMORY);
    assert_true(paddr_is_none(frame));
    assert_int_equal(get(&owners, PAGE(3)), FRAMES_OWNERS_ERR_FOREIGN);
    machine_end(&machine);
}

TEST("owners: memory that is too small or not aligned is refused") {
    MACHINE(machine, 1, {MIB(4), MIB(8), USABLE, true});
    struct frames_owners owners;
    uint64_t bytes = frames_owners_bytes(&machine.frames);
    unsigned char *memory = malloc(bytes + 2);
    assert_int_equal(frames_owners_init(&owners, &machine.frames, memory, bytes - 1),
                     FRAMES_ERR_METADATA);
    assert_int_equal(frames_owners_init(&owners, &machine.frames, memory + 1, bytes + 1),
                     FRAMES_ERR_METADATA);
    assert_int_equal(frames_owners_init(&owners, &machine.frames, memory + 2, bytes), FRAMES_OK);
    free(memory);
    machine_end(&machine);
}

// --- Counting ---

TEST("owners: frames at the same place of different arenas and zones have counts of their own") {
    OWNED_MACHINE(machine, owners, {MIB(8), MIB(10), USABLE, true},
                  {GIB(4), GIB(4) + MIB(256), USABLE, true});
    const uint64_t frames[] = {MIB(8) + MIB(1), GIB(4) + MIB(1), GIB(4) + MIB(129)};
    while (owner_count(&owners, frames[0]) == 0 || owner_count(&owners, frames[2]) == 0)
        (void)owned(&owners);
    for (unsigned i = 0; i < ARRAY_LEN(frames); i++)
        for (unsigned more = 0; more <= i; more++)
            assert_int_equal(get(&owners, frames[i]), FRAMES_OWNERS_OK);
    for (unsigned i = 0; i < ARRAY_LEN(frames); i++)
        assert_int_equal(owner_count(&owners, frames[i]), 2 + i);
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: a frame is freed by the last of its owners") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(8), USABLE, true});
    uint64_t used = statistics(&machine).used_frames;
    uint64_t frame = owned(&owners);
    assert_int_equal(owner_count(&owners, frame), 1);
    for (unsigned i = 2; i <= 5; i++) {
        assert_int_equal(get(&owners, frame), FRAMES_OWNERS_OK);
        assert_int_equal(owner_count(&owners, frame), i);
    }
    for (unsigned i = 5; i-- > 1;) {
        assert_int_equal(put(&owners, frame), 0);
        assert_int_equal(owner_count(&owners, frame), i);
        assert_int_equal(statistics(&machine).used_frames, used + 1);
    }
    assert_int_equal(put(&owners, frame), 1);
    assert_int_equal(statistics(&machine).used_frames, used);
    expect_refused(&owners, &machine, frame, FRAMES_OWNERS_ERR_NONE);
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: a frame without a count is refused, whatever else it is") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(8), USABLE, true},
                  {MIB(8), MIB(8) + PAGE(3), SLIPWAY_MEM_KERNEL, true},
                  {MIB(16), MIB(18), SLIPWAY_MEM_LOADER, true});
    uint64_t without = alloc(&machine, FRAMES_ANY);
    uint64_t with = owned(&owners);
    const struct {
        uint64_t frame;
        enum frames_owners_status why;
    } cases[] = {
        {without, FRAMES_OWNERS_ERR_NONE},                     // allocated without an owner
        {MIB(8) - PAGE(1), FRAMES_OWNERS_ERR_NONE},            // free
        {MIB(8), FRAMES_OWNERS_ERR_NONE},                      // used from the start
        {MIB(8) + PAGE(3), FRAMES_OWNERS_ERR_NONE},            // nobody's, in a block that exists
        {MIB(16), FRAMES_OWNERS_ERR_NONE},                     // not reclaimed
        {machine.metadata_phys.value, FRAMES_OWNERS_ERR_NONE}, // the allocator's
        {0, FRAMES_OWNERS_ERR_FOREIGN},                        // before every block,
        {MIB(12), FRAMES_OWNERS_ERR_FOREIGN},                  // between,
        {MIB(18), FRAMES_OWNERS_ERR_FOREIGN},                  // and behind
        {UINT64_MAX - 4095, FRAMES_OWNERS_ERR_FOREIGN},        // the last that there is
        {with + 1, FRAMES_OWNERS_ERR_ALIGN},
        {NOTHING, FRAMES_OWNERS_ERR_ALIGN}, // PADDR_NONE
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        expect_refused(&owners, &machine, cases[i].frame, cases[i].why);
    assert_int_equal(put(&owners, with), 1);
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: one more than the most is refused, and all of them can go") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(8), USABLE, true});
    const uint64_t firsts[] = {owned(&owners), owned_run(&owners, 3, 0)};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned more = 1; more < FRAMES_OWNERS_MAX; more++)
            assert_int_equal(get(&owners, firsts[i]), FRAMES_OWNERS_OK);
        for (unsigned again = 0; again < 3; again++) {
            assert_int_equal(get(&owners, firsts[i]), FRAMES_OWNERS_ERR_MANY);
            assert_int_equal(owner_count(&owners, firsts[i]), FRAMES_OWNERS_MAX);
        }
        assert_int_equal(put(&owners, firsts[i]), 0);
        assert_int_equal(get(&owners, firsts[i]), FRAMES_OWNERS_OK);
    }
    assert_int_equal(frames_owners_split(&owners, paddr(firsts[1])), FRAMES_OWNERS_OK);
    assert_int_equal(owner_count(&owners, firsts[1] + PAGE(2)), FRAMES_OWNERS_MAX);
    assert_int_equal(get(&owners, firsts[1] + PAGE(2)), FRAMES_OWNERS_ERR_MANY);
    for (unsigned more = 1; more < FRAMES_OWNERS_MAX; more++)
        assert_int_equal(put(&owners, firsts[0]), 0);
    assert_int_equal(put(&owners, firsts[0]), 1);
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: what the allocator refuses has no owner and is refused for the same reason") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(6), USABLE, true});
    uint64_t bytes = frames_owners_bytes(&machine.frames);
    const struct {
        struct frames_request request;
        enum frames_status status;
    } cases[] = {{{.count = 0}, FRAMES_ERR_COUNT},
                 {{.count = 1, .align = 3}, FRAMES_ERR_ALIGN},
                 {{.count = 512}, FRAMES_ERR_NO_MEMORY},
                 {{.count = 1, .below = MIB(4)}, FRAMES_ERR_NO_MEMORY}};
    paddr_t first = PADDR_NONE;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(frames_owners_alloc_run(&owners, 0, &cases[i].request, &first),
                         cases[i].status);
    assert_int_equal(frames_owners_alloc(&owners, 0, FRAMES_BELOW_1M, &first),
                     FRAMES_ERR_NO_MEMORY);
    assert_true(paddr_is_none(first));
    for (uint64_t i = 0; i < bytes; i++)
        assert_int_equal(((unsigned char *)owners.counts)[i], 0);
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: frames that are reclaimed later have counts") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(6), USABLE, true},
                  {MIB(32), MIB(34), SLIPWAY_MEM_LOADER, true});
    uint64_t added;
    assert_int_equal(
        frames_reclaim(&machine.frames, machine.regions, machine.count, SLIPWAY_MEM_LOADER, &added),
        FRAMES_OK);
    uint64_t first = owned_run(&owners, 512, 512);
    assert_int_equal(first, MIB(32));
    assert_int_equal(owner_count(&owners, first), 1);
    assert_int_equal(put(&owners, first), 512);
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: a frame that was freed past its owners is not freed again, and has none then") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(8), USABLE, true});
    uint64_t first = owned_run(&owners, 4, 0);
    assert_int_equal(free_run(&machine, first + PAGE(2), 1), FRAMES_OK);
    uint64_t freed = NOTHING;
    assert_int_equal(frames_owners_put(&owners, 0, paddr(first), &freed), FRAMES_OWNERS_ERR_FREE);
    assert_int_equal(freed, NOTHING);
    for (unsigned i = 0; i < 4; i++)
        expect_refused(&owners, &machine, first + PAGE(i), FRAMES_OWNERS_ERR_NONE);
    owners_end(&owners);
    machine_end(&machine);
}

// --- Runs ---

TEST("owners: a run has one count, and nothing inside of it can be freed") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(16), USABLE, true});
    const uint64_t counts[] = {2, 3, 64, 511, 512, 513, 1500};
    for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
        uint64_t used = statistics(&machine).used_frames;
        uint64_t first = owned_run(&owners, counts[i], 0);
        assert_int_equal(owner_count(&owners, first), 1);
        const uint64_t inside[] = {1, counts[i] / 2, counts[i] - 1};
        for (unsigned j = 0; j < 3; j++)
            expect_refused(&owners, &machine, first + PAGE(inside[j]), FRAMES_OWNERS_ERR_INSIDE);
        assert_int_equal(get(&owners, first), FRAMES_OWNERS_OK);
        assert_int_equal(put(&owners, first), 0);
        assert_int_equal(statistics(&machine).used_frames, used + counts[i]);
        assert_int_equal(put(&owners, first), counts[i]);
        assert_int_equal(statistics(&machine).used_frames, used);
        for (uint64_t j = 0; j < counts[i]; j++)
            assert_int_equal(get(&owners, first + PAGE(j)), FRAMES_OWNERS_ERR_NONE);
    }
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: of runs side by side each ends where the next begins") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(6), USABLE, true});
    uint64_t total = statistics(&machine).free_frames;
    uint64_t firsts[512];
    unsigned runs = 0;
    for (uint64_t left = total; left > 0; runs++) {
        uint64_t count = min_u64(left, runs % 4 + 1);
        firsts[runs] = owned_run(&owners, count, 0);
        left -= count;
    }
    assert_int_equal(statistics(&machine).free_frames, 0);
    uint64_t freed = 0;
    for (unsigned start = 0; start < 3; start++)
        for (unsigned i = start; i < runs; i += 3) {
            uint64_t here = put(&owners, firsts[i]);
            freed += here;
            if (i != runs - 1)
                assert_int_equal(here, i % 4 + 1);
        }
    assert_int_equal(freed, total);
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: a run goes across zones and regions, and ends at a hole") {
    const uint64_t edges[] = {MIB(1), MIB(16), GIB(4)};
    for (unsigned i = 0; i < ARRAY_LEN(edges); i++) {
        // In the middle of the run another zone begins, and behind it is a hole.
        uint64_t start = edges[i] - PAGE(64), end = edges[i] + PAGE(64);
        OWNED_MACHINE(machine, owners, {start, edges[i], USABLE, true},
                      {edges[i], end, USABLE, true},
                      {end + GIB(1), end + GIB(1) + PAGE(9), USABLE, true});
        struct frames_request request = {.count = 128, .below = end};
        paddr_t first = PADDR_NONE;
        assert_int_equal(frames_owners_alloc_run(&owners, 0, &request, &first), FRAMES_OK);
        assert_int_equal(first.value, start);
        for (unsigned j = 1; j < 128; j++)
            expect_refused(&owners, &machine, start + PAGE(j), FRAMES_OWNERS_ERR_INSIDE);
        assert_int_equal(put(&owners, start), 128);
        owners_end(&owners);
        machine_end(&machine);
    }
}

// --- Splitting ---

TEST("owners: each frame of a split run has as many owners as the run had, and a life of its own") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(16), USABLE, true});
    enum { FRAMES = 700 };
    uint64_t used = statistics(&machine).used_frames;
    uint64_t next = owned_run(&owners, 2, 0);
    uint64_t first = owned_run(&owners, FRAMES, 0);
    assert_int_equal(get(&owners, first), FRAMES_OWNERS_OK);
    assert_int_equal(get(&owners, first), FRAMES_OWNERS_OK);
    assert_int_equal(frames_owners_split(&owners, paddr(first)), FRAMES_OWNERS_OK);
    for (unsigned i = 0; i < FRAMES; i++)
        assert_int_equal(owner_count(&owners, first + PAGE(i)), 3);
    expect_refused(&owners, &machine, next + PAGE(1), FRAMES_OWNERS_ERR_INSIDE);
    assert_int_equal(get(&owners, first + PAGE(5)), FRAMES_OWNERS_OK);
    for (unsigned i = FRAMES; i-- > 0;) {
        for (unsigned owner = i == 5 ? 4 : 3; owner > 1; owner--)
            assert_int_equal(put(&owners, first + PAGE(i)), 0);
        assert_int_equal(put(&owners, first + PAGE(i)), 1);
        assert_int_equal(statistics(&machine).used_frames, used + 2 + i);
        assert_int_equal(get(&owners, first + PAGE(i)), FRAMES_OWNERS_ERR_NONE);
    }
    assert_int_equal(put(&owners, next), 2);
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: splitting what is single already changes nothing") {
    OWNED_MACHINE(machine, owners, {MIB(4), MIB(8), USABLE, true});
    uint64_t frame = owned(&owners);
    assert_int_equal(get(&owners, frame), FRAMES_OWNERS_OK);
    uint64_t first = owned_run(&owners, 3, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(frames_owners_split(&owners, paddr(frame)), FRAMES_OWNERS_OK);
        assert_int_equal(owner_count(&owners, frame), 2);
        assert_int_equal(frames_owners_split(&owners, paddr(first)), FRAMES_OWNERS_OK);
        assert_int_equal(frames_owners_split(&owners, paddr(first + PAGE(2))), FRAMES_OWNERS_OK);
        for (unsigned j = 0; j < 3; j++)
            assert_int_equal(owner_count(&owners, first + PAGE(j)), 1);
    }
    owners_end(&owners);
    machine_end(&machine);
}

TEST("owners: every status has a text of its own, and what is none is unknown") {
    for (int i = FRAMES_OWNERS_OK; i <= FRAMES_OWNERS_ERR_FREE; i++)
        for (int j = 0; j <= i; j++)
            assert_int_equal(strcmp(frames_owners_status_text((enum frames_owners_status)i),
                                    frames_owners_status_text((enum frames_owners_status)j)) == 0,
                             i == j);
    assert_string_equal(
        frames_owners_status_text((enum frames_owners_status)(FRAMES_OWNERS_ERR_FREE + 1)),
        "unknown");
}
