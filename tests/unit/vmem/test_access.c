// What a change does to memory, access by access: the tables are protected from the test itself,
// and each instruction that touches one is stopped, let through alone and looked at. A CPU that
// walks at the same time could see the tables as they are at any of these moments.
#define _GNU_SOURCE // the names of registers in a signal's context
#include "common/base/arith.h"

#include "tests/unit/support/vmem_rig.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#define HHDM  UINT64_C(0xffff800000000000)
#define TRAP  0x100 // RFLAGS.TF: stop after one instruction
#define MARKS 0x60  // accessed and dirty

enum { PAGE_FAULT_WRITE = 2, PROBES_MAX = 12 };

// An address that CPUs go on using.
struct probe {
    uint64_t virt;
    bool may_be_absent;
    uint64_t phys[2];              // it translates to one of these
    uint64_t old_table, old_index; // where its leaf stood, for a CPU that remembers the way
    bool way_stays;                // what is mapped there stays so, so that way stays, too
};

static struct {
    struct rig *rig;
    bool stops_reads;
    volatile sig_atomic_t failures;
    uint64_t reads, writes; // counted
    uint64_t *at;           // of the access that is under way
    bool is_write;
    uint64_t *marked;    // an entry that a CPU marks ...
    uint64_t until_mark; // ... right after so many reads of it
    struct probe probe[PROBES_MAX];
    unsigned probe_count;
    uint8_t was_used[RIG_FRAMES]; // when the change began
    uint64_t before[512];         // the frame that is written to
} trace;

static void protect_frames(int rights) {
    struct vmem_memory *memory = &trace.rig->memory;
    if (mprotect(memory->frames, memory->count * FRAME_BYTES, rights) != 0)
        abort();
}

static int rights_while_traced(void) {
    return trace.stops_reads ? PROT_NONE : PROT_READ;
}

static uint64_t *frame_of(const void *address) {
    return (uint64_t *)((uintptr_t)address & ~(uintptr_t)0xfff);
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    struct vmem_memory *memory = &trace.rig->memory;
    uintptr_t offset = (uintptr_t)info->si_addr - (uintptr_t)memory->frames;
    if (signal != SIGSEGV || offset >= memory->count * FRAME_BYTES)
        abort();
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    protect_frames(PROT_READ | PROT_WRITE);
    trace.at = info->si_addr;
    trace.is_write = (registers[REG_ERR] & PAGE_FAULT_WRITE) != 0;
    memcpy(trace.before, frame_of(trace.at), FRAME_BYTES);
    registers[REG_EFL] |= TRAP;
}

// A walk by the manual's numbers; 0 if the address is absent, 1 if the way leads out of the tables.
static uint64_t walk(uint64_t virt) {
    const struct rig *rig = trace.rig;
    uint64_t table = rig->space.root.value;
    for (unsigned level = rig->space.levels;; level--) {
        uint32_t frame = vmem_memory_frame(&rig->memory, paddr(table));
        if (frame == rig->memory.count)
            return 1;
        uint64_t entry = rig->memory.frames[frame][virt >> (12 + 9 * (level - 1)) & 0x1ff];
        if ((entry & 1) == 0)
            return 0;
        table = entry & VMEM_TLB_ADDRESS;
        uint64_t mask = (UINT64_C(4096) << (9 * (level - 1))) - 1;
        if (vmem_tlb_is_leaf(entry, level))
            return (table & ~mask) | (virt & mask);
    }
}

static bool probe_holds(const struct probe *probe) {
    uint64_t phys = walk(probe->virt);
    bool holds =
        phys == 0 ? probe->may_be_absent : phys == probe->phys[0] || phys == probe->phys[1];
    uint32_t frame = vmem_memory_frame(&trace.rig->memory, paddr(probe->old_table));
    if (probe->way_stays && frame != trace.rig->memory.count)
        holds &= (trace.rig->memory.frames[frame][probe->old_index] & 1) != 0;
    return holds;
}

