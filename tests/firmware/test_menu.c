// The menu over firmware: who is asked, with which keys and for how long, what the kernel is told,
// and what a failure costs.
#include "tests/firmware/setup_menu.h"

#include <stdio.h>
#include <string.h>

static const struct fake_key escape[] = {{500, SCAN_ESC, 0}};

static uint32_t count_calls(enum fake_call call) {
    uint32_t count = 0;
    for (uint64_t i = 0; i < fake.calls; i++)
        count += fake.kinds[i] == call;
    return count;
}

static bool has_stage(const char *name) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    for (uint32_t i = 0; i < info->stages.count; i++) {
        const struct slipway_stage *stage = setup_record(&info->stages, i);
        if (strcmp(stage->name, name) == 0)
            return true;
    }
    return false;
}

// ---- Who chooses

TEST("menu: with nobody there the default is booted when the time is over, and the kernel told") {
    setup_typed(SETUP_MENU_CONFIG, NULL, 0);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
    assert_in_range(setup_menu_ms(), 5000, 5002);
    assert_true(has_stage("menu"));
    char line[80];
    snprintf(line, sizeof(line), "entry two: by time-out, after %u ms", setup_menu_ms());
    setup_expect_logged(line);
    setup_expect_console_as_before();
}

TEST("menu: an arrow and Enter boot another entry") {
    SETUP_TYPED(SETUP_MENU_CONFIG, setup_down_enter);
    fake_boot();
    setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_in_range(setup_menu_ms(), 600, 620);
    setup_expect_console_as_before();
}

TEST("menu: every key of the firmware's is known") {
    static const struct {
        uint16_t scan, unit;
        const char *entry, *cmdline;
    } keys[] = {
        {SCAN_UP, 0, "one", "1"},       {SCAN_DOWN, 0, "three", "3"},
        {SCAN_HOME, 0, "one", "1"},     {SCAN_END, 0, "three", "3"},
        {SCAN_PAGE_UP, 0, "one", "1"},  {SCAN_PAGE_DOWN, 0, "three", "3"},
        {0, '3', "three", "3"},         {SCAN_F1, 0, "two", "2"},
        {SCAN_F12 + 90, 0, "two", "2"}, {0, 0, "two", "2"},
        {SCAN_LEFT, 0, "two", "2"},     {SCAN_RIGHT, 0, "two", "2"},
        {SCAN_INSERT, 0, "two", "2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct fake_key typed[] = {{100, keys[i].scan, keys[i].unit},
                                         {9000, 0, i % 2 ? '\n' : 'b'}};
        SETUP_TYPED(SETUP_MENU_CONFIG, typed);
        fake_boot();
        setup_expect_choice(keys[i].entry, SLIPWAY_CHOICE_BY_MENU, keys[i].cmdline);
        assert_in_range(setup_menu_ms(), 9000, 9020); // the first key has stopped the time
    }
}

TEST("menu: a command line is edited, and may become empty") {
    static const struct fake_key keys[] = {
        {100, 0, 'e'},       {100, 0, 'x'},         {100, SCAN_LEFT, 0}, {100, 0, 0xe4},
        {100, SCAN_HOME, 0}, {100, SCAN_DELETE, 0}, {100, SCAN_END, 0},  {100, 0, '\b'},
        {100, 0, '!'},       {200, 0, '\r'},        {300, 0, '\r'},
    };
    static const struct fake_key empty[] = {
        {100, 0, 'e'}, {100, 0, '\b'}, {200, 0, '\r'}, {300, 0, '\r'}};
    SETUP_TYPED(SETUP_MENU_CONFIG, keys);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "\xc3\xa4!");
    setup_expect_console_as_before();
    SETUP_TYPED(SETUP_MENU_CONFIG, empty);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "");
}

#define SEQUENCE(ms, first, second)                                                                \
    {ms, SCAN_ESC, 0}, {ms, 0, '['}, {ms, 0, first}, {                                             \
        ms, 0, second                                                                              \
    }

