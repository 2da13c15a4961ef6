// How full the blocks of the allocator are.
#include "common/frames/blocks.h"

#include "tests/unit/support/frames_machine.h"

struct seen {
    uint64_t block[8];
    unsigned free[8];
    unsigned count;
};

static void see(void *context, paddr_t block, unsigned free_frames) {
    struct seen *seen = context;
    assert_true(seen->count < ARRAY_LEN(seen->block));
    seen->block[seen->count] = block.value;
    seen->free[seen->count++] = free_frames;
}

static struct seen visit(const struct machine *machine) {
    struct seen seen = {0};
    frames_visit_blocks(&machine->frames, see, &seen);
    return seen;
}

TEST("frames: every block is seen once, in rising order, with what is free of it") {
    MACHINE(machine, 1, {PAGE(1), PAGE(9), USABLE, true},
            {MIB(1), MIB(1) + PAGE(100), USABLE, true}, {MIB(6), MIB(12), USABLE, true},
            {GIB(5), GIB(5) + PAGE(3), USABLE, true});
    static const uint64_t blocks[] = {0, 0, MIB(6), MIB(8), MIB(10), GIB(5)};
    unsigned metadata = (unsigned)statistics(&machine).used_frames;
    struct seen seen = visit(&machine);
    unsigned free = 0;
    assert_int_equal(seen.count, ARRAY_LEN(blocks));
    for (unsigned i = 0; i < seen.count; i++) {
        assert_int_equal(seen.block[i], blocks[i]);
        free += seen.free[i];
    }
    assert_int_equal(seen.free[0], 8);
    assert_int_equal(free, 8 + 100 + 3 * 512 + 3 - metadata);
    assert_int_equal(alloc_at(&machine, MIB(8), 512), FRAMES_OK);
    assert_int_equal(alloc_at(&machine, MIB(10) + PAGE(7), 10), FRAMES_OK);
    struct seen now = visit(&machine);
    assert_int_equal(now.free[3], 0);
    assert_int_equal(now.free[4], seen.free[4] - 10);
    machine_end(&machine);
}
