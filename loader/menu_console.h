// The menu on the machine: shown on the firmware's console and on COM1, with keys of both and with
// time. Where COM1 is one of the firmware's consoles, text and keys go through the firmware alone;
// else COM1 is a terminal of its own. Where the firmware makes Escape and characters of a sequence,
// because its driver knows another kind of terminal, these are the key all the same; and so are the
// bytes of UTF-8, each of which it makes a character.
#pragma once

#include "loader/menu.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

struct menu_request {
    const struct menu_item *items;
    uint32_t count;
    uint32_t selected; // the default
    uint32_t timeout;  // of the config, in seconds
};

struct menu_answer {
    enum menu_state end; // MENU_CHOSEN, MENU_TIMED_OUT or MENU_LEFT
    uint32_t selected;
    struct config_text cmdline; // what it is now; valid as long as the items, or in pages that
                                // stay until the kernel reclaims the loader's ranges
    uint32_t waited_ms;
};

// Whether people are to be asked: not where they can see or type nothing; with a timeout of 0 only
// if a key has been typed or is held.
bool menu_is_wanted(uint32_t timeout);

// Shows the menu until its end. Keys that were typed, or have begun, before do not count, nor does
// the one that has called it for as long as it is held. Failures are recorded.
[[nodiscard]] EFI_STATUS menu_run(const struct menu_request *request,
                                  struct menu_answer *ret_answer);
