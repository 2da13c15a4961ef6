// The firmware's text console: text that goes there, keys that are typed there. For as long as
// there are boot services.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Forgets what is known of the consoles.
void console_init(void);

// Writes text on all of the firmware's consoles; what is not ASCII becomes '?'.
void console_write(const char *text, size_t bytes);

// True when COM1 is one of the firmware's consoles, so that what console_write writes appears
// there. Found out once, when first asked.
bool console_is_on_com1(void);

// Says what is waited for, and waits for a key, but for ten seconds at most. Keys that were typed
// before do not count. Returns at once if there is no console.
void console_wait_for_key(void);
