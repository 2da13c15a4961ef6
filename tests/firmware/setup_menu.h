// What the tests of menus share: entries, people who type, and what to expect of the choice and of
// the console.
#pragma once

#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#define SETUP_MENU_ENTRIES                                                                         \
    "[one]\ntitle = First\ncmdline = 1\n"                                                          \
    "[two]\ncmdline = 2\n"                                                                         \
    "[three]\ntitle = Third\ncmdline = 3\n"
#define SETUP_MENU_CONFIG "default = two\ntimeout = 5\n" SETUP_MENU_ENTRIES

// The entry below the one that is selected is booted.
extern const struct fake_key setup_down_enter[2];

// The machine of setup_boot without a UART, so that the firmware's console is the only one, and
// with people who type these keys alone.
void setup_typed(const char *config, const struct fake_key *keys, uint32_t count);

#define SETUP_TYPED(config, keys) setup_typed(config, keys, ARRAY_LEN(keys))

// Asserts that the kernel was entered, and told that this entry was chosen by SLIPWAY_CHOICE_....
void setup_expect_choice(const char *entry, uint32_t by, const char *cmdline);

// How long people were asked, as the kernel was told.
uint32_t setup_menu_ms(void);

// Copies a row of the console's screen without the blanks at its end.
void setup_read_row(uint32_t row, char ret_text[FAKE_COLUMNS_MAX + 1]);

// Asserts that the console is as fake_reset has left it.
void setup_expect_console_as_before(void);
