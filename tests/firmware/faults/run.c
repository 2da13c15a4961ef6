// The driver: every way to spoil a scenario, and how many runs that made.
#include "tests/firmware/faults/faults.h"

#include <stdio.h>
#include <string.h>

static struct faults_base base;
static uint64_t runs, all_runs;
static bool is_running; // a run, which has not ended well so far
static char story[200];

// After the failure of an assertion, which says nothing of the run: at the next one, or at the end.
static void tell_failure(void) {
    if (is_running)
        fprintf(stderr, "# failed: %s\n", story);
    is_running = false;
}

[[gnu::destructor]] static void tell_all(void) {
    tell_failure();
    if (all_runs != 0)
        fprintf(stderr, "# total: %lu boots over spoilt firmware\n", all_runs);
}

[[gnu::format(printf, 1, 2)]] static void begin_run(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t used = (size_t)snprintf(story, sizeof(story), "%s: ", base.scenario->name);
    vsnprintf(story + used, sizeof(story) - used, format, arguments);
    va_end(arguments);
    is_running = true;
    base.scenario->set_up();
}

static void end_run(const struct faults_run *run) {
    faults_note_machine();
    fake_boot();
    faults_check(run);
    is_running = false;
    runs++;
    all_runs++;
}

static void note_modules(void) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    base.modules = info->modules.count;
    for (uint32_t i = 0; i < info->modules.count; i++) {
        const struct slipway_module *module = setup_record(&info->modules, i);
        assert_true(i < FAULTS_MODULES_MAX);
        base.module_bytes[i] = module->bytes;
    }
}

// The run that nothing spoils, which the others are judged by.
static void begin(const struct faults_scenario *scenario) {
    tell_failure();
    fake_reset();
    for (unsigned i = 0; i < FAKE_CRASH_PLACES; i++) // which keep what they hold
        memset((void *)(uintptr_t)fake_crash_places[i], 0xa5, FAKE_CRASH_BYTES);
    runs = 0;
    base = (struct faults_base){.scenario = scenario, .modules = scenario->modules};
    begin_run("as it is");
    const struct faults_run run = {.base = &base};
    end_run(&run);
    if (scenario->goal == FAULTS_SLIPWAY)
        note_modules();
    if (scenario->check != NULL)
        scenario->check();
    base.calls = fake.calls;
    base.reads = fake.reads;
    base.pages = fake_allocated_pages();
    memcpy(base.kinds, fake.kinds, fake.calls);
    assert_true(base.calls != 0);
}

// Neither an image that is started nor what is refused comes as far as that.
static bool has_exit(void) {
    return base.scenario->goal == FAULTS_SLIPWAY || base.scenario->goal == FAULTS_LIMINE;
}

// Where there is nothing to spoil there is no run but the first. Which scenarios these are is
// stated, so that none becomes one of them, or is one no more, without a word.
static void end(const char *how, bool has_runs) {
    fprintf(stderr, "# %6lu runs: %s, %s\n", runs, base.scenario->name, how);
    if ((runs > 1) != has_runs)
        fail_msg("%s: %lu runs, %s", base.scenario->name, runs, how);
}

// ---- Calls

static void fail_call(uint64_t number, EFI_STATUS status) {
    enum fake_call call = (enum fake_call)base.kinds[number - 1];
    begin_run("call %lu, %s, fails with 0x%lx", number, fake_call_name(call), status);
    fake.fail_at = number;
    fake.fail_status = status;
    const struct faults_run run = {.base = &base, .failed = EFI_ERROR(status) ? call : FAKE_NONE};
    end_run(&run);
    assert_int_equal(fake.kinds[number - 1], call); // up to there it is the same run
}

// And all that follow it, or those of its kind: a device that is gone.
static void fail_from(uint64_t number, EFI_STATUS status, bool of_kind) {
    begin_run("from call %lu on all%s fail with 0x%lx", number, of_kind ? " of its kind" : "",
              status);
    fake.fail_at = number;
    fake.fails_on = !of_kind;
    fake.fails_kind = of_kind;
    fake.fail_status = status;
    const struct faults_run run = {.base = &base, .may_end = true};
    end_run(&run);
}

void faults_fail_calls(const struct faults_scenario *scenario) {
    static const EFI_STATUS lasting[] = {EFI_DEVICE_ERROR, EFI_OUT_OF_RESOURCES};
    begin(scenario);
    for (uint64_t number = 1; number <= base.calls; number++) {
        const EFI_STATUS *status = faults_errors((enum fake_call)base.kinds[number - 1]);
        for (; *status != EFI_SUCCESS; status++)
            fail_call(number, *status);
        for (size_t i = 0; i < 2 * ARRAY_LEN(lasting); i++)
            fail_from(number, lasting[i / 2], i % 2);
    }
    end("a call fails", /*has_runs=*/true);
}

// ---- Reads

void faults_spoil_reads(const struct faults_scenario *scenario) {
    static const char *const names[] = {"short", "empty", "oversized", "slow"};
    begin(scenario);
    for (uint64_t number = 1; number <= base.reads; number++) {
        for (unsigned i = 0; i < 2 * FAKE_ODDS; i++) {
            enum fake_odd odd = i / 2;
            begin_run("read %lu%s is %s", number, i % 2 ? " and all after it" : "", names[odd]);
            fake.odd = odd;
            fake.odd_read = number;
            fake.odd_on = i % 2;
            fake.console_keeps_cr = odd == FAKE_ODD_SLOW; // lines that move
            // Of a part that a read gives the rest can be read, but for a server's.
            bool may_end = odd == FAKE_ODD_ZERO || odd == FAKE_ODD_OVER ||
                           (odd == FAKE_ODD_SHORT && fake.has_no_volume);
            const struct faults_run run = {.base = &base, .may_end = may_end};
            end_run(&run);
        }
    }
    end("a read is odd", /*has_runs=*/true);
}

