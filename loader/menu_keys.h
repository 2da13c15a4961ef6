// Keys from the bytes that a terminal sends: UTF-8, and the escape sequences of VT100, VT220 and
// xterm (ECMA-48, 5.4: CSI, parameters, a final byte; SS3 and one byte). Pure.
#pragma once

#include "loader/menu.h"

#include <stdbool.h>
#include <stdint.h>

struct menu_keys {
    uint8_t bytes[16]; // of a key that has begun
    uint32_t count;
    bool ended_line; // the last byte was a carriage return, and a line feed after it is no key
};

// A byte has come, after all zeros at first. True: *ret_key is a key, which it ends. What is no
// known sequence and no UTF-8 is MENU_KEY_NONE.
[[nodiscard]] bool menu_keys_add(struct menu_keys *keys, uint8_t byte, struct menu_key *ret_key);

// No byte has come for some time. True if what has begun is a key of its own: Escape.
[[nodiscard]] bool menu_keys_pause(struct menu_keys *keys, struct menu_key *ret_key);