TEST("menu: a sequence that the firmware's terminal does not know is a key") {
    static const struct fake_key home[] = {SEQUENCE(100, '1', '~'), {2000, 0, '\r'}};
    static const struct fake_key page_down[] = {SEQUENCE(100, '6', '~'), {2000, 0, '\r'}};
    static const struct fake_key unknown[] = {SEQUENCE(100, '9', '~'), {2000, 0, '\r'}};
    static const struct fake_key edited[] = {{100, 0, 'e'},           SEQUENCE(200, '1', '~'),
                                             SEQUENCE(300, '3', '~'), {400, 0, '!'},
                                             {500, 0, '\r'},          {600, 0, '\r'}};
    static const struct fake_key both[] = {
        {100, 0, 'e'}, {200, 0, '!'}, {300, SCAN_ESC, 0}, {300, SCAN_DOWN, 0}, {600, 0, '\r'}};
    SETUP_TYPED(SETUP_MENU_CONFIG, home);
    fake_boot();
    setup_expect_choice("one", SLIPWAY_CHOICE_BY_MENU, "1");
    SETUP_TYPED(SETUP_MENU_CONFIG, page_down);
    fake_boot();
    setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    SETUP_TYPED(SETUP_MENU_CONFIG, unknown);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
    SETUP_TYPED(SETUP_MENU_CONFIG, edited);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "!");
    SETUP_TYPED(SETUP_MENU_CONFIG, both); // Escape drops the line, and the arrow is not lost
    fake_boot();
    setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
}

TEST("menu: bytes of UTF-8 that the firmware takes for characters are one") {
    static const struct fake_key keys[] = {
        {100, 0, 'e'},  {200, 0, 0xc3},  {200, 0, 0xbc}, {300, 0, 0xe6}, {300, 0, 0xbc},
        {300, 0, 0xa2}, {400, 0, 0xf0},  {400, 0, 0x9f}, {400, 0, 0x98}, {400, 0, 0x80},
        {500, 0, 0xc4}, {500, 0, 'x'},   {600, 0, 0xc4}, {700, 0, 0xbc}, {700, 0, 0xfc},
        {800, 0, 0xc3}, {800, 0, 0x153}, {900, 0, '\r'}, {900, 0, '\r'},
    };
    SETUP_TYPED(SETUP_MENU_CONFIG, keys);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU,
                        "2\xc3\xbc\xe6\xbc\xa2\xf0\x9f\x98\x80\xc3\x84x\xc3\x84\xc2\xbc\xc3\xbc"
                        "\xc3\x83\xc5\x93");
}

