// Reads slipway.conf from the volume that the loader was started from.
#pragma once

#include "loader/config.h"

#include <efi.h>

#include <stdint.h>

// Reads and parses the file. Without one the defaults hold. *ret_config points into pages that stay
// until the kernel reclaims the loader's ranges. *ret_bytes: the file's size, 0 without one.
// Failures are recorded; what was taken stays with firmware_return_all.
[[nodiscard]] EFI_STATUS config_file_read(struct config *ret_config, uint64_t *ret_bytes);
