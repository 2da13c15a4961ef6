// What several CPUs remember of page tables that any of them changes: over CPUs and TLBs of the
// test's own, one at a time, with and without process-context identifiers, which an emulator has
// not. What an access finds is compared with what the tables say.
#include "tests/unit/support/test.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/base/panic.h"
#include "kernel/base/this_cpu.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/shootdown.h"
#include "tests/unit/support/random.h"

#include <string.h>

enum {
    CPUS = 4,
    SPACES = 20, // the first is the kernel's own; more than a CPU has identifiers
    PAGES = 8,   // of which the second half is in the kernel half
    REMEMBERED = 64,
    OPERATIONS = 200000,
};
#define ROOT(space) (((uint64_t)(space) + 1) << 12)

struct remembered {
    bool is_there, global;
    unsigned pcid, page;
    uint64_t frame;
};

static struct {
    unsigned cpu; // that executes
    bool has_pcid, has_invpcid;
    uint64_t frame[SPACES][PAGES]; // that the tables have
    bool global[PAGES];
    struct {
        uint64_t cr3, cr4;
        struct remembered tlb[REMEMBERED];
        unsigned next;
        bool is_asleep, is_interrupted, interrupts_off;
        unsigned space;
        unsigned kept; // loads of CR3 that kept what was there
    } of[CPUS];
    unsigned reads_to_late; // of the clock, until the time is over
    unsigned turns_late;    // that CPU 2 keeps interrupts off after it has been named
    bool is_restless;       // CPU 2 is awake for a moment while it is passed over
} fake;

static void drop(bool (*is_dropped)(const struct remembered *it, uint64_t argument),
                 uint64_t argument) {
    for (unsigned i = 0; i < REMEMBERED; i++) {
        struct remembered *it = &fake.of[fake.cpu].tlb[i];
        it->is_there = it->is_there && !is_dropped(it, argument);
    }
}

static unsigned pcid_now(void) {
    return (unsigned)fake.of[fake.cpu].cr3 & 0xfff;
}

static bool is_any(const struct remembered *it, uint64_t argument) {
    (void)it;
    (void)argument;
    return true;
}

static bool is_of_pcid(const struct remembered *it, uint64_t pcid) {
    return !it->global && it->pcid == pcid;
}

static bool is_of_page(const struct remembered *it, uint64_t page) {
    return it->page == page && (it->global || it->pcid == pcid_now());
}

static uint64_t fake_read_cr3(void) {
    return fake.of[fake.cpu].cr3;
}

static void fake_write_cr3(uint64_t value) {
    bool pcids_are_on = (fake.of[fake.cpu].cr4 & CR4_PCIDE) != 0;
    assert_true(pcids_are_on || (value & (CR3_NO_FLUSH | 0xfff)) == 0);
    fake.of[fake.cpu].cr3 = value & ~CR3_NO_FLUSH;
    if ((value & CR3_NO_FLUSH) == 0)
        drop(is_of_pcid, pcid_now());
    fake.of[fake.cpu].kept += (value & CR3_NO_FLUSH) != 0;
}

static uint64_t fake_read_cr4(void) {
    return fake.of[fake.cpu].cr4;
}

static void fake_write_cr4(uint64_t value) {
    uint64_t changed = fake.of[fake.cpu].cr4 ^ value;
    assert_true((changed & CR4_PCIDE) == 0 || (fake.has_pcid && pcid_now() == 0));
    fake.of[fake.cpu].cr4 = value;
    if (changed & CR4_PGE)
        drop(is_any, 0);
}

static void fake_invlpg(uint64_t address) {
    drop(is_of_page, address / FRAME_BYTES);
}

static void fake_invpcid_all(void) {
    assert_true(fake.has_invpcid);
    drop(is_any, 0);
}

static struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf) {
    (void)subleaf;
    return (struct cpuid){
        .eax = leaf == 0 ? 7 : 0,
        .ebx = leaf == 7 && fake.has_invpcid ? CPUID_7_EBX_INVPCID : 0,
        .ecx = leaf == 1 && fake.has_pcid ? CPUID_1_ECX_PCID : 0,
    };
}

static bool no_interrupts(void) {
    return false;
}

static void nothing(bool were_on) {
    (void)were_on;
}

void panic(const char *format, ...) {
    fail_msg("%s", format);
    __builtin_unreachable();
}

uint64_t clock_after(uint64_t microseconds) {
    return microseconds;
}

bool clock_reached(uint64_t tsc) {
    assert_int_equal(tsc, 1000000);
    return fake.reads_to_late == 0 || --fake.reads_to_late == 0;
}

static struct vmem kernel = {.root = {ROOT(0)}};
const struct vmem *space_kernel(void) {
    return &kernel;
}

static void send_interrupt(unsigned cpu) {
    assert_true(cpu != fake.cpu && cpu < CPUS && !fake.of[cpu].is_interrupted);
    fake.of[cpu].is_interrupted = true;
}

static void deliver(void);