// ---- The memory map

#define SCATTER_PHYS UINT64_C(0x1000000000) // 64 GiB: nothing is there

// Up to so many more the buffer has room for, whenever they come; so many the fake can list; and
// more often than that no boot reads the map.
enum { ALWAYS_FITS = 60, GROWTH_MAX = 1900, READINGS_MAX = 8 };

static struct {
    uint64_t at;  // the number of a call,
    bool goes_on; // and every one after it
    uint32_t entries;
    EFI_MEMORY_TYPE type;
    uint32_t added;
} growth;

// Each of RAM needs two page tables of its own.
static void add_entries(void) {
    for (uint32_t i = 0; i < growth.entries && growth.added < GROWTH_MAX; i++)
        fake_add_memory(SCATTER_PHYS + growth.added++ * GIB(1), FRAME_BYTES, growth.type);
}

// Before a call that has to do with the map: between others nobody can tell when it has grown.
// Before every exit it does so in another test.
static void grow(enum fake_call call) {
    uint64_t number = fake.calls + 1;
    bool goes_on = growth.goes_on && number > growth.at && call == FAKE_GET_MEMORY_MAP;
    if (number == growth.at || goes_on)
        add_entries();
}

static void grow_at(uint64_t number, uint32_t entries, EFI_MEMORY_TYPE type, bool goes_on) {
    begin_run("before call %lu%s the map grows by %u entries of type %d", number,
              goes_on ? " and all after it" : "", entries, (int)type);
    growth.at = number;
    growth.goes_on = goes_on;
    growth.entries = entries;
    growth.type = type;
    growth.added = 0;
    fake.before_call = grow;
    const struct faults_run run = {.base = &base,
                                   .may_end = entries * (goes_on ? READINGS_MAX : 1) > ALWAYS_FITS};
    end_run(&run);
}

void faults_grow_map(const struct faults_scenario *scenario) {
    static const uint32_t entries[] = {1, 10, 1000};
    static const EFI_MEMORY_TYPE types[] = {EfiReservedMemoryType, EfiBootServicesData,
                                            EfiConventionalMemory};
    begin(scenario);
    for (uint64_t number = 1; number <= base.calls; number++) {
        if (base.kinds[number - 1] != FAKE_GET_MEMORY_MAP && base.kinds[number - 1] != FAKE_EXIT)
            continue;
        for (unsigned i = 0; i < 2 * ARRAY_LEN(entries) * ARRAY_LEN(types); i++)
            grow_at(number, entries[i / 2 % ARRAY_LEN(entries)], types[i / 2 / ARRAY_LEN(entries)],
                    i % 2);
    }
    end("the map grows", has_exit() || scenario->looks_at_map);
}

// ---- The exit

// Inside ExitBootServices, where firmware that makes its key stale may need memory for that.
static void grow_in_exit(uint32_t attempt) {
    if (growth.added < GROWTH_MAX && attempt <= growth.at)
        add_entries();
}

static void refuse(uint32_t times, uint32_t entries) {
    begin_run("the key is stale %u times, and the map grows by %u entries each time", times,
              entries);
    growth.at = times;
    growth.entries = entries;
    growth.type = EfiReservedMemoryType;
    growth.added = 0;
    fake.exit_refusals = times;
    fake.in_exit = grow_in_exit;
    const struct faults_run run = {.base = &base, .may_end = times * entries > ALWAYS_FITS};
    end_run(&run);
    if (fake.end == FAKE_ENTERED)
        assert_int_equal(fake.exits, times + 1);
}

// After a refusal, too, any call may fail: of the map, then the machine stops, or of the exit, then
// it is one more.
static void fail_after_refusals(uint32_t times) {
    const uint8_t *exit = memchr(base.kinds, FAKE_EXIT, base.calls);
    assert_non_null(exit);
    uint64_t first_exit = (uint64_t)(exit - base.kinds) + 1;
    for (uint64_t number = first_exit + 1; number <= first_exit + 2 * (uint64_t)times; number++) {
        bool is_exit = (number - first_exit) % 2 == 0;
        const EFI_STATUS *status = faults_errors(is_exit ? FAKE_EXIT : FAKE_GET_MEMORY_MAP);
        for (; *status != EFI_SUCCESS; status++) {
            begin_run("the key is stale %u times, and call %lu fails with 0x%lx", times, number,
                      *status);
            fake.exit_refusals = times;
            fake.fail_at = number;
            fake.fail_status = *status;
            const struct faults_run run = {.base = &base, .may_end = !is_exit};
            end_run(&run);
            assert_int_equal(fake.kinds[number - 1], is_exit ? FAKE_EXIT : FAKE_GET_MEMORY_MAP);
            assert_int_equal(fake.end, is_exit ? FAKE_ENTERED : FAKE_STOPPED);
        }
    }
}

void faults_refuse_exit(const struct faults_scenario *scenario) {
    static const uint32_t times[] = {1, 3, 100}, entries[] = {0, 1, 10, 1000};
    begin(scenario);
    for (unsigned i = 0; i < ARRAY_LEN(times) * ARRAY_LEN(entries) && has_exit(); i++)
        refuse(times[i / ARRAY_LEN(entries)], entries[i % ARRAY_LEN(entries)]);
    if (has_exit())
        fail_after_refusals(3);
    end("the key is stale", has_exit());
}
