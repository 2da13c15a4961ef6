#include "tests/firmware/setup_menu.h"

const struct fake_key setup_down_enter[2] = {{500, SCAN_DOWN, 0}, {600, 0, '\r'}};

void setup_typed(const char *config, const struct fake_key *keys, uint32_t count) {
    setup_boot(config);
    fake.has_uart = false;
    fake.key_at_stall = 0;
    fake.typed = keys;
    fake.typed_count = count;
}

void setup_expect_choice(const char *entry, uint32_t by, const char *cmdline) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->choice.entry, entry);
    assert_int_equal(info->choice.by, by);
    setup_expect_text(&info->cmdline, cmdline);
}

uint32_t setup_menu_ms(void) {
    return setup_expect_kernel()->choice.menu_ms;
}

void setup_read_row(uint32_t row, char ret_text[FAKE_COLUMNS_MAX + 1]) {
    uint32_t end = 0;
    for (uint32_t column = 0; column < fake.screen.columns; column++) {
        ret_text[column] = (char)fake.screen.units[row][column];
        end = ret_text[column] != ' ' ? column + 1 : end;
    }
    ret_text[end] = '\0';
}

void setup_expect_console_as_before(void) {
    char text[FAKE_COLUMNS_MAX + 1];
    for (uint32_t row = 0; row < fake.screen.rows; row++) {
        setup_read_row(row, text);
        assert_string_equal(text, "");
    }
    assert_int_equal(fake.screen.mode.Attribute, 0x0e);
    assert_true(fake.screen.mode.CursorVisible);
    assert_int_equal(fake.screen.scrolled, 0);
}
