// The choice of an entry: what of it is seen but for the menu itself (test_menu.c).
#include "common/base/arith.h"
#include "loader/menu.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

#define ENTRIES "[one]\ncmdline = 1\n[two]\ncmdline = 2\nlog = quiet\n[three]\ncmdline = 3\n"

static const struct fake_key down_enter[] = {{500, SCAN_DOWN, 0}, {600, 0, '\r'}};

static void set_up(const char *config) {
    setup_boot(config);
    fake.key_at_stall = 0;
    fake.typed = down_enter;
    fake.typed_count = ARRAY_LEN(down_enter);
}

static void expect_entry(const char *entry, const char *cmdline) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->choice.entry, entry);
    setup_expect_text(&info->cmdline, cmdline);
}

TEST("choice: a quote behind the name of an entry is of the command line") {
    static const CHAR16 options[] = L"entry=one \"a b\"";
    set_up(ENTRIES);
    fake.load_options = options;
    fake.load_options_bytes = sizeof(options);
    fake_boot();
    expect_entry("one", "\"a b\"");
}

TEST("choice: the log of an entry is as full as the entry says") {
    for (unsigned i = 0; i < 2; i++) {
        set_up(i == 0 ? "log = info\ntimeout = 0\n" ENTRIES
                      : "log = info\ntimeout = 0\ndefault = two\n" ENTRIES);
        fake.typed_count = 0;
        fake_boot();
        expect_entry(i == 0 ? "one" : "two", i == 0 ? "1" : "2");
        assert_non_null(strstr(fake.console,
                               i == 0 ? "entry one: by the default" : "entry two: by the default"));
        assert_int_equal(strstr(fake.console, "slipway: kernel ") != NULL, i == 0);
    }
}

static uint64_t loader_bytes(const char *config, const char *entry, const char *cmdline) {
    uint64_t bytes = 0;
    set_up(config);
    fake_boot();
    expect_entry(entry, cmdline);
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_range *range;
    for (uint32_t i = 0; (range = setup_find_range(info, SLIPWAY_RANGE_LOADER, i)) != NULL; i++)
        bytes += range->bytes;
    return bytes;
}

TEST("choice: of the menu no page is kept") {
    assert_int_equal(loader_bytes("timeout = 2\n" ENTRIES, "two", "2"),
                     loader_bytes("default = two\n[two]\ncmdline = 2\nlog = quiet\n", "two", "2"));
}

TEST("choice: without room for the menu it is said how much that is") {
    static uint8_t kinds[FAKE_CALLS_RECORDED];
    char want[80];
    uint32_t seen = 0;
    snprintf(want, sizeof(want), "slipway: menu: no room for %zu bytes (out of memory)",
             3 * sizeof(struct menu_item));
    set_up("timeout = 2\n" ENTRIES);
    fake_boot();
    uint64_t calls = fake.calls;
    memcpy(kinds, fake.kinds, calls);
    for (uint64_t number = 1; number <= calls; number++) {
        if (kinds[number - 1] != FAKE_ALLOCATE_PAGES)
            continue;
        set_up("timeout = 2\n" ENTRIES);
        fake.fail_at = number;
        fake.fail_status = EFI_OUT_OF_RESOURCES;
        fake_boot();
        seen += strstr(fake.console, want) != NULL;
    }
    assert_int_equal(seen, 1);
}

TEST("choice: the menu, and entries of the volume, are stages in which no bytes are counted") {
    static const char *const names[] = {"entries", "menu"};
    uint32_t seen = 0;
    set_up("bls = on\ntimeout = 2\n" ENTRIES);
    fake_boot();
    expect_entry("two", "2");
    const struct slipway_boot_info *info = setup_expect_kernel();
    for (uint32_t i = 0; i < info->stages.count; i++) {
        const struct slipway_stage *stage = setup_record(&info->stages, i);
        if (seen == ARRAY_LEN(names) || strcmp(stage->name, names[seen]) != 0)
            continue;
        assert_int_equal(stage->bytes, 0);
        assert_true(stage->tsc_start < stage->tsc_end);
        seen++;
    }
    assert_int_equal(seen, ARRAY_LEN(names));
}
