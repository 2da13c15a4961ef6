#include "kernel/selftest/spaces_stress.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/counted.h"
#include "kernel/memory/heap.h"
#include "kernel/process/survey.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/user.h"

#include <stddef.h>

#define PAGE FRAME_BYTES
#define OWN  UINT64_C(0x100000000) // where CPUs have areas of their own, each in 4 MiB

enum {
    SHORT_MS = 20,
    LONG_MS = 3000,
    SPACES = 2,      // that all share
    SMALL_PAGES = 6, // of these, in an area of small pages
    PAGES = 14,      // others are in two blocks
    USES = 8,        // of one operation
    OWN_PAGES = 4,
    PAUSES_MAX = 1000, // in which others may write what they must not
};

// A CPU. Its words are in each page those with its number.
struct worker {
    uint64_t random;
    uint64_t written;
    uint64_t last[SPACES][PAGES]; // what it wrote last
    uint64_t uses;
    struct user_space *space; // in which it runs
    unsigned home;            // the shared space that it uses mostly
};
static struct worker *workers; // one for each CPU
static struct user_space *spaces[SPACES];
static uint64_t end_time;

static unsigned choose(struct worker *worker, unsigned limit) {
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (unsigned)(worker->random >> 16) % limit;
}

// A CPU stays where it is if it can: what it remembers of a space goes with the space.
static void load(struct worker *worker, struct user_space *space) {
    if (worker->space != space)
        user_space_load(space);
    worker->space = space;
}

// ---- Words

static uint64_t page_address(unsigned page) {
    return page < SMALL_PAGES ? USER_SMALL + page * PAGE
                              : USER_LARGE + (page - SMALL_PAGES) * (BLOCK_BYTES / 4);
}

static uint64_t word_address(unsigned page, unsigned cpu) {
    return page_address(page) + cpu * sizeof(uint64_t);
}

// No two words that are ever written are the same, and each says whose it is.
static uint64_t new_word(struct worker *worker, const struct user_space *space, unsigned page) {
    return user_space_id(space) << 40 | (uint64_t)page << 32 | (uint32_t)++worker->written;
}

[[gnu::noreturn]] static void fail(const struct user_space *space, uint64_t address, uint64_t value,
                                   uint64_t expected, const char *what) {
    panic("spaces: CPU %u in space %lu at 0x%lx: %s: 0x%lx, expected 0x%lx", this_cpu(),
          user_space_id(space), address, what, value, expected);
}

// False: there was no memory for it, and nothing was read or written.
static bool read(struct worker *worker, struct user_space *space, uint64_t address,
                 uint64_t *ret_value) {
    enum user_space_status status = user_read(space, address, ret_value);
    if (status != USER_SPACE_OK && status != USER_SPACE_ERR_NO_MEMORY)
        fail(space, address, (uint64_t)status, USER_SPACE_OK, "cannot be read");
    worker->uses++;
    return status == USER_SPACE_OK;
}

static bool write(struct worker *worker, struct user_space *space, uint64_t address,
                  uint64_t value) {
    enum user_space_status status = user_write(space, address, value);
    if (status != USER_SPACE_OK && status != USER_SPACE_ERR_NO_MEMORY)
        fail(space, address, (uint64_t)status, USER_SPACE_OK, "cannot be written");
    worker->uses++;
    return status == USER_SPACE_OK;
}

static void expect(struct worker *worker, struct user_space *space, uint64_t address,
                   uint64_t expected, const char *what) {
    uint64_t value;
    if (read(worker, space, address, &value) && value != expected)
        fail(space, address, value, expected, what);
}