TEST("menu: what ends a sequence or a character of UTF-8 is a key of its own") {
    enum { STROKES = 4 };
    static const struct {
        uint16_t units[STROKES]; // 0: no more of them; 0x1b: Escape
        const char *cmdline;
    } cases[] = {
        {{0xc2, 0xa9}, "2\xc2\xa9"},
        {{0xc1, 0xa9}, "2\xc3\x81\xc2\xa9"},
        {{0xf4, 0x8f, 0xbf, 0xbd}, "2\xf4\x8f\xbf\xbd"},
        {{0xf5, 0xa9}, "2\xc3\xb5\xc2\xa9"},
        {{0xc3, 0xbf}, "2\xc3\xbf"},
        {{0xc3, 0xc0}, "2\xc3\x83\xc3\x80"},
        {{0xc3, 0x7f, 'x'}, "2\xc3\x83x"},
        {{0xe4, 0xa7, 'x'}, "2\xc3\xa4\xc2\xa7x"},
        {{0xe4, 0xa7}, "2\xc3\xa4\xc2\xa7"},
        {{0xe4, 0xa7, 0xc3, 0xbc}, "2\xc3\xa4\xc2\xa7\xc3\xbc"},
        {{0xf0, 0x9f, 0xa7, 'x'}, "2\xc3\xb0\xc2\xa7x"}, // 0x9f is a control character
        {{0xe0, 0x80, 0x80}, "2\xc3\xa0"},
        {{0xed, 0xa4, 0xa7, 'x'}, "2\xc3\xad\xc2\xa4\xc2\xa7x"},
        {{0xf4, 0xbf, 0xa4, 0xa7}, "2\xc3\xb4\xc2\xbf\xc2\xa4\xc2\xa7"},
        {{'y', 0x1b, ' '}, "2y"}, // with Alt, perhaps
        {{'y', 0x1b, 0x7f}, "2"}, // Escape, which drops the line
        {{'y', 0x1b, 0x153}, "2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_key typed[STROKES + 3] = {{100, 0, 'e'}};
        uint32_t count = 1;
        for (; count <= STROKES && cases[i].units[count - 1] != 0; count++) {
            uint16_t unit = cases[i].units[count - 1];
            bool is_escape = unit == 0x1b;
            typed[count] = (struct fake_key){200, is_escape ? SCAN_ESC : 0, is_escape ? 0 : unit};
        }
        typed[count++] = (struct fake_key){400, 0, '\r'};
        typed[count++] = (struct fake_key){600, 0, '\r'};
        setup_typed(SETUP_MENU_CONFIG, typed, count);
        fake_boot();
        setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, cases[i].cmdline);
    }
}

TEST("menu: Escape goes back to the firmware without a word, with everything given back") {
    SETUP_TYPED(SETUP_MENU_CONFIG, escape);
    fake_boot();
    setup_expect_success();
    setup_expect_console_as_before();
    assert_int_equal(fake.stalls, 55); // nothing waits afterwards
}

TEST("menu: load options that name an entry ask nobody, others are the command line in the menu") {
    setup_typed(SETUP_MENU_CONFIG, NULL, 0);
    fake.load_options = L"entry=one a b";
    fake.load_options_bytes = 26;
    fake_boot();
    setup_expect_choice("one", SLIPWAY_CHOICE_BY_LOAD_OPTIONS, "a b");
    assert_int_equal(count_calls(FAKE_READ_KEY), 0);
    assert_false(has_stage("menu"));
    SETUP_TYPED(SETUP_MENU_CONFIG, setup_down_enter);
    fake.load_options = L"a b";
    fake.load_options_bytes = 6;
    fake_boot();
    setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "a b");
}

static void set_options(const CHAR16 *options) {
    fake.load_options = options;
    fake.load_options_bytes = 0;
    while (options[fake.load_options_bytes / sizeof(*options)] != 0)
        fake.load_options_bytes += sizeof(*options);
}

TEST("menu: the name in load options ends at a blank or a tab, and may be in quotes") {
    static const struct {
        const CHAR16 *options;
        const char *cmdline;
    } good[] = {
        {L"entry=one", "1"},
        {L"entry=one\ta\tb", "a\tb"},
        {L"entry=\"one\"", "1"},
        {L"entry=\"one\" \"a b\"", "\"a b\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        setup_typed(SETUP_MENU_CONFIG, NULL, 0);
        set_options(good[i].options);
        fake_boot();
        setup_expect_choice("one", SLIPWAY_CHOICE_BY_LOAD_OPTIONS, good[i].cmdline);
    }
    static const struct {
        const CHAR16 *options;
        const char *name;
    } bad[] = {
        {L"entry=", ""}, {L"entry= one", ""}, {L"entry=\"one", "\"one"}, {L"entry=\"", "\""}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char message[120];
        setup_boot(SETUP_MENU_CONFIG);
        set_options(bad[i].options);
        fake_boot();
        snprintf(
            message, sizeof(message),
            "load options: in /slipway.conf there is no entry '%s'; entries are one, two, three",
            bad[i].name);
        setup_expect_failure(message);
    }
}

TEST("menu: with one entry, or none, no key is polled and nothing asked of the console") {
    static const char *const configs[] = {SETUP_CONFIG, "[one]\nclear = on\n", NULL};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        setup_typed(configs[i], NULL, 0);
        fake.keys_before = 1;
        fake_boot();
        setup_expect_choice(i == 1 ? "one" : "",
                            i == 1 ? SLIPWAY_CHOICE_BY_DEFAULT : SLIPWAY_CHOICE_NONE,
                            i == 0 ? "root=ram0 verbose" : "");
        assert_int_equal(setup_menu_ms(), 0);
        assert_int_equal(count_calls(FAKE_READ_KEY) + count_calls(FAKE_QUERY_TEXT) +
                             count_calls(FAKE_OUTPUT) + count_calls(FAKE_STALL),
                         0);
    }
}

