// Reads slipway.conf from the volume that the loader was started from: from the loader's own
// folder, or where it is not there from the root. One that is there and cannot be read is a
// failure.
#pragma once

#include "loader/boot_source.h"
#include "loader/config.h"

#include <efi.h>

#include <stdint.h>

// For a message about a file that the config names: the key and the line that name it, as
// ` (key 'kernel', /EFI/BOOT/slipway.conf line 3)`; or, with line 0, that it is the default and
// why. Valid until the next call.
const char *config_file_where(const char *key, uint32_t line);

// From now on it is what this file, of the Boot Loader Specification, names.
void config_file_turn_to(struct config_text file);

// What the file says. It points into pages that stay until the kernel reclaims the loader's ranges.
struct config_read {
    struct config_file file;
    struct config_room room;
    uint64_t bytes; // the file's size, 0 without a file
};

// Reads and parses the file. Without a file the config is the default. Failures are recorded; the
// pages are freed by firmware_free_all.
[[nodiscard]] EFI_STATUS config_file_read(const struct boot_source *source,
                                          struct config_read *ret_read);

// Records that there is no entry of this name, which `what` asked for, and returns the failure.
EFI_STATUS config_file_fail_entry(const struct config_read *read, const char *what,
                                  struct config_text name);

// Says in the log which file was read, at the level that it asked for.
void config_file_log(void);
