// The consoles of the menu: what stands on the firmware's and is left there, the terminal that COM1
// is where the firmware does not use it, and keys of both that have begun before the menu.
#include "tests/firmware/setup_menu.h"

#include <stdio.h>
#include <string.h>

// ---- The firmware's console

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
    setup_read_row(3, title_row);
    setup_read_row(fake.screen.rows - 2, time_row);
    title_attribute = fake.screen.attributes[3][0];
    cursor_was_visible = fake.screen.mode.CursorVisible;
}

static uint16_t first_row[FAKE_COLUMNS_MAX];

static void watch_first(void) {
    if (fake.stalls == 20)
        memcpy(first_row, fake.screen.units[2], sizeof(first_row));
}

TEST("menu: only what changes is written, and the cursor is hidden") {
    setup_typed(SETUP_MENU_CONFIG, NULL, 0);
    fake.in_stall = watch;
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
    assert_string_equal(title_row, "> 2. two");
    assert_string_equal(time_row, "Boots in 5 seconds; any key stops the time");
    assert_int_equal(title_attribute, 0x70);
    assert_false(cursor_was_visible);
    for (int i = 1; i < 4; i++)
        assert_int_equal(written_at[i] - written_at[i - 1], 1); // a digit
}

TEST("menu: on a larger screen it is larger") {
    SETUP_TYPED(SETUP_MENU_CONFIG, setup_down_enter);
    fake.screen.columns = 100;
    fake.screen.rows = 31;
    fake.in_stall = watch;
    fake_boot();
    setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_string_equal(time_row, "Boots in 5 seconds; any key stops the time");
    setup_expect_console_as_before();
}

TEST("menu: positions that the console refuses, whatever its mode has, are not used") {
    static const struct fake_key edit[] = {{100, 0, 'e'}, {3000, 0, '\r'}, {3100, 0, '\r'}};
    static struct fake_key keys[ARRAY_LEN(edit) + 200];
    char config[1000] = SETUP_MENU_ENTRIES;
    keys[0] = edit[0];
    for (unsigned i = 1; i <= 200; i++) // a line that is longer than any screen
        keys[i] = (struct fake_key){100 + 10 * i, 0, 'x'};
    memcpy(keys + 201, edit + 1, 2 * sizeof(*edit));
    for (unsigned i = 0; i < 30; i++)
        sprintf(config + strlen(config), "[e%u]\ntitle = x\n", i);
    for (unsigned i = 0; i < 3; i++) {
        SETUP_TYPED(config, keys);
        fake.screen.columns = 100;
        fake.screen.rows = 31;
        fake.screen.columns_reached = i != 1 ? 80 : 0;
        fake.screen.rows_reached = i != 0 ? 25 : 0;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->cmdline.bytes, 1 + 200);
        assert_null(strstr(fake.console, "\n")); // it has not become one of lines
        setup_expect_console_as_before();
    }
}

TEST("menu: what the console has no glyph for is a question mark, and takes its column") {
    SETUP_TYPED("[one]\ntitle = \xc3\xa4\xc4\x8d\xd0\x9f\xce\xbbz\n[two]\ntitle = x\n",
                setup_down_enter);
    fake.screen.glyph = 0x3bb;
    fake.in_stall = watch_first;
    fake_boot();
    const uint16_t shown[] = {'>', ' ', '1', '.', ' ', 0xe4, '?', '?', 0x3bb, 'z', ' '};
    for (unsigned i = 0; i < ARRAY_LEN(shown); i++)
        assert_int_equal(first_row[i], shown[i]);
    setup_expect_console_as_before();
}

TEST("menu: a console that does not know its mode is one of 80 columns and 25 rows") {
    for (int i = 0; i < 2; i++) {
        SETUP_TYPED(SETUP_MENU_CONFIG, setup_down_enter);
        fake.screen.has_no_mode = i == 0;
        fake.refused = i == 0 ? FAKE_NONE : FAKE_QUERY_TEXT;
        fake.in_stall = watch;
        fake_boot();
        setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
        assert_string_equal(time_row, "Boots in 5 seconds; any key stops the time");
    }
}

TEST("menu: a console without colours has the mark before the entry") {
    SETUP_TYPED(SETUP_MENU_CONFIG, setup_down_enter);
    fake.refused = FAKE_SET_ATTRIBUTE;
    fake.fail_status = EFI_UNSUPPORTED;
    fake.in_stall = watch;
    fake_boot();
    setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_string_equal(title_row, "> 2. two");
}

TEST("menu: a console that cannot place the cursor, or clear, gets lines") {
    static const enum fake_call calls[] = {FAKE_SET_CURSOR, FAKE_CLEAR_SCREEN};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        SETUP_TYPED(SETUP_MENU_CONFIG, setup_down_enter);
        fake.refused = calls[i];
        fake.fail_status = EFI_UNSUPPORTED;
        fake_boot();
        setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
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
    setup_boot(SETUP_MENU_CONFIG);
    fake.key_at_stall = 0;
    fake.com1_has_fifos = true; // else what has come before is dropped
    fake.com1_input = input;
    fake.com1_input_ms = ms;
}