#define this_cpu()             fake.cpu
#define cpu_read_cr3           fake_read_cr3
#define cpu_write_cr3          fake_write_cr3
#define cpu_read_cr4           fake_read_cr4
#define cpu_write_cr4          fake_write_cr4
#define cpu_invlpg             fake_invlpg
#define cpu_invpcid_all        fake_invpcid_all
#define cpu_cpuid              fake_cpuid
#define cpu_pause              deliver
#define cpu_interrupts_are_on  no_interrupts
#define cpu_interrupts_save    no_interrupts
#define cpu_interrupts_restore nothing

// The moment at which a CPU that is passed over is counted.
static uint64_t add(uint64_t *value, uint64_t more);
#define __atomic_fetch_add(value, more, order) add(value, more)

// Both have per-CPU data of this name.
#define cpus tlb_cpus
#include "kernel/memory/tlb.c"
#undef cpus
#include "kernel/memory/shootdown.c"

static struct tlb_space spaces[SPACES];

static char said[256];
static struct fmt_buffer buffer;
static struct sink late;

// Lets every other CPU take the interrupt that it has been sent.
static void deliver(void) {
    unsigned self = fake.cpu;
    if (fake.of[2].interrupts_off && said[0] != '\0')
        fake.of[2].interrupts_off = fake.turns_late-- != 0;
    for (fake.cpu = 0; fake.cpu < CPUS; fake.cpu++) {
        if (fake.of[fake.cpu].is_interrupted && !fake.of[fake.cpu].interrupts_off) {
            fake.of[fake.cpu].is_interrupted = false;
            shootdown_serve();
        }
    }
    fake.cpu = self;
}

static bool is_kernel_half(unsigned page) {
    return page >= PAGES / 2;
}

// The frame that a CPU finds: that which it remembers or, if it does not, that of the tables.
static uint64_t access_page(unsigned page) {
    for (unsigned i = 0; i < REMEMBERED; i++) {
        const struct remembered *it = &fake.of[fake.cpu].tlb[i];
        if (it->is_there && it->page == page && (it->global || it->pcid == pcid_now()))
            return it->frame;
    }
    uint64_t root = fake.of[fake.cpu].cr3 & CR3_ROOT;
    struct remembered new = {
        .is_there = true,
        .global = is_kernel_half(page) && fake.global[page],
        .pcid = pcid_now(),
        .page = page,
        .frame = fake.frame[is_kernel_half(page) ? 0 : root / FRAME_BYTES - 1][page],
    };
    fake.of[fake.cpu].tlb[fake.of[fake.cpu].next++ % REMEMBERED] = new;
    return new.frame;
}

static void start(bool has_pcid, bool has_invpcid) {
    memset(&fake, 0, sizeof(fake));
    memset(cpus, 0, sizeof(cpus));
    memset(tlb_cpus, 0, sizeof(tlb_cpus));
    features.is_known = false;
    fake.has_pcid = has_pcid;
    fake.has_invpcid = has_invpcid;
    fake.reads_to_late = 100;
    said[0] = '\0';
    buffer = fmt_buffer_make(said, sizeof(said));
    late = fmt_buffer_sink(&buffer);
    online = awake = 1;
    missable = 0;
    for (unsigned i = 1; i < SPACES; i++)
        spaces[i] = tlb_space_make(paddr(ROOT(i)));
    shootdown_start(send_interrupt, &late);
    for (fake.cpu = 0; fake.cpu < CPUS; fake.cpu++) {
        fake.of[fake.cpu].cr3 = ROOT(0);
        fake.of[fake.cpu].cr4 = CR4_PGE;
        if (fake.cpu != 0)
            shootdown_join();
    }
    fake.cpu = 0;
}

static void load(unsigned space) {
    shootdown_switch(space == 0 ? NULL : &spaces[space]);
    fake.of[fake.cpu].space = space;
}

// Replaces a page, as vmem_map would.
static void change(unsigned space, unsigned page, bool is_full) {
    static uint64_t frames;
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    flush.range[flush.range_count++] =
        (struct vmem_flush_range){vaddr(page * FRAME_BYTES), FRAME_BYTES, VMEM_4K};
    flush.pages = 1;
    flush.global = is_kernel_half(page) && fake.global[page];
    flush.full = is_full;
    fake.frame[is_kernel_half(page) ? 0 : space][page] = ++frames;
    shootdown_execute(is_kernel_half(page) || space == 0 ? NULL : &spaces[space], &flush);
}

static void expect_no_stale(void) {
    for (fake.cpu = 0; fake.cpu < CPUS; fake.cpu++) {
        if (fake.of[fake.cpu].is_asleep)
            continue;
        for (unsigned page = 0; page < PAGES; page++)
            assert_int_equal(access_page(page),
                             fake.frame[is_kernel_half(page) ? 0 : fake.of[fake.cpu].space][page]);
    }
}

static void toggle_sleep(void) {
    fake.of[fake.cpu].is_asleep = !fake.of[fake.cpu].is_asleep;
    if (fake.of[fake.cpu].is_asleep)
        shootdown_sleep();
    else
        shootdown_wake();
}