// A word of another CPU is of this space and page, and as new as what that CPU says before.
static void look(struct worker *worker, unsigned s, unsigned page, unsigned cpu) {
    uint64_t value;
    uint64_t floor = __atomic_load_n(&workers[cpu].last[s][page], __ATOMIC_ACQUIRE);
    if (!read(worker, spaces[s], word_address(page, cpu), &value))
        return;
    if (value != 0 && value >> 32 != (user_space_id(spaces[s]) << 8 | page))
        fail(spaces[s], word_address(page, cpu), value, floor, "a word of elsewhere");
    if (value < floor)
        fail(spaces[s], word_address(page, cpu), value, floor, "a word that was overwritten");
}

// ---- What a CPU does

static void use_shared(struct worker *worker) {
    if (choose(worker, 16) == 0)
        worker->home = choose(worker, SPACES);
    unsigned s = worker->home;
    unsigned cpu = this_cpu();
    load(worker, spaces[s]);
    for (unsigned i = 0; i < USES; i++) {
        unsigned page = choose(worker, PAGES);
        uint64_t *last = &worker->last[s][page];
        expect(worker, spaces[s], word_address(page, cpu), *last, "a write was lost");
        uint64_t word = new_word(worker, spaces[s], page);
        if (write(worker, spaces[s], word_address(page, cpu), word))
            __atomic_store_n(last, word, __ATOMIC_RELEASE);
        look(worker, s, page, choose(worker, cpus_started()));
    }
}

// A child has what its parent had, and nobody else writes it. What it writes its parent never sees.
static void use_child(struct worker *worker, struct user_space *child, unsigned s) {
    unsigned cpu = this_cpu();
    unsigned other = choose(worker, cpus_started());
    uint64_t theirs[PAGES];
    bool is_known[PAGES];
    load(worker, child);
    for (unsigned page = 0; page < PAGES; page++) {
        expect(worker, child, word_address(page, cpu), worker->last[s][page],
               "a child lacks what was written before it was made");
        is_known[page] = read(worker, child, word_address(page, other), &theirs[page]);
    }
    for (unsigned i = choose(worker, PAUSES_MAX); i != 0; i--)
        cpu_pause();
    for (unsigned page = choose(worker, PAGES); page < PAGES; page++) {
        uint64_t word = new_word(worker, child, page);
        if (write(worker, child, word_address(page, cpu), word))
            expect(worker, child, word_address(page, cpu), word, "a child's write was lost");
    }
    for (unsigned page = 0; page < PAGES; page++) {
        if (is_known[page] && other != cpu)
            expect(worker, child, word_address(page, other), theirs[page],
                   "a child was written by somebody else");
    }
}

static void clone(struct worker *worker) {
    unsigned s = worker->home;
    struct user_space *child;
    enum user_space_status status = user_space_clone(spaces[s], &child);
    if (status != USER_SPACE_OK)
        return;
    use_child(worker, child, s);
    load(worker, spaces[s]);
    for (unsigned page = 0; page < PAGES; page++)
        expect(worker, spaces[s], word_address(page, this_cpu()), worker->last[s][page],
               "a parent sees what its child wrote");
    user_space_destroy(child);
}

// Maps an area that nobody else uses, in a space that all use, and takes it away again.
static void change(struct worker *worker) {
    struct user_space *space = spaces[choose(worker, SPACES)];
    uint64_t start = OWN + this_cpu() * MIB(4);
    uint64_t bytes = choose(worker, 32) == 0 ? BLOCK_BYTES : OWN_PAGES * PAGE;
    uint64_t at = start + choose(worker, OWN_PAGES) * PAGE;
    load(worker, space);
    if (user_space_map(space, vaddr(start), bytes, USER_WRITE, USER_AREA_ANONYMOUS) !=
        USER_SPACE_OK)
        return;
    expect(worker, space, at, 0, "new memory has old contents");
    bool is_written = write(worker, space, at, start);
    bool is_protected = user_space_protect(space, vaddr(at), PAGE, USER_READ) == USER_SPACE_OK;
    if (is_protected && user_write(space, at, 1) == USER_SPACE_OK)
        fail(space, at, 1, start, "was written and is read-only");
    if (is_written)
        expect(worker, space, at, start, "is not what was written");
    if (choose(worker, 2) == 0)
        (void)user_space_protect(space, vaddr(start), bytes, USER_WRITE);
    while (user_space_unmap(space, vaddr(start), bytes) != USER_SPACE_OK)
        cpu_pause();
    uint64_t value;
    if (user_read(space, at, &value) != USER_SPACE_ERR_NONE)
        fail(space, at, value, 0, "was read and is unmapped");
}

