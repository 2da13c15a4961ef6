// The firmware's text console: output to it and keys from it, as long as there are boot services.
#pragma once

#include <efi.h>

#include <stdbool.h>
#include <stddef.h>

// Forgets which consoles there are: console_is_on_com1 looks again.
void console_init(void);

// What the console shows for a unit of UCS-2: that, or '?' where it has no glyph. All have Latin-1,
// U+0020 to U+007E and U+00A0 to U+00FF.
// Of other units edk2's console draws nothing, not even a blank, and its driver of terminals sends
// the low byte, which may be a carriage return. There must be a console.
CHAR16 console_unit(CHAR16 unit);

// Writes text, UTF-8, on all of the firmware's consoles. A character that they have no glyph for,
// that is above U+FFFF, or a control of U+0080 to U+009F, which may mean something to a terminal,
// becomes '?', and so does a byte that is part of none.
void console_write(const char *text, size_t bytes);

// True when there is a console and COM1 is one of the firmware's: then the text of console_write
// appears there. The first call looks, later ones remember.
bool console_is_on_com1(void);

// Prints that it waits for a key, and waits for one, ten seconds at most unless `for_ever`. Keys
// that were typed before do not count. Returns at once if there is no console, and after ten
// seconds if there is no keyboard, or one that fails.
void console_wait_for_key(bool for_ever);
