// The menu over firmware: who is asked, with which keys, what stands on the consoles meanwhile and
// afterwards, and what the kernel is told.
#include "common/base/arith.h"
#include "loader/config_text.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

#define ENTRIES                                                                                    \
    "[one]\ntitle = First\ncmdline = 1\n"                                                          \
    "[two]\ncmdline = 2\n"                                                                         \
    "[three]\ntitle = Third\ncmdline = 3\n"
#define CONFIG "default = two\ntimeout = 5\n" ENTRIES

static const struct fake_key down_enter[] = {{500, SCAN_DOWN, 0}, {600, 0, '\r'}};
static const struct fake_key escape[] = {{500, SCAN_ESC, 0}};

// Without a UART the firmware's console is the only one.
static void set_up(const char *config, const struct fake_key *keys, uint32_t count) {
    setup_boot(config);
    fake.has_uart = false;
    fake.key_at_stall = 0;
    fake.typed = keys;
    fake.typed_count = count;
}

#define SET_UP(config, keys) set_up(config, keys, ARRAY_LEN(keys))

static uint32_t count_calls(enum fake_call call) {
    uint32_t count = 0;
    for (uint64_t i = 0; i < fake.calls; i++)
        count += fake.kinds[i] == call;
    return count;
}

static void expect_choice(const char *entry, uint32_t by, const char *cmdline) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->choice.entry, entry);
    assert_int_equal(info->choice.by, by);
    setup_expect_text(&info->cmdline, cmdline);
}

static uint32_t menu_ms(void) {
    return setup_expect_kernel()->choice.menu_ms;
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

static const char *row_text(uint32_t row) {
    static char text[FAKE_COLUMNS_MAX + 1];
    uint32_t end = 0;
    for (uint32_t column = 0; column < fake.screen.columns; column++) {
        text[column] = (char)fake.screen.units[row][column];
        end = text[column] != ' ' ? column + 1 : end;
    }
    text[end] = '\0';
    return text;
}

static void expect_console_as_before(void) {
    for (uint32_t row = 0; row < fake.screen.rows; row++)
        assert_string_equal(row_text(row), "");
    assert_int_equal(fake.screen.mode.Attribute, 0x0e);
    assert_true(fake.screen.mode.CursorVisible);
    assert_int_equal(fake.screen.scrolled, 0);
}

// ---- Who chooses

TEST("menu: with nobody there the default is booted when the time is over, and the kernel told") {
    set_up(CONFIG, NULL, 0);
    fake_boot();
    expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
    assert_in_range(menu_ms(), 5000, 5002);
    assert_true(has_stage("menu"));
    char line[80];
    snprintf(line, sizeof(line), "entry two: by time-out, after %u ms", menu_ms());
    setup_expect_logged(line);
    expect_console_as_before();
}

TEST("menu: an arrow and Enter boot another entry") {
    SET_UP(CONFIG, down_enter);
    fake_boot();
    expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_in_range(menu_ms(), 600, 620);
    expect_console_as_before();
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
        SET_UP(CONFIG, typed);
        fake_boot();
        expect_choice(keys[i].entry, SLIPWAY_CHOICE_BY_MENU, keys[i].cmdline);
        assert_in_range(menu_ms(), 9000, 9020); // the first key has stopped the time
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
    SET_UP(CONFIG, keys);
    fake_boot();
    expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "\xc3\xa4!");
    expect_console_as_before();
    SET_UP(CONFIG, empty);
    fake_boot();
    expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "");
}

TEST("menu: Escape goes back to the firmware without a word, with everything given back") {
    SET_UP(CONFIG, escape);
    fake_boot();
    setup_expect_success();
    expect_console_as_before();
    assert_int_equal(fake.stalls, 50); // nothing waits afterwards
}

TEST("menu: load options that name an entry ask nobody, others are the command line in the menu") {
    set_up(CONFIG, NULL, 0);
    fake.load_options = L"entry=one a b";
    fake.load_options_bytes = 26;
    fake_boot();
    expect_choice("one", SLIPWAY_CHOICE_BY_LOAD_OPTIONS, "a b");
    assert_int_equal(count_calls(FAKE_READ_KEY), 0);
    assert_false(has_stage("menu"));
    SET_UP(CONFIG, down_enter);
    fake.load_options = L"a b";
    fake.load_options_bytes = 6;
    fake_boot();
    expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "a b");
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
        set_up(CONFIG, NULL, 0);
        set_options(good[i].options);
        fake_boot();
        expect_choice("one", SLIPWAY_CHOICE_BY_LOAD_OPTIONS, good[i].cmdline);
    }
    static const struct {
        const CHAR16 *options;
        const char *name;
    } bad[] = {
        {L"entry=", ""}, {L"entry= one", ""}, {L"entry=\"one", "\"one"}, {L"entry=\"", "\""}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char message[120];
        setup_boot(CONFIG);
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
        set_up(configs[i], NULL, 0);
        fake.keys_before = 1;
        fake_boot();
        expect_choice(i == 1 ? "one" : "", i == 1 ? SLIPWAY_CHOICE_BY_DEFAULT : SLIPWAY_CHOICE_NONE,
                      i == 0 ? "root=ram0 verbose" : "");
        assert_int_equal(menu_ms(), 0);
        assert_int_equal(count_calls(FAKE_READ_KEY) + count_calls(FAKE_QUERY_TEXT) +
                             count_calls(FAKE_OUTPUT) + count_calls(FAKE_STALL),
                         0);
    }
}