TEST("menu: with a time of 0 one look at the keyboard is all, unless a key is there") {
    setup_typed("timeout = 0\n" SETUP_MENU_ENTRIES, NULL, 0);
    fake_boot();
    setup_expect_choice("one", SLIPWAY_CHOICE_BY_DEFAULT, "1");
    assert_int_equal(count_calls(FAKE_READ_KEY), 1);
    assert_int_equal(count_calls(FAKE_STALL) + count_calls(FAKE_OUTPUT), 0);
    SETUP_TYPED("timeout = 0\n" SETUP_MENU_ENTRIES, setup_down_enter);
    fake.keys_before = 1;
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
}

TEST("menu: the key that has called the menu does nothing for as long as it is held") {
    static const struct fake_key held[] = {
        {0, SCAN_ESC, 0},    {500, SCAN_ESC, 0},   {530, SCAN_ESC, 0}, {1500, SCAN_ESC, 0},
        {2400, SCAN_ESC, 0}, {3500, SCAN_DOWN, 0}, {3600, 0, '\r'},
    };
    static const struct fake_key again[] = {{0, SCAN_ESC, 0}, {1200, SCAN_ESC, 0}};
    static const struct fake_key other[] = {{0, 0, ' '}, {200, SCAN_ESC, 0}};
    SETUP_TYPED("timeout = 0\n" SETUP_MENU_ENTRIES, held);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
    SETUP_TYPED("timeout = 0\n" SETUP_MENU_ENTRIES, again);
    fake_boot();
    setup_expect_success();
    SETUP_TYPED("timeout = 0\n" SETUP_MENU_ENTRIES, other);
    fake_boot();
    setup_expect_success();
}

// 30 times a second, for three seconds.
static void hold_escape(void) {
    if (fake.stalls < 300 && fake.stalls % 3 == 0)
        fake.com1_input = "\x1b";
    if (fake.stalls == 450)
        fake.com1_input = "2\r";
}

TEST("menu: Escape of a keyboard that repeats does not leave while it is held") {
    static struct fake_key held[92];
    for (uint32_t i = 0; i < 90; i++)
        held[i] = (struct fake_key){i == 0 ? 0 : 300 + 33 * i, SCAN_ESC, 0};
    held[90] = (struct fake_key){4500, 0, '2'};
    held[91] = (struct fake_key){4600, 0, '\r'};
    SETUP_TYPED("timeout = 0\n" SETUP_MENU_ENTRIES, held);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
    SETUP_TYPED(SETUP_MENU_CONFIG, held);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
}

TEST("menu: Escape that repeats at COM1, as it does while it is held, does not leave") {
    static const char *const configs[] = {"timeout = 0\n" SETUP_MENU_ENTRIES,
                                          "timeout = 5\n" SETUP_MENU_ENTRIES};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        setup_boot(configs[i]);
        fake.has_console = false;
        fake.key_at_stall = 0;
        fake.com1_has_fifos = true;
        fake.com1_input = "\x1b";
        fake.in_stall = hold_escape;
        fake_boot();
        setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
    }
}

