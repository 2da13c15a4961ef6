// Machines on paper: many TiB of RAM with holes, as regions. Metadata is what the RAM that exists
// needs, everything works to the last frame, and what is free is where it was.
#include "tests/unit/support/frames_machine.h"

#include <stdio.h>
#include <sys/mman.h>

#define GIB_BYTES (FRAMES_PER_1G * FRAME_BYTES)

enum { REGIONS_MAX = 4096 };

struct paper {
    struct machine machine;
    struct memmap_region regions[REGIONS_MAX];
    uint64_t ram_frames;
    uint64_t whole_1g; // aligned, in the RAM
};

static void add_ram(struct paper *paper, uint64_t start, uint64_t end) {
    struct machine *machine = &paper->machine;
    assert_true(machine->count < REGIONS_MAX && start < end);
    paper->regions[machine->count++] = (struct memmap_region){start, end, USABLE, true};
    paper->ram_frames += (end - start) / FRAME_BYTES;
    uint64_t first = align_up(start, GIB_BYTES), last = align_down(end, GIB_BYTES);
    paper->whole_1g += first < last ? (last - first) / GIB_BYTES : 0;
}

// From 1 MiB to `end`, in pieces of odd lengths: each ends `hole` bytes before the next one starts.
static struct paper *make_paper(uint64_t end, uint64_t stride, uint64_t hole, unsigned cpus) {
    struct paper *paper = calloc(1, sizeof(*paper));
    assert_non_null(paper);
    paper->machine.regions = paper->regions;
    paper->machine.cpus = cpus;
    for (uint64_t at = MIB(1); at < end; at += stride) {
        uint64_t odd = PAGE(paper->machine.count % 7);
        add_ram(paper, at + odd, at + stride < end ? at + stride - hole - 3 * odd : end);
    }
    return paper;
}

