// The command line in the load options of the loader's image (UEFI 2.9, 9.1). Nothing says what
// they are, and they may be:
//
//   - the optional data of a boot option (3.1.3), in UTF-16: `efibootmgr -u`, with a NUL or
//   without;
//   - the line that was typed in the UEFI shell (UEFI Shell 2.2), in UTF-16: the program's name, as
//     it was typed, and what follows. An image that the shell has started has the
//     EFI_SHELL_PARAMETERS_PROTOCOL. Other programs that start images put a name first, too, and
//     have no such protocol;
//   - what firmware keeps in boot options of its own making: a GUID (edk2), a few bytes (AMI,
//     Insyde), a structure; or 8-bit text, as efibootmgr without -u leaves it.
//
// So they are a command line only if they are an even number of bytes, not more than 64 KiB, of
// sound UTF-16 without control characters but the tab, up to their end or a NUL with nothing but
// zeros behind it, and if at least half of the characters are ASCII: of the eight units of a GUID
// half are ASCII less than once in 10^9. Blanks and ends of line around the text do not count. The
// first word is left out if the shell has started the loader, or if it ends in the name of the
// loader's file. Pure.
#pragma once

#include "loader/config.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOAD_OPTIONS_BYTES_MAX = 65536 };

struct load_options {
    const void *start; // at any address
    uint64_t bytes;
    bool is_shell;             // the shell has started the loader
    struct config_text loader; // the path of the loader's file, or nothing
};

enum load_options_status {
    LOAD_OPTIONS_OK,
    LOAD_OPTIONS_NONE, // no character but blanks, or the name alone
    LOAD_OPTIONS_ERR_LONG,
    LOAD_OPTIONS_ERR_ODD,
    LOAD_OPTIONS_ERR_BEHIND,
    LOAD_OPTIONS_ERR_SURROGATE,
    LOAD_OPTIONS_ERR_CONTROL,
    LOAD_OPTIONS_ERR_FOREIGN,
};

// Bytes of memory that load_options_parse needs.
uint64_t load_options_room(uint64_t bytes);

// Writes the text to `room`, of load_options_room(options->bytes) bytes, and *ret_cmdline, which
// points into it: valid UTF-8, not empty. If not LOAD_OPTIONS_OK, *ret_cmdline is untouched.
[[nodiscard]] enum load_options_status
load_options_parse(const struct load_options *options, char *room, struct config_text *ret_cmdline);

// Why they are no command line, for people; static text.
const char *load_options_status_text(enum load_options_status status);