TEST("menu: on COM1 it is drawn for a terminal, which types, too") {
    set_up_terminal("\x1b[B\r", 1500);
    fake_boot();
    setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_in_range(setup_menu_ms(), 1500, 1520);
    static const char begin[] = "\x1b[0m\x1b[2J\x1b[H\x1b[?25l\x1b[1;1HSlipway " SLIPWAY_VERSION
                                "\x1b[3;3H1. First\x1b[4;1H\x1b[7m> 2. two\x1b[5;3H\x1b[0m3. Third";
    static const char end[] = "\x1b[0m\x1b[2J\x1b[H\x1b[?25h";
    assert_memory_equal(fake.com1, begin, sizeof(begin) - 1);
    assert_string_equal(fake.com1 + fake.com1_bytes - (sizeof(end) - 1), end);
    setup_expect_console_as_before();
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
        setup_boot("timeout = 0\n" SETUP_MENU_ENTRIES);
        fake.has_console = false;
        fake.com1_has_fifos = true;
        fake.com1_input = inputs[i];
        bool has_key = inputs[i][0] != '\0';
        fake.in_stall = has_key ? boot_second : NULL;
        fake_boot();
        setup_expect_choice(has_key ? "two" : "one",
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
    setup_expect_choice("one", SLIPWAY_CHOICE_BY_MENU, "1");
    SETUP_TYPED(SETUP_MENU_CONFIG, setup_down_enter);
    fake.has_uart = fake.com1_has_fifos = fake.console_is_com1 = true;
    fake.com1_input = "1\r";
    fake_boot();
    setup_expect_choice("three", SLIPWAY_CHOICE_BY_MENU, "3");
    assert_string_equal(fake.com1_input, "1\r");
    assert_null(strstr(fake.com1, "\x1b["));
}

// ---- Keys that have begun before the menu

static const char *const held_configs[] = {SETUP_MENU_CONFIG,
                                           "default = two\ntimeout = 0\n" SETUP_MENU_ENTRIES};
static const char *rest; // of what comes at COM1
static uint32_t rest_at;

static void send_rest(void) {
    if (fake.stalls == rest_at)
        fake.com1_input = rest;
    if (fake.stalls == 300)
        fake.com1_input = "\r";
}

TEST("menu: of a key that is held at COM1 a part may have come before the menu") {
    static const struct {
        const char *first, *rest;
    } cases[] = {
        {"\x1b[A\x1b[", "A\x1b[A\x1b[A"},
        {"\x1b[A\x1b", "[A\x1b[A"},
        {"\x1b[B\x1b[", "B\x1b[B"},
        {"\x1b[1~\x1b[", "1~\x1b[1~"},
        {"\x1b[1~\x1b[1", "~\x1b[1~\x1b[1~"},
        {"\x1b[", "1~\x1b[1~"},
        {"\x1b", "[B\x1b[B"},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        for (rest_at = 1; rest_at <= 5; rest_at += 4) {
            setup_boot(held_configs[i % 2]);
            fake.has_console = false;
            fake.key_at_stall = 0;
            fake.com1_has_fifos = true;
            fake.com1_input = cases[i / 2].first;
            rest = cases[i / 2].rest;
            fake.in_stall = send_rest;
            fake_boot();
            setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
        }
    }
}

TEST("menu: of a key that is held behind the firmware's terminal a part may have come before") {
    static const struct fake_key home[] = {
        {0, SCAN_ESC, 0}, {0, 0, '['},  {0, 0, '1'},     {0, 0, '~'},       {0, SCAN_ESC, 0},
        {0, 0, '['},      {20, 0, '1'}, {20, 0, '~'},    {73, SCAN_ESC, 0}, {73, 0, '['},
        {73, 0, '1'},     {73, 0, '~'}, {3000, 0, '\r'},
    };
    static const struct fake_key escape[] = {
        {0, SCAN_ESC, 0}, {30, SCAN_ESC, 0}, {63, SCAN_ESC, 0}, {3000, 0, '\r'}};
    for (size_t i = 0; i < ARRAY_LEN(held_configs); i++) {
        SETUP_TYPED(held_configs[i], home);
        fake_boot();
        setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
        setup_typed(held_configs[i], home + 4, ARRAY_LEN(home) - 4);
        fake_boot();
        setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
        SETUP_TYPED(held_configs[i], escape);
        fake_boot();
        setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
    }
}

static void repeat_escape(void) {
    if (fake.stalls == 3)
        fake.com1_input = "\x1b";
}

TEST("menu: for the end of a key that has begun no more than a pause is waited") {
    static const struct fake_key escapes[] = {{0, SCAN_ESC, 0}, {30, SCAN_ESC, 0}};
    static const struct fake_key letters[] = {{0, 0, 0xe4}, {30, 0, 0xe4}, {30, 0, 0xa7}};
    for (uint32_t count = 0; count <= ARRAY_LEN(escapes); count++) {
        setup_typed(SETUP_MENU_CONFIG, escapes, count);
        fake_boot();
        setup_expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
        assert_int_equal(fake.stalls, count == 0 ? 500 : 505);
    }
    SETUP_TYPED(SETUP_MENU_CONFIG, letters);
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
    assert_int_equal(fake.stalls, 505);
    SETUP_TYPED(SETUP_MENU_CONFIG, escapes);
    fake.has_uart = fake.com1_has_fifos = true;
    fake.com1_input = "\x1b";
    fake.in_stall = repeat_escape; // of both none is left for the menu
    fake_boot();
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
    assert_int_equal(fake.stalls, 505);
}

TEST("menu: of a flood of keys before it, those that a step takes are dropped") {
    enum { TAKEN = 64 };
    struct fake_key keys[TAKEN + 2] = {0};
    for (uint32_t before = TAKEN - 1; before <= TAKEN; before++) {
        for (uint32_t i = 0; i < before; i++)
            keys[i] = (struct fake_key){0, 0, 'x'};
        keys[before] = (struct fake_key){0, 0, '1'};
        keys[before + 1] = (struct fake_key){3000, 0, '\r'};
        setup_typed(SETUP_MENU_CONFIG, keys, before + 2);
        fake_boot();
        setup_expect_choice(before < TAKEN ? "two" : "one", SLIPWAY_CHOICE_BY_MENU,
                            before < TAKEN ? "2" : "1");
    }
}