// Memory as the system gives it: what is not touched costs nothing.
static void start_paper(struct paper *paper) {
    struct machine *machine = &paper->machine;
    machine->metadata_bytes = frames_metadata_bytes(paper->regions, machine->count, machine->cpus);
    assert_int_equal(frames_place_metadata(paper->regions, machine->count, machine->metadata_bytes,
                                           &machine->metadata_phys),
                     FRAMES_OK);
    machine->metadata = mmap(NULL, machine->metadata_bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(machine->metadata != MAP_FAILED);
    assert_int_equal(frames_init(&machine->frames, paper->regions, machine->count, machine->cpus,
                                 machine->metadata, machine->metadata_bytes,
                                 machine->metadata_phys),
                     FRAMES_OK);
}

static void print(void *context, const char *text, size_t bytes) {
    fwrite(text, 1, bytes, context);
}

static void end_paper(struct paper *paper) {
    struct machine *machine = &paper->machine;
    struct sink sink = {print, stderr};
    assert_int_equal(frames_verify(&machine->frames, &sink), 0);
    assert_int_equal(munmap(machine->metadata, machine->metadata_bytes), 0);
    free(paper);
}

// At most 1.15 bits for each frame of RAM.
static void assert_bits(uint64_t bytes, uint64_t ram_frames) {
    assert_true(bytes >= ram_frames / 8 && bytes * 8 * 100 <= ram_frames * 115);
}

// The first and the last frame of every region are frames of the allocator, those outside are not.
static void check_region_ends(struct paper *paper) {
    struct machine *machine = &paper->machine;
    for (uint64_t i = 0; i < machine->count; i++) {
        uint64_t ends[] = {paper->regions[i].start, paper->regions[i].end - PAGE(1)};
        bool is_metadata = machine->metadata_phys.value == ends[0];
        assert_int_equal(alloc_at(machine, ends[0], 1),
                         is_metadata ? FRAMES_ERR_FOREIGN : FRAMES_OK);
        assert_int_equal(alloc_at(machine, ends[1], 1), FRAMES_OK);
        assert_int_equal(alloc_at(machine, ends[1], 1), FRAMES_ERR_USED);
        assert_int_equal(alloc_at(machine, ends[0] - PAGE(1), 1), FRAMES_ERR_FOREIGN);
        assert_int_equal(alloc_at(machine, ends[1], 2), FRAMES_ERR_FOREIGN);
        assert_int_equal(free_one(machine, ends[1]), FRAMES_OK);
        assert_int_equal(free_one(machine, ends[0]), is_metadata ? FRAMES_ERR_FOREIGN : FRAMES_OK);
    }
}

// All 1 GiB blocks, each once: they are where the regions have them, the last at the far end.
static void check_1g(struct paper *paper) {
    struct machine *machine = &paper->machine;
    assert_int_equal(statistics(machine).free_1g, paper->whole_1g);
    uint64_t *taken = calloc(paper->whole_1g, sizeof(*taken));
    assert_non_null(taken);
    uint64_t highest = 0;
    for (uint64_t i = 0; i < paper->whole_1g; i++) {
        taken[i] = alloc_run(machine, FRAMES_PER_1G, FRAMES_PER_1G);
        assert_true(taken[i] != NOTHING && is_aligned(taken[i], GIB_BYTES));
        highest = max_u64(highest, taken[i]);
    }
    assert_int_equal(alloc_run(machine, FRAMES_PER_1G, FRAMES_PER_1G), NOTHING);
    const struct memmap_region *last = &paper->regions[machine->count - 1];
    assert_int_equal(highest, align_down(last->end, GIB_BYTES) - GIB_BYTES);
    assert_int_equal(statistics(machine).free_frames, paper->ram_frames -
                                                          statistics(machine).metadata_frames -
                                                          paper->whole_1g * FRAMES_PER_1G);
    for (uint64_t i = 0; i < paper->whole_1g; i++)
        assert_int_equal(free_run(machine, taken[i], FRAMES_PER_1G), FRAMES_OK);
    free(taken);
}

// The last GiB and a frame, cut from what lies before it; of them all but that frame is given back.
static void check_far_end(struct paper *paper) {
    struct machine *machine = &paper->machine;
    const struct memmap_region *last = &paper->regions[machine->count - 1];
    uint64_t start = last->end - GIB_BYTES - PAGE(1);
    assert_true(start > last->start + GIB_BYTES);
    assert_int_equal(alloc_at(machine, start - GIB_BYTES, FRAMES_PER_1G), FRAMES_OK);
    assert_int_equal(alloc_at(machine, start, FRAMES_PER_1G + 1), FRAMES_OK);
    assert_int_equal(alloc_at(machine, start - PAGE(1), 2), FRAMES_ERR_USED);
    assert_int_equal(free_run(machine, start, FRAMES_PER_1G), FRAMES_OK);
    assert_int_equal(alloc_at(machine, start, FRAMES_PER_1G + 1), FRAMES_ERR_USED);
    assert_int_equal(free_one(machine, last->end - PAGE(1)), FRAMES_OK);
    assert_int_equal(free_one(machine, last->end - PAGE(1)), FRAMES_ERR_FREE);
    assert_int_equal(free_one(machine, last->end), FRAMES_ERR_FOREIGN);
    assert_int_equal(free_run(machine, start - GIB_BYTES, FRAMES_PER_1G), FRAMES_OK);
}

static void check_paper(struct paper *paper) {
    struct machine *machine = &paper->machine;
    assert_bits(machine->metadata_bytes, paper->ram_frames);
    struct frames_statistics got = statistics(machine);
    assert_int_equal(got.total_frames, paper->ram_frames);
    assert_int_equal(got.free_frames, paper->ram_frames - got.metadata_frames);
    check_region_ends(paper);
    check_1g(paper);
    check_far_end(paper);
    uint64_t frame = alloc(machine, FRAMES_ANY);
    assert_true(frame != NOTHING && frame >= GIB(4));
    assert_int_equal(free_one(machine, frame), FRAMES_OK);
    got = statistics(machine);
    assert_int_equal(got.free_frames, paper->ram_frames - got.metadata_frames);
    assert_int_equal(got.free_1g, paper->whole_1g);
}

TEST("frames: 1 TiB with holes works to its last frame, for at most 1.15 bits a frame") {
    struct paper *paper = make_paper(TIB(1), GIB(5), MIB(512), 1);
    start_paper(paper);
    check_paper(paper);
    end_paper(paper);
}

TEST("frames: 16 TiB with holes work to their last frame, for at most 1.15 bits a frame") {
    struct paper *paper = make_paper(TIB(16), GIB(300), MIB(3), 4);
    start_paper(paper);
    check_paper(paper);
    end_paper(paper);
}

TEST("frames: 4 TiB of RAM, the rest of 64 TiB holes, work to their last frame") {
    struct paper *paper = make_paper(TIB(64), GIB(64), GIB(60), 4);
    start_paper(paper);
    assert_int_equal(paper->regions[paper->machine.count - 1].end, TIB(64));
    check_paper(paper);
    end_paper(paper);
}

TEST("frames: 64 TiB of RAM need at most 1.15 bits a frame, with and without holes") {
    struct paper *paper = make_paper(TIB(64), GIB(20), MIB(7), 256);
    assert_bits(frames_metadata_bytes(paper->regions, paper->machine.count, 256),
                paper->ram_frames);
    struct memmap_region all = {MIB(1), TIB(64), USABLE, true};
    assert_bits(frames_metadata_bytes(&all, 1, 256), (all.end - all.start) / FRAME_BYTES);
    free(paper);
}

TEST("frames: a lone GiB at 16 TiB costs what it costs anywhere, for at most 1.15 bits a frame") {
    const struct memmap_region near = {GIB(8), GIB(9), USABLE, true};
    MACHINE(machine, 1, {TIB(16), TIB(16) + GIB(1), USABLE, true});
    assert_int_equal(machine.metadata_bytes, frames_metadata_bytes(&near, 1, 1));
    assert_bits(machine.metadata_bytes, FRAMES_PER_1G);
    uint64_t used = statistics(&machine).metadata_frames;
    assert_int_equal(machine.metadata_phys.value, TIB(16));
    assert_int_equal(alloc_at(&machine, TIB(16) + PAGE(used), FRAMES_PER_1G - used), FRAMES_OK);
    assert_int_equal(alloc(&machine, FRAMES_ANY), NOTHING);
    assert_int_equal(free_one(&machine, TIB(16) + GIB(1) - PAGE(1)), FRAMES_OK);
    assert_int_equal(alloc(&machine, FRAMES_ANY), TIB(16) + GIB(1) - PAGE(1));
    machine_end(&machine);
}

// The blocks of a zone are numbered on from an arena of their own.
TEST("frames: a run that begins below 16 MiB or 4 GiB is found if its whole blocks lie above") {
    const uint64_t borders[] = {MIB(16), GIB(4)};
    for (unsigned i = 0; i < ARRAY_LEN(borders); i++) {
        uint64_t start = borders[i] - PAGE(511);
        MACHINE(machine, 1, {MIB(4), MIB(4) + PAGE(8), USABLE, true},
                {start, borders[i] + MIB(40), USABLE, true});
        assert_int_equal(statistics(&machine).largest_run_frames, 511 + 20 * FRAMES_PER_2M);
        assert_int_equal(alloc_run(&machine, 511 + 20 * FRAMES_PER_2M, 1), start);
        machine_end(&machine);
    }
}
