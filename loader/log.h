// What the loader says, and where: COM1, the firmware's text console, and a log that goes to the
// kernel.
//
// A line appears once on COM1, be it one of the firmware's consoles or not, and once on each other
// console. Quiet by default: a line on the firmware's console costs hundreds of thousands of
// instructions with a display. Every message is kept in the log, whatever is printed.
#pragma once

#include "loader/config.h"

#include <efi.h>

#include <stdbool.h>
#include <stddef.h>

enum { LOG_BYTES_MAX = 8191 }; // text that is kept

// Starts COM1, if there is one, and an empty log. Nothing is printed before log_set_level but
// failures.
void log_init(void);

// What is printed from now on: config's level.
void log_set_level(enum config_log level);

// A message of one line, without its newline: kept, and printed when the level is at least `level`.
[[gnu::format(printf, 2, 3)]] void log_line(enum config_log level, const char *format, ...);

// Records why the loader gives up and returns `status`. The first record wins: it is the cause,
// later ones are consequences. Printed by log_print_failure.
[[gnu::format(printf, 2, 3)]] EFI_STATUS log_fail(EFI_STATUS status, const char *format, ...);

// Prints the recorded failure, prefixed with the loader's name, on COM1 and the firmware's console.
void log_print_failure(void);

// The recorded failure, without the loader's name and a newline; empty if there is none.
const char *log_failure(void);

// Gives COM1 back to the firmware as it was.
void log_end(void);

// The log so far; lines end in a newline.
const char *log_text(size_t *ret_bytes);

// No firmware output from here on: ExitBootServices is next. COM1 stays.
void log_pause_firmware(void);

// The firmware's console may be used again.
void log_resume_firmware(void);

// A short name of an EFI status for messages, or its number; good until the next call.
const char *log_status_text(EFI_STATUS status);