// What a CPU could see now.
static void look(void) {
    uint64_t frame = (uint64_t)(frame_of(trace.at) - trace.rig->memory.frames[0]) / 512;
    unsigned changed = 0;
    for (unsigned i = 0; i < 512; i++)
        changed += trace.before[i] != frame_of(trace.at)[i];
    if (trace.was_used[frame] && changed > 1)
        trace.failures |= 1; // more than one entry of a live table at once
    for (unsigned i = 0; i < trace.probe_count; i++)
        if (!probe_holds(&trace.probe[i]))
            trace.failures |= 2;
}

static void on_step(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP;
    if (trace.is_write) {
        trace.writes++;
        look();
    } else {
        trace.reads++;
        if (trace.at == trace.marked && trace.until_mark != 0 && --trace.until_mark == 0)
            *trace.at |= MARKS;
    }
    protect_frames(rights_while_traced());
}

static void trace_make(struct rig *rig, unsigned levels) {
    rig_make(rig, RIG_CPU, levels);
    void *frames = mmap(NULL, rig->memory.count * FRAME_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(frames, MAP_FAILED);
    memcpy(frames, rig->memory.frames, FRAME_BYTES);
    free(rig->memory.frames);
    rig->memory.frames = frames;
    rig_adopt(rig, RIG_CPU);
    memset(&trace, 0, sizeof(trace));
    trace.rig = rig;
}

static void trace_destroy(void) {
    struct rig *rig = trace.rig;
    struct rig_audit audit = rig_audit(rig);
    assert_int_equal(audit.result.tables, rig->memory.used_count);
    munmap(rig->memory.frames, rig->memory.count * FRAME_BYTES);
    free(rig->memory.used);
}

// Adds an address that CPUs use and that stays where it is, or goes to `phys`.
static void add_probe(uint64_t virt, uint64_t phys, bool may_be_absent) {
    struct probe probe = {.virt = virt, .may_be_absent = may_be_absent, .phys = {walk(virt), phys}};
    struct vmem_tlb_entry entry;
    for (unsigned level = 2; level <= 4; level++)
        if (vmem_tlb_find(&trace.rig->tlb, virt, level, &entry) &&
            !vmem_tlb_is_leaf(entry.entry, level)) {
            probe.old_table = entry.entry & VMEM_TLB_ADDRESS;
            probe.old_index = virt >> (12 + 9 * (level - 2)) & 0x1ff;
            probe.way_stays = !may_be_absent && probe.phys[0] == phys;
            break;
        }
    trace.probe[trace.probe_count++] = probe;
}

typedef enum vmem_status (*change)(struct vmem *space, const void *argument,
                                   struct vmem_flush *flush);

static void trace_execute(void *context, const struct vmem_flush *flush) {
    (void)context, (void)flush;
    for (unsigned i = 0; i < trace.probe_count; i++)
        trace.probe[i].way_stays = false; // forgotten
}

// Runs one change under the eyes of all probes.
static void trace_run(change run, const void *argument) {
    static const struct vmem_flush_ops ops = {.execute = trace_execute};
    struct rig *rig = trace.rig;
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    struct sigaction old_fault, old_step;
    sigaction(SIGSEGV, &fault, &old_fault);
    sigaction(SIGTRAP, &step, &old_step);
    memcpy(trace.was_used, rig->memory.used, rig->memory.count);
    rig->memory.tlb = NULL;
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &ops, NULL);
    protect_frames(rights_while_traced());
    enum vmem_status status = run(&rig->space, argument, &flush);
    protect_frames(PROT_READ | PROT_WRITE);
    vmem_flush_finish(&rig->space, &flush);
    sigaction(SIGSEGV, &old_fault, NULL);
    sigaction(SIGTRAP, &old_step, NULL);
    assert_int_equal(status, VMEM_OK);
    assert_int_equal(trace.failures, 0);
}

static enum vmem_status run_map(struct vmem *space, const void *mapping, struct vmem_flush *flush) {
    return vmem_map(space, mapping, flush);
}

static enum vmem_status run_unmap(struct vmem *space, const void *range, struct vmem_flush *flush) {
    const struct rig_range *r = range;
    return vmem_unmap(space, vaddr(r->virt), r->bytes, flush);
}

