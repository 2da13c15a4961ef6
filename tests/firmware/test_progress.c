// The line on the console while a read lasts, on the fake firmware's time.
#include "common/base/arith.h"
#include "loader/log.h"
#include "loader/pace.h"
#include "loader/progress.h"
#include "loader/timeline.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/setup.h"

#include <string.h>

#define SECOND FAKE_TSC_HZ

static uint8_t large_file[3 * 1000000];

// A boot with a module of 3 MB, of which each read takes as much time as `in_read` says. The config
// is `before` and the module.
static void boot_slowly(const char *before, void (*in_read)(uint64_t bytes)) {
    static char config[200];
    strcpy(config, before);
    strcat(config, "module = /a/large.img\n");
    setup_boot(config);
    fake_add_file("\\a\\large.img", large_file, sizeof(large_file));
    fake.has_tsc_leaf = true;
    fake.console_keeps_cr = true;
    fake.in_read = in_read;
    fake_boot();
}

static void take_a_second(uint64_t bytes) {
    fake_pass_time(bytes >= 900000 ? SECOND : 0);
}

TEST("progress: after a second a line shows file, part and speed, moves, and is gone in the end") {
    boot_slowly("", take_a_second);
    setup_expect_kernel();
    assert_string_equal(fake.console, "\rslipway: /a/large.img: 34% of 3 MB, 1.0 MB/s"
                                      "\rslipway: /a/large.img: 69% of 3 MB, 1.0 MB/s"
                                      "\rslipway: /a/large.img: 100% of 3 MB, 1.0 MB/s"
                                      "\r                                             \r");
    assert_string_equal(fake.com1, "");
    size_t bytes;
    assert_null(strstr(log_text(&bytes), "MB/s"));
}

TEST("progress: a console on COM1 shows it there, since that is the console") {
    setup_boot("module = /large.img\n");
    fake_add_file("\\large.img", large_file, sizeof(large_file));
    fake.has_tsc_leaf = true;
    fake.console_keeps_cr = true;
    fake.console_is_com1 = true;
    fake.in_read = take_a_second;
    fake_boot();
    setup_expect_kernel();
    assert_string_equal(fake.com1, "slipway: /large.img: 34% of 3 MB, 1.0 MB/s"
                                   "slipway: /large.img: 69% of 3 MB, 1.0 MB/s"
                                   "slipway: /large.img: 100% of 3 MB, 1.0 MB/s"
                                   "                                           ");
}

static void take_a_third(uint64_t bytes) {
    fake_pass_time(bytes >= 900000 ? SECOND * 33 / 100 : 0);
}

TEST("progress: a read of less than a second shows nothing") {
    boot_slowly("", take_a_third);
    setup_expect_kernel();
    assert_string_equal(fake.console, "");
}

TEST("progress: a screen that is to stay as the firmware left it stays so") {
    boot_slowly("clear = off\n", take_a_second);
    setup_expect_kernel();
    assert_string_equal(fake.console, "");
    boot_slowly("", take_a_second); // forgotten in the next boot
    assert_string_not_equal(fake.console, "");

    setup_boot("module = /large.img\n");
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION,
                                              .flags = SLIPWAY_NOTE_KEEP_SCREEN});
    fake_add_file("\\large.img", large_file, sizeof(large_file));
    fake.has_tsc_leaf = true;
    fake.in_read = take_a_second;
    fake_boot();
    setup_expect_kernel();
    assert_string_equal(fake.console, "");
}

static uint32_t large_reads;

static void fail_the_third(uint64_t bytes) {
    take_a_second(bytes);
    if (bytes >= 900000 && ++large_reads == 3)
        setup_file("\\a\\large.img")->ends_early = 1;
}

TEST("progress: the line is gone before a failure's message") {
    large_reads = 0;
    boot_slowly("", fail_the_third);
    setup_expect_failure("/a/large.img: short read at offset 0: wanted 3000000 bytes, got 2097152");
    const char *gone = strstr(fake.console, "\r                                            \r");
    assert_non_null(gone);
    assert_non_null(strstr(gone, "short read"));
}

// ---- By itself, on a machine whose loader has ended

static struct progress progress;

static void begin(const char *name, uint64_t bytes) {
    fake.console_bytes = 0;
    memset(fake.console, 0, sizeof(fake.console));
    progress = progress_begin(name, bytes);
}

static void prepare(void) {
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake.console_keeps_cr = true;
    fake_boot();
}

// `counts` later `done` bytes are read.
static void show(uint64_t done, uint64_t counts) {
    fake_pass_time(counts);
    progress_show(&progress, done, timeline_now());
}

