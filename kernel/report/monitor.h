// The prompt: typed at on COM1, shown there and on the screen. Owns the table of commands.
#pragma once

// Reads commands and answers them; does not return. Needs input_start.
[[gnu::noreturn]] void monitor_run(void);
