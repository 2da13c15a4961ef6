// The prompt on COM1.
#pragma once

// Reads commands and answers them; does not return. Needs input_start.
[[gnu::noreturn]] void monitor_run(void);
