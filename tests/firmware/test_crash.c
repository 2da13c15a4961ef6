// A report that has outlived a reset, and the room for the next one: what is shown, what the kernel
// finds, and which memory that is.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/crash/crash.h"
#include "tests/firmware/setup.h"

#include <string.h>

#define REPORT                                                                                     \
    "\nCPU exception: page fault\n  error code 0x0: \x1b[2J\x07 a very long line that goes on "    \
    "and on and on and on and on and on and on and on and on and on and on until its end\nthird\n"
#define SHOWN                                                                                      \
    "slipway: the last kernel failed on 2024-02-29 12:34:56 UTC, and left a report of 171 bytes:"

static void *place(unsigned index) {
    return (void *)(uintptr_t)fake_crash_places[index];
}

// A machine whose places hold nothing, and a kernel with these flags in its note.
static void set_up(uint32_t flags) {
    setup_boot(NULL);
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .flags = flags});
    for (unsigned i = 0; i < FAKE_CRASH_PLACES; i++)
        memset(place(i), 0xA5, FAKE_CRASH_BYTES);
}

static void leave_report(unsigned index) {
    struct crash_writer writer = crash_begin(place(index), FAKE_CRASH_BYTES, 1709210096);
    crash_append(&writer, REPORT, sizeof(REPORT) - 1);
}

static bool is_shown(void) {
    return strstr(setup_log(), "the last kernel failed") != NULL;
}

static const struct slipway_boot_info *boot(void) {
    fake_boot();
    return setup_expect_kernel();
}

// The room is that of this place, and has this report.
static void expect_room(const struct slipway_boot_info *info, unsigned index, const char *report) {
    const struct slipway_range *range = setup_find_range(info, SLIPWAY_RANGE_CRASH, 0);
    assert_non_null(range);
    assert_int_equal(range->start_phys, fake_crash_places[index]);
    assert_int_equal(range->bytes, FAKE_CRASH_BYTES);
    assert_int_equal(range->reclaimable, 1);
    assert_int_equal(info->crash_room, info->hhdm_base + fake_crash_places[index]);
    assert_int_equal(info->crash_room_bytes, FAKE_CRASH_BYTES);
    assert_int_equal(info->crash_report.bytes, strlen(report));
    if (*report == '\0')
        return;
    const char *text = (const char *)(uintptr_t)(info->crash_report.address - info->hhdm_base);
    assert_string_equal(text, report);
}

static void expect_no_room(const struct slipway_boot_info *info) {
    assert_null(setup_find_range(info, SLIPWAY_RANGE_CRASH, 0));
    assert_int_equal(info->crash_room, 0);
    assert_int_equal(info->crash_room_bytes, 0);
    assert_int_equal(info->crash_report.address, 0);
    assert_int_equal(info->crash_report.bytes, 0);
    assert_int_equal(info->crash_time, 0);
}

TEST("crash: a kernel that asks for it has room for a report, and before one nothing is shown") {
    set_up(SLIPWAY_NOTE_CRASH);
    const struct slipway_boot_info *info = boot();
    expect_room(info, 0, "");
    assert_int_equal(info->crash_time, 0);
    assert_false(is_shown());
}

TEST("crash: a report is shown by its first lines, handed over whole, and both once") {
    set_up(SLIPWAY_NOTE_CRASH);
    leave_report(0);
    fake.has_console = true;
    const struct slipway_boot_info *info = boot();
    static char clean[] = REPORT;
    crash_copy_text(clean, clean, sizeof(clean) - 1);
    expect_room(info, 0, clean);
    assert_int_equal(info->crash_time, 1709210096);
    static const char shown[] = SHOWN
        "\nslipway:   | CPU exception: page fault\n"
        "slipway:   |   error code 0x0: ?[2J? a very long line that goes on and on and on and "
        "on and on and on and on and on and on and on and\n";
    assert_non_null(strstr(setup_log(), shown));
    assert_non_null(strstr(fake.console, shown));
    struct crash_found found;
    assert_false(crash_find(place(0), FAKE_CRASH_BYTES, &found));
    setup_boot(NULL);
    setup_wishes(
        (struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .flags = SLIPWAY_NOTE_CRASH});
    expect_room(boot(), 0, "");
    assert_false(is_shown());
}

// What makes a text fit to be shown does not change this one, so that it could be shown again.
TEST("crash: a plain report is no record any more once it is handed over") {
    static const char plain[] = "PANIC: plain";
    set_up(SLIPWAY_NOTE_CRASH);
    struct crash_writer writer = crash_begin(place(0), FAKE_CRASH_BYTES, 0);
    crash_append(&writer, plain, sizeof(plain) - 1);
    expect_room(boot(), 0, plain);
    struct crash_found found;
    assert_false(crash_find(place(0), FAKE_CRASH_BYTES, &found));
}

TEST("crash: to a kernel that does not ask for it nothing is handed over, but it is shown") {
    set_up(0);
    leave_report(0);
    expect_no_room(boot());
    assert_true(is_shown());
    set_up(0);
    expect_no_room(boot());
    assert_false(is_shown());
}

TEST("crash: a report that is damaged is none") {
    set_up(SLIPWAY_NOTE_CRASH);
    leave_report(0);
    ((char *)place(0))[100] ^= 1;
    expect_room(boot(), 0, "");
    assert_false(is_shown());
}

TEST("crash: the longest report has room for its NUL") {
    static char text[FAKE_CRASH_BYTES];
    const uint64_t most = FAKE_CRASH_BYTES - sizeof(struct slipway_crash) - 1;
    memset(text, 'x', sizeof(text));
    for (uint64_t bytes = most; bytes <= most + 1; bytes++) {
        set_up(SLIPWAY_NOTE_CRASH);
        struct crash_writer writer = crash_begin(place(0), FAKE_CRASH_BYTES, 0);
        crash_append(&writer, text, bytes);
        assert_int_equal(boot()->crash_report.bytes, bytes == most ? most : 0);
    }
}

TEST("crash: the room is the first place that is free, or none") {
    static const EFI_MEMORY_TYPE others[] = {EfiBootServicesData, EfiACPIMemoryNVS,
                                             EfiRuntimeServicesData, EfiReservedMemoryType};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        for (unsigned first = 0; first <= FAKE_CRASH_PLACES; first++) {
            set_up(SLIPWAY_NOTE_CRASH);
            for (unsigned taken = 0; taken < first; taken++) // its second frame, in two descriptors
                fake_add_memory(fake_crash_places[taken] + FRAME_BYTES, FRAME_BYTES, others[i]);
            const struct slipway_boot_info *info = boot();
            if (first == FAKE_CRASH_PLACES)
                expect_no_room(info);
            else
                expect_room(info, first, "");
        }
    }
}

static void take_place(uint32_t attempt) {
    if (attempt == 1)
        fake_set_memory(MIB(1), FAKE_ARENA_START - MIB(1), EfiRuntimeServicesData);
}

TEST("crash: what the firmware takes at the last moment is not the room") {
    set_up(SLIPWAY_NOTE_CRASH);
    leave_report(0);
    fake.in_exit = take_place;
    expect_no_room(boot());
    assert_true(is_shown());
    struct crash_found found; // it is not the loader's to write to
    assert_true(crash_find(place(0), FAKE_CRASH_BYTES, &found));
}