static enum vmem_status run_protect(struct vmem *space, const void *range,
                                    struct vmem_flush *flush) {
    const struct rig_range *r = range;
    return vmem_protect(space, vaddr(r->virt), r->bytes, r->rights, flush);
}

static enum vmem_status run_split(struct vmem *space, const void *range, struct vmem_flush *flush) {
    const struct rig_range *r = range;
    return vmem_split(space, vaddr(r->virt), r->bytes, (enum vmem_page)r->rights, flush);
}

static enum vmem_status run_merge(struct vmem *space, const void *range, struct vmem_flush *flush) {
    const struct rig_range *r = range;
    return vmem_merge(space, vaddr(r->virt), r->bytes, (enum vmem_page)r->rights, flush);
}

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

TEST("vmem: unmap of an empty 512 GiB touches fewer than ten entries") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        trace_make(&rig, levels);
        map(&rig, rig_mapping(0x1000, 0x1000, 0x1000)); // so that tables stand on the way
        map(&rig, rig_mapping(GIB(2048) - 0x1000, 0x1000, 0x1000));
        trace.stops_reads = true;
        struct rig_range range = {GIB(512), GIB(512), 0};
        trace_run(run_unmap, &range);
        assert_in_range(trace.reads, 1, 9);
        assert_int_equal(trace.writes, 0);
        trace_destroy();
    }
}

static bool go_on(void *argument, const struct vmem_run *run) {
    (void)argument, (void)run;
    return true;
}

static enum vmem_status run_walk(struct vmem *space, const void *range, struct vmem_flush *flush) {
    const struct rig_range *r = range;
    (void)flush;
    return vmem_walk(space, vaddr(r->virt), r->bytes, go_on, NULL);
}

TEST("vmem: a walk reads each entry of a full page table once, and few of them again") {
    struct rig rig;
    trace_make(&rig, 4);
    map(&rig, rig_mapping(HHDM, 0x1000, MIB(2)));
    trace.stops_reads = true;
    struct rig_range range = {HHDM, MIB(2), 0};
    trace_run(run_walk, &range);
    assert_in_range(trace.reads, 512, 560);
    assert_int_equal(trace.writes, 0);
    trace_destroy();
}

TEST("vmem: at every store of a split and of its merge all addresses stay where they are") {
    struct rig rig;
    trace_make(&rig, 4);
    map(&rig, rig_mapping(HHDM, GIB(1), GIB(1)));
    for (uint64_t at = 0; at < GIB(1); at += MIB(123))
        add_probe(HHDM + at, GIB(1) + at, false);
    struct rig_range some = {HHDM + MIB(122), MIB(6), VMEM_4K};
    trace_run(run_split, &some);
    assert_true(trace.writes >= 4 * 512);
    trace.probe_count = 0;
    for (uint64_t at = 0; at < GIB(1); at += MIB(123))
        add_probe(HHDM + at, GIB(1) + at, false);
    struct rig_range all = {HHDM, GIB(1), VMEM_1G};
    trace_run(run_merge, &all);
    rig_expect(&rig, HHDM, GIB(1), VMEM_1G, RIG_RW);
    trace_destroy();
}

TEST("vmem: at every store of protect no address is absent, be it in the range or beside it") {
    struct rig rig;
    trace_make(&rig, 5);
    map(&rig, rig_mapping(HHDM, GIB(1), GIB(1)));
    map(&rig, rig_mapping(HHDM + GIB(1), 0x3000, 0x5000));
    static const uint64_t used[] = {0,      MIB(700),        GIB(1) - MIB(3), GIB(1) - 0x1000,
                                    GIB(1), GIB(1) + 0x2000, GIB(1) + 0x4000};
    for (size_t i = 0; i < ARRAY_LEN(used); i++)
        add_probe(HHDM + used[i], used[i] < GIB(1) ? GIB(1) + used[i] : used[i] - GIB(1) + 0x3000,
                  false);
    struct rig_range range = {HHDM + GIB(1) - MIB(3), MIB(3) + 0x3000, RIG_R | VMEM_USER};
    trace_run(run_protect, &range);
    trace_destroy();
}

