// The kernel's voice: text to COM1 and, once there is one, to the screen. Owns neither (uart.c,
// screen.c), only the decision what goes where, and that two CPUs do not write at once.
#pragma once

#include "common/base/fmt.h"

// Starts COM1. Until screen_start, and on a machine without a framebuffer, it is all there is.
void console_start(void);

// The sink to COM1 and the screen.
const struct sink *console_sink(void);

// The sink to COM1 alone: for programs, and for faults inside the screen's own code.
const struct sink *console_serial(void);

// Formatted text to console_sink().
[[gnu::format(printf, 1, 2)]] void console_print(const char *format, ...);

// A line that the screen shows in the colour of headings.
void console_heading(const char *text);
