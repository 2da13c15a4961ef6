// Reads slipway.conf from the volume that the loader was started from.
#pragma once

#include "loader/config.h"

#include <efi.h>

#include <stdint.h>

// For a message about a file that the config names: which key names it, in which line (0: it is the
// default, and why), as ` (key 'kernel', slipway.conf line 3)`. Good until the next call.
const char *config_file_where(const char *key, uint32_t line);

// Reads and parses the file. Without one the defaults hold. *ret_config points into pages that stay
// until the kernel reclaims the loader's ranges. *ret_bytes: the file's size, 0 without one.
// Failures are recorded; what was taken stays with firmware_free_all.
[[nodiscard]] EFI_STATUS config_file_read(struct config *ret_config, uint64_t *ret_bytes);