TEST("menu: keys that were typed before do not choose") {
    static const struct fake_key keys[] = {
        {0, SCAN_END, 0}, {0, 0, 'x'}, {0, 0, '\r'}, {900, 0, '2'}, {2000, 0, '\r'}};
    SETUP_TYPED("timeout = 3\n" SETUP_MENU_ENTRIES, keys);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
}

TEST("menu: without an end of time it waits, unless nobody can type") {
    static const struct fake_key late[] = {{40000, 0, '\r'}};
    SETUP_TYPED("timeout = none\n" SETUP_MENU_ENTRIES, late);
    fake_boot();
    setup_expect_choice("one", SLIPWAY_CHOICE_BY_MENU, "1");
    assert_in_range(setup_menu_ms(), 40000, 40020);
    setup_typed("timeout = none\n" SETUP_MENU_ENTRIES, NULL, 0);
    fake.keyboard_fails = true;
    fake_boot();
    setup_expect_choice("one", SLIPWAY_CHOICE_BY_TIMEOUT, "1");
    assert_in_range(setup_menu_ms(), 10000, 10020);
}

TEST("menu: a machine without keyboard or without console boots the default at once") {
    for (unsigned lacks = 1; lacks < 4; lacks++) {
        SETUP_TYPED("timeout = none\n" SETUP_MENU_ENTRIES, setup_down_enter);
        fake.has_keyboard = !(lacks & 1);
        fake.has_console = !(lacks & 2);
        fake_boot();
        setup_expect_choice("one", SLIPWAY_CHOICE_BY_DEFAULT, "1");
        assert_int_equal(fake.stalls, 0);
    }
}

TEST("menu: a TSC of unknown speed does not keep the time from passing") {
    setup_typed(SETUP_MENU_CONFIG, NULL, 0);
    fake.has_pm_timer = false;
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
    assert_int_equal(setup_menu_ms(), 5000);
    assert_int_equal(fake.stalls, 500);
}

// ---- Failures

TEST("menu: without room for it the boot fails, and says so") {
    static uint8_t kinds[FAKE_CALLS_RECORDED];
    uint32_t seen = 0;
    setup_typed(SETUP_MENU_CONFIG, NULL, 0);
    fake.has_uart = true;
    fake_boot();
    uint64_t calls = fake.calls;
    memcpy(kinds, fake.kinds, calls);
    for (uint64_t number = 1; number <= calls; number++) {
        if (kinds[number - 1] != FAKE_ALLOCATE_PAGES)
            continue;
        setup_typed(SETUP_MENU_CONFIG, NULL, 0);
        fake.has_uart = true;
        fake.fail_at = number;
        fake.fail_status = EFI_OUT_OF_RESOURCES;
        fake_boot();
        seen += strstr(fake.com1, "slipway: menu: no room for ") != NULL;
    }
    assert_int_equal(seen, 3); // items, lines, cells
}

TEST("menu: a message without an end of time waits for a key, unless the keyboard fails") {
    for (int fails = 0; fails < 2; fails++) {
        static const struct fake_key keys[] = {{100, 0, '\r'}, {33000, 0, ' '}};
        SETUP_TYPED("timeout = none\n[a]\nkernel = x\n", keys);
        fake.keyboard_fails = fails;
        fake_boot();
        assert_int_equal(fake.end, FAKE_RETURNED);
        assert_int_equal(fake.status, EFI_NOT_FOUND);
        assert_in_range(fake.stalled_us, fails ? 10000000 : 100000, fails ? 10100000 : 150000);
        assert_non_null(strstr(fake.console, "press a key to go back to the firmware\n"));
    }
    static const struct fake_key late[] = {{33000, 0, ' '}};
    SETUP_TYPED("timeout = none\n[a]\nkernel = x\n", late);
    fake_boot();
    assert_in_range(fake.stalled_us, 33000000, 33100000);
}