TEST("menu: with a time of 0 one look at the keyboard is all, unless a key is there") {
    set_up("timeout = 0\n" ENTRIES, NULL, 0);
    fake_boot();
    expect_choice("one", SLIPWAY_CHOICE_BY_DEFAULT, "1");
    assert_int_equal(count_calls(FAKE_READ_KEY), 1);
    assert_int_equal(count_calls(FAKE_STALL) + count_calls(FAKE_OUTPUT), 0);
    SET_UP("timeout = 0\n" ENTRIES, down_enter);
    fake.keys_before = 1;
    fake_boot();
    expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
}

TEST("menu: the key that has called the menu does nothing for as long as it is held") {
    static const struct fake_key held[] = {
        {0, SCAN_ESC, 0},    {500, SCAN_ESC, 0},   {530, SCAN_ESC, 0}, {1500, SCAN_ESC, 0},
        {2400, SCAN_ESC, 0}, {3500, SCAN_DOWN, 0}, {3600, 0, '\r'},
    };
    static const struct fake_key again[] = {{0, SCAN_ESC, 0}, {1200, SCAN_ESC, 0}};
    static const struct fake_key other[] = {{0, 0, ' '}, {200, SCAN_ESC, 0}};
    SET_UP("timeout = 0\n" ENTRIES, held);
    fake_boot();
    expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
    SET_UP("timeout = 0\n" ENTRIES, again);
    fake_boot();
    setup_expect_success();
    SET_UP("timeout = 0\n" ENTRIES, other);
    fake_boot();
    setup_expect_success();
}

TEST("menu: keys that were typed before do not choose") {
    static const struct fake_key keys[] = {
        {0, SCAN_END, 0}, {0, 0, 'x'}, {0, 0, '\r'}, {900, 0, '2'}, {2000, 0, '\r'}};
    SET_UP("timeout = 3\n" ENTRIES, keys);
    fake_boot();
    expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
}

TEST("menu: without an end of time it waits, unless nobody can type") {
    static const struct fake_key late[] = {{40000, 0, '\r'}};
    SET_UP("timeout = none\n" ENTRIES, late);
    fake_boot();
    expect_choice("one", SLIPWAY_CHOICE_BY_MENU, "1");
    assert_in_range(menu_ms(), 40000, 40020);
    set_up("timeout = none\n" ENTRIES, NULL, 0);
    fake.keyboard_fails = true;
    fake_boot();
    expect_choice("one", SLIPWAY_CHOICE_BY_TIMEOUT, "1");
    assert_in_range(menu_ms(), 10000, 10020);
}

TEST("menu: a machine without keyboard or without console boots the default at once") {
    for (unsigned lacks = 1; lacks < 4; lacks++) {
        SET_UP("timeout = none\n" ENTRIES, down_enter);
        fake.has_keyboard = !(lacks & 1);
        fake.has_console = !(lacks & 2);
        fake_boot();
        expect_choice("one", SLIPWAY_CHOICE_BY_DEFAULT, "1");
        assert_int_equal(fake.stalls, 0);
    }
}

TEST("menu: a TSC of unknown speed does not keep the time from passing") {
    set_up(CONFIG, NULL, 0);
    fake.has_pm_timer = false;
    fake_boot();
    expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
    assert_int_equal(menu_ms(), 5000);
    assert_int_equal(fake.stalls, 500);
}

// ---- What people see

static uint32_t written_at[6];
static char title_row[FAKE_COLUMNS_MAX + 1];
static char time_row[FAKE_COLUMNS_MAX + 1];
static uint8_t title_attribute;
static bool cursor_was_visible;

static void watch(void) {
    if (fake.stalls % 100 == 50 && fake.stalls / 100 < ARRAY_LEN(written_at))
        written_at[fake.stalls / 100] = fake.screen.written;
    if (fake.stalls != 50)
        return;
    strcpy(title_row, row_text(3));
    strcpy(time_row, row_text(fake.screen.rows - 2));
    title_attribute = fake.screen.attributes[3][0];
    cursor_was_visible = fake.screen.mode.CursorVisible;
}

