// What the loader says, and where: COM1, the firmware's text console, and a log that goes to the
// kernel.
//
// A line appears once on COM1, whether that is one of the firmware's consoles or not, and once on
// each other console. Quiet by default: with a display, a line on the firmware's console costs
// hundreds of thousands of instructions. The log keeps every message, printed or not.
#pragma once

#include "loader/config.h"

#include <efi.h>

#include <stdbool.h>
#include <stddef.h>

enum { LOG_BYTES_MAX = 8191 }; // text that is kept

// Starts COM1, if there is one, and an empty log. Before log_set_level only failures are printed.
void log_init(void);

// What is printed from now on: config's level.
void log_set_level(enum config_log level);

// A message of one line, without its newline: kept, and printed when the level is at least `level`.
[[gnu::format(printf, 2, 3)]] void log_line(enum config_log level, const char *format, ...);

// Records why the boot stops and returns `status`. The first record stays: it is the cause, later
// ones are consequences. Printed by log_print_failure.
[[gnu::format(printf, 2, 3)]] EFI_STATUS log_fail(EFI_STATUS status, const char *format, ...);

// Makes the recorded failure a line of the log: the boot goes on without what has failed.
void log_forgive(enum config_log level);

// Prints the recorded failure, prefixed with the loader's name, on COM1 and the firmware's console.
void log_print_failure(void);

// The recorded failure, without the loader's name and a newline; empty if there is none.
const char *log_failure(void);

// Leaves COM1 to the firmware, or to an image that is started, as it was.
void log_end(void);

// After log_end: takes COM1 over again and looks again which consoles there are. Log and level are
// what they were.
void log_begin(void);

// The log so far; lines end in a newline.
const char *log_text(size_t *ret_bytes);

// No firmware output from here on: ExitBootServices is next. COM1 stays.
void log_pause_firmware(void);

// The firmware's console may be used again.
void log_resume_firmware(void);

// A short name of an EFI status for messages, or its number; valid until the next call.
const char *log_status_text(EFI_STATUS status);