static uint64_t add(uint64_t *value, uint64_t more) {
    unsigned self = fake.cpu;
    bool is_restless = fake.is_restless && value == &missable;
    fake.cpu = 2;
    if (is_restless)
        toggle_sleep();
    uint64_t before = *value;
    *value += more;
    if (is_restless)
        toggle_sleep();
    fake.cpu = self;
    return before;
}

static void try_at_random(bool has_pcid, bool has_invpcid) {
    start(has_pcid, has_invpcid);
    for (unsigned page = PAGES / 2; page < PAGES; page += 2)
        fake.global[page] = true;
    struct random random = random_start("tlb");
    for (unsigned i = 0; i < OPERATIONS; i++) {
        fake.cpu = (unsigned)random_below(&random, CPUS);
        unsigned choice = (unsigned)random_below(&random, 8);
        unsigned space = (unsigned)random_below(&random, choice % 2 == 0 ? SPACES : 3);
        if (choice == 0)
            toggle_sleep();
        else if (fake.of[fake.cpu].is_asleep)
            continue;
        else if (choice < 5)
            load(space);
        else
            change(space, (unsigned)random_below(&random, PAGES), random_below(&random, 8) == 0);
        expect_no_stale();
    }
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        assert_true((fake.of[cpu].kept > OPERATIONS / 1000) == has_pcid);
}

TEST("tlb: no CPU has a stale translation, without identifiers") {
    try_at_random(false, false);
}

TEST("tlb: no CPU has a stale translation, with identifiers") {
    try_at_random(true, false);
    try_at_random(true, true);
}

TEST("tlb: a CPU that keeps interrupts off is waited for, and named once") {
    start(false, false);
    fake.of[2].interrupts_off = true;
    fake.turns_late = 3;
    change(0, PAGES - 1, false);
    assert_string_equal(said, "tlb: CPU 0 has waited a second, and goes on waiting, for CPU 2:"
                              " interrupts are off there\n");
    expect_no_stale();
}

TEST("tlb: CPUs that sleep are not interrupted, unless tables are detached") {
    start(false, false);
    fake.cpu = 2;
    toggle_sleep();
    fake.cpu = 0;
    struct shootdown_counts before = shootdown_counts();
    change(0, PAGES - 1, false);
    assert_int_equal(shootdown_counts().requests - before.requests, CPUS - 2);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    flush.structures = true;
    flush.table_count = 1;
    shootdown_execute(NULL, &flush);
    assert_int_equal(shootdown_counts().requests - before.requests, 2 * CPUS - 3);
    assert_int_equal(shootdown_counts().records - before.records, 2);
}

TEST("tlb: only CPUs that have a space loaded are asked for its lower half") {
    start(false, false);
    fake.cpu = 3;
    load(1);
    fake.cpu = 1;
    load(2);
    fake.cpu = 0;
    change(1, 0, false);
    assert_int_equal(shootdown_counts().requests, 1);
    change(3, 0, false);
    assert_int_equal(shootdown_counts().requests, 1);
    change(2, PAGES - 1, false); // of the kernel half
    assert_int_equal(shootdown_counts().requests, CPUS);
    fake.cpu = 3;
    load(2);
    fake.cpu = 0;
    change(1, 0, false); // nobody is there
    assert_int_equal(shootdown_counts().requests, CPUS);
    expect_no_stale();
}

TEST("tlb: one interrupt brings the records of several CPUs") {
    start(false, false);
    const struct vmem_flush flush = {.full = true, .global = true};
    for (fake.cpu = 0; fake.cpu < 2; fake.cpu++)
        post(fake.cpu, UINT64_C(1) << 3, NULL, &flush);
    fake.cpu = 3;
    assert_int_equal(shootdown_counts().requests, 2);
    assert_int_equal(shootdown_counts().interrupts, 1);
    fake.frame[0][PAGES - 1] = access_page(PAGES - 1) + 1;
    deliver();
    assert_int_equal(cpus[0].waiting | cpus[1].waiting, 0);
    assert_int_equal(access_page(PAGES - 1), fake.frame[0][PAGES - 1]);
}

TEST("tlb: a CPU that wakes up and falls asleep while it is passed over knows it the next time") {
    start(false, false);
    fake.cpu = 2;
    (void)access_page(PAGES - 1);
    toggle_sleep();
    fake.cpu = 0;
    fake.is_restless = true;
    change(0, PAGES - 1, false);
    fake.cpu = 2;
    toggle_sleep();
    expect_no_stale();
}

TEST("tlb: what a CPU remembers of a space stays until the space changes") {
    start(true, false);
    static const unsigned loads[] = {1, 2, 1, 2, 0, 1};
    for (unsigned i = 0; i < ARRAY_LEN(loads); i++)
        load(loads[i]);
    assert_int_equal(fake.of[0].kept, 4); // all but the first of spaces 1 and 2
    change(2, 0, false);
    load(2);
    assert_int_equal(fake.of[0].kept, 4);
    load(1);
    load(2);
    assert_int_equal(fake.of[0].kept, 6);
    change(0, PAGES - 1, false); // the kernel half is in all
    load(1);
    assert_int_equal(fake.of[0].kept, 6);
    load(2);
    assert_int_equal(fake.of[0].kept, 7); // which was loaded, and has forgotten that page alone
}