static uint16_t first_row[FAKE_COLUMNS_MAX];

static void watch_first(void) {
    if (fake.stalls == 20)
        memcpy(first_row, fake.screen.units[2], sizeof(first_row));
}

TEST("menu: only what changes is written, and the cursor is hidden") {
    set_up(CONFIG, NULL, 0);
    fake.in_stall = watch;
    fake_boot();
    expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
    assert_string_equal(title_row, "> 2. two");
    assert_string_equal(time_row, "Boots in 5 seconds; any key stops the time");
    assert_int_equal(title_attribute, 0x70);
    assert_false(cursor_was_visible);
    for (int i = 1; i < 4; i++)
        assert_int_equal(written_at[i] - written_at[i - 1], 1); // a digit
}

TEST("menu: on a larger screen it is larger") {
    SET_UP(CONFIG, down_enter);
    fake.screen.columns = 100;
    fake.screen.rows = 31;
    fake.in_stall = watch;
    fake_boot();
    expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_string_equal(time_row, "Boots in 5 seconds; any key stops the time");
    expect_console_as_before();
}

TEST("menu: positions that the console refuses, whatever its mode has, are not used") {
    static const struct fake_key edit[] = {{100, 0, 'e'}, {3000, 0, '\r'}, {3100, 0, '\r'}};
    static struct fake_key keys[ARRAY_LEN(edit) + 200];
    char config[1000] = ENTRIES;
    keys[0] = edit[0];
    for (unsigned i = 1; i <= 200; i++) // a line that is longer than any screen
        keys[i] = (struct fake_key){100 + 10 * i, 0, 'x'};
    memcpy(keys + 201, edit + 1, 2 * sizeof(*edit));
    for (unsigned i = 0; i < 30; i++)
        sprintf(config + strlen(config), "[e%u]\ntitle = x\n", i);
    for (unsigned i = 0; i < 3; i++) {
        SET_UP(config, keys);
        fake.screen.columns = 100;
        fake.screen.rows = 31;
        fake.screen.columns_reached = i != 1 ? 80 : 0;
        fake.screen.rows_reached = i != 0 ? 25 : 0;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->cmdline.bytes, 1 + 200);
        assert_null(strstr(fake.console, "\n")); // it has not become one of lines
        expect_console_as_before();
    }
}

TEST("menu: what the console has no glyph for is a question mark, and takes its column") {
    SET_UP("[one]\ntitle = \xc3\xa4\xc4\x8d\xd0\x9f\xce\xbbz\n[two]\ntitle = x\n", down_enter);
    fake.screen.glyph = 0x3bb;
    fake.in_stall = watch_first;
    fake_boot();
    const uint16_t shown[] = {'>', ' ', '1', '.', ' ', 0xe4, '?', '?', 0x3bb, 'z', ' '};
    for (unsigned i = 0; i < ARRAY_LEN(shown); i++)
        assert_int_equal(first_row[i], shown[i]);
    expect_console_as_before();
}

TEST("menu: a console that does not know its mode is one of 80 columns and 25 rows") {
    for (int i = 0; i < 2; i++) {
        SET_UP(CONFIG, down_enter);
        fake.screen.has_no_mode = i == 0;
        fake.refused = i == 0 ? FAKE_NONE : FAKE_QUERY_TEXT;
        fake.in_stall = watch;
        fake_boot();
        expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
        assert_string_equal(time_row, "Boots in 5 seconds; any key stops the time");
    }
}

TEST("menu: a console without colours has the mark before the entry") {
    SET_UP(CONFIG, down_enter);
    fake.refused = FAKE_SET_ATTRIBUTE;
    fake.fail_status = EFI_UNSUPPORTED;
    fake.in_stall = watch;
    fake_boot();
    expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_string_equal(title_row, "> 2. two");
}

TEST("menu: a console that cannot place the cursor, or clear, gets lines") {
    static const enum fake_call calls[] = {FAKE_SET_CURSOR, FAKE_CLEAR_SCREEN};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        SET_UP(CONFIG, down_enter);
        fake.refused = calls[i];
        fake.fail_status = EFI_UNSUPPORTED;
        fake_boot();
        expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
        assert_string_equal(
            fake.console, "Slipway " SLIPWAY_VERSION "\n"
                          "  1. First\n> 2. two\n  3. Third\n"
                          "Boots in 5 seconds; any key stops the time\n"
                          "Up, Down: choose   Enter: boot   e: edit the command line   Esc: leave\n"
                          "2/3, 5 s: two\n"
                          "3/3: Third\n");
        assert_int_equal(fake.screen.mode.Attribute, 0x0e);
        assert_true(fake.screen.mode.CursorVisible);
    }
}