// A space that no other CPU knows.
static void live_alone(struct worker *worker) {
    struct user_space *space;
    if (user_space_create(&space) != USER_SPACE_OK)
        return;
    load(worker, space);
    if (user_space_map(space, vaddr(USER_LARGE), BLOCK_BYTES, USER_WRITE, USER_AREA_ANONYMOUS) ==
        USER_SPACE_OK) {
        for (uint64_t at = 0; at < BLOCK_BYTES; at += BLOCK_BYTES / 2) {
            expect(worker, space, USER_LARGE + at, 0, "a new space has old contents");
            (void)write(worker, space, USER_LARGE + at, UINT64_MAX);
        }
    }
    load(worker, NULL);
    user_space_destroy(space);
}

// Large pages come together again while others write them.
static void tidy(struct worker *worker) {
    struct user_space *space = spaces[choose(worker, SPACES)];
    uint64_t accessed;
    (void)user_space_harvest(user_space_id(space), &accessed);
    (void)user_space_protect(space, vaddr(USER_LARGE), 2 * BLOCK_BYTES, USER_WRITE);
}

// Blocks are rare: to zero one takes as long as many other operations.
static void operate(struct worker *worker) {
    unsigned choice = choose(worker, 128);
    if (choice < 1)
        live_alone(worker);
    else if (choice < 12)
        clone(worker);
    else if (choice < 24)
        change(worker);
    else if (choice < 28)
        tidy(worker);
    else
        use_shared(worker);
}

static void work_here(void *argument) {
    (void)argument;
    cpu_interrupts_on();
    while (!clock_reached(end_time))
        operate(&workers[this_cpu()]);
    load(&workers[this_cpu()], NULL);
    cpu_interrupts_off();
}

// ---- The part

static void begin(void) {
    workers = heap_alloc(cpus_started() * sizeof(*workers));
    check(workers != NULL, "there is memory for what each CPU remembers");
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
        workers[cpu] = (struct worker){.random = cpu + 1};
    for (unsigned s = 0; s < SPACES; s++) {
        check_space(user_space_create(&spaces[s]), USER_SPACE_OK, "a space for all CPUs");
        user_map(spaces[s], USER_SMALL, SMALL_PAGES * PAGE, USER_WRITE);
        user_map(spaces[s], USER_LARGE, 2 * BLOCK_BYTES, USER_WRITE);
    }
}

// All words are as they were written last, whichever CPU looks.
static void check_all(void) {
    for (unsigned s = 0; s < SPACES; s++) {
        user_space_load(spaces[s]);
        for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
            for (unsigned page = 0; page < PAGES; page++)
                expect(&workers[cpu], spaces[s], word_address(page, cpu),
                       workers[cpu].last[s][page], "a write was lost in the end");
        }
    }
    user_space_load(NULL);
}

static void run(unsigned milliseconds) {
    begin();
    end_time = clock_after((uint64_t)milliseconds * 1000);
    cpus_run(work_here, NULL);
    check_all();
    uint64_t uses = 0;
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
        uses += workers[cpu].uses;
    check(uses != 0, "CPUs used spaces");
    heap_free(workers);
    for (unsigned s = 0; s < SPACES; s++)
        user_space_destroy(spaces[s]);
}

void selftest_spaces_stress(void) {
    run(SHORT_MS);
}

void selftest_spaces_stress_long(void) {
    run(LONG_MS);
}
