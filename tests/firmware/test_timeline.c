// The timeline by itself: its stages, and the TSC compared with the power management timer to the
// tick.
#include "loader/timeline.h"

#include "tests/firmware/cpu.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

#define PM_TIMER_HZ  UINT64_C(3579545)
#define TICKS_ENOUGH 1790
#define TICKS_START  0xa5fffff0 // soon to wrap, below bits that do not count

static uint32_t ticks;

static uint32_t read_ticks(void) {
    return ticks;
}

static void start(void) {
    fake_reset();
    fake.pm_timer = read_ticks;
    ticks = TICKS_START;
    timeline_init();
}

// A stage that takes so many counts and ticks, from the look at the timer before it to the one
// after it.
static void run_stage(uint64_t counts, uint32_t more_ticks) {
    timeline_begin("stage");
    fake_pass_time(counts - 3 * FAKE_TSC_STEP);
    ticks = (ticks & 0xff000000) | ((ticks + more_ticks) & 0xffffff);
    timeline_end(0);
}

// The frequency, and how often the timer was looked at to find it.
static uint64_t find_hz(uint64_t *ret_looks) {
    uint64_t before = timeline_now();
    uint64_t hz = timeline_tsc_hz();
    *ret_looks = (timeline_now() - before) / FAKE_TSC_STEP - 1;
    return hz;
}

TEST("timeline: the frequency is the counts of the stages by the ticks, once 1790 have passed") {
    uint64_t looks;
    start();
    timeline_use_pm_timer(FAKE_PM_TIMER_PORT, 0xffffff);
    run_stage(400000, TICKS_ENOUGH - 1);
    run_stage(123456, 1);
    assert_int_equal(find_hz(&looks), 523456 * PM_TIMER_HZ / TICKS_ENOUGH);
    assert_int_equal(looks, 0);
}

TEST("timeline: a timer that has ticked less often is looked at 100000 times, then given up") {
    uint64_t looks;
    start();
    timeline_use_pm_timer(FAKE_PM_TIMER_PORT, 0xffffff);
    run_stage(400000, TICKS_ENOUGH - 1);
    assert_int_equal(find_hz(&looks), 0);
    assert_int_equal(looks, 100000);
}

TEST("timeline: a stage of 2^31 counts, in which the timer may have wrapped, does not count") {
    for (uint64_t extra = 0; extra < 2; extra++) {
        uint64_t counts = (UINT64_C(1) << 31) - 1 + extra;
        uint64_t looks;
        start();
        timeline_use_pm_timer(FAKE_PM_TIMER_PORT, 0xffffff);
        run_stage(400000, TICKS_ENOUGH);
        run_stage(counts, 100000);
        uint64_t want = extra ? 400000 * PM_TIMER_HZ / TICKS_ENOUGH
                              : (400000 + counts) * PM_TIMER_HZ / (TICKS_ENOUGH + 100000);
        assert_int_equal(find_hz(&looks), want);
        assert_int_equal(looks, 0);
    }
}

TEST("timeline: without a timer there is no frequency, whatever was measured before") {
    for (int names_it = 0; names_it < 2; names_it++) {
        uint64_t looks;
        start();
        timeline_use_pm_timer(FAKE_PM_TIMER_PORT, 0xffffff);
        run_stage(400000, TICKS_ENOUGH);
        timeline_init();
        if (names_it)
            timeline_use_pm_timer(0, 0xffffff);
        run_stage(400000, TICKS_ENOUGH);
        assert_int_equal(find_hz(&looks), 0);
        assert_int_equal(looks, 0);
    }
}

static struct cpuid with_crystal(uint32_t leaf, uint32_t subleaf) {
    (void)subleaf;
    return leaf == 0 ? (struct cpuid){.eax = 0x15} : (struct cpuid){2, 216, 24000000, 0};
}

static uint32_t read_in_vain(void) {
    fail_msg("the timer was read");
    return 0;
}

TEST("timeline: a timer is not read where CPUID tells the frequency, nor one that is not there") {
    uint64_t looks;
    start();
    fake.cpuid = with_crystal;
    fake.pm_timer = read_in_vain;
    timeline_use_pm_timer(FAKE_PM_TIMER_PORT, 0xffffff);
    run_stage(400000, TICKS_ENOUGH);
    assert_int_equal(find_hz(&looks), 24000000 * UINT64_C(216) / 2);
    fake.cpuid = NULL;
    timeline_use_pm_timer(0, 0xffffff);
    assert_int_equal(find_hz(&looks), 0);
    assert_string_equal(fake.breach, "");
}

TEST(
    "timeline: sixteen stages are kept, of their names fifteen characters, and nothing of before") {
    static const char *const names[] = {"sixteen letters.", "fifteen letters", "x", ""};
    uint32_t count;
    for (uint32_t first = 0; first < 2; first++) { // the second time each name in another place
        start();
        for (uint32_t i = 0; i <= TIMELINE_STAGES_MAX; i++) {
            timeline_begin(names[(first + i) % 4]);
            timeline_end(i);
        }
        const struct slipway_stage *stages = timeline_stages(&count);
        assert_int_equal(count, TIMELINE_STAGES_MAX);
        for (uint32_t i = 0; i < count; i++) {
            struct slipway_stage want = {.bytes = i};
            memcpy(want.name, names[(first + i) % 4], strnlen(names[(first + i) % 4], 15));
            want.tsc_start = timeline_entry() + (2 * i + 1) * FAKE_TSC_STEP;
            want.tsc_end = want.tsc_start + FAKE_TSC_STEP;
            assert_memory_equal(&stages[i], &want, sizeof(want));
        }
    }
}
