// Boots at random, by number: each decides kernel, files, machine and faults. BOOTS=n runs the
// first n. SEED=n runs one boot alone and tells what kind it is. BOOT_SECONDS=n runs others, as
// many as the time gives: numbers from the clock on.
#include "tests/firmware/random/boot.h"

#include <signal.h>
#include <unistd.h>

enum {
    BOOTS = 10000,
    HANG_SECONDS = 10,
};

static bool is_running; // a boot, which has not ended well so far
static uint64_t seed;
static uint64_t ends[3]; // boots, by enum fake_end

[[gnu::destructor]] static void tell_failure(void) {
    if (is_running)
        fprintf(stderr,
                "# boot %" PRIu64 " failed; SEED=%" PRIu64
                " build/host/firmware/test_random runs it again\n# %s\n",
                seed, seed, boot_story());
    is_running = false;
}

static void die(int signal) {
    fprintf(stderr, "# %s\n", signal == SIGALRM ? "no end in ten seconds" : "abort");
    tell_failure();
    _exit(1);
}

// What the sanitizers find ends in an abort, too, after their report.
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) {
    return "abort_on_error=1";
}

const char *__ubsan_default_options(void) {
    return "abort_on_error=1";
}

static void watch(void) {
    signal(SIGALRM, die);
    signal(SIGABRT, die);
}

static void run(uint64_t number) {
    seed = number;
    is_running = true;
    alarm(HANG_SECONDS);
    boot_run(number);
    alarm(0);
    is_running = false;
    ends[fake.end]++;
}

static void tell_ends(void) {
    fprintf(stderr, "# %" PRIu64 " kernels, %" PRIu64 " messages, %" PRIu64 " stops\n",
            ends[FAKE_ENTERED], ends[FAKE_RETURNED], ends[FAKE_STOPPED]);
}

static void run_for(double seconds) {
    struct timespec start, now;
    clock_gettime(CLOCK_REALTIME, &start);
    uint64_t first = (uint64_t)start.tv_sec * 1000000000 + (uint64_t)start.tv_nsec;
    uint64_t count = 0;
    double spent = 0;
    for (; spent < seconds; count++) {
        run(first + count);
        clock_gettime(CLOCK_REALTIME, &now);
        spent = (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9;
    }
    fprintf(stderr, "# %" PRIu64 " boots in %.1f s, %.0f a second\n", count, spent,
            (double)count / spent);
}

TEST("every boot ends in a sound kernel or in a message, as kernel, files and firmware allow") {
    const char *one = getenv("SEED");
    const char *seconds = getenv("BOOT_SECONDS");
    watch();
    if (one != NULL) {
        run(strtoull(one, NULL, 0));
        fprintf(stderr, "# %s\n", boot_story());
    } else if (seconds != NULL) {
        run_for(strtod(seconds, NULL));
    } else {
        const char *boots = getenv("BOOTS");
        uint64_t last = boots != NULL ? strtoull(boots, NULL, 0) : BOOTS;
        for (uint64_t number = 1; number <= last; number++)
            run(number);
    }
    tell_ends();
}