// ---- COM1

// A terminal at COM1 that types so many milliseconds after the start.
static void set_up_terminal(const char *input, uint32_t ms) {
    setup_boot(CONFIG);
    fake.key_at_stall = 0;
    fake.com1_has_fifos = true; // else what has come before is dropped
    fake.com1_input = input;
    fake.com1_input_ms = ms;
}

TEST("menu: on COM1 it is drawn for a terminal, which types, too") {
    set_up_terminal("\x1b[B\r", 1500);
    fake_boot();
    expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_in_range(menu_ms(), 1500, 1520);
    static const char begin[] = "\x1b[0m\x1b[2J\x1b[H\x1b[?25l\x1b[1;1HSlipway " SLIPWAY_VERSION
                                "\x1b[3;3H1. First\x1b[4;1H\x1b[7m> 2. two\x1b[5;3H\x1b[0m3. Third";
    static const char end[] = "\x1b[0m\x1b[2J\x1b[H\x1b[?25h";
    assert_memory_equal(fake.com1, begin, sizeof(begin) - 1);
    assert_string_equal(fake.com1 + fake.com1_bytes - (sizeof(end) - 1), end);
    expect_console_as_before();
}

// Types when the menu has been there for a while.
static void boot_second(void) {
    if (fake.stalls != 200)
        return;
    fake.com1_input = "2\r";
    fake.com1_input_ms = 0;
}

TEST("menu: with a time of 0 a byte at COM1 is a key, also one that may begin a sequence") {
    static const char *const inputs[] = {"x", "\x1b[B", "\x1b", "\xc3", ""};
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        setup_boot("timeout = 0\n" ENTRIES);
        fake.has_console = false;
        fake.com1_has_fifos = true;
        fake.com1_input = inputs[i];
        bool has_key = inputs[i][0] != '\0';
        fake.in_stall = has_key ? boot_second : NULL;
        fake_boot();
        expect_choice(has_key ? "two" : "one",
                      has_key ? SLIPWAY_CHOICE_BY_MENU : SLIPWAY_CHOICE_BY_DEFAULT,
                      has_key ? "2" : "1");
    }
}

TEST("menu: Escape of a terminal is a key when nothing follows it") {
    set_up_terminal("\x1b", 1500);
    fake_boot();
    assert_int_equal(fake.end, FAKE_RETURNED);
    assert_int_equal(fake.status, EFI_SUCCESS);
    assert_string_equal(fake.breach, "");
    assert_in_range(fake.stalled_us, 1540000, 1570000);
}

TEST("menu: COM1 alone is enough, and is left to the firmware where it is one of its consoles") {
    set_up_terminal("1\r", 100);
    fake.has_keyboard = fake.has_console = false;
    fake_boot();
    expect_choice("one", SLIPWAY_CHOICE_BY_MENU, "1");
    SET_UP(CONFIG, down_enter);
    fake.has_uart = fake.com1_has_fifos = fake.console_is_com1 = true;
    fake.com1_input = "1\r";
    fake_boot();
    expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_string_equal(fake.com1_input, "1\r");
    assert_null(strstr(fake.com1, "\x1b["));
}

// ---- Failures

TEST("menu: without room for it the boot fails, and says so") {
    static uint8_t kinds[FAKE_CALLS_RECORDED];
    uint32_t seen = 0;
    set_up(CONFIG, NULL, 0);
    fake.has_uart = true;
    fake_boot();
    uint64_t calls = fake.calls;
    memcpy(kinds, fake.kinds, calls);
    for (uint64_t number = 1; number <= calls; number++) {
        if (kinds[number - 1] != FAKE_ALLOCATE_PAGES)
            continue;
        set_up(CONFIG, NULL, 0);
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
        SET_UP("timeout = none\n[a]\nkernel = x\n", keys);
        fake.keyboard_fails = fails;
        fake_boot();
        assert_int_equal(fake.end, FAKE_RETURNED);
        assert_int_equal(fake.status, EFI_NOT_FOUND);
        assert_in_range(fake.stalled_us, fails ? 10000000 : 100000, fails ? 10100000 : 150000);
        assert_non_null(strstr(fake.console, "press a key to go back to the firmware\n"));
    }
    static const struct fake_key late[] = {{33000, 0, ' '}};
    SET_UP("timeout = none\n[a]\nkernel = x\n", late);
    fake_boot();
    assert_in_range(fake.stalled_us, 33000000, 33100000);
}