TEST("vmem: a mark that a CPU sets between any two accesses of protect stays") {
    enum { PAGES = 21, ODD = 18 };
    for (unsigned others_are_marked = 0; others_are_marked <= 1; others_are_marked++) {
        bool was_reached = true;
        for (uint64_t reads = 1; was_reached; reads++) {
            struct rig rig;
            trace_make(&rig, 4);
            map(&rig, rig_mapping(HHDM, 0x3000, PAGES * 0x1000));
            uint64_t *cell = rig_slot(&rig, HHDM, 1);
            for (unsigned i = 0; i < PAGES; i++)
                cell[i] =
                    (cell[i] & ~(uint64_t)MARKS) | (others_are_marked && i != ODD ? MARKS : 0);
            trace.marked = &cell[ODD];
            trace.until_mark = reads;
            trace.stops_reads = true;
            struct rig_range range = {HHDM, PAGES * 0x1000, RIG_R};
            trace_run(run_protect, &range);
            was_reached = trace.until_mark == 0;
            assert_int_equal(cell[ODD] & MARKS, was_reached ? MARKS : 0);
            assert_int_equal(cell[ODD] & 2, 0);
            assert_true(was_reached || reads > 3); // checked, looked at, edited
            trace_destroy();
        }
    }
}

TEST("vmem: at every store of map an address is absent or already right") {
    struct rig rig;
    trace_make(&rig, 5);
    uint64_t start = GIB(2) - 0x3000;
    for (uint64_t at = 0; at < MIB(4); at += MIB(1) - 0x1000)
        add_probe(start + at, 0x5000 + at, true);
    add_probe(start - 0x1000, 0, true);
    struct vmem_mapping mapping = rig_mapping(start, 0x5000, MIB(4));
    trace_run(run_map, &mapping);
    trace_destroy();
}

TEST(
    "vmem: at every store of unmap an address is absent or still right, and those beside it stay") {
    struct rig rig;
    trace_make(&rig, 4);
    map(&rig, rig_mapping(0, GIB(2), GIB(1)));
    map(&rig, rig_mapping(GIB(1), 0x5000, MIB(4)));
    add_probe(0, GIB(2), false);
    add_probe(MIB(700) - 0x1000, GIB(2) + MIB(700) - 0x1000, false);
    add_probe(MIB(700), GIB(2) + MIB(700), true);
    add_probe(GIB(1) + 0x1000, 0x6000, true);
    add_probe(GIB(1) + MIB(2), 0x5000 + MIB(2), true);
    add_probe(GIB(1) + MIB(3), 0x5000 + MIB(3), false);
    struct rig_range range = {MIB(700), GIB(1) - MIB(700) + MIB(3), 0};
    trace_run(run_unmap, &range);
    trace_destroy();
}

TEST("vmem: at every store of a replacing map an address has the old or the new memory") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        trace_make(&rig, levels);
        map(&rig, rig_mapping(0, GIB(2), GIB(1)));      // cut by the new one
        map(&rig, rig_mapping(GIB(1), 0x5000, MIB(4))); // small, below a new large leaf
        map(&rig, rig_mapping(GIB(1) + MIB(4), MIB(4), MIB(2)));
        uint64_t shift = GIB(4);
        static const uint64_t used[] = {MIB(1020), MIB(1022), GIB(1) + 0x1000, GIB(1) + MIB(2),
                                        GIB(1) + MIB(4)};
        for (size_t i = 0; i < ARRAY_LEN(used); i++)
            add_probe(used[i], shift + used[i], false);
        add_probe(MIB(512), GIB(2) + MIB(512), false);
        struct vmem_mapping mapping = rig_mapping(MIB(1018), shift + MIB(1018), MIB(14));
        mapping.replace = true;
        trace_run(run_map, &mapping);
        for (size_t i = 0; i < ARRAY_LEN(used); i++)
            rig_expect(&rig, used[i], shift + used[i], VMEM_2M, RIG_RW);
        trace_destroy();
    }
}