TEST("progress: it is written once a second, from the first on") {
    prepare();
    begin("file", 500000000);
    for (uint64_t part = 1; part <= 100; part++) // 30 s
        show(part * 5000000, SECOND * 3 / 10);
    progress_end(&progress);
    uint32_t lines = 0;
    for (const char *at = fake.console; *at != '\0'; at++)
        lines += strncmp(at, "\rslipway: file: ", 16) == 0;
    assert_int_equal(lines, 25); // each 1.2 s
    assert_non_null(strstr(fake.console, "\rslipway: file: 4% of 500 MB, 16.6 MB/s\r"));
}

TEST("progress: a shorter line covers a longer one") {
    prepare();
    begin("f", 1000000000);
    show(10000000, SECOND - FAKE_TSC_STEP);
    show(10000000, 2 * SECOND);
    progress_end(&progress);
    assert_string_equal(fake.console, "\rslipway: f: 1% of 1000 MB, 10.0 MB/s"
                                      "\rslipway: f: 1% of 1000 MB, 3.3 MB/s "
                                      "\r                                   \r");
    begin("f", 1000000000);
    show(10500000, SECOND);
    show(10500000, 2 * SECOND);
    assert_non_null(strstr(fake.console, "10.5 MB/s\rslipway: f: 1% of 1000 MB, 3.5 MB/s "));
}

TEST(
    "progress: of a long name the last 36 bytes are shown, and every line has room in 80 columns") {
    prepare();
    begin("/abcdefghijklmnopqrstuvwxyz0123456789", UINT64_MAX >> 8);
    show(UINT64_MAX >> 8, SECOND);
    assert_non_null(strstr(fake.console, "slipway: ...abcdefghijklmnopqrstuvwxyz0123456789: 100%"));
    assert_int_equal(progress.columns, 79);
    assert_int_equal(fake.console_bytes, 1 + 79);
    progress_end(&progress);
    char blanks[79 + 1];
    memset(blanks, ' ', 79);
    blanks[79] = '\0';
    assert_int_equal(fake.console_bytes, 1 + 79 + 1 + 79 + 1);
    assert_non_null(strstr(fake.console, blanks));
    begin("abcdefghijklmnopqrstuvwxyz0123456789", 2000000);
    show(2000000, SECOND);
    assert_non_null(strstr(fake.console, "slipway: abcdefghijklmnopqrstuvwxyz0123456789: 100%"));
}

TEST("progress: a long name is cut between two characters") {
    prepare();
    begin("/\u00e4\u00e4bcdefghijklmnopqrstuvwxyz012345678", 1000000000);
    show(10000000, SECOND);
    assert_non_null(
        strstr(fake.console, "slipway: ...\u00e4bcdefghijklmnopqrstuvwxyz012345678: 1%"));
    begin("/\u00e4\u00e4bcdefghijklmnopqrstuvwxyz0123456789", 1000000000);
    show(10000000, SECOND);
    assert_non_null(strstr(fake.console, "slipway: ...bcdefghijklmnopqrstuvwxyz0123456789: 1%"));
}

TEST("progress: a second has as many counts as the TSC's frequency says, but less than a million") {
    prepare();
    begin("f", UINT64_C(999999000000));
    progress.hz = 2 * PACE_COUNTS_MOST;
    show(1, 2 * PACE_COUNTS_MOST - 2 * FAKE_TSC_STEP);
    assert_string_equal(fake.console, "");
    progress.started = timeline_now();
    show(999999000, 2 * PACE_COUNTS_MOST - FAKE_TSC_STEP);
    assert_string_equal(fake.console, "\rslipway: f: 0% of 999999 MB, 999.9 MB/s");
    for (uint64_t hz = 999999; hz <= 1000001; hz++) {
        begin("f", 1000000000);
        progress.hz = hz;
        show(1000000000, PACE_COUNTS_MOST);
        assert_int_equal(fake.console_bytes != 0, hz >= 1000000);
    }
}

TEST("progress: where the TSC's frequency is unknown, or there is no console, nothing is shown") {
    prepare();
    timeline_init(); // forgets the timer
    begin("file", 1000);
    show(500, 100 * SECOND);
    assert_string_equal(fake.console, "");
    assert_int_equal(progress.next, UINT64_MAX);
    setup_boot("module = /large.img\n");
    fake_add_file("\\large.img", large_file, sizeof(large_file));
    fake.has_tsc_leaf = true;
    fake.has_console = false;
    fake.in_read = take_a_second;
    fake_boot();
    setup_expect_kernel();
    assert_string_equal(fake.com1, "");
}
