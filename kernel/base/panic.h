// The end of the road: a broken invariant, with its values.
#pragma once

// Stops the other CPUs, prints "PANIC: " and the message, which CPU it was, a backtrace, and stops
// the machine. In every build. Usable from the first line of kernel_main on.
[[gnu::noreturn, gnu::format(printf, 1, 2)]] void panic(const char *format, ...);
